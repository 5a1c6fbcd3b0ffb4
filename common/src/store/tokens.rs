//! Access tokens of one machine, by name.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{CompanyId, TokenName};
use crate::domain::token::AccessToken;
use crate::store::table::items::{Change, Record, put_new};
use crate::store::table::keys;
use chrono::{DateTime, Utc};

impl Record for AccessToken {
    const KIND: &'static str = "token";
}

impl Store {
    /// Keeps a new token for somebody, who is recorded in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of that name.
    pub async fn add_token(&self, token: &AccessToken, event: &AuditEvent) -> Result<(), StoreError> {
        let item = token.to_item(&keys::token(&event.company, &token.name))?;
        let outcome = self.transact(vec![put_new(&self.table, item)?, self.audited(event)?]).await?;
        if outcome.is_written() { Ok(()) } else { Err(StoreError::Conflict { record: AccessToken::KIND }) }
    }

    /// A token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn token(&self, company: &CompanyId, name: &TokenName) -> Result<Option<AccessToken>, StoreError> {
        self.get(&keys::token(company, name)).await
    }

    /// All tokens of a company, by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn tokens(&self, company: &CompanyId) -> Result<Vec<AccessToken>, StoreError> {
        self.all(&keys::tokens(company)).await
    }

    /// Removes a token for somebody, who is recorded in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_token(&self, name: &TokenName, event: &AuditEvent) -> Result<(), StoreError> {
        let remove = Change::of(keys::token(&event.company, name)).delete(&self.table)?;
        let outcome = self.transact(vec![remove, self.audited(event)?]).await?;
        if outcome.is_written() { Ok(()) } else { Err(StoreError::NotFound { record: AccessToken::KIND }) }
    }

    /// Says when a token was last used. One that is gone by now stays so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn token_used(&self, company: &CompanyId, name: &TokenName, at: DateTime<Utc>) -> Result<(), StoreError> {
        let change = Change::of(keys::token(company, name)).set("last_used_at", &at)?;
        change.apply(&self.client, &self.table).await?;
        Ok(())
    }
}

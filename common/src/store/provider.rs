//! Which connection is a client's provider of security-awareness training: one per client.

use super::Store;
use super::error::StoreError;
use super::item::Record;
use super::keys;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The setting of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The client.
    pub client: ClientId,
    /// The connection that provides its training.
    pub connection: ConnectionId,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who said so.
    pub by: String,
}

impl Record for Provider {
    const KIND: &'static str = "provider of training";
}

impl Store {
    /// The provider of a client's training, if one is named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn provider(&self, company: &CompanyId, client: &ClientId) -> Result<Option<Provider>, StoreError> {
        self.get(&keys::provider(company, client)).await
    }

    /// Names the provider of a client's training, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn name_provider(&self, company: &CompanyId, provider: &Provider) -> Result<(), StoreError> {
        self.put_item(provider.to_item(&keys::provider(company, &provider.client))?).await
    }

    /// Names no provider of a client's training any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_provider(&self, company: &CompanyId, client: &ClientId) -> Result<(), StoreError> {
        let key = keys::provider(company, client).to_item();
        self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await?;
        Ok(())
    }
}

//! Which connection is a client's provider of security-awareness training: one per client.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::store::table::items::Record;
use crate::store::table::keys::{self, Key};
use crate::store::table::queries::Consistency;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The setting of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// What is stored: also that there is no provider any more, since when and by whom.
#[derive(Serialize, Deserialize)]
struct ProviderItem {
    client: ClientId,
    connection: Option<ConnectionId>,
    since: DateTime<Utc>,
    by: String,
}

impl ProviderItem {
    /// The setting, unless there is no provider any more.
    fn named(self) -> Option<Provider> {
        let Self { client, connection, since, by } = self;
        Some(Provider { client, connection: connection?, since, by })
    }
}

impl Record for ProviderItem {
    const KIND: &'static str = "provider of training";
}

impl Store {
    /// The provider of a client's training, if one is named.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn provider(&self, company: &CompanyId, client: &ClientId) -> Result<Option<Provider>, StoreError> {
        let stored: Option<ProviderItem> = match self.get(&keys::provider(company, client)).await? {
            Some(stored) => Some(stored),
            None => self.get(&keys::legacy::provider(company, client)).await?,
        };
        Ok(stored.and_then(ProviderItem::named))
    }

    /// The providers of those clients that have one named, in two requests for up to a hundred clients.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn providers(
        &self,
        company: &CompanyId,
        clients: &BTreeSet<ClientId>,
    ) -> Result<BTreeMap<ClientId, Provider>, StoreError> {
        let now = self.provider_items(clients.iter().map(|client| keys::provider(company, client))).await?;
        let others = clients.iter().filter(|client| !now.contains_key(*client));
        let before = self.provider_items(others.map(|client| keys::legacy::provider(company, client))).await?;
        let named = before.into_iter().chain(now).filter_map(|(client, item)| Some((client, item.named()?)));
        Ok(named.collect())
    }

    async fn provider_items(
        &self,
        keys: impl Iterator<Item = Key>,
    ) -> Result<BTreeMap<ClientId, ProviderItem>, StoreError> {
        let items = self.get_items(keys, Consistency::Strong).await?;
        let read = items.into_iter().map(ProviderItem::from_item);
        read.map(|item| item.map(|item| (item.client.clone(), item))).collect()
    }

    /// Names the provider of a client's training, in place of an earlier one; in one transaction with the event, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn name_provider(
        &self,
        company: &CompanyId,
        provider: Provider,
        event: Option<&AuditEvent>,
    ) -> Result<(), StoreError> {
        let Provider { client, connection, since, by } = provider;
        self.put_provider(company, ProviderItem { client, connection: Some(connection), since, by }, event).await
    }

    /// Names no provider of a client's training any more; since when and by whom is kept, in one transaction with the event, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_provider(
        &self,
        company: &CompanyId,
        client: &ClientId,
        since: DateTime<Utc>,
        by: &str,
        event: Option<&AuditEvent>,
    ) -> Result<(), StoreError> {
        let nobody = ProviderItem { client: client.clone(), connection: None, since, by: by.to_owned() };
        self.put_provider(company, nobody, event).await
    }

    async fn put_provider(
        &self,
        company: &CompanyId,
        item: ProviderItem,
        event: Option<&AuditEvent>,
    ) -> Result<(), StoreError> {
        self.put_audited(item.to_item(&keys::provider(company, &item.client))?, event).await
    }
}

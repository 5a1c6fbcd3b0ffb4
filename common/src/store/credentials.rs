//! Sealed credentials, in partitions of their own: no listing of connections comes across one, and few roles reach them.

use super::Store;
use super::error::StoreError;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::store::table::items::Record;
use crate::store::table::keys;
use serde::{Deserialize, Serialize};

/// The credential of a connection as it is stored. Nothing here opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCredential {
    /// The wrapped data key, in base64.
    pub data_key: String,
    /// What is sealed under it, in base64.
    pub content: String,
}

impl Record for SealedCredential {
    const KIND: &'static str = "sealed credential";
}

impl Store {
    /// The sealed credential of a connection, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn credential(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<SealedCredential>, StoreError> {
        self.get(&keys::credential(company, connection)).await
    }

    /// Keeps the sealed credential of a connection, key and content in one write, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keep_credential(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        credential: &SealedCredential,
    ) -> Result<(), StoreError> {
        self.put_item(credential.to_item(&keys::credential(company, connection))?).await
    }

    /// Removes the sealed credential of a connection, and its key with it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn remove_credential(&self, company: &CompanyId, connection: &ConnectionId) -> Result<(), StoreError> {
        self.delete_item(&keys::credential(company, connection)).await
    }
}

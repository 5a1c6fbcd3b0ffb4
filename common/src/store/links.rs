//! Onboarding links, each under the hash of a secret that only the link has. Whom a link is for is sealed: who reads the table learns when one ends, and no more.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::store::table::items::{Record, put_new};
use crate::store::table::keys;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is kept of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLink {
    /// For whom, in base64, sealed under a key that is made of the link's secret.
    pub sealed: String,
    /// Afterwards it shows nothing.
    pub until: DateTime<Utc>,
    /// When the table forgets it, in seconds of Unix time: some time later, so that an old link can be told from one that never was.
    pub expires_at: i64,
}

impl Record for KeptLink {
    const KIND: &'static str = "onboarding link";
}

impl Store {
    /// Keeps a link, and who made it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn keep_link(&self, secret: &str, link: &KeptLink, event: &AuditEvent) -> Result<(), StoreError> {
        let kept = put_new(&self.table, link.to_item(&keys::link(&keys::sha256(secret)))?)?;
        self.transact(vec![kept, self.audited(event)?]).await?;
        Ok(())
    }

    /// The link with this secret.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn link(&self, secret: &str) -> Result<Option<KeptLink>, StoreError> {
        self.get(&keys::link(&keys::sha256(secret))).await
    }
}

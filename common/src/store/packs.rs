//! The packs that were asked for: what of, and what became of them. The packs themselves are files beside the table.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{ClientId, CompanyId, PackId};
use crate::store::table::items::Record;
use crate::store::table::keys;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A pack that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRecord {
    /// Its id.
    pub id: PackId,
    /// Whose evidence.
    pub client: ClientId,
    /// The first day, in the zone of the schedule.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The instant that everything in it is as of.
    pub at: DateTime<Utc>,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// What became of it.
    pub state: PackState,
}

/// What became of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PackState {
    /// It is being made.
    Making,
    /// It is there.
    Ready {
        /// Its size.
        bytes: u64,
        /// Its SHA-256, in lower-case hexadecimal.
        sha256: String,
        /// The key that checks it, as `name+hash+base64`.
        key: String,
        /// When it was made.
        made_at: DateTime<Utc>,
    },
    /// It could not be made.
    Failed {
        /// Why, and what to do.
        problem: String,
    },
}

impl Record for PackRecord {
    const KIND: &'static str = "pack";
}

impl Store {
    /// Keeps what is known of a pack, in place of what was known before; in one transaction with the event of who asks for it, if
    /// somebody does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keep_pack(
        &self,
        company: &CompanyId,
        pack: &PackRecord,
        event: Option<&AuditEvent>,
    ) -> Result<(), StoreError> {
        self.put_audited(pack.to_item(&keys::pack(company, &pack.client, &pack.id))?, event).await
    }

    /// A pack of a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn pack(
        &self,
        company: &CompanyId,
        client: &ClientId,
        id: &PackId,
    ) -> Result<Option<PackRecord>, StoreError> {
        self.get(&keys::pack(company, client, id)).await
    }

    /// The packs of a client, the newest instant first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn packs(&self, company: &CompanyId, client: &ClientId) -> Result<Vec<PackRecord>, StoreError> {
        let mut packs: Vec<PackRecord> = self.all(&keys::packs(company, client)).await?;
        packs.reverse();
        Ok(packs)
    }
}

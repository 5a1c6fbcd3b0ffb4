//! The one run of a connection that has not ended: who has it until when, from when on it may go on, and from where.

use super::Store;
use super::error::StoreError;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::time::is_ahead;
use crate::store::table::Item;
use crate::store::table::items::{Change, Record, text};
use crate::store::table::keys;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How long a run may wait for its worker before whoever joins it sends another message.
pub const MESSAGE_LOST_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Which checkpoint a run goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRef {
    /// The fencing token of the worker that wrote it.
    pub(super) token: u64,
    pub(super) pieces: u32,
    pub(super) sha256: String,
}

/// The one run of a connection that is queued or running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRun {
    /// Which run.
    pub run_id: RunId,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// The fencing token: how often its lease was taken.
    pub token: u64,
    /// The worker that took it last.
    #[serde(default)]
    pub owner: Option<String>,
    /// Until when that worker has it.
    #[serde(default)]
    pub lease_until: Option<DateTime<Utc>>,
    /// How far the run has come, if it was suspended before.
    #[serde(default)]
    pub checkpoint: Option<CheckpointRef>,
    /// From when on it may go on, while it is suspended; or begin, where the runs of a tick are spread.
    #[serde(default)]
    pub continue_at: Option<DateTime<Utc>>,
    /// From when on it was to be taken first, as the index has it. Records of the first release may be without.
    #[serde(default, skip_serializing)]
    pub due_at: Option<DateTime<Utc>>,
    /// How often its message was sent again since it last got on.
    #[serde(default)]
    pub resent: u32,
    /// When it was sent again last.
    #[serde(default)]
    pub resent_at: Option<DateTime<Utc>>,
}

impl Record for ActiveRun {
    const KIND: &'static str = "active run";
}

impl ActiveRun {
    /// As it is when a run is asked for.
    pub(super) fn queued(run_id: RunId, requested_at: DateTime<Utc>, not_before: Option<DateTime<Utc>>) -> Self {
        Self {
            run_id,
            requested_at,
            token: 0,
            owner: None,
            lease_until: None,
            checkpoint: None,
            continue_at: not_before,
            due_at: Some(not_before.unwrap_or(requested_at)),
            resent: 0,
            resent_at: None,
        }
    }

    /// The item to store, with its place in the index.
    pub(super) fn to_indexed(&self, company: &CompanyId, connection: &ConnectionId) -> Result<Item, StoreError> {
        let mut item = self.to_item(&keys::active(company, connection))?;
        let due_at = self.due_at.unwrap_or(self.requested_at);
        item.insert("due_at".to_owned(), text(keys::instant(due_at)));
        let shard = keys::active_shard_of(company, connection);
        item.insert("due_shard".to_owned(), text(shard));
        Ok(item)
    }

    /// Whether no worker has it: its lease is over, or nobody took it for so long that its message must be lost.
    #[must_use]
    pub fn is_abandoned(&self, now: DateTime<Utc>) -> bool {
        // Whoever has it since then had a wrong clock.
        if is_ahead(self.requested_at, now) {
            return true;
        }
        match self.lease_until {
            Some(until) => until <= now,
            None => {
                let since = self.continue_at.unwrap_or(self.requested_at);
                now.signed_duration_since(since) > MESSAGE_LOST_AFTER
            }
        }
    }
}

impl Change {
    /// Puts an active run into the index, by the instant from when on it is to be taken.
    pub(super) fn indexed(self, company: &CompanyId, connection: &ConnectionId, due_at: DateTime<Utc>) -> Self {
        self.set_raw("due_at", text(keys::instant(due_at)))
            .set_raw("due_shard", text(keys::active_shard_of(company, connection)))
    }
}

impl Store {
    /// The run of a connection that is queued or running.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn active_run(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<ActiveRun>, StoreError> {
        self.get(&keys::active(company, connection)).await
    }
}

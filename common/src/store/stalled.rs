//! The runs that have not ended: found by age, sent again, and given up under the fencing token.

use super::Store;
use super::active::ActiveRun;
use super::error::StoreError;
use super::lease::Lease;
use crate::domain::id::{CompanyId, ConnectionId, ConnectionKey};
use crate::domain::run::Run;
use crate::domain::stalled::RunProgress;
use crate::store::table::items::{Change, Record, number, text};
use crate::store::table::keys::{self, DUE_SHARDS};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;

/// Whoever gives a run up has it for so long, which is for one more write.
const SEIZED_FOR: TimeDelta = TimeDelta::minutes(1);

/// A run that has not ended, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct StalledRun {
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
    /// Its lease, message and checkpoint.
    pub active: ActiveRun,
    /// The run.
    pub run: Run,
}

impl StalledRun {
    /// What decides what is to be done about it.
    #[must_use]
    pub fn progress(&self) -> RunProgress {
        let ActiveRun { requested_at, due_at, lease_until, continue_at, resent, resent_at, .. } = self.active;
        let due_at = due_at.unwrap_or(requested_at);
        RunProgress { due_at, as_of: self.run.as_of, lease_until, continue_at, resent, resent_at }
    }

    /// The record as it was read: nobody took the run, gave it up, or sent it again since.
    fn unchanged(&self) -> Result<Change, StoreError> {
        let change = Change::of(keys::active(&self.company, &self.connection))
            .only_if("run_id", text(self.active.run_id.as_str()))
            .only_if("token", number(self.active.token));
        // A lease that was renewed has the same token. One that is given up changes it with the next taking.
        match self.active.lease_until {
            Some(until) => change.only_if_is("lease_until", &until),
            None => Ok(change),
        }
    }
}

impl Store {
    /// The connections, of all companies, whose active run was to be taken by `due_by` at the latest.
    ///
    /// The index follows the table with a short delay, so this only proposes: [`Store::stalled`] knows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn active_since(&self, due_by: DateTime<Utc>) -> Result<Vec<ConnectionKey>, StoreError> {
        let shards =
            (0..DUE_SHARDS).map(|shard| self.index_entries(keys::active_shard(shard), due_by, keys::parse_active));
        Ok(try_join_all(shards).await?.into_iter().flatten().collect())
    }

    /// The run of a connection that has not ended, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn stalled(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<StalledRun>, StoreError> {
        let Some(active) = self.active_run(company, connection).await? else { return Ok(None) };
        let Some(run) = self.run(company, connection, &active.run_id).await? else {
            return Err(StoreError::corrupt(ActiveRun::KIND, "the run that it names is not there"));
        };
        // A run ends together with its active record, which was read first.
        let found = StalledRun { company: company.clone(), connection: connection.clone(), active, run };
        Ok(Some(found).filter(|found| !found.run.status.is_final()))
    }

    /// Counts that the message of a run is sent again. False if the run is not as it was read any more; then it is somebody else's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn note_resent(&self, found: &StalledRun, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let change = found.unchanged()?.set("resent", &(found.active.resent + 1))?.set("resent_at", &now)?;
        Ok(change.apply(&self.client, &self.table).await?.is_changed())
    }

    /// Takes a run that is to be given up, so that no worker gets it any more: what it wants to write is refused by the table. `None` if the run is not as
    /// it was read any more. The run itself is not started by that.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn seize(
        &self,
        found: &StalledRun,
        owner: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Lease>, StoreError> {
        let lease = Lease {
            company: found.company.clone(),
            connection: found.connection.clone(),
            run_id: found.active.run_id.clone(),
            as_of: found.run.as_of.unwrap_or(now),
            token: found.active.token + 1,
            owner: owner.to_owned(),
            until: now + SEIZED_FOR,
            // It is left to expire.
            checkpoint: None,
        };
        let change = found
            .unchanged()?
            .set("token", &lease.token)?
            .set("owner", &lease.owner)?
            .set("lease_until", &lease.until)?
            .remove("continue_at");
        Ok(change.apply(&self.client, &self.table).await?.is_changed().then_some(lease))
    }
}

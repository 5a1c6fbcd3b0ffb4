//! Taking and keeping a run: one worker at a time, and the fencing token that refuses the one before.

use super::active::{ActiveRun, CheckpointRef};
use super::error::StoreError;
use super::{ATTEMPTS, Store};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::{Run, RunStatus};
use crate::store::table::items::{Applied, Change, Record, number, text};
use crate::store::table::keys;
use crate::store::table::transactions::Outcome;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// No worker takes a run for longer: a lease that seems to last longer was taken by a wrong clock.
const LONGEST_LEASE: TimeDelta = TimeDelta::hours(24);

/// The right to work on a run and to end it, until another worker takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub(super) company: CompanyId,
    pub(super) connection: ConnectionId,
    pub(super) run_id: RunId,
    pub(super) as_of: DateTime<Utc>,
    pub(super) token: u64,
    pub(super) owner: String,
    pub(super) until: DateTime<Utc>,
    pub(super) checkpoint: Option<CheckpointRef>,
}

impl Lease {
    /// Whose connection.
    #[must_use]
    pub fn company(&self) -> &CompanyId {
        &self.company
    }

    /// Which run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run_id
    }

    /// Which connection.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The instant that the run is evaluated at, in whole milliseconds: its first start.
    #[must_use]
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// The fencing token: it grows with every taking.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Until when no other worker can take the run.
    #[must_use]
    pub fn until(&self) -> DateTime<Utc> {
        self.until
    }

    /// The active run's record, provided that it is still this lease's.
    pub(super) fn change(&self) -> Change {
        Change::of(keys::active(&self.company, &self.connection))
            .only_if("run_id", text(self.run_id.as_str()))
            .only_if("token", number(self.token))
    }
}

/// What a worker finds when it wants a run.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseOutcome {
    /// The run is this worker's.
    Acquired {
        /// The right to it.
        lease: Lease,
        /// The run, as it is now.
        run: Run,
    },
    /// The run has ended.
    Finished(Run),
    /// It is suspended, and may not go on yet.
    NotDue {
        /// From when on it may.
        until: DateTime<Utc>,
    },
    /// Another worker has it.
    Held {
        /// Until when, unless it renews its lease.
        until: DateTime<Utc>,
    },
}

impl Store {
    /// Takes a run: one that is queued, whose lease is over, or that `owner` has already.
    ///
    /// The first taking starts the run and fixes its `as_of`. `owner` names one worker's attempt, e.g. its request id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a run.
    pub async fn take(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        run_id: &RunId,
        owner: &str,
        now: DateTime<Utc>,
        lease_for: TimeDelta,
    ) -> Result<LeaseOutcome, StoreError> {
        for _ in 0..ATTEMPTS {
            // In this order: a run without its active record has ended before the run is read.
            let active = self.active_run(company, connection).await?;
            let run = self.run(company, connection, run_id).await?;
            let mut run = run.ok_or(StoreError::NotFound { record: Run::KIND })?;
            if run.status.is_final() {
                return Ok(LeaseOutcome::Finished(run));
            }
            let Some(active) = active.filter(|active| active.run_id == *run_id) else {
                let reason = "it has not ended, and is not the active one of its connection";
                return Err(StoreError::corrupt(Run::KIND, reason));
            };
            // Whoever asked for a run or began it later than now had a wrong clock: neither their lease nor their appointment counts.
            let wrong_clock = run.is_ahead(now);
            if let Some(until) = active.lease_until
                && until > now
                && until <= now + LONGEST_LEASE
                && !wrong_clock
                && active.owner.as_deref() != Some(owner)
            {
                return Ok(LeaseOutcome::Held { until });
            }
            // Who takes may count in whole seconds.
            let appointed = active.continue_at.filter(|until| *until >= now + TimeDelta::seconds(1) && !wrong_clock);
            if let Some(until) = appointed {
                return Ok(LeaseOutcome::NotDue { until });
            }
            let first = run.as_of.is_none();
            let lease = Lease {
                company: company.clone(),
                connection: connection.clone(),
                run_id: run_id.clone(),
                as_of: run.as_of.unwrap_or_else(|| now.trunc_subsecs(3)),
                token: active.token + 1,
                owner: owner.to_owned(),
                until: now + lease_for,
                checkpoint: active.checkpoint,
            };
            run.waiting_until = None;
            run.status = RunStatus::Running;
            run.as_of = Some(lease.as_of);
            let mut taking = Change::of(keys::active(company, connection))
                .only_if("run_id", text(run_id.as_str()))
                .only_if("token", number(active.token))
                .set("token", &lease.token)?
                .set("owner", &lease.owner)?
                .set("lease_until", &lease.until)?
                .remove("continue_at");
            if active.due_at.is_none() {
                // An earlier release queued it, which had no such index.
                taking = taking.indexed(company, connection, active.requested_at);
            }
            let mut actions = vec![
                taking.update(&self.table)?,
                Change::of(keys::run(company, connection, run_id))
                    .set("status", &run.status)?
                    .set("as_of", &run.as_of)?
                    .remove("waiting_until")
                    .update(&self.table)?,
            ];
            // A connection may be removed while its run waits; the worker finds that out itself.
            if first && self.connection(company, connection).await?.is_some() {
                actions.push(
                    Change::of(keys::connection(company, connection))
                        .set("last_attempt_at", &lease.as_of)?
                        .update(&self.table)?,
                );
            }
            if self.transact(actions).await? == Outcome::Written {
                return Ok(LeaseOutcome::Acquired { lease, run });
            }
        }
        Err(StoreError::Conflict { record: ActiveRun::KIND })
    }

    /// Keeps a run for longer.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] once another worker has taken the run, or it is over.
    pub async fn renew(&self, lease: &Lease, now: DateTime<Utc>, lease_for: TimeDelta) -> Result<Lease, StoreError> {
        let renewed = Lease { until: now + lease_for, ..lease.clone() };
        let change = lease.change().set("lease_until", &renewed.until)?;
        match change.apply(&self.client, &self.table).await? {
            Applied::Changed(_) => Ok(renewed),
            Applied::Missing => Err(StoreError::LeaseLost),
            // Reading names a version that is not known.
            Applied::Refused(item) => ActiveRun::from_item(item).and(Err(StoreError::LeaseLost)),
        }
    }

    /// Whether the lease is still in force: nobody took the run since, and it has not ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn holds(&self, lease: &Lease) -> Result<bool, StoreError> {
        let active = self.active_run(&lease.company, &lease.connection).await?;
        Ok(active.is_some_and(|active| active.run_id == lease.run_id && active.token == lease.token))
    }
}

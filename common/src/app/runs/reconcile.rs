//! Runs that nobody is at any more: their messages are sent again, and those that come to no end are ended.

use super::plan::{PlanError, Planner};
use crate::aws::queue::{Queued, RunMessage};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::stalled::{MOST_RESENDS, RESEND_AFTER, Verdict, evaluate};
use crate::store::{RunFailure, StalledRun, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

/// What became of the runs that have not ended for long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// Runs that were to begin more than an hour ago and have not ended.
    pub stalled: usize,
    /// Messages that were sent again.
    pub resent: usize,
    /// Runs that were ended as abandoned.
    pub abandoned: usize,
}

/// The name under which runs are given up.
const OWNER: &str = "reconciler";

/// Runs that are looked at together, and their messages sent.
const TOGETHER: usize = 100;

/// Runs that are looked at at the same time.
const CONCURRENCY: usize = 16;

impl Planner {
    /// Looks at every run, of all companies, that was to begin more than [`RESEND_AFTER`] ago and has not ended. It can be repeated at any time.
    ///
    /// A run that a worker has, or that goes on later, is left alone. What a worker does at the same moment is decided by the table: either its write
    /// counts and the run is left alone, or the run has ended and the write is refused.
    ///
    /// # Errors
    /// [`PlanError`]; the next one takes up what is left.
    pub async fn reconcile(&self) -> Result<Reconciled, PlanError> {
        let found = self.store.active_since(self.clock.now() - RESEND_AFTER).await?;
        let mut sum = Reconciled::default();
        for together in found.chunks(TOGETHER) {
            // Owned, so that the future can go to another thread.
            let looked_at = stream::iter(together.to_vec()).map(|key| self.look_for(key.company, key.connection));
            let looked_at: Vec<Option<ReconcileAction>> = looked_at.buffer_unordered(CONCURRENCY).try_collect().await?;
            let mut messages = Vec::new();
            for done in looked_at.into_iter().flatten() {
                sum.stalled += 1;
                match done {
                    ReconcileAction::Left => {}
                    ReconcileAction::Resent(message) => messages.push(Queued::now(message)),
                    ReconcileAction::Abandoned => sum.abandoned += 1,
                }
            }
            sum.resent += messages.len();
            // Counted before they are sent: what is lost in between is sent again the next time.
            self.queue.send(&messages).await?;
        }
        Ok(sum)
    }

    /// `None` where there is nothing to look at, or nothing that can be used.
    async fn look_for(
        &self,
        company: CompanyId,
        connection: ConnectionId,
    ) -> Result<Option<ReconcileAction>, StoreError> {
        let looked_at = match self.store.stalled(&company, &connection).await {
            Ok(Some(run)) => self.look_at(&run).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match looked_at {
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Conflict { .. })) => {
                // The others are none the worse for it.
                tracing::error!(%company, %connection, error = &error as &dyn std::error::Error, "the run is left as it is");
                Ok(None)
            }
            other => other,
        }
    }

    /// Ends a run as it was read. False if it is not so any more.
    async fn give_up(&self, found: &StalledRun, failure: Failure) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(lease) = self.store.seize(found, OWNER, now).await? else { return Ok(false) };
        let (api_calls, records) = (found.run.api_calls, found.run.records.clone());
        let next_run_at = Some(self.schedule.next_attempt(now));
        match self.store.fail(&lease, RunFailure { finished_at: now, failure, api_calls, records, next_run_at }).await {
            Ok(()) => Ok(true),
            Err(StoreError::LeaseLost) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends the run of a connection if it was begun, or asked for, by a clock that was ahead.
    pub(super) async fn end_begun_ahead(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        if let Some(found) = self.store.stalled(company, connection).await?
            && found.run.is_ahead(now)
        {
            let began = found.run.as_of.unwrap_or(found.run.requested_at);
            if self.give_up(&found, begun_ahead(began, now)).await? {
                tracing::warn!(%company, %connection, run = %found.run.id, "the run was begun by a wrong clock; it has ended, and another one begins");
            }
        }
        Ok(())
    }

    async fn look_at(&self, found: &StalledRun) -> Result<ReconcileAction, StoreError> {
        let StalledRun { company, connection, active, .. } = found;
        let now = self.clock.now();
        let why = match evaluate(found.progress(), now) {
            Verdict::Leave => return Ok(ReconcileAction::Left),
            Verdict::SendAgain => {
                if !self.store.note_resent(found, now).await? {
                    return Ok(ReconcileAction::Left);
                }
                let (company, connection, run) = (company.clone(), connection.clone(), active.run_id.clone());
                tracing::warn!(%company, %connection, %run, times = active.resent + 1, "nobody is at the run; its message is sent again");
                return Ok(ReconcileAction::Resent(RunMessage { company, connection, run }));
            }
            Verdict::TooOld if found.run.as_of.is_none() => "no worker took the run within 23 hours".to_owned(),
            Verdict::TooOld => "no worker brought the run to its end within 23 hours".to_owned(),
            Verdict::TooOften => format!(
                "workers took the run and left it without an end, although its message was sent {MOST_RESENDS} times more"
            ),
        };
        if !self.give_up(found, Failure::new(FailureCode::Abandoned, why)).await? {
            return Ok(ReconcileAction::Left);
        }
        tracing::error!(%company, %connection, run = %active.run_id, "nobody brought the run to its end; it ended as abandoned");
        Ok(ReconcileAction::Abandoned)
    }
}

/// Why a run that was begun by a wrong clock does not go on.
pub(in crate::app) fn begun_ahead(as_of: DateTime<Utc>, now: DateTime<Utc>) -> Failure {
    let ahead = as_of.signed_duration_since(now);
    let ahead = if ahead < TimeDelta::hours(2) {
        format!("{} minutes", ahead.num_minutes())
    } else if ahead < TimeDelta::days(2) {
        format!("{} hours", ahead.num_hours())
    } else {
        format!("{} days", ahead.num_days())
    };
    Failure::new(
        FailureCode::ClockWrong,
        format!("the clock was {ahead} ahead when the run began, so it does not go on"),
    )
}

/// What was done about a run.
enum ReconcileAction {
    Left,
    Resent(RunMessage),
    Abandoned,
}

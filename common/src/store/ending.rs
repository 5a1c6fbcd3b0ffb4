//! The end of a run: its evidence becomes visible, or its failure is recorded. Either is one transaction under the fencing token.

use super::active::ActiveRun;
use super::error::StoreError;
use super::evidence::{Commit, EvidenceRecord, places};
use super::lease::Lease;
use super::{ATTEMPTS, Store};
use crate::domain::connection::{AUTH_BACKOFF, Connection, ConnectionStatus};
use crate::domain::failure::Failure;
use crate::domain::log::Hash;
use crate::domain::log::statement::{EvaluationBasis, Event, EvidenceLeaf, FailureLeaf};
use crate::domain::run::{RecordCounts, Run, RunStatus};
use crate::store::table::items::{Change, Record, number, put, put_new};
use crate::store::table::keys;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The place of the active run in a transaction that ends it.
const ACTIVE: usize = 0;

/// How a run went that has all its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSuccess {
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// HTTP requests made.
    pub api_calls: u64,
    /// Records read.
    pub records: RecordCounts,
    /// Pages read, by list.
    pub pages: RecordCounts,
    /// The next tick of the connection, if it has to move; a paused connection stays without one.
    pub next_run_at: Option<DateTime<Utc>>,
    /// What was in force when the evidence was made.
    pub basis: EvaluationBasis,
}

/// How a run went that ends without evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Why.
    pub failure: Failure,
    /// HTTP requests made.
    pub api_calls: u64,
    /// Records read until then.
    pub records: RecordCounts,
    /// When the schedule tries again. `None` leaves a connection as it is, or for a day where Huntress refuses it.
    pub next_run_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Makes the evidence of a run visible, all of it at once, and ends the run. A repetition changes nothing.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker has taken the run, or it is over; nothing is visible then.
    pub async fn commit(
        &self,
        lease: &Lease,
        ended: RunSuccess,
        evidence: Vec<EvidenceRecord>,
    ) -> Result<(), StoreError> {
        let mut portfolio = self.next_portfolio(lease, &evidence).await?;
        if !evidence.is_empty() {
            if !self.holds(lease).await? {
                return self.committed_before(lease).await;
            }
            // Beside the transaction: in it, each kilobyte would be billed twice.
            self.stage(lease, &evidence).await?;
        }
        let mut commit = Commit {
            run_id: lease.run_id.clone(),
            as_of: lease.as_of,
            token: lease.token,
            committed_at: ended.finished_at,
            bundles: evidence.len() as u64,
            leaf: None,
            bundle_root: None,
        };
        let (root, _) = places(&evidence);
        let event = evidence_leaf(lease, &ended, commit.bundles, root);
        let product = evidence.first().map(|record| record.product);
        for _ in 0..ATTEMPTS {
            let run = self
                .ending(lease, RunStatus::Succeeded, ended.finished_at)?
                .set("api_calls", &ended.api_calls)?
                .set("records", &ended.records)?
                .set("pages", &ended.pages)?
                .set("bundles", &commit.bundles)?
                .remove("failure");
            let connection = self.connection(&lease.company, &lease.connection).await?;
            let appended = self.append_run(lease, connection.as_ref(), product, &event).await?;
            commit.leaf = appended.as_ref().map(|leaf| leaf.index);
            commit.bundle_root = commit.leaf.map(|_| root);
            let end = self.records_end(lease).await?;
            let mut item = commit.to_item(&commit.key(lease))?;
            if let Some(at) = end.as_ref().and_then(|end| end.commit) {
                item.insert("expires_at".to_owned(), number(at.timestamp()));
            }
            let mut actions =
                vec![lease.change().delete(&self.table)?, run.update(&self.table)?, put_new(&self.table, item)?];
            if let Some(end) = end {
                self.end_run_record(lease, &end).await?;
                actions.push(end.check);
            }
            if let Some(connection) = &connection {
                actions.push(self.after_success(connection, &ended)?);
            }
            actions.extend(appended.into_iter().flat_map(|leaf| leaf.actions));
            for item in portfolio.items(lease, commit.leaf)? {
                actions.push(put(&self.table, item)?);
            }
            match self.transact(actions).await? {
                Outcome::Written => {
                    self.forget_checkpoint(lease).await;
                    return Ok(());
                }
                refused if refused.refused(ACTIVE) => return self.committed_before(lease).await,
                // The connection or the log changed since it was read, or reading the run tells what is wrong.
                _ => self.run(&lease.company, &lease.connection, &lease.run_id).await?,
            };
        }
        Err(StoreError::Conflict { record: Run::KIND })
    }

    /// Ends a run without evidence. What was visible stays so. A repetition changes nothing.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker has taken the run, or it is over.
    pub async fn fail(&self, lease: &Lease, failed: RunFailure) -> Result<(), StoreError> {
        let status = match failed.failure.code {
            code if code.is_auth() => RunStatus::AuthFailed,
            _ => RunStatus::Failed,
        };
        for _ in 0..ATTEMPTS {
            let run = self
                .ending(lease, status, failed.finished_at)?
                .set("api_calls", &failed.api_calls)?
                .set("records", &failed.records)?
                .set("failure", &failed.failure)?;
            let connection = self.connection(&lease.company, &lease.connection).await?;
            let mut actions = vec![lease.change().delete(&self.table)?, run.update(&self.table)?];
            if let Some(connection) = &connection {
                actions.push(self.after_failure(connection, &failed)?);
            }
            if let Some(end) = self.records_end(lease).await? {
                self.end_run_record(lease, &end).await?;
                actions.push(end.check);
            }
            let event = failure_leaf(lease, &failed);
            let appended = self.append_run(lease, connection.as_ref(), None, &event).await?;
            actions.extend(appended.into_iter().flat_map(|leaf| leaf.actions));
            match self.transact(actions).await? {
                Outcome::Written => {
                    self.forget_checkpoint(lease).await;
                    return Ok(());
                }
                refused if refused.refused(ACTIVE) => return self.failed_before(lease, status).await,
                _ => self.run(&lease.company, &lease.connection, &lease.run_id).await?,
            };
        }
        Err(StoreError::Conflict { record: Run::KIND })
    }

    fn ending(&self, lease: &Lease, status: RunStatus, finished_at: DateTime<Utc>) -> Result<Change, StoreError> {
        Ok(Change::of(keys::run(&lease.company, &lease.connection, &lease.run_id))
            .set("status", &status)?
            .set("finished_at", &finished_at)?
            // Who ended it, for whoever did not hear the answer.
            .set_raw("ended_by", number(lease.token)))
    }

    fn after_success(&self, connection: &Connection, ended: &RunSuccess) -> Result<TransactWriteItem, StoreError> {
        let mut change = as_read(connection)
            .set("status", &ConnectionStatus::Ok)?
            .set("last_success_at", &ended.finished_at)?
            .remove("last_failure");
        if let Some(at) = ended.next_run_at
            && !connection.paused
        {
            // Whatever the schedule becomes: due is who has no success since the last tick, one at its very instant included.
            let due_at = ended.finished_at + TimeDelta::seconds(1);
            change = change.next_run(&connection.company, &connection.id, at, due_at)?;
        }
        change.update(&self.table)
    }

    fn after_failure(&self, connection: &Connection, failed: &RunFailure) -> Result<TransactWriteItem, StoreError> {
        let refused = failed.failure.code.is_auth();
        let status = if refused { ConnectionStatus::AuthFailed } else { ConnectionStatus::Error };
        let mut change = as_read(connection).set("status", &status)?.set("last_failure", &failed.failure)?;
        let next = failed.next_run_at.unwrap_or(failed.finished_at + AUTH_BACKOFF);
        if connection.paused {
            // It has none.
        } else if refused && connection.next_run_at.is_none_or(|at| at < next) {
            // Due after a day and not at that tick itself: what is planned further ahead than a day was planned by a wrong clock.
            let due_at = next.min(failed.finished_at + AUTH_BACKOFF);
            change = change.next_run(&connection.company, &connection.id, next, due_at)?;
        } else if !refused && failed.next_run_at.is_some() {
            // It stays due.
            change = change.set("next_run_at", &next)?;
        }
        change.update(&self.table)
    }

    /// `Ok` if the run has ended by a commit under this very lease, whose answer was lost.
    async fn committed_before(&self, lease: &Lease) -> Result<(), StoreError> {
        let key = keys::commit(&lease.company, &lease.connection, lease.as_of, &lease.run_id);
        match self.get::<Commit>(&key).await? {
            Some(commit) if commit.token == lease.token => Ok(()),
            _ => self.lost(lease).await,
        }
    }

    /// `Ok` if the run has ended by a failure under this very lease, whose answer was lost.
    async fn failed_before(&self, lease: &Lease, status: RunStatus) -> Result<(), StoreError> {
        let key = keys::run(&lease.company, &lease.connection, &lease.run_id);
        if let Some(item) = self.get_item(&key).await? {
            let ours = item.get("ended_by") == Some(&number(lease.token));
            if ours && Run::from_item(item)?.status == status {
                return Ok(());
            }
        }
        self.lost(lease).await
    }

    async fn lost(&self, lease: &Lease) -> Result<(), StoreError> {
        // Reading names a version that is not known, which refuses a lease too.
        let _: Option<ActiveRun> = self.active_run(&lease.company, &lease.connection).await?;
        Err(StoreError::LeaseLost)
    }
}

/// What the log says of a run with evidence. Bundles are evaluated at a whole second.
fn evidence_leaf(lease: &Lease, ended: &RunSuccess, bundles: u64, bundle_root: Hash) -> Event {
    Event::Evidence(EvidenceLeaf {
        run_id: lease.run_id.clone(),
        as_of: lease.as_of.trunc_subsecs(0),
        ended_at: ended.finished_at,
        bundles,
        bundle_root,
        policies: ended.basis.policies.clone(),
        control_map: ended.basis.control_map,
        rules: ended.basis.rules.clone(),
    })
}

/// What the log says of a run without evidence.
fn failure_leaf(lease: &Lease, failed: &RunFailure) -> Event {
    Event::Failure(FailureLeaf {
        run_id: lease.run_id.clone(),
        as_of: lease.as_of.trunc_subsecs(0),
        ended_at: failed.finished_at,
        code: failed.failure.code,
        request: failed.failure.request.clone(),
    })
}

/// A change of a connection that depends on whether it was paused when it was read.
fn as_read(connection: &Connection) -> Change {
    Change::of(keys::connection(&connection.company, &connection.id))
        .only_if("paused", AttributeValue::Bool(connection.paused))
}

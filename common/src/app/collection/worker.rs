//! One run, from its lease to its commit.

use super::checkpoint::{Checkpoint, IDLE_PARTS, Lists, SatLists};
use super::collect::{Huntress, Job, RateLimiters};
use crate::app::connections::{Exchanger, OauthSettings};
use crate::app::decisions::policies_at;
use crate::app::people::{KeyringError, PeopleKeyring, Tracking};
use crate::app::runs::begun_ahead;
use crate::aws::queue::{Queue, QueueError, Queued, RunMessage};
use crate::aws::secrets::{Binding, Credential, Credentials, SecretError};
use crate::domain::connection::Connection;
use crate::domain::controls::ControlMap;
use crate::domain::edr::bundle::split;
use crate::domain::evidence::Tenant;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::{ClientId, RunId};
use crate::domain::log::Hash;
use crate::domain::log::statement::EvaluationBasis;
use crate::domain::policy::ClientPolicies;
use crate::domain::product::Product;
use crate::domain::run::{LONGEST_RUN, RecordCounts};
use crate::domain::sat::account::MeasuredAccount;
use crate::domain::sat::bundle::bundle_of;
use crate::domain::sat::id::SatId;
use crate::domain::schedule::Schedule;
use crate::domain::time::is_ahead;
use crate::huntress::collection::PartOutcome;
use crate::huntress::edr::{EdrCredential, EdrState};
use crate::huntress::progress::Progress;
use crate::huntress::retry::WaitPolicy;
use crate::huntress::sat::{Access, SatClient, SatState};
use crate::store::{
    ConnectionChange, EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunFailure, RunSuccess, Store, StoreError,
    Suspension,
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Serialize;
use std::sync::Arc;

/// Executes runs.
pub struct Worker {
    /// Connections, runs and evidence.
    pub store: Store,
    /// Credentials.
    pub credentials: Arc<Credentials>,
    /// The vendor.
    pub huntress: Huntress,
    /// The request limits of the accounts.
    pub limiters: Arc<RateLimiters>,
    /// The queue, for runs that continue later.
    pub queue: Arc<Queue>,
    /// Keys and certificates of people, for connections that track them.
    pub keyring: Arc<PeopleKeyring>,
    /// When connections are due.
    pub schedule: Schedule,
    /// The OAuth client of connections that were made by redirect.
    pub oauth: Arc<OauthSettings>,
}

/// Why a message has to come again.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Where credentials are kept.
    #[error(transparent)]
    Credential(#[from] SecretError),
    /// The keys or the records of people.
    #[error(transparent)]
    People(#[from] KeyringError),
}

/// Why one attempt at a run gives no evidence.
pub(in crate::app) enum AttemptError {
    /// The table, a secret or a key did not answer: the run continues when its message is delivered again.
    Transient(WorkError),
    /// The run ends.
    Permanent(Failure),
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self::Permanent(failure)
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused { .. } => Self::Permanent(not_stored(&error)),
            error => Self::Transient(error.into()),
        }
    }
}

/// How a message was dealt with. None of these needs the message again.
#[derive(Debug, Clone, PartialEq)]
pub enum Processed {
    /// The evidence is visible.
    Succeeded {
        /// In so many bundles.
        bundles: usize,
    },
    /// The run ended without evidence.
    Failed(Failure),
    /// The run had ended before.
    AlreadyFinished,
    /// Another worker has the lease. If it crashes, its own message is delivered again.
    Busy,
    /// It goes on later, by a message that was sent for that.
    Waiting {
        /// From when on.
        until: DateTime<Utc>,
    },
    /// Another worker took the lease meanwhile; the store refused the writes of this one.
    LeaseLost,
}

/// A lease outlasts the worker's deadline by this, so that nobody takes the run while the worker is still writing.
const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(60);

impl Worker {
    /// Does the run of a message as `owner`, until `deadline` at the latest; its doings are counted in `progress`.
    ///
    /// # Errors
    /// [`WorkError`] when the table, the queue, a secret or a key does not answer; then the message should come again, with the same `owner`: the lease of
    /// this attempt is in its name.
    pub async fn process(
        &self,
        message: &RunMessage,
        owner: &str,
        deadline: DateTime<Utc>,
        progress: Arc<Progress>,
    ) -> Result<Processed, WorkError> {
        // Whole seconds: the instant of evaluation is read by people.
        let now = self.huntress.instant();
        let lease_for = deadline.signed_duration_since(now) + LEASE_MARGIN;
        let taken = self.store.take(&message.company, &message.connection, &message.run, owner, now, lease_for).await;
        let lease = match taken {
            Ok(LeaseOutcome::Acquired { lease, .. }) => lease,
            Ok(LeaseOutcome::Finished(_)) | Err(StoreError::NotFound { .. }) => return Ok(Processed::AlreadyFinished),
            Ok(LeaseOutcome::Held { .. }) => return Ok(Processed::Busy),
            Ok(LeaseOutcome::NotDue { until }) => return self.later(message, until).await,
            Err(error) => return Err(error.into()),
        };
        tracing::info!(company = %message.company, connection = %message.connection, run = %message.run, "run started");
        // Its message was away for a day, or lay among the dead letters: what is read now is not what held then.
        // By the present instant: a worker that stalled before it had the lease is no clock that was ahead.
        let present = self.huntress.instant();
        let collected = if is_ahead(lease.as_of(), present) {
            Err(AttemptError::Permanent(begun_ahead(lease.as_of(), present)))
        } else if now.signed_duration_since(lease.as_of()) > LONGEST_RUN {
            Err(AttemptError::Permanent(Failure::new(
                FailureCode::Abandoned,
                "the run began more than 23 hours ago and did not come to its end",
            )))
        } else {
            // Boxed: the futures of requests inside requests would otherwise be one value of many kilobytes.
            Box::pin(self.collect(&lease, &message.run, deadline, &progress)).await
        };
        let processed = match collected {
            Ok(PartOutcome::Complete(collected)) => match self.commit(&lease, collected, &progress).await {
                Err(error) if will_never_be_stored(&error) => self.fail(&lease, not_stored(&error), &progress).await,
                committed => committed,
            },
            Ok(PartOutcome::Paused { state, until }) => self.suspend(&lease, &state, until, &progress).await,
            Err(AttemptError::Permanent(failure)) => self.fail(&lease, failure, &progress).await,
            Err(AttemptError::Transient(error)) => return Err(error),
        };
        let processed = match processed {
            // It would be so the next time, too.
            Err(error @ StoreError::Refused { .. }) => self.fail(&lease, not_stored(&error), &progress).await,
            other => other,
        };
        let processed = match processed {
            Err(StoreError::LeaseLost) => Processed::LeaseLost,
            Ok(Processed::Waiting { until }) => self.later(message, until).await?,
            other => other?,
        };
        tracing::info!(company = %message.company, connection = %message.connection, run = %message.run, outcome = ?processed, requests = progress.requests(), "run ended");
        Ok(processed)
    }

    /// Sends the message of a run that may not go on yet.
    async fn later(&self, message: &RunMessage, until: DateTime<Utc>) -> Result<Processed, WorkError> {
        // Not at once, when this worker is still at it.
        let delay = until.signed_duration_since(self.huntress.clock.now()).max(TimeDelta::seconds(1));
        self.queue.send(&[Queued::after(delay, message.clone())]).await?;
        Ok(Processed::Waiting { until })
    }

    async fn suspend(
        &self,
        lease: &Lease,
        state: &[u8],
        continue_at: DateTime<Utc>,
        progress: &Progress,
    ) -> Result<Processed, StoreError> {
        let now = self.huntress.clock.now();
        let suspension = Suspension { state, continue_at, api_calls: progress.requests(), now };
        self.store.suspend(lease, suspension).await?;
        Ok(Processed::Waiting { until: continue_at })
    }

    async fn commit(
        &self,
        lease: &Lease,
        collected: CollectedEvidence,
        progress: &Progress,
    ) -> Result<Processed, StoreError> {
        let finished_at = self.huntress.clock.now();
        let ended = RunSuccess {
            finished_at,
            api_calls: progress.requests(),
            records: collected.records,
            pages: progress.pages_of(),
            next_run_at: Some(self.schedule.next_after(finished_at)),
            basis: EvaluationBasis::new(collected.policies),
        };
        let bundles = collected.evidence.len();
        self.store.commit(lease, ended, collected.evidence).await?;
        Ok(Processed::Succeeded { bundles })
    }

    async fn fail(&self, lease: &Lease, failure: Failure, progress: &Progress) -> Result<Processed, StoreError> {
        let finished_at = self.huntress.clock.now();
        let next = match failure.code {
            code if code.is_auth() => self.schedule.a_day_later(finished_at),
            code if code.is_passing() => self.schedule.next_attempt(finished_at),
            _ => self.schedule.next_after(finished_at),
        };
        let failed = RunFailure {
            finished_at,
            failure: failure.clone(),
            api_calls: progress.requests(),
            records: RecordCounts::default(),
            next_run_at: Some(next),
        };
        self.store.fail(lease, failed).await?;
        Ok(Processed::Failed(failure))
    }

    /// The evidence of a run, or how far it came, or why there is none.
    async fn collect(
        &self,
        lease: &Lease,
        run: &RunId,
        deadline: DateTime<Utc>,
        progress: &Arc<Progress>,
    ) -> Result<PartOutcome<CollectedEvidence, Vec<u8>>, AttemptError> {
        let (company, id) = (lease.company(), lease.connection());
        let Some(connection) = self.store.connection(company, id).await? else {
            let message = "the connection was removed while its run was waiting";
            return Err(Failure::new(FailureCode::NotFound, message).into());
        };
        let credential = match stored_credential(&self.credentials, &connection).await {
            Ok(credential) => credential,
            Err(error @ SecretError::Unavailable(_)) => return Err(AttemptError::Transient(error.into())),
            Err(error) => return Err(no_credential(&connection, &error).into()),
        };
        let job = Job {
            as_of: lease.as_of().trunc_subsecs(0),
            as_of_given: false,
            run: Some(run.clone()),
            limiter: self.limiters.with_published_usage(&self.store, &connection, self.huntress.clock.now()).await?,
            wait_policy: WaitPolicy::until(deadline).pausing(),
            progress: Arc::clone(progress),
        };
        let kept = self.store.checkpoint(lease).await?;
        let mut checkpoint = kept.and_then(|bytes| Checkpoint::decode(&bytes)).unwrap_or_else(|| {
            let lists = match connection.product {
                Product::Edr => Lists::Edr(EdrState::new(connection.agent_limits(), job.as_of).into()),
                Product::Sat => {
                    Lists::Sat(SatLists { signals: SatState::new(connection.sat, job.as_of).into(), people: None })
                }
            };
            Checkpoint::begin(lists, self.huntress.clock.now())
        });
        progress.resume(checkpoint.done.clone());
        let started_at = checkpoint.started_at;
        let collected = match (&credential, checkpoint.lists) {
            (Credential::Edr(credential), Lists::Edr(state)) => {
                self.collect_edr(credential, &connection, *state, started_at, job).await
            }
            (Credential::Sat(credential), Lists::Sat(lists)) => {
                let access = Access::Client(credential);
                self.collect_sat(lease, access, &connection, lists, started_at, job).await
            }
            (Credential::Agreement(_), Lists::Sat(lists)) => {
                let exchanger = Exchanger {
                    store: &self.store,
                    credentials: &self.credentials,
                    client: &self.oauth.client,
                    clock: Arc::clone(&self.huntress.clock),
                    company,
                    connection: id,
                    lease: Some(lease),
                };
                let access = Access::Agreement(&exchanger);
                self.collect_sat(lease, access, &connection, lists, started_at, job).await
            }
            // A credential is bound to its product.
            _ => Err(Failure::new(FailureCode::CredentialMissing, "the credential is for another product").into()),
        };
        // What was read is not thrown away for that: the server's own count corrects those who do not know.
        if let Err(error) = self.limiters.save(&self.store, &connection, self.huntress.clock.now()).await {
            tracing::warn!(connection = %connection.id, %error, "other workers do not know what this one sent");
        }
        let collected = match collected? {
            PartOutcome::Complete(collected) => collected,
            PartOutcome::Paused { state, until } => {
                let done = progress.done();
                checkpoint.idle = if done.pages == checkpoint.done.pages { checkpoint.idle + 1 } else { 0 };
                (checkpoint.done, checkpoint.lists) = (done, state);
                let state = kept_until(until, &checkpoint, lease.as_of());
                let state = state.map_err(|failure| failure.about(connection.product))?;
                return Ok(PartOutcome::Paused { state, until });
            }
        };
        if let Some(account) = &collected.account
            && connection.account_id.is_none()
        {
            let found = ConnectionChange { account_id: Some(account.clone()), ..Default::default() };
            self.store.change_connection(company, id, found).await?;
        }
        Ok(PartOutcome::Complete(collected))
    }

    async fn collect_edr(
        &self,
        credential: &EdrCredential,
        connection: &Connection,
        state: EdrState,
        started_at: DateTime<Utc>,
        job: Job,
    ) -> Result<PartOutcome<CollectedEvidence, Lists>, AttemptError> {
        let as_of = job.as_of;
        let collected = self.huntress.continue_edr(credential, state, started_at, job).await?;
        let (tally, collection) = match collected {
            PartOutcome::Complete(whole) => whole,
            PartOutcome::Paused { state, until } => {
                return Ok(PartOutcome::Paused { state: Lists::Edr(state), until });
            }
        };
        let policies = self.policies(connection, as_of).await?;
        let bundles = split(&tally, &collection, &connection.company, &connection.mapping, &policies);
        let evidence = bundles.iter().map(|bundle| record(Product::Edr, bundle.tenant.client_id.as_ref(), bundle));
        Ok(PartOutcome::Complete(CollectedEvidence {
            evidence: evidence.collect::<Result<_, _>>()?,
            records: tally.records_read().into(),
            policies: policies.hashes(bundles.iter().map(|bundle| bundle.tenant.client_id.as_ref())),
            account: None,
        }))
    }

    /// A training account is one client's, so there is no evidence of the company's own.
    async fn collect_sat(
        &self,
        lease: &Lease,
        access: Access<'_>,
        connection: &Connection,
        SatLists { signals: state, people }: SatLists,
        started_at: DateTime<Utc>,
        job: Job,
    ) -> Result<PartOutcome<CollectedEvidence, Lists>, AttemptError> {
        let paused =
            |signals, people, until| Ok(PartOutcome::Paused { state: Lists::Sat(SatLists { signals, people }), until });
        let (as_of, progress) = (job.as_of, Arc::clone(&job.progress));
        let transport = self.huntress.sat_transport(&job);
        let client = match SatClient::open(&transport, access).await {
            Ok(client) => client,
            // Not even the token could be asked for yet.
            Err(failure) => match transport.paused_until() {
                Some(until) => return paused(state, people, until),
                None => return Err(failure.into()),
            },
        };
        let tracking = self.begin_tracking(lease, connection, as_of, people.as_deref()).await?;
        let tracked = tracking.as_ref().map(Tracking::people);
        let configured = connection.account_id.as_ref().map(SatId::as_str);
        let collected = self.huntress.continue_sat(&client, *state, tracked, started_at, configured, job).await?;
        let (state, mut collection) = match collected {
            PartOutcome::Complete(whole) => whole,
            PartOutcome::Paused { state, until } => {
                let people = tracking.map(|tracking| tracking.seal(lease.run())).transpose()?;
                return paused(state, people, until);
            }
        };
        let people = match tracking {
            Some(tracking) => Some(self.finish_tracking(lease, &client, tracking).await?),
            None => None,
        };
        let tally = state.tally();
        collection.api_calls = progress.requests();
        collection.mapped_to = self.owner_of(connection, &collection.account).await?;
        let policies = self.policies(connection, as_of).await?;
        let evidence = connection.mapping.clients().into_iter().map(|client| {
            let tenant = Tenant { company_id: Some(connection.company.clone()), client_id: Some(client.clone()) };
            let bundle = bundle_of(tally, &collection, tenant, ControlMap::current(), &policies.of(Some(client)));
            let bundle = match &people {
                Some(people) => bundle.with_people(people.evidence.clone(), &people.quality),
                None => bundle,
            };
            record(Product::Sat, Some(client), &bundle)
        });
        Ok(PartOutcome::Complete(CollectedEvidence {
            evidence: evidence.collect::<Result<_, _>>()?,
            records: tally.records_read().into(),
            policies: policies.hashes(connection.mapping.clients().into_iter().map(Some)),
            account: Some(collection.account.id),
        }))
    }
}

impl Worker {
    /// The policies in force for the company's clients at the instant of the evaluation.
    async fn policies(&self, connection: &Connection, as_of: DateTime<Utc>) -> Result<ClientPolicies, AttemptError> {
        let policies = policies_at(&self.store, &connection.company, as_of).await;
        policies.map_err(|error| unread(connection, error, "the policies in force cannot be read"))
    }

    /// The client that the organization of a training account is mapped to, by any endpoint connection of the company.
    async fn owner_of(
        &self,
        connection: &Connection,
        account: &MeasuredAccount,
    ) -> Result<Option<ClientId>, AttemptError> {
        let Some(organization) = &account.io_org_id else { return Ok(None) };
        let connections = self.store.connections(&connection.company).await;
        let connections = connections
            .map_err(|error| unread(connection, error, "the mappings of the company's connections cannot be read"))?;
        let endpoint = connections.iter().filter(|other| other.product == Product::Edr);
        Ok(endpoint.filter_map(|other| other.mapping.client_of(organization)).next().cloned())
    }
}

/// Whether the same evidence would be refused again, so that its run has to end.
fn will_never_be_stored(error: &StoreError) -> bool {
    match error {
        StoreError::Refused { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Conflict { .. }
        | StoreError::NotFound { .. }
        | StoreError::UnknownClient(_) => true,
        // Another worker has the run, or the table does not answer now.
        StoreError::LeaseLost | StoreError::Unavailable { .. } => false,
    }
}

/// The checkpoint of a run that continues at `until`; `rate_limited` if it made no progress in several parts, or cannot finish within [`LONGEST_RUN`].
fn kept_until(until: DateTime<Utc>, checkpoint: &Checkpoint, as_of: DateTime<Utc>) -> Result<Vec<u8>, Failure> {
    if checkpoint.idle > IDLE_PARTS {
        let message =
            "the request limit of the account, or its server, let no page through in several parts of the run";
        return Err(Failure::new(FailureCode::RateLimited, message));
    }
    if until.signed_duration_since(as_of) > LONGEST_RUN {
        let message = "the request limit of the account does not allow to read its lists within a day";
        return Err(Failure::new(FailureCode::RateLimited, message));
    }
    checkpoint.encode().ok_or_else(|| Failure::new(FailureCode::Storage, "the checkpoint cannot be written"))
}

/// What a collection brings to the commit.
struct CollectedEvidence {
    evidence: Vec<EvidenceRecord>,
    records: RecordCounts,
    /// The policies in force.
    policies: Vec<Hash>,
    /// The training account that was measured.
    account: Option<SatId>,
}

fn record(product: Product, client: Option<&ClientId>, bundle: &impl Serialize) -> Result<EvidenceRecord, Failure> {
    let owner = client.cloned().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
    let body = serde_json::to_string(bundle);
    let body = body.map_err(|error| {
        Failure::new(FailureCode::Storage, format!("the evidence cannot be written as JSON: {error}"))
    })?;
    Ok(EvidenceRecord { owner, product, body })
}

/// The credential of a connection, or the failure that its absence is.
pub(in crate::app) async fn credential_of(
    credentials: &Credentials,
    connection: &Connection,
) -> Result<Credential, Failure> {
    stored_credential(credentials, connection).await.map_err(|error| no_credential(connection, &error))
}

async fn stored_credential(credentials: &Credentials, connection: &Connection) -> Result<Credential, SecretError> {
    let binding = Binding { company: &connection.company, connection: &connection.id, product: connection.product };
    credentials.get(binding).await
}

fn no_credential(connection: &Connection, error: &SecretError) -> Failure {
    let code = match error {
        SecretError::Unavailable(_) => FailureCode::Storage,
        SecretError::Missing | SecretError::BoundElsewhere | SecretError::Malformed => FailureCode::CredentialMissing,
    };
    tracing::error!(company = %connection.company, connection = %connection.id, error = error as &dyn std::error::Error, "no credential");
    Failure::new(code, error.to_string()).about(connection.product)
}

/// The outcome of a run whose policies or mappings cannot be read. An unavailable table does not end it.
fn unread(connection: &Connection, error: StoreError, message: &str) -> AttemptError {
    if let StoreError::Unavailable { .. } = error {
        return AttemptError::Transient(error.into());
    }
    tracing::error!(connection = %connection.id, error = &error as &dyn std::error::Error, message);
    Failure::new(FailureCode::Storage, message).into()
}

/// The failure of a run whose findings the table does not take: another attempt would find the same.
pub(in crate::app) fn not_stored(error: &StoreError) -> Failure {
    tracing::error!(error = error as &dyn std::error::Error, "what the run found cannot be stored");
    Failure::new(FailureCode::NotStored, format!("what the run found cannot be stored: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_ends_the_run_and_what_does_not_answer_does_not() {
        let refused = StoreError::Refused { source: "Item size has exceeded the maximum allowed size".into() };
        let AttemptError::Permanent(failure) = refused.into() else { panic!("it would be tried again") };
        assert_eq!(failure.code, FailureCode::NotStored);
        assert!(!failure.code.is_passing() && failure.message.contains("refuses"), "{failure}");
        let away = StoreError::Unavailable { source: "away".into() };
        assert!(matches!(AttemptError::from(away), AttemptError::Transient(WorkError::Store(_))));
    }
}

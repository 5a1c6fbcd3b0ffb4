//! One run, from its lease to its commit.

use super::collect::{EdrJob, Huntress};
use crate::domain::connection::{Connection, Product};
use crate::domain::edr::bundle::split;
use crate::domain::evidence::{EdrBundle, RecordsRead};
use crate::domain::run::{Failure, FailureCode};
use crate::domain::schedule::next_daily;
use crate::huntress::transport::{Patience, Progress};
use crate::queue::RunMessage;
use crate::secrets::{Binding, Credential, Credentials, SecretError};
use crate::store::{Ended, EvidenceOwner, EvidenceRecord, Failed, Lease, Store, StoreError, Taken};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::sync::Arc;

/// Carries runs to their end.
pub struct Worker {
    /// Connections, runs and evidence.
    pub store: Store,
    /// Credentials.
    pub credentials: Arc<Credentials>,
    /// The vendor.
    pub huntress: Huntress,
    /// The request limits of the accounts.
    pub budgets: Arc<super::collect::Budgets>,
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
    AlreadyOver,
    /// Another worker has it; should that one die, its own message comes back.
    Busy,
    /// Another worker took it while this one was at it; the store refused this one.
    LeaseLost,
}

/// A lease outlasts the worker's deadline by this, so that nobody takes the run while the worker is still writing.
const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(60);

impl Worker {
    /// Does the run of a message as `owner`, until `deadline` at the latest; its doings are counted in `progress`.
    ///
    /// # Errors
    /// [`StoreError`] when the table does not answer; then the message should come again.
    pub async fn process(
        &self,
        message: &RunMessage,
        owner: &str,
        deadline: DateTime<Utc>,
        progress: Arc<Progress>,
    ) -> Result<Processed, StoreError> {
        // Whole seconds: the instant of evaluation is read by people.
        let now = self.huntress.instant();
        let lease_for = deadline.signed_duration_since(now) + LEASE_MARGIN;
        let taken = self.store.take(&message.company, &message.connection, &message.run, owner, now, lease_for).await;
        let lease = match taken {
            Ok(Taken::Leased { lease, .. }) => lease,
            Ok(Taken::Over(_)) | Err(StoreError::NotFound { .. }) => return Ok(Processed::AlreadyOver),
            Ok(Taken::Busy { .. }) => return Ok(Processed::Busy),
            Err(error) => return Err(error),
        };
        tracing::info!(company = %message.company, connection = %message.connection, run = %message.run, "run started");
        // Boxed: the futures of requests inside requests would otherwise be one value of many kilobytes.
        let processed = match Box::pin(self.collect(&lease, &message.run, deadline, &progress)).await? {
            Ok((evidence, records)) => self.commit(&lease, evidence, records, &progress).await,
            Err(failure) => self.fail(&lease, failure, &progress).await,
        };
        let processed = match processed {
            Err(StoreError::LeaseLost) => Processed::LeaseLost,
            other => other?,
        };
        tracing::info!(company = %message.company, connection = %message.connection, run = %message.run, outcome = ?processed, requests = progress.requests(), "run ended");
        Ok(processed)
    }

    async fn commit(
        &self,
        lease: &Lease,
        evidence: Vec<EvidenceRecord>,
        records: RecordsRead,
        progress: &Progress,
    ) -> Result<Processed, StoreError> {
        let finished_at = self.huntress.clock.now();
        let ended =
            Ended { finished_at, api_calls: progress.requests(), records, next_run_at: Some(next_daily(finished_at)) };
        let bundles = evidence.len();
        self.store.commit(lease, ended, evidence).await?;
        Ok(Processed::Succeeded { bundles })
    }

    async fn fail(&self, lease: &Lease, failure: Failure, progress: &Progress) -> Result<Processed, StoreError> {
        let failed = Failed {
            finished_at: self.huntress.clock.now(),
            failure: failure.clone(),
            api_calls: progress.requests(),
            records: RecordsRead::default(),
        };
        self.store.fail(lease, failed).await?;
        Ok(Processed::Failed(failure))
    }

    /// The evidence of a run, or why there is none.
    async fn collect(
        &self,
        lease: &Lease,
        run: &crate::domain::id::RunId,
        deadline: DateTime<Utc>,
        progress: &Arc<Progress>,
    ) -> Result<Result<(Vec<EvidenceRecord>, RecordsRead), Failure>, StoreError> {
        let (company, id) = (lease.company(), lease.connection());
        let Some(connection) = self.store.connection(company, id).await? else {
            return Ok(Err(Failure::new(
                FailureCode::NotFound,
                "the connection was removed while its run was waiting",
            )));
        };
        let credential = match credential_of(&self.credentials, &connection).await {
            Ok(credential) => credential,
            Err(failure) => return Ok(Err(failure)),
        };
        let Credential::Edr(credential) = &credential;
        let job = EdrJob {
            credential,
            settings: connection.edr,
            as_of: lease.as_of().trunc_subsecs(0),
            as_of_given: false,
            run: Some(run.clone()),
            budget: self.budgets.of(company, id),
            patience: Patience::until(deadline),
            progress: Arc::clone(progress),
        };
        let (tally, collection) = match self.huntress.collect_edr(job).await {
            Ok(collected) => collected,
            Err(failure) => return Ok(Err(failure)),
        };
        let records = tally.records_read();
        let evidence = split(&tally, &collection, company, &connection.mapping).iter().map(record).collect();
        let written: Result<Vec<EvidenceRecord>, serde_json::Error> = evidence;
        Ok(match written {
            Ok(evidence) => Ok((evidence, records)),
            Err(error) => {
                Err(Failure::new(FailureCode::Storage, format!("the evidence cannot be written as JSON: {error}")))
            }
        })
    }
}

fn record(bundle: &EdrBundle) -> Result<EvidenceRecord, serde_json::Error> {
    let owner = bundle.tenant.client_id.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
    Ok(EvidenceRecord { owner, product: Product::Edr, body: serde_json::to_string(bundle)? })
}

/// The credential of a connection, or the failure that its absence is.
pub(super) async fn credential_of(credentials: &Credentials, connection: &Connection) -> Result<Credential, Failure> {
    let binding = Binding { company: &connection.company, connection: &connection.id, product: connection.product };
    credentials.get(binding).await.map_err(|error| {
        let code = match error {
            SecretError::Unavailable(_) => FailureCode::Storage,
            SecretError::Missing | SecretError::BoundElsewhere | SecretError::Malformed => FailureCode::CredentialMissing,
        };
        tracing::error!(company = %connection.company, connection = %connection.id, error = &error as &dyn std::error::Error, "no credential");
        Failure::new(code, error.to_string())
    })
}

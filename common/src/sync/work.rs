//! One run, from its lease to its commit.

use super::collect::{Budgets, Huntress, Job};
use super::people::Vault;
use crate::domain::connection::{Connection, Product};
use crate::domain::controls::ControlMap;
use crate::domain::edr::bundle::split;
use crate::domain::evidence::Tenant;
use crate::domain::id::{ClientId, RunId};
use crate::domain::run::{Failure, FailureCode, RecordCounts};
use crate::domain::sat::bundle::bundle_of;
use crate::domain::sat::id::SatId;
use crate::domain::schedule::next_daily;
use crate::huntress::edr::EdrCredential;
use crate::huntress::sat::SatCredential;
use crate::huntress::transport::{Patience, Progress};
use crate::queue::RunMessage;
use crate::secrets::{Binding, Credential, Credentials, SecretError};
use crate::store::{ConnectionChange, Ended, EvidenceOwner, EvidenceRecord, Failed, Lease, Store, StoreError, Taken};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::Serialize;
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
    pub budgets: Arc<Budgets>,
    /// What it takes to keep people.
    pub vault: Arc<Vault>,
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
            Ok(gathered) => self.commit(&lease, gathered, &progress).await,
            Err(failure) => self.fail(&lease, failure, &progress).await,
        };
        let processed = match processed {
            Err(StoreError::LeaseLost) => Processed::LeaseLost,
            other => other?,
        };
        tracing::info!(company = %message.company, connection = %message.connection, run = %message.run, outcome = ?processed, requests = progress.requests(), "run ended");
        Ok(processed)
    }

    async fn commit(&self, lease: &Lease, gathered: Gathered, progress: &Progress) -> Result<Processed, StoreError> {
        let finished_at = self.huntress.clock.now();
        let ended = Ended {
            finished_at,
            api_calls: progress.requests(),
            records: gathered.records,
            next_run_at: Some(next_daily(finished_at)),
        };
        let bundles = gathered.evidence.len();
        self.store.commit(lease, ended, gathered.evidence).await?;
        Ok(Processed::Succeeded { bundles })
    }

    async fn fail(&self, lease: &Lease, failure: Failure, progress: &Progress) -> Result<Processed, StoreError> {
        let failed = Failed {
            finished_at: self.huntress.clock.now(),
            failure: failure.clone(),
            api_calls: progress.requests(),
            records: RecordCounts::default(),
        };
        self.store.fail(lease, failed).await?;
        Ok(Processed::Failed(failure))
    }

    /// The evidence of a run, or why there is none.
    async fn collect(
        &self,
        lease: &Lease,
        run: &RunId,
        deadline: DateTime<Utc>,
        progress: &Arc<Progress>,
    ) -> Result<Result<Gathered, Failure>, StoreError> {
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
        let job = Job {
            as_of: lease.as_of().trunc_subsecs(0),
            as_of_given: false,
            run: Some(run.clone()),
            budget: self.budgets.of(&connection),
            patience: Patience::until(deadline),
            progress: Arc::clone(progress),
        };
        let gathered = match &credential {
            Credential::Edr(credential) => self.collect_edr(credential, &connection, job).await,
            Credential::Sat(credential) => self.collect_sat(lease, credential, &connection, job).await,
        };
        if let Ok(Gathered { account: Some(account), .. }) = &gathered
            && connection.account_id.is_none()
        {
            let found = ConnectionChange { account_id: Some(account.clone()), ..Default::default() };
            self.store.change_connection(company, id, found).await?;
        }
        Ok(gathered)
    }

    async fn collect_edr(
        &self,
        credential: &EdrCredential,
        connection: &Connection,
        job: Job,
    ) -> Result<Gathered, Failure> {
        let (tally, collection) = self.huntress.collect_edr(credential, connection.edr, job).await?;
        let bundles = split(&tally, &collection, &connection.company, &connection.mapping);
        let evidence = bundles.iter().map(|bundle| record(Product::Edr, bundle.tenant.client_id.as_ref(), bundle));
        Ok(Gathered {
            evidence: evidence.collect::<Result<_, _>>()?,
            records: tally.records_read().into(),
            account: None,
        })
    }

    /// A training account is one client's, so there is no evidence of the company's own.
    async fn collect_sat(
        &self,
        lease: &Lease,
        credential: &SatCredential,
        connection: &Connection,
        job: Job,
    ) -> Result<Gathered, Failure> {
        let configured = connection.account_id.as_ref().map(SatId::as_str);
        let (for_people, progress) = (job.again(), Arc::clone(&job.progress));
        let (tally, mut collection) = self.huntress.collect_sat(credential, connection.sat, configured, job).await?;
        let people = self.follow(lease, connection, credential, &collection.account.id, for_people).await?;
        collection.api_calls = progress.requests();
        let evidence = connection.mapping.clients().into_iter().map(|client| {
            let tenant = Tenant { company_id: Some(connection.company.clone()), client_id: Some(client.clone()) };
            let bundle = bundle_of(&tally, &collection, tenant, ControlMap::current());
            let bundle = match &people {
                Some(people) => bundle.with_people(people.evidence.clone(), &people.quality),
                None => bundle,
            };
            record(Product::Sat, Some(client), &bundle)
        });
        Ok(Gathered {
            evidence: evidence.collect::<Result<_, _>>()?,
            records: tally.records_read().into(),
            account: Some(collection.account.id),
        })
    }
}

/// What a collection brings to the commit.
struct Gathered {
    evidence: Vec<EvidenceRecord>,
    records: RecordCounts,
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
pub(super) async fn credential_of(credentials: &Credentials, connection: &Connection) -> Result<Credential, Failure> {
    let binding = Binding { company: &connection.company, connection: &connection.id, product: connection.product };
    credentials.get(binding).await.map_err(|error| {
        let code = match error {
            SecretError::Unavailable(_) => FailureCode::Storage,
            SecretError::Missing | SecretError::BoundElsewhere | SecretError::Malformed => FailureCode::CredentialMissing,
        };
        tracing::error!(company = %connection.company, connection = %connection.id, error = &error as &dyn std::error::Error, "no credential");
        Failure::new(code, error.to_string()).about(connection.product)
    })
}

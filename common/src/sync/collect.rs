//! One collection of a product's evidence, stored or not.

use crate::clock::Clock;
use crate::domain::connection::{Connection, Product};
use crate::domain::edr::EdrSettings;
use crate::domain::edr::bundle::Collection;
use crate::domain::edr::tally::EdrTally;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::Failure;
use crate::domain::sat::SatSettings;
use crate::domain::sat::bundle::{RateLimitWarning, SatCollection, SatTally};
use crate::huntress::edr::{EdrClient, EdrCredential, Instants, TestReport};
use crate::huntress::limits::{Budget, Limit};
use crate::huntress::origin::Origin;
use crate::huntress::sat::{SatClient, SatCredential};
use crate::huntress::transport::{Patience, Progress, Transport};
use crate::settings::Origins;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The request limits of the accounts that this process talks to, one a connection.
#[derive(Default)]
pub struct Budgets(Mutex<HashMap<(CompanyId, ConnectionId), Arc<Budget>>>);

impl Budgets {
    /// The budget of a connection's account.
    #[must_use]
    pub fn of(&self, connection: &Connection) -> Arc<Budget> {
        let mut of = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = of.entry((connection.company.clone(), connection.id.clone()));
        Arc::clone(budget.or_insert_with(|| Arc::new(budget_of(connection.product))))
    }
}

/// The vendor's limits: 60 requests a minute of the endpoint API, 200 a minute and 1,500 an hour of the training API.
#[must_use]
pub fn budget_of(product: Product) -> Budget {
    match product {
        Product::Edr => Budget::per_minute(60),
        Product::Sat => Budget::new(&[
            Limit { requests: 200, period: TimeDelta::minutes(1) },
            Limit { requests: 1_500, period: TimeDelta::hours(1) },
        ]),
    }
}

/// How Huntress is reached.
#[derive(Clone)]
pub struct Huntress {
    /// The HTTP client of the process.
    pub http: reqwest::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where its APIs are.
    pub origins: Origins,
}

/// What a collection is about, whatever the product.
pub struct Job {
    /// The instant of evaluation; when an operator gives it, pages count as read then, too.
    pub as_of: DateTime<Utc>,
    /// Whether an operator gave it.
    pub as_of_given: bool,
    /// The run, if the outcome is stored.
    pub run: Option<RunId>,
    /// The requests that the account allows.
    pub budget: Arc<Budget>,
    /// How long it may take.
    pub patience: Patience,
    /// Where its doings are counted.
    pub progress: Arc<Progress>,
}

impl Huntress {
    /// The present instant in whole seconds, which is what an evaluation goes by.
    #[must_use]
    pub fn instant(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(0)
    }

    pub(super) fn transport(
        &self,
        origin: &Origin,
        budget: Arc<Budget>,
        patience: Patience,
        progress: Arc<Progress>,
    ) -> Transport {
        Transport::new(self.http.clone(), Arc::clone(&self.clock), origin.clone(), budget, patience, progress)
    }

    /// Reads an account of the endpoint API whole.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn collect_edr(
        &self,
        credential: &EdrCredential,
        settings: EdrSettings,
        job: Job,
    ) -> Result<(EdrTally, Collection), Failure> {
        let started_at = self.clock.now();
        let transport = self.transport(&self.origins.edr, job.budget, job.patience, Arc::clone(&job.progress));
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        let tally = EdrClient::new(&transport, credential).collect(settings, instants).await?;
        let collection = Collection {
            collected_at: started_at.trunc_subsecs(0),
            duration_ms: self.milliseconds_since(started_at),
            api_calls: job.progress.requests(),
            run: job.run,
        };
        Ok((tally, collection))
    }

    /// Reads an account of the training API whole, or up to the caps. `configured` is its id, if it is known.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn collect_sat(
        &self,
        credential: &SatCredential,
        settings: SatSettings,
        configured: Option<&str>,
        job: Job,
    ) -> Result<(SatTally, SatCollection), Failure> {
        let started_at = self.clock.now();
        let transport = self.transport(&self.origins.sat, job.budget, job.patience, Arc::clone(&job.progress));
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        // Learners are told apart by hashes that no other run can be compared with.
        let seed = job.run.as_ref().map_or_else(|| format!("{:032x}", fastrand::u128(..)), ToString::to_string);
        let client = SatClient::open(&transport, credential).await?;
        let (tally, account) = client.collect(settings, instants, configured, &seed).await?;
        let lowest_remaining = job.progress.lowest_remaining();
        if let Some(warning) = RateLimitWarning::of(lowest_remaining) {
            tracing::warn!(
                requests_left = warning.lowest_remaining,
                advice = warning.advice,
                "few requests are left of the account's limit"
            );
        }
        let collection = SatCollection {
            collected_at: started_at.trunc_subsecs(0),
            duration_ms: self.milliseconds_since(started_at),
            api_calls: job.progress.requests(),
            run: job.run,
            account,
            lowest_remaining,
        };
        Ok((tally, collection))
    }

    pub(super) fn milliseconds_since(&self, started_at: DateTime<Utc>) -> u64 {
        let duration = self.clock.now().signed_duration_since(started_at).max(TimeDelta::zero());
        duration.num_milliseconds().unsigned_abs()
    }

    /// Asks for one record of each list.
    pub async fn test_edr(
        &self,
        credential: &EdrCredential,
        budget: Arc<Budget>,
        deadline: DateTime<Utc>,
    ) -> TestReport {
        let transport = self.transport(&self.origins.edr, budget, Patience::until(deadline), Arc::default());
        EdrClient::new(&transport, credential).test().await
    }

    /// Asks for a token and one record of each list.
    pub async fn test_sat(
        &self,
        credential: &SatCredential,
        configured: Option<&str>,
        budget: Arc<Budget>,
        deadline: DateTime<Utc>,
    ) -> TestReport {
        let transport = self.transport(&self.origins.sat, budget, Patience::until(deadline), Arc::default());
        SatClient::test(&transport, credential, configured).await
    }
}

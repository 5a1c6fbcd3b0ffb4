//! One collection of endpoint evidence, stored or not.

use crate::clock::Clock;
use crate::domain::edr::EdrSettings;
use crate::domain::edr::bundle::Collection;
use crate::domain::edr::tally::EdrTally;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::Failure;
use crate::huntress::edr::{EdrClient, EdrCredential, Instants, TestReport};
use crate::huntress::limits::Budget;
use crate::huntress::origin::Origin;
use crate::huntress::transport::{Patience, Progress, Transport};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The request limits of the accounts that this process talks to, one a connection.
pub struct Budgets {
    requests_per_minute: u32,
    of: Mutex<HashMap<(CompanyId, ConnectionId), Arc<Budget>>>,
}

impl Budgets {
    /// Budgets of so many requests a minute each; 0 for no limiter of our own.
    #[must_use]
    pub fn per_minute(requests_per_minute: u32) -> Self {
        Self { requests_per_minute, of: Mutex::default() }
    }

    /// The budget of a connection's account.
    #[must_use]
    pub fn of(&self, company: &CompanyId, connection: &ConnectionId) -> Arc<Budget> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = of.entry((company.clone(), connection.clone()));
        Arc::clone(budget.or_insert_with(|| Arc::new(Budget::per_minute(self.requests_per_minute))))
    }
}

impl Default for Budgets {
    /// The vendor's 60 requests a minute.
    fn default() -> Self {
        Self::per_minute(60)
    }
}

/// How Huntress is reached.
#[derive(Clone)]
pub struct Huntress {
    /// The HTTP client of the process.
    pub http: reqwest::Client,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where the endpoint API is.
    pub edr: Origin,
}

/// What a collection is about.
pub struct EdrJob<'a> {
    /// The credential.
    pub credential: &'a EdrCredential,
    /// The limits of the rules.
    pub settings: EdrSettings,
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

    fn transport(&self, budget: Arc<Budget>, patience: Patience, progress: Arc<Progress>) -> Transport {
        Transport::new(self.http.clone(), Arc::clone(&self.clock), self.edr.clone(), budget, patience, progress)
    }

    /// Reads the account whole.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn collect_edr(&self, job: EdrJob<'_>) -> Result<(EdrTally, Collection), Failure> {
        let started_at = self.clock.now();
        let transport = self.transport(job.budget, job.patience, Arc::clone(&job.progress));
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        let tally = EdrClient::new(&transport, job.credential).collect(job.settings, instants).await?;
        let duration = self.clock.now().signed_duration_since(started_at).max(TimeDelta::zero());
        let collection = Collection {
            collected_at: started_at.trunc_subsecs(0),
            duration_ms: duration.num_milliseconds().unsigned_abs(),
            api_calls: job.progress.requests(),
            run: job.run,
        };
        Ok((tally, collection))
    }

    /// Asks for one record of each list.
    pub async fn test_edr(
        &self,
        credential: &EdrCredential,
        budget: Arc<Budget>,
        deadline: DateTime<Utc>,
    ) -> TestReport {
        let transport = self.transport(budget, Patience::until(deadline), Arc::default());
        EdrClient::new(&transport, credential).test().await
    }
}

//! One collection of a product's evidence, stored or not.

use crate::clock::Clock;
use crate::domain::connection::Connection;
use crate::domain::edr::AgentLimits;
use crate::domain::edr::bundle::Collection;
use crate::domain::edr::tally::EdrTally;
use crate::domain::failure::Failure;
use crate::domain::id::RunId;
use crate::domain::sat::SatSettings;
use crate::domain::sat::bundle::{RateLimitWarning, SatCollection, SatTally};
use crate::huntress::collection::{Instants, PartOutcome};
use crate::huntress::connection_test::TestReport;
use crate::huntress::edr::{EdrClient, EdrCredential, EdrState, NamedRecord};
use crate::huntress::error::used_up;
use crate::huntress::origin::Origin;
use crate::huntress::progress::Progress;
use crate::huntress::rate_limit::RateLimiter;
use crate::huntress::retry::{Transport, WaitPolicy};
use crate::huntress::sat::{Access, SatClient, SatCredential, SatState, TrackedPeople};
use crate::settings::Origins;
use crate::store::{Store, StoreError};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The request limits of the accounts that this process talks to.
pub struct RateLimiters {
    of: Mutex<HashMap<String, Arc<RateLimiter>>>,
    /// Tells what this process sent from what others sent.
    process: String,
}

impl Default for RateLimiters {
    fn default() -> Self {
        Self { of: Mutex::default(), process: format!("{:016x}", fastrand::u64(..)) }
    }
}

impl RateLimiters {
    /// The limiter of a connection's account.
    #[must_use]
    pub fn of(&self, connection: &Connection) -> Arc<RateLimiter> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter = of.entry(account_of(connection));
        Arc::clone(limiter.or_insert_with(|| Arc::new(RateLimiter::of(connection.product))))
    }

    /// The same, with what other processes sent to the account since.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn with_published_usage(
        &self,
        store: &Store,
        connection: &Connection,
        now: DateTime<Utc>,
    ) -> Result<Arc<RateLimiter>, StoreError> {
        let limiter = self.of(connection);
        for (process, usage) in store.usage(&account_of(connection)).await? {
            // What cannot be read says nothing; the answers of the server correct the count.
            if process != self.process
                && let Ok(usage) = serde_json::from_str(&usage)
            {
                limiter.merge_usage(now, &process, &usage);
            }
        }
        Ok(limiter)
    }

    /// Leaves word of what this process sent to the account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn save(&self, store: &Store, connection: &Connection, now: DateTime<Utc>) -> Result<(), StoreError> {
        let limiter = self.of(connection);
        let usage = limiter.own_usage(now);
        if usage.0.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(&usage).unwrap_or_default();
        store.save_usage(&account_of(connection), &self.process, text, now + limiter.longest_period()).await
    }
}

/// The vendor account that a connection asks: its id where it is known, and else the connection itself.
fn account_of(connection: &Connection) -> String {
    let Connection { product, company, id, .. } = connection;
    match &connection.account_id {
        Some(account) => format!("{product}#{account}"),
        None => format!("{product}#{company}#{id}"),
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
    pub limiter: Arc<RateLimiter>,
    /// How long it may take.
    pub wait_policy: WaitPolicy,
    /// Where its doings are counted.
    pub progress: Arc<Progress>,
}

/// What a run that cannot be continued has read.
fn whole<W, S>(collected: PartOutcome<W, S>) -> Result<W, Failure> {
    match collected {
        PartOutcome::Complete(whole) => Ok(whole),
        PartOutcome::Paused { until, .. } => Err(used_up(until)),
    }
}

impl Huntress {
    /// The present instant in whole seconds, which is what an evaluation goes by.
    #[must_use]
    pub fn instant(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(0)
    }

    pub(in crate::app) fn transport(
        &self,
        origin: &Origin,
        limiter: Arc<RateLimiter>,
        wait_policy: WaitPolicy,
        progress: Arc<Progress>,
    ) -> Transport {
        Transport::new(self.http.clone(), Arc::clone(&self.clock), origin.clone(), limiter, wait_policy, progress)
    }

    /// Reads an account of the endpoint API whole.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn collect_edr(
        &self,
        credential: &EdrCredential,
        limits: impl Into<AgentLimits>,
        job: Job,
    ) -> Result<(EdrTally, Collection), Failure> {
        let state = EdrState::new(limits, job.as_of);
        whole(self.continue_edr(credential, state, self.clock.now(), job).await?)
    }

    /// Reads an account of the endpoint API on from `state`, for a run that started at `started_at`.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub async fn continue_edr(
        &self,
        credential: &EdrCredential,
        state: EdrState,
        started_at: DateTime<Utc>,
        job: Job,
    ) -> Result<PartOutcome<(EdrTally, Collection), Box<EdrState>>, Failure> {
        let transport = self.transport(&self.origins.edr, job.limiter, job.wait_policy, Arc::clone(&job.progress));
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        let collected = EdrClient::new(&transport, credential).collect(state, instants).await?;
        Ok(collected.map(|tally| {
            let collection = Collection {
                collected_at: started_at.trunc_subsecs(0),
                duration_ms: self.milliseconds_since(started_at),
                api_calls: job.progress.requests(),
                run: job.run,
            };
            (tally, collection)
        }))
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
        let (state, started_at) = (SatState::new(settings, job.as_of), self.clock.now());
        let transport = self.sat_transport(&job);
        let client = SatClient::open(&transport, credential).await?;
        let (state, collection) = whole(self.continue_sat(&client, state, None, started_at, configured, job).await?)?;
        Ok((state.into(), collection))
    }

    /// What the requests of one part of a run to the training API go through, so that their waits count together.
    pub(in crate::app) fn sat_transport(&self, job: &Job) -> Transport {
        let (limiter, progress) = (Arc::clone(&job.limiter), Arc::clone(&job.progress));
        self.transport(&self.origins.sat, limiter, job.wait_policy, progress)
    }

    /// Reads an account of the training API on from `state`, and the people who are tracked with it, for a run that started at `started_at`.
    ///
    /// # Errors
    /// The [`Failure`] that leaves nothing to be said.
    pub(in crate::app) async fn continue_sat(
        &self,
        client: &SatClient<'_>,
        state: SatState,
        people: Option<TrackedPeople<'_>>,
        started_at: DateTime<Utc>,
        configured: Option<&str>,
        job: Job,
    ) -> Result<PartOutcome<(SatState, SatCollection), Box<SatState>>, Failure> {
        let instants = Instants { as_of: job.as_of, observed_at: job.as_of_given.then_some(job.as_of) };
        // Learners are told apart by hashes that no other run can be compared with.
        let seed = job.run.as_ref().map_or_else(|| format!("{:032x}", fastrand::u128(..)), ToString::to_string);
        let collected = client.collect(state, people, instants, configured, &seed).await?;
        Ok(collected.map(|(state, account)| {
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
                mapped_to: None,
            };
            (state, collection)
        }))
    }

    pub(in crate::app) fn milliseconds_since(&self, started_at: DateTime<Utc>) -> u64 {
        let duration = self.clock.now().signed_duration_since(started_at).max(TimeDelta::zero());
        duration.num_milliseconds().unsigned_abs()
    }

    /// Asks for one record of each list.
    pub async fn test_edr(
        &self,
        credential: &EdrCredential,
        limiter: Arc<RateLimiter>,
        deadline: DateTime<Utc>,
    ) -> TestReport {
        let transport = self.transport(&self.origins.edr, limiter, WaitPolicy::until(deadline), Arc::default());
        EdrClient::new(&transport, credential).test().await
    }

    /// Asks what some records are called, a few at a time.
    pub async fn names(
        &self,
        credential: &EdrCredential,
        wanted: &BTreeSet<(NamedRecord, String)>,
        limiter: Arc<RateLimiter>,
        deadline: DateTime<Utc>,
    ) -> Result<BTreeMap<NamedRecord, BTreeMap<String, Option<String>>>, Failure> {
        let transport = self.transport(&self.origins.edr, limiter, WaitPolicy::until(deadline), Arc::default());
        let client = EdrClient::new(&transport, credential);
        let mut names = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (of, id) in wanted {
            names.entry(*of).or_default().insert(id.clone(), client.name(*of, id).await?);
        }
        Ok(names)
    }

    /// Asks for a token and one record of each list.
    pub async fn test_sat(
        &self,
        access: impl Into<Access<'_>>,
        configured: Option<&str>,
        limiter: Arc<RateLimiter>,
        deadline: DateTime<Utc>,
    ) -> TestReport {
        let transport = self.transport(&self.origins.sat, limiter, WaitPolicy::until(deadline), Arc::default());
        SatClient::test(&transport, access.into(), configured).await
    }
}

//! One collection of endpoint evidence from a simulated account, and what came of it.

use crate::clock::SteppingClock;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::{Huntress, Job};
use common::domain::edr::bundle::{Collection, UnknownOrganization, bundle_of, split};
use common::domain::edr::tally::EdrTally;
use common::domain::edr::{AgentLimits, EdrSettings};
use common::domain::evidence::{EdrBundle, Metric, Reason, Tenant};
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, CompanyId};
use common::domain::mapping::Mapping;
use common::domain::policy::ClientPolicies;
use common::domain::product::Product;
use common::domain::quality::QualityCode;
use common::huntress::collection::{Instants, PartOutcome};
use common::huntress::edr::{EdrClient, EdrCredential, EdrState};
use common::huntress::origin::Origin;
use common::huntress::progress::Progress;
use common::huntress::rate_limit::RateLimiter;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::retry::{Transport, WaitPolicy};
use common::settings::Origins;
use simulator::{API_KEY, API_SECRET, Account, Fault, FaultKind, List, Request, Simulator, SimulatorBuilder};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// When every scene takes place: 2026-03-22T12:00:00Z.
#[must_use]
pub fn as_of() -> DateTime<Utc> {
    common::domain::time::parse("2026-03-22T12:00:00Z").unwrap()
}

/// Time-outs of a client that soon gives up.
pub const HASTY: Timeouts = Timeouts {
    connect: Duration::from_millis(1000),
    read: Duration::from_millis(300),
    total: Duration::from_millis(2000),
};

/// How a collection is made. The defaults: no limiter, the rules' own limits, an hour of waiting, simulated time from [`as_of`] on.
pub struct Collector {
    key: String,
    secret: String,
    limits: AgentLimits,
    given_as_of: Option<DateTime<Utc>>,
    requests_per_minute: u32,
    deadline: DateTime<Utc>,
    max_pages: Option<u32>,
    timeouts: Option<Timeouts>,
    clock: SteppingClock,
    progress: Arc<Progress>,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            key: API_KEY.to_owned(),
            secret: API_SECRET.to_owned(),
            limits: EdrSettings::default().into(),
            given_as_of: None,
            requests_per_minute: 0,
            deadline: as_of() + TimeDelta::hours(1),
            max_pages: None,
            timeouts: None,
            clock: SteppingClock::at(as_of()),
            progress: Arc::default(),
        }
    }
}

/// A collector with these time-outs, for a server that is no simulator.
#[must_use]
pub fn collector(timeouts: Timeouts) -> Collector {
    Collector { timeouts: Some(timeouts), ..Collector::default() }
}

impl Collector {
    /// By these limits of agent age.
    #[must_use]
    pub fn within(self, limits: AgentLimits) -> Self {
        Self { limits, ..self }
    }

    /// Collects a simulated account.
    pub async fn collect_from(&self, account: Account) -> (EdrTally, Collection) {
        let simulator = Simulator::builder(account).clock(self.clock.for_simulator()).start().await.unwrap();
        self.collect(&simulator.origin()).await.unwrap()
    }

    /// With a limiter of its own.
    #[must_use]
    pub fn limited_to(self, requests_per_minute: u32) -> Self {
        Self { requests_per_minute, ..self }
    }

    /// The simulated time that was waited.
    #[must_use]
    pub fn passed(&self) -> TimeDelta {
        self.clock.passed()
    }

    /// Collects from an origin on this machine.
    pub async fn collect(&self, origin: &str) -> Result<(EdrTally, Collection), Failure> {
        let origins = Origins {
            edr: Origin::parse(origin, Product::Edr, true).unwrap(),
            sat: Origin::vendor(Product::Sat).unwrap(),
        };
        let credential = EdrCredential { key: self.key.clone().into(), secret: self.secret.clone().into() };
        let huntress = Huntress { http: self.http(), clock: Arc::new(self.clock.clone()), origins };
        let job = Job {
            as_of: self.given_as_of.unwrap_or_else(|| huntress.instant()),
            as_of_given: self.given_as_of.is_some(),
            run: None,
            limiter: Arc::new(RateLimiter::per_minute(self.requests_per_minute)),
            wait_policy: WaitPolicy::until(self.deadline),
            progress: Arc::clone(&self.progress),
        };
        let Some(max_pages) = self.max_pages else {
            return huntress.collect_edr(&credential, self.limits.clone(), job).await;
        };
        let instants = Instants { as_of: job.as_of, observed_at: None };
        let transport = Transport::new(
            huntress.http,
            huntress.clock,
            huntress.origins.edr,
            job.limiter,
            job.wait_policy,
            job.progress,
        );
        let client = EdrClient::new(&transport, &credential).with_max_pages(max_pages);
        let state = EdrState::new(self.limits.clone(), job.as_of);
        let PartOutcome::Complete(tally) = client.collect(state, instants).await? else { panic!("a pause") };
        let api_calls = self.progress.requests();
        Ok((tally, Collection { collected_at: as_of(), duration_ms: 0, api_calls, run: None }))
    }

    fn http(&self) -> reqwest::Client {
        // Making one reads the system's certificates, so all scenes share one: their servers listen at different ports.
        static SHARED: OnceLock<reqwest::Client> = OnceLock::new();
        match self.timeouts {
            Some(timeouts) => http_client(timeouts).unwrap(),
            None => SHARED.get_or_init(|| http_client(Timeouts::default()).unwrap()).clone(),
        }
    }
}

/// A simulated account that does not limit requests, and one collection from it.
pub struct Scene {
    collector: Collector,
    account: Account,
    faults: Vec<Fault>,
    simulator: Vec<Box<dyn FnOnce(SimulatorBuilder) -> SimulatorBuilder>>,
    exact_time: bool,
    others: Option<(String, usize)>,
}

impl Scene {
    /// A collection from `account`.
    #[must_use]
    pub fn of(account: Account) -> Self {
        Self {
            collector: Collector::default(),
            account,
            faults: Vec::new(),
            simulator: Vec::new(),
            exact_time: false,
            others: None,
        }
    }

    /// `kind` happens at the `from`-th request to `list`, and at `times` in a row.
    #[must_use]
    pub fn fault(mut self, list: List, from: u32, times: u32, kind: FaultKind) -> Self {
        self.faults.push(Fault { list: Some(list), from_request: from, times, kind, path: None });
        self
    }

    /// `kind` happens at every request to `list`.
    #[must_use]
    pub fn always(self, list: List, kind: FaultKind) -> Self {
        self.fault(list, 1, u32::MAX, kind)
    }

    /// Sets the simulator up.
    #[must_use]
    pub fn simulator(mut self, change: impl FnOnce(SimulatorBuilder) -> SimulatorBuilder + 'static) -> Self {
        self.simulator.push(Box::new(change));
        self
    }

    /// Pages hold at most so many records.
    #[must_use]
    pub fn max_page(self, records: u32) -> Self {
        self.simulator(move |builder| builder.max_page(records))
    }

    /// The account allows so many requests a minute, in simulated time. A request that is under way arrives before the time goes on.
    #[must_use]
    pub fn rate_limit(mut self, requests: u32) -> Self {
        self.exact_time = true;
        self.simulator(move |builder| builder.rate_limit(Some(requests)))
    }

    /// Another tool makes `requests` requests with the same key whenever the collection has begun.
    #[must_use]
    pub fn after_others(mut self, path: &str, requests: usize) -> Self {
        self.others = Some((path.to_owned(), requests));
        self
    }

    /// The collector's own limiter; 0 for none.
    #[must_use]
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.collector.requests_per_minute = requests;
        self
    }

    /// The limits of the rules.
    #[must_use]
    pub fn settings(mut self, online_within_hours: u32, missing_after_days: u32) -> Self {
        self.collector.limits = EdrSettings::new(online_within_hours, missing_after_days).unwrap().into();
        self
    }

    /// The instant that an operator gives.
    #[must_use]
    pub fn given_as_of(mut self, instant: DateTime<Utc>) -> Self {
        self.collector.given_as_of = Some(instant);
        self
    }

    /// The credential that the collector sends.
    #[must_use]
    pub fn credential(mut self, key: &str, secret: &str) -> Self {
        (self.collector.key, self.collector.secret) = (key.to_owned(), secret.to_owned());
        self
    }

    /// The time that the run has.
    #[must_use]
    pub fn patience(mut self, time: TimeDelta) -> Self {
        self.collector.deadline = as_of() + time;
        self
    }

    /// A cap of pages below the real one.
    #[must_use]
    pub fn max_pages(mut self, pages: u32) -> Self {
        self.collector.max_pages = Some(pages);
        self
    }

    /// Other time-outs than the usual.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.collector.timeouts = Some(timeouts);
        self
    }

    /// Starts the account, collects from it once, and stops it.
    pub async fn collect(self) -> Outcome {
        let Self { collector, account, faults, simulator: changes, exact_time, others } = self;
        let clock = collector.clock.clone();
        let builder =
            Simulator::builder(account).rate_limit(None).clock(clock.for_simulator()).dated(true).faults(faults);
        let simulator = changes.into_iter().fold(builder, |builder, change| change(builder)).start().await.unwrap();
        let simulator = Arc::new(simulator);
        if let Some((path, requests)) = others {
            for _ in 0..requests {
                let url = format!("{}{path}", simulator.origin());
                let answer = collector.http().get(url).basic_auth(API_KEY, Some(API_SECRET)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
            }
            simulator.reset_log();
        }
        if exact_time {
            let (simulator, progress) = (Arc::clone(&simulator), Arc::clone(&collector.progress));
            clock.steps_when(move || {
                let log = simulator.requests();
                let with_status = |status| log.iter().filter(|it| it.status == Some(status)).count() as u64;
                // All that were sent have arrived, and every page that was sent back was read.
                log.len() as u64 == progress.requests()
                    && with_status(200) == progress.pages()
                    && with_status(200) + with_status(429) == progress.requests()
            });
        }
        let result = collector.collect(&simulator.origin()).await;
        Outcome { result, requests: simulator.requests(), passed: clock.passed() }
    }

    /// [`collect`](Self::collect) on a runtime of its own.
    pub fn collect_blocking(self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.collect())
    }
}

/// What came of a collection.
pub struct Outcome {
    /// The evidence before it is divided, or why there is none.
    pub result: Result<(EdrTally, Collection), Failure>,
    /// Every request, in the order of arrival.
    pub requests: Vec<Request>,
    /// The simulated time that was waited.
    pub passed: TimeDelta,
}

impl Outcome {
    /// The evidence over all organizations.
    #[must_use]
    pub fn bundle(&self) -> EdrBundle {
        self.bundle_of(&[]).unwrap()
    }

    /// The evidence over the given organizations.
    pub fn bundle_of(&self, organizations: &[&str]) -> Result<EdrBundle, UnknownOrganization> {
        let (tally, collection) = self.result.as_ref().expect("a collection that succeeds");
        let tenant = Tenant {
            company_id: Some(CompanyId::parse("msp-acme").unwrap()),
            client_id: Some(ClientId::parse("client-acme-corp").unwrap()),
        };
        let organizations: Vec<String> = organizations.iter().map(|id| (*id).to_owned()).collect();
        bundle_of(tally, collection, tenant, &organizations)
    }

    /// The company's own evidence, and then that of each client.
    #[must_use]
    pub fn split(&self, mapping: &Mapping) -> Vec<EdrBundle> {
        let (tally, collection) = self.result.as_ref().expect("a collection that succeeds");
        split(tally, collection, &CompanyId::parse("msp-acme").unwrap(), mapping, &ClientPolicies::default())
    }

    /// Why there is no evidence.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Ok(_) => panic!("a collection that fails was expected"),
            Err(failure) => failure,
        }
    }

    /// Checks code and request of the failure, and that its sentence has these parts.
    #[track_caller]
    pub fn assert_failure(&self, code: FailureCode, list: List, parts: &[&str]) {
        let failure = self.failure();
        assert_eq!((failure.code, failure.request.clone()), (code, Some(format!("GET {}", list.path()))), "{failure}");
        for part in parts {
            assert!(failure.message.contains(part), "{part:?} in {:?}", failure.message);
        }
    }

    /// A metric's value over all organizations; `None` for null.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<String> {
        metric(&self.bundle(), key).metric_value
    }

    /// Checks the values of metrics over all organizations.
    #[track_caller]
    pub fn assert_values(&self, expected: &[(&str, &str)]) {
        assert_values(&self.bundle(), expected);
    }

    /// Checks that a metric over all organizations is null, and why.
    #[track_caller]
    pub fn assert_null(&self, key: &str, reason: Reason) {
        let metric = metric(&self.bundle(), key);
        assert_eq!((metric.metric_value, metric.reason), (None, Some(reason)), "{key}");
    }

    /// Checks `metadata.data_quality` over all organizations: these codes in this order, so often each, and no others.
    #[track_caller]
    pub fn assert_quality(&self, expected: &[(QualityCode, u64)]) {
        assert_eq!(quality(&self.bundle()), expected);
    }

    /// The requests to one list.
    #[must_use]
    pub fn requests_to(&self, list: List) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.list == Some(list)).collect()
    }
}

/// A metric by key.
#[track_caller]
#[must_use]
pub fn metric(bundle: &EdrBundle, key: &str) -> Metric {
    bundle.metric(key).unwrap_or_else(|| panic!("no metric {key}")).clone()
}

/// Checks the values of metrics.
#[track_caller]
pub fn assert_values(bundle: &EdrBundle, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        let metric = metric(bundle, key);
        assert_eq!((metric.metric_value.as_deref(), metric.reason), (Some(*value), None), "{key}");
    }
}

/// The codes of `metadata.data_quality`, with their counts.
#[must_use]
pub fn quality(bundle: &EdrBundle) -> Vec<(QualityCode, u64)> {
    bundle.metadata.data_quality.iter().map(|entry| (entry.code, entry.count)).collect()
}

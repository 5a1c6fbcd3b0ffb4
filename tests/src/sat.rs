//! One collection of training evidence from a simulated account, and what came of it.

use crate::clock::SteppingClock;
use crate::edr::as_of;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::{Huntress, Job};
use common::domain::controls::ControlMap;
use common::domain::evidence::{Reason, Tenant};
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, CompanyId};
use common::domain::policy::InForce;
use common::domain::product::Product;
use common::domain::quality::QualityCode;
use common::domain::sat::bundle::{SatBundle, SatCollection, SatTally, bundle_of};
use common::domain::sat::signal::{CoverageValues, PhishingValues, Signal, SignalKey, SignalValues};
use common::domain::sat::status::Status;
use common::domain::sat::{Caps, SatSettings};
use common::huntress::connection_test::TestReport;
use common::huntress::origin::Origin;
use common::huntress::progress::Progress;
use common::huntress::rate_limit::RateLimiter;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::retry::WaitPolicy;
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use simulator::{
    Fault, FaultKind, List, Request, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount, Simulator, SimulatorBuilder,
    TokenRequest,
};
use std::sync::{Arc, OnceLock};

/// A simulated training account with the vendor's limits, and one collection from it in simulated time from [`as_of`] on.
pub struct SatScene {
    account: SatAccount,
    faults: Vec<Fault>,
    simulator: Vec<Box<dyn FnOnce(SimulatorBuilder) -> SimulatorBuilder>>,
    settings: SatSettings,
    configured: Option<String>,
    credential: (String, String),
    limiter: RateLimiter,
    patience: TimeDelta,
    given_as_of: Option<DateTime<Utc>>,
    exact_time: bool,
}

impl SatScene {
    /// A collection from `account`.
    #[must_use]
    pub fn of(account: SatAccount) -> Self {
        Self {
            account,
            faults: Vec::new(),
            simulator: Vec::new(),
            settings: SatSettings::default(),
            configured: None,
            credential: (SAT_CLIENT_ID.to_owned(), SAT_CLIENT_SECRET.to_owned()),
            limiter: RateLimiter::of(Product::Sat),
            patience: TimeDelta::hours(1),
            given_as_of: None,
            exact_time: false,
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

    /// `kind` happens at every request to `path`.
    #[must_use]
    pub fn always_at(mut self, path: &str, kind: FaultKind) -> Self {
        self.faults.push(Fault::always(None, kind).at(path));
        self
    }

    /// Sets the simulator up.
    #[must_use]
    pub fn simulator(mut self, change: impl FnOnce(SimulatorBuilder) -> SimulatorBuilder + 'static) -> Self {
        self.simulator.push(Box::new(change));
        self
    }

    /// Other caps than the usual.
    #[must_use]
    pub fn caps(mut self, caps: Caps) -> Self {
        self.settings = SatSettings::new(caps, false).unwrap();
        self
    }

    /// The account's id, as the connection knows it.
    #[must_use]
    pub fn configured(mut self, id: &str) -> Self {
        self.configured = Some(id.to_owned());
        self
    }

    /// The credential that the collector sends.
    #[must_use]
    pub fn credential(mut self, id: &str, secret: &str) -> Self {
        self.credential = (id.to_owned(), secret.to_owned());
        self
    }

    /// The time that the run has.
    #[must_use]
    pub fn patience(mut self, time: TimeDelta) -> Self {
        self.patience = time;
        self
    }

    /// The instant that an operator gives.
    #[must_use]
    pub fn given_as_of(mut self, instant: DateTime<Utc>) -> Self {
        self.given_as_of = Some(instant);
        self
    }

    /// A request that is under way arrives before the time goes on.
    #[must_use]
    pub fn exact_time(mut self) -> Self {
        self.exact_time = true;
        self
    }

    /// Starts the account, collects from it once, and stops it.
    pub async fn collect(mut self) -> SatOutcome {
        let (clock, simulator, huntress, credential) = self.start().await;
        let progress = Arc::<Progress>::default();
        if self.exact_time {
            let (simulator, progress) = (Arc::clone(&simulator), Arc::clone(&progress));
            clock.steps_when(move || all_done(&simulator.requests(), &progress));
        }
        let job = Job {
            as_of: self.given_as_of.unwrap_or_else(|| huntress.instant()),
            as_of_given: self.given_as_of.is_some(),
            run: None,
            limiter: Arc::new(self.limiter),
            wait_policy: WaitPolicy::until(as_of() + self.patience),
            progress,
        };
        let result = huntress.collect_sat(&credential, self.settings, self.configured.as_deref(), job).await;
        SatOutcome {
            result,
            requests: simulator.requests(),
            access_tokens: simulator.access_tokens(),
            passed: clock.passed(),
        }
    }

    /// [`collect`](Self::collect) on a runtime of its own.
    pub fn collect_blocking(self) -> SatOutcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.collect())
    }

    /// Starts the account, tests the connection, and stops the account.
    pub async fn test(mut self) -> (TestReport, Vec<Request>) {
        let (_, simulator, huntress, credential) = self.start().await;
        let limiter = Arc::new(self.limiter);
        let report = huntress.test_sat(&credential, self.configured.as_deref(), limiter, as_of() + self.patience).await;
        (report, simulator.requests())
    }

    async fn start(&mut self) -> (SteppingClock, Arc<Simulator>, Huntress, SatCredential) {
        let clock = SteppingClock::at(as_of());
        let builder = Simulator::sat_only(self.account.clone()).dated(true);
        let builder = builder.clock(clock.for_simulator()).faults(std::mem::take(&mut self.faults));
        let changes = std::mem::take(&mut self.simulator);
        let simulator = changes.into_iter().fold(builder, |builder, change| change(builder)).start().await.unwrap();
        let huntress = huntress_at(&simulator, &clock);
        let (id, secret) = &self.credential;
        let credential = SatCredential { client_id: id.clone().into(), client_secret: secret.clone().into() };
        (clock, Arc::new(simulator), huntress, credential)
    }
}

/// All that were sent have arrived, and every answer was read.
fn all_done(log: &[Request], progress: &Progress) -> bool {
    let is_page = |it: &&Request| !matches!(it.list, Some(List::Token | List::AccountById));
    let pages = log.iter().filter(|it| it.status == Some(200)).filter(is_page).count();
    log.len() as u64 == progress.requests()
        && log.iter().all(|it| it.status.is_some())
        && pages as u64 == progress.pages()
}

/// The vendor's APIs as a simulator plays them.
#[must_use]
pub fn huntress_at(simulator: &Simulator, clock: &SteppingClock) -> Huntress {
    // Making one reads the system's certificates, so all scenes share one: their servers listen at different ports.
    static SHARED: OnceLock<reqwest::Client> = OnceLock::new();
    let http = SHARED.get_or_init(|| http_client(Timeouts::default()).unwrap()).clone();
    let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
    let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
    Huntress { http, clock: Arc::new(clock.clone()), origins }
}

/// What came of a collection.
pub struct SatOutcome {
    /// What was read, or why there is no evidence.
    pub result: Result<(SatTally, SatCollection), Failure>,
    /// Every request, in the order of arrival.
    pub requests: Vec<Request>,
    /// Every access token that was issued.
    pub access_tokens: Vec<String>,
    /// The simulated time that was waited.
    pub passed: TimeDelta,
}

impl SatOutcome {
    /// The evidence.
    #[track_caller]
    #[must_use]
    pub fn bundle(&self) -> SatBundle {
        let (tally, collection) = match &self.result {
            Ok(collected) => collected,
            Err(failure) => panic!("a collection that succeeds was expected: {failure}"),
        };
        let tenant = Tenant {
            company_id: Some(CompanyId::parse("msp-acme").unwrap()),
            client_id: Some(ClientId::parse("client-acme-corp").unwrap()),
        };
        bundle_of(tally, collection, tenant, ControlMap::current(), &InForce::default())
    }

    /// A signal.
    #[track_caller]
    #[must_use]
    pub fn signal(&self, key: SignalKey) -> Signal {
        self.bundle().signal(key).expect("both signals, always").clone()
    }

    /// What the coverage says, why, and its numbers.
    #[track_caller]
    #[must_use]
    pub fn coverage(&self) -> (Status, Option<Reason>, CoverageValues) {
        let signal = self.signal(SignalKey::WorkforceCoverage);
        let SignalValues::Coverage(values) = signal.values else { panic!("numbers of a coverage") };
        (signal.status, signal.reason, values)
    }

    /// What the simulations say, why, and their numbers.
    #[track_caller]
    #[must_use]
    pub fn phishing(&self) -> (Status, Option<Reason>, PhishingValues) {
        let signal = self.signal(SignalKey::PhishingSimulation);
        let SignalValues::Phishing(values) = signal.values else { panic!("numbers of simulations") };
        (signal.status, signal.reason, values)
    }

    /// The codes of `metadata.data_quality`, with their counts.
    #[track_caller]
    #[must_use]
    pub fn quality(&self) -> Vec<(QualityCode, u64)> {
        self.bundle().metadata.data_quality.iter().map(|entry| (entry.code, entry.count)).collect()
    }

    /// Why there is no evidence.
    #[track_caller]
    #[must_use]
    pub fn failure(&self) -> &Failure {
        match &self.result {
            Ok(_) => panic!("a collection that fails was expected"),
            Err(failure) => failure,
        }
    }

    /// Checks code and request of the failure, and that its sentence has these parts.
    #[track_caller]
    pub fn assert_failure(&self, code: FailureCode, request: &str, parts: &[&str]) {
        let failure = self.failure();
        assert_eq!((failure.code, failure.request.as_deref()), (code, Some(request)), "{failure}");
        for part in parts {
            assert!(failure.message.contains(part), "{part:?} in {:?}", failure.message);
        }
    }

    /// The requests to one list.
    #[must_use]
    pub fn requests_to(&self, list: List) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.list == Some(list)).collect()
    }

    /// What was asked at the token endpoint, with the status of the answer.
    #[must_use]
    pub fn token_requests(&self) -> Vec<(&TokenRequest, Option<u16>)> {
        self.requests.iter().filter_map(|request| Some((request.token.as_ref()?, request.status))).collect()
    }
}

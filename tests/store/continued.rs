//! Runs in parts: what the request limit does not allow now goes on later, from a checkpoint, perhaps in another process.

use acceptance::clock::SteppingClock;
use acceptance::engine::Engine;
use acceptance::sat::huntress_at;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::RateLimiters;
use common::app::collection::worker::{Processed, WorkError, Worker};
use common::app::connections::Connections;
use common::app::runs::forecast::forecast_of;
use common::app::runs::plan::Planner;
use common::aws::queue::{Queue, Queued};
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::Clock;
use common::domain::connection::{Connection, ConnectionStatus};
use common::domain::failure::FailureCode;
use common::domain::forecast::{Basis, Forecast};
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::{Run, RunStatus};
use common::huntress::edr::EdrCredential;
use common::huntress::sat::SatCredential;
use common::store::{EvidenceOwner, Store};
use serde_json::Value;
use simulator::{
    API_KEY, API_SECRET, Account, AccountSpec, Fault, FaultKind, List, Request, SAT_CLIENT_ID, SAT_CLIENT_SECRET,
    SatSpec, Shape, Simulator, SimulatorBuilder,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// A connection whose runs are done by a new process for every message.
pub struct World {
    pub clock: SteppingClock,
    pub store: Store,
    credentials: Arc<Credentials>,
    simulator: Simulator,
    pub queue: Arc<Queue>,
    messages: UnboundedReceiver<Queued>,
    product: Product,
    deliveries: usize,
    pub engine: Engine,
    folder: TempDir,
}

/// One delivery of the run's message.
pub struct Part {
    pub processed: Processed,
    waited: TimeDelta,
}

pub fn ids() -> (CompanyId, ConnectionId, ClientId) {
    (CompanyId::parse("acme").unwrap(), ConnectionId::parse("main").unwrap(), ClientId::parse("client").unwrap())
}

pub fn start() -> DateTime<Utc> {
    acceptance::edr::as_of()
}

impl World {
    pub async fn of(product: Product, builder: SimulatorBuilder) -> Self {
        let clock = SteppingClock::at(start());
        let folder = TempDir::new().unwrap();
        let engine = Engine::memory().await;
        let store = engine.store().await;
        let credentials = Arc::new(Credentials::Sealed(SealedFiles::open(folder.path()).unwrap()));
        let simulator = builder.clock(clock.for_simulator()).start().await.unwrap();
        let (sender, messages) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::InProcess(sender));
        let deliveries = 0;
        let world = Self { clock, store, credentials, simulator, queue, messages, product, deliveries, engine, folder };
        world.connect(&ids().1).await;
        world
    }

    async fn connect(&self, id: &ConnectionId) {
        let (company, _, client) = ids();
        let product = self.product;
        let credential = match product {
            Product::Edr => Credential::Edr(EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() }),
            Product::Sat => Credential::Sat(SatCredential {
                client_id: SAT_CLIENT_ID.into(),
                client_secret: SAT_CLIENT_SECRET.into(),
            }),
        };
        self.credentials.put(Binding { company: &company, connection: id, product }, &credential).await.unwrap();
        let connection = Connection::new(company, id.clone(), product, Mapping::OneClient { client }, start());
        self.store.add_connection(&connection).await.unwrap();
    }

    fn worker(&self) -> Worker {
        Worker {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: huntress_at(&self.simulator, &self.clock),
            limiters: Arc::default(),
            queue: Arc::clone(&self.queue),
            keyring: acceptance::people::keyring(&self.folder.path().join("people")),
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        }
    }

    async fn ask(&self) -> RunId {
        self.ask_for(&ids().1).await
    }

    async fn ask_for(&self, id: &ConnectionId) -> RunId {
        let clock = Arc::new(self.clock.clone());
        let planner = Planner {
            store: self.store.clone(),
            queue: Arc::clone(&self.queue),
            clock,
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            cool_down: chrono::TimeDelta::zero(),
        };
        planner.sync_now(&ids().0, id, None).await.unwrap().run.id
    }

    /// Delivers the next message when it is due, to a new process that has this long.
    pub async fn deliver(&mut self, time: TimeDelta) -> Option<Part> {
        let Queued { message, delay, .. } = self.messages.try_recv().ok()?;
        self.deliveries += 1;
        assert!(self.deliveries < 1_000, "the run goes on without an end");
        self.clock.sleep_until(self.clock.now() + delay).await;
        let began = self.clock.now();
        let owner = format!("request-{}", fastrand());
        let processed = self.worker().process(&message, &owner, began + time, Arc::default()).await.unwrap();
        Some(Part { processed, waited: self.clock.now() - began })
    }

    /// A run to its end.
    pub async fn sync(&mut self) -> (Run, Vec<Part>) {
        let id = self.ask().await;
        let mut parts = Vec::new();
        while let Some(part) = self.deliver(TimeDelta::minutes(14)).await {
            parts.push(part);
        }
        (self.run(&id).await, parts)
    }

    pub async fn run(&self, id: &RunId) -> Run {
        let (company, connection, _) = ids();
        self.store.run(&company, &connection, id).await.unwrap().unwrap()
    }

    /// The evidence, but for what a run in parts may differ in.
    pub async fn evidence(&self) -> Value {
        let (company, _, client) = ids();
        let latest = self.store.latest(&company, &EvidenceOwner::Client(client)).await.unwrap();
        let [evidence] = latest.as_slice() else { panic!("{} bundles", latest.len()) };
        assert_eq!(evidence.product, self.product);
        let mut bundle: Value = serde_json::from_str(&evidence.body).unwrap();
        let metadata = bundle.pointer_mut("/metadata").unwrap().as_object_mut().unwrap();
        for differs in ["run_id", "api_calls_made", "collection_duration_ms", "rate_limit_warning"] {
            metadata.remove(differs);
        }
        for list in metadata["completeness"].as_array_mut().unwrap() {
            // The other run may have larger pages.
            for differs in ["first_observed_at", "last_observed_at", "pages"] {
                list.as_object_mut().unwrap().remove(differs).unwrap();
            }
        }
        bundle
    }

    /// How often each page was asked for, those for tokens apart.
    pub fn pages(&self) -> BTreeMap<String, usize> {
        let mut pages = BTreeMap::new();
        for request in self.simulator.requests() {
            assert_eq!(request.status, Some(200), "{}", request.path);
            if request.list != Some(List::Token) {
                *pages.entry(page(&request)).or_default() += 1;
            }
        }
        pages
    }
}

fn page(request: &Request) -> String {
    let parameter = |name| request.parameter(name).unwrap_or_default().to_owned();
    format!("{} {} {}", request.path, parameter("page_token"), parameter("page[number]"))
}

fn fastrand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

pub fn training(assignments: u64) -> SimulatorBuilder {
    let spec =
        SatSpec { seed: 5, learners: 40, assignments, campaigns: 12, activity_per_assignment: 3, as_of: start() };
    Simulator::sat_only(spec.generate())
}

fn account() -> Account {
    let (organizations, agents, incidents) = (9, 700, 90);
    AccountSpec { seed: 9, shape: Shape::Vendor, organizations, agents, incidents, as_of: start() }.generate()
}

/// Small pages, so that a small account has many: 70 of agents, 9 of incidents, 1 of organizations.
pub fn endpoints() -> SimulatorBuilder {
    Simulator::builder(account()).max_page(10)
}

#[tokio::test]
async fn five_thousand_assignments_are_read_in_the_hours_that_the_limit_takes_and_each_page_once() {
    let mut free = World::of(Product::Sat, training(5_000).sat_rate_limit(None, None)).await;
    // Nobody else asks, so a limiter of our own is all that the free one lacks: its process waits in simulated time.
    let (run, _) = free.sync().await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.failure);

    let mut limited = World::of(Product::Sat, training(5_000)).await;
    let (run, parts) = limited.sync().await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.failure);
    assert_eq!(limited.evidence().await, free.evidence().await);
    let pages = limited.pages();
    assert_eq!(pages, free.pages());
    assert!(pages.values().all(|times| *times == 1));
    assert!(parts.iter().all(|part| part.waited < TimeDelta::seconds(10)));

    let requests = i64::try_from(pages.len()).unwrap();
    assert!(requests > 3_000, "{requests}");
    let hours = (requests + 1_499) / 1_500;
    assert!(limited.clock.passed() * 100 <= TimeDelta::hours(hours) * 102, "{requests}: {}", limited.clock.passed());
    let tokens = limited.simulator.requests().iter().filter(|it| it.list == Some(List::Token)).count();
    assert_eq!(run.api_calls, (pages.len() + tokens) as u64);
    assert_eq!(tokens, parts.len());
}

#[tokio::test]
async fn endpoint_lists_go_on_at_their_tokens() {
    let mut limited = World::of(Product::Edr, endpoints()).await;
    let (run, parts) = limited.sync().await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.failure);
    assert!(parts.len() > 1);
    let pages = limited.pages();
    assert_eq!((pages.len(), run.api_calls), (80, 80));
    assert!(pages.values().all(|times| *times == 1));

    let mut whole = World::of(Product::Edr, Simulator::builder(account()).rate_limit(None)).await;
    let (_, parts) = whole.sync().await;
    assert_eq!(parts.len(), 1);
    assert_eq!(limited.evidence().await, whole.evidence().await);
}

#[tokio::test]
async fn a_run_that_cannot_be_sent_again_keeps_the_message_that_it_has() {
    let mut world = World::of(Product::Edr, endpoints()).await;
    let id = world.ask().await;
    let Queued { message, .. } = world.messages.try_recv().unwrap();
    let (nowhere, _) = mpsc::unbounded_channel();
    let worker = Worker { queue: Arc::new(Queue::InProcess(nowhere)), ..world.worker() };
    let deadline = world.clock.now() + TimeDelta::minutes(14);
    let refused = worker.process(&message, "request-1", deadline, Arc::default()).await;
    assert!(matches!(refused, Err(WorkError::Queue(_))), "{refused:?}");
    assert_eq!(world.run(&id).await.status, RunStatus::Waiting);
    // It comes again, while the run may not go on yet, and is sent for when it may.
    let again = world.worker().process(&message, "request-2", deadline, Arc::default()).await.unwrap();
    assert!(matches!(again, Processed::Waiting { .. }), "{again:?}");
    while let Some(part) = world.deliver(TimeDelta::minutes(14)).await {
        assert!(matches!(part.processed, Processed::Waiting { .. } | Processed::Succeeded { .. }));
    }
    assert_eq!(world.run(&id).await.status, RunStatus::Succeeded);
    assert!(world.pages().values().all(|times| *times == 1));
}

/// What was told before a run against what it then did.
async fn foretold(world: &mut World) -> (Forecast, Run, Vec<Part>) {
    world.sync().await;
    let (company, id, _) = ids();
    if world.product == Product::Sat {
        // What a first run sent, before it knew the account, is under the connection's name.
        world.clock.sleep_until(world.clock.now() + TimeDelta::hours(2)).await;
    }
    // Another process than those that worked knows what they left word of.
    let forecast = forecast_of(&world.store, &RateLimiters::default(), &company, &id, world.clock.now()).await;
    let before = world.clock.now();
    let asked = world.simulator.requests().len();
    let (run, parts) = world.sync().await;
    assert_eq!(run.status, RunStatus::Succeeded, "{:?}", run.failure);
    assert_eq!(run.api_calls as usize, world.simulator.requests().len() - asked);
    let forecast = forecast.unwrap().unwrap();
    let took = (world.clock.now() - before).num_seconds();
    let limits = i64::try_from(forecast.limits_seconds).unwrap();
    // Word of what others sent is to the second.
    let tolerated = 1 + 2 * i64::try_from(forecast.parts).unwrap();
    assert!((took - limits).abs() <= tolerated, "{took} s, foretold {limits}, in {} parts", forecast.parts);
    (forecast, run, parts)
}

#[tokio::test]
async fn the_next_run_of_an_account_that_stays_as_it_was_is_foretold_exactly() {
    let mut world = World::of(Product::Edr, endpoints()).await;
    let (company, id, _) = ids();
    let nothing = forecast_of(&world.store, &RateLimiters::default(), &company, &id, start()).await.unwrap();
    assert_eq!(nothing, None, "no run has succeeded");
    assert_eq!(world.simulator.requests(), []);
    // Pages of the server's own size; the second run begins while the first is in the window.
    let (forecast, run, parts) = foretold(&mut world).await;
    assert_eq!((forecast.requests, forecast.parts), (run.api_calls, parts.len() as u64));
    assert_eq!((forecast.requests, forecast.basis), (80, Basis::Pages));
    assert!(forecast.parts > 1);

    for assignments in [30, 900] {
        let mut world = World::of(Product::Sat, training(assignments)).await;
        let (forecast, run, parts) = foretold(&mut world).await;
        assert_eq!((forecast.requests, forecast.parts), (run.api_calls, parts.len() as u64), "{assignments}");
    }
}

#[tokio::test]
async fn a_run_that_waits_says_so_and_is_neither_begun_twice_nor_early() {
    let mut world = World::of(Product::Edr, endpoints()).await;
    let id = world.ask().await;
    let part = world.deliver(TimeDelta::minutes(14)).await.unwrap();
    let Processed::Waiting { until } = part.processed else { panic!("{:?}", part.processed) };
    let run = world.run(&id).await;
    assert_eq!((run.status, run.waiting_until), (RunStatus::Waiting, Some(until)));
    assert!(until > world.clock.now() && run.api_calls == 60, "{run:?}");

    // Who asks for a run joins it; a message that arrives early is sent again, and no request is made.
    assert_eq!(world.ask().await, id);
    let Queued { message, .. } = world.messages.try_recv().unwrap();
    let early = world.worker().process(&message, "other", until, Arc::default()).await.unwrap();
    assert_eq!(early, Processed::Waiting { until });
    assert_eq!(world.simulator.requests().len(), 60);
    let again = world.messages.try_recv().unwrap();
    assert_eq!(world.clock.now() + again.delay, until);
}

#[tokio::test]
async fn a_token_that_is_not_accepted_any_more_begins_its_list_anew_within_the_run() {
    let stale =
        Fault { list: Some(List::Agents), from_request: 51, times: 1, kind: FaultKind::Status(422), path: None };
    let mut world = World::of(Product::Edr, endpoints()).await;
    let mut broken = World::of(Product::Edr, endpoints().faults(vec![stale])).await;
    world.sync().await;
    let id = broken.ask().await;
    broken.deliver(TimeDelta::minutes(14)).await.unwrap();
    let before = broken.simulator.requests().iter().filter(|it| it.list == Some(List::Agents)).count();
    assert_eq!(before, 50, "the fault has to hit the first request of a later part");
    while broken.deliver(TimeDelta::minutes(14)).await.is_some() {}
    let run = broken.run(&id).await;
    let refused = broken.simulator.requests().iter().filter(|it| it.status == Some(422)).count();
    assert_eq!((run.status, refused), (RunStatus::Succeeded, 1), "{:?}", run.failure);
    // The list begins anew; of the others no page is asked for twice.
    assert!(run.api_calls > 80, "{}", run.api_calls);
    let requests = broken.simulator.requests();
    let firsts = requests.iter().filter(|it| it.list == Some(List::Agents) && it.parameter("page_token").is_none());
    assert_eq!(firsts.count(), 2);
    let others = requests.iter().filter(|it| it.list != Some(List::Agents)).map(page);
    assert_eq!(others.clone().collect::<BTreeSet<_>>().len(), others.count());
    let (one, other) = (broken.evidence().await, world.evidence().await);
    for part in ["/metrics", "/extended_metrics", "/metadata/data_quality", "/metadata/records_read"] {
        assert_eq!(one.pointer(part), other.pointer(part), "{part}");
    }
}

#[tokio::test]
async fn two_keys_of_one_account_know_what_the_other_has_sent() {
    let mut world = World::of(Product::Edr, endpoints()).await;
    let (company, first, _) = ids();
    let second = ConnectionId::parse("second").unwrap();
    world.connect(&second).await;
    for id in [&first, &second] {
        let Worker { store, credentials, huntress, limiters, .. } = world.worker();
        assert!(
            Connections {
                store,
                credentials,
                huntress,
                limiters,
                schedule: Default::default(),
                oauth: common::app::connections::OauthSettings::none(),
            }
            .test(&company, id)
            .await
            .unwrap()
            .passed
        );
        let account = world.store.connection(&company, id).await.unwrap().unwrap().account_id;
        assert_eq!(account.unwrap().as_str(), "5121");
    }
    world.clock.sleep_until(start() + TimeDelta::minutes(2)).await;
    let before = world.simulator.requests().len();
    for (id, sent) in [(&first, 60), (&second, 60)] {
        world.ask_for(id).await;
        let message = world.messages.try_recv().unwrap().message;
        let deadline = world.clock.now() + TimeDelta::minutes(14);
        let part = world.worker().process(&message, id.as_str(), deadline, Arc::default()).await.unwrap();
        assert!(matches!(part, Processed::Waiting { .. }), "{part:?}");
        assert_eq!(world.simulator.requests().len() - before, sent, "{id}");
    }
    while world.deliver(TimeDelta::minutes(14)).await.is_some() {}
    assert!(world.simulator.requests().iter().all(|it| it.status == Some(200)));
    for id in [&first, &second] {
        let status = world.store.connection(&company, id).await.unwrap().unwrap().status;
        assert_eq!(status, ConnectionStatus::Ok, "{id}");
    }
}

#[tokio::test]
async fn a_deadline_in_the_middle_is_a_pause() {
    let mut world = World::of(Product::Sat, training(30)).await;
    let id = world.ask().await;
    // No time at all: nothing is asked, and nothing is lost.
    for _ in 0..3 {
        let part = world.deliver(TimeDelta::zero()).await.unwrap();
        assert!(matches!(part.processed, Processed::Waiting { .. }), "{:?}", part.processed);
    }
    while world.deliver(TimeDelta::minutes(14)).await.is_some() {}
    assert_eq!(world.run(&id).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_run_that_gets_no_page_in_several_parts_fails_and_says_why() {
    let always = Fault::always(Some(List::Agents), FaultKind::Status(429));
    let mut world = World::of(Product::Edr, endpoints().faults(vec![always])).await;
    let (run, parts) = world.sync().await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.failure.unwrap().code, FailureCode::RateLimited);
    assert!((2..=20).contains(&parts.len()), "{}", parts.len());
    let (company, id, _) = ids();
    assert_eq!(world.store.connection(&company, &id).await.unwrap().unwrap().status, ConnectionStatus::Error);
}

//! A console over a store with a week of evidence of two clients, at an address of its own, and browsers that ask it.

use acceptance::clock::SteppingClock;
use acceptance::edr::{Scene, as_of};
use acceptance::engine::{Counted, Engine};
use acceptance::people::Workforce;
use chrono::{DateTime, TimeDelta, Utc};
use common::api::{Caller, Role};
use common::app::assignments::Choice;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Processed;
use common::app::log::LogSigner;
use common::app::packs::{PackDispatch, PackMaker, PackService, Shelf};
use common::app::people::PrivacyChange;
use common::app::stack::{Parts, Stack};
use common::aws::documents::Documents;
use common::aws::queue::Queue;
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::Clock;
use common::console::{Console, KnownToken, Sessions, SignIn, Site, Tokens};
use common::domain::audit::Actor;
use common::domain::connection::Connection;
use common::domain::decisions::Decider;
use common::domain::edr::bundle::split;
use common::domain::evidence::EdrBundle;
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::mapping::Mapping;
use common::domain::people::person::PrivacyMode;
use common::domain::policy::{ClientPolicies, InForce, baseline, training};
use common::domain::product::Product;
use common::domain::run::{RecordCounts, Trigger};
use common::domain::sat::id::SatId;
use common::domain::time::{Window, parse};
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use common::store::{
    EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunFailure, RunRequest, RunSuccess, Store, StoreError,
};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use simulator::{Account, AccountSpec, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount, Shape, Simulator};
use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};

pub const CLIENT: &str = "client-a";
pub const OTHER: &str = "client-b";

pub fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

pub fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

/// 07:05 in New York on the first day.
pub fn first() -> DateTime<Utc> {
    parse("2026-03-16T11:05:00Z").unwrap()
}

/// Each role has a token of its name; an auditor sees one client and five days, `nothing` nothing, and `of-client-b` another client.
#[derive(Clone, Default)]
pub struct RoleTokens(Arc<std::sync::Mutex<std::collections::BTreeSet<String>>>);

impl RoleTokens {
    /// From now on it is good for nothing.
    pub fn revoke(&self, token: &str) {
        self.0.lock().unwrap().insert(token.to_owned());
    }
}

pub fn caller(token: &str) -> Option<Caller> {
    let of = |role| Caller::with_role(company(), token, role);
    let window = Window { start: first() - TimeDelta::minutes(7 * 60 + 5), end: first() + TimeDelta::days(4) };
    Some(match token {
        "auditor" => Caller { clients: Some([client(CLIENT)].into()), window: Some(window), ..of(Role::Auditor) },
        "of-client-b" => Caller { clients: Some([client(OTHER)].into()), ..of(Role::Admin) },
        "two-companies" => {
            Caller { companies: [company(), CompanyId::parse("msp-other").unwrap()].into(), ..of(Role::Admin) }
        }
        "nothing" => Caller { scopes: Default::default(), ..of(Role::Admin) },
        role => of(Role::parse(role)?),
    })
}

impl Tokens for RoleTokens {
    fn caller<'a>(
        &'a self,
        token: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<KnownToken, StoreError>> + Send + 'a>> {
        let is_revoked = self.0.lock().unwrap().contains(token);
        Box::pin(ready(Ok(caller(token).filter(|_| !is_revoked).map(|caller| (caller, None)))))
    }
}

pub struct World {
    pub store: Store,
    pub clock: SteppingClock,
    pub console: Arc<Console>,
    pub tokens: RoleTokens,
    pub origin: String,
    /// What was asked of the table.
    pub counted: Counted,
    pub bundles: Vec<EdrBundle>,
    /// What Huntress knows of endpoints.
    pub account: Account,
    parts: Parts,
    maker: Arc<PackMaker>,
    shelf: Arc<Shelf>,
    simulator: Simulator,
    messages: UnboundedReceiver<common::aws::queue::Queued>,
    _engine: Engine,
    _folder: TempDir,
}

impl World {
    /// A training connection of one client whose four people are followed, with their names, after a sync.
    pub async fn followed() -> Self {
        let mut world = Self::empty().await;
        world.simulator.set_sat(Workforce::four_people().account());
        let (company, id) = (company(), ConnectionId::parse("sat").unwrap());
        let one = Mapping::OneClient { client: client(CLIENT) };
        let new = Connection::new(company.clone(), id.clone(), Product::Sat, one, first() - TimeDelta::days(1));
        world.store.add_connection(&new).await.unwrap();
        let credential = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
        let binding = Binding { company: &company, connection: &id, product: Product::Sat };
        world.parts.credentials.put(binding, &Credential::Sat(credential)).await.unwrap();
        let (actor, ids) = (Actor::cli("somebody"), ["A", "B"].map(|id| SatId::parse(id).unwrap()));
        let choice = Choice { selected: Some(ids.into_iter().collect()), ..Choice::default() };
        world.console.connections.connections.select_assignments(&company, &id, choice, None, &actor).await.unwrap();
        world
            .console
            .connections
            .people
            .set_mode(&company, &id, PrivacyChange::to(PrivacyMode::Full), &actor)
            .await
            .unwrap();
        world.sync("sat").await;
        world
    }

    /// A run of a connection, to its end.
    pub async fn sync(&mut self, id: &str) {
        let id = ConnectionId::parse(id).unwrap();
        self.console.connections.planner.sync_now(&company(), &id, None).await.unwrap();
        let message = self.messages.try_recv().unwrap().message;
        let Ok(worker) = self.parts.worker();
        let deadline = self.clock.now() + TimeDelta::minutes(10);
        let processed = worker.process(&message, "worker", deadline, Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Succeeded { .. }), "{processed:?}");
    }

    /// Seven days: evidence of both products but on the third, which failed. Now is two hours after the last run.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        world.connect().await;
        for day in 0..7 {
            if day == 2 {
                world.fail(day).await;
            } else {
                world.succeed(day).await;
            }
            world.succeed_training(day).await;
        }
        world.clock.move_to(first() + TimeDelta::days(6) + TimeDelta::hours(2));
        drop(world.counted.take());
        world
    }

    /// Two days of an account all of whose names want to be run, or to turn or fill the page that shows them.
    pub async fn hostile() -> Self {
        let spec =
            AccountSpec { seed: 1, shape: Shape::Vendor, organizations: 12, agents: 60, incidents: 9, as_of: as_of() };
        let world = Self::of(spec.generate().with_hostile_names()).await;
        world.simulator.set_sat(SatAccount::demo(as_of()).with_hostile_names());
        world.connect().await;
        for day in 0..2 {
            world.succeed(day).await;
            world.succeed_training(day).await;
        }
        world.clock.move_to(first() + TimeDelta::days(1) + TimeDelta::hours(2));
        world
    }

    /// Without any connection.
    pub async fn empty() -> Self {
        Self::of(Account::worked_example(as_of())).await
    }

    async fn of(account: Account) -> Self {
        let engine = Engine::memory().await;
        drop(engine.store().await);
        let (counting, counted) = engine.client_counting();
        let store = Store::new(counting, acceptance::engine::TABLE);
        let clock = SteppingClock::at(first());
        let folder = TempDir::new().unwrap();
        let simulator = Simulator::builder(account.clone()).rate_limit(None).start().await.unwrap();
        let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let clock_of_parts = Arc::new(clock.clone());
        let (sender, messages) = mpsc::unbounded_channel();
        let parts = Parts {
            oauth: common::app::connections::OauthSettings::none(),
            store: store.clone(),
            credentials: Arc::new(Credentials::Sealed(SealedFiles::open(folder.path()).unwrap())),
            huntress: Huntress {
                http: http_client(Timeouts::default()).unwrap(),
                clock: clock_of_parts.clone(),
                origins,
            },
            keyring: acceptance::people::keyring(&folder.path().join("people")),
            queue: Arc::new(Queue::InProcess(sender)),
            limiters: Arc::default(),
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
        };
        let signer = Arc::new(LogSigner::of_file(&folder.path().join("log.key")).unwrap());
        let Ok(reader) = parts.pack_reader();
        let maker = Arc::new(PackMaker { reader, signer });
        let shelf = Shelf { documents: Documents::Folder(folder.path().join("packs")), prefix: "" };
        let shelf = Arc::new(shelf);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let site = Site::of_machine(listener.local_addr().unwrap(), None).unwrap();
        let origin = site.origin().to_owned();
        let sessions = Sessions::new(clock_of_parts);
        let tokens = RoleTokens::default();
        let sign_in = SignIn::Machine { sessions, tokens: Arc::new(tokens.clone()) };
        let Ok(console) = Console::new(&parts, packs(&maker, &shelf), sign_in, site);
        let console = Arc::new(console);
        tokio::spawn(axum::serve(listener, console.router()).into_future());
        let of = account.clone();
        let outcome = tokio::task::spawn_blocking(|| Scene::of(of).collect_blocking());
        let outcome = outcome.await.unwrap();
        let (tally, collection) = outcome.result.as_ref().unwrap();
        let chosen = [(client(CLIENT), InForce::after([baseline()]))];
        let bundles = split(tally, collection, &company(), &mapping(&account), &ClientPolicies::new(chosen.into()));
        Self {
            store,
            clock,
            console,
            tokens,
            origin,
            counted,
            bundles,
            account,
            parts,
            maker,
            shelf,
            simulator,
            messages,
            _engine: engine,
            _folder: folder,
        }
    }

    /// Every day of so many that end now, with evidence of both products.
    pub async fn of_days(days: i64) -> Self {
        let world = Self::empty().await;
        world.connect().await;
        for day in 0..days {
            world.succeed(day).await;
            world.succeed_training(day).await;
        }
        world.clock.move_to(first() + TimeDelta::days(days - 1) + TimeDelta::hours(2));
        drop(world.counted.take());
        world
    }

    /// One more endpoint connection, of so many clients, and a run of it on a day.
    pub async fn connect_many(&self, clients: usize, day: i64) {
        let id = |number: usize| client(&format!("client-{number:04}-name"));
        let mapped = (0..clients).map(|number| (number.to_string(), id(number)));
        let mapping = Mapping::ByOrganization { clients: mapped.collect(), ignored: [].into() };
        let connection = ConnectionId::parse("many").unwrap();
        let created = first() + TimeDelta::days(day);
        let new = Connection::new(company(), connection, Product::Edr, mapping, created);
        self.store.add_connection(&new).await.unwrap();
        let lease = self.leased("many", run_of(day, 3), day).await;
        let record = |number: usize| {
            let mut bundle = self.bundles[number % self.bundles.len()].clone();
            bundle.tenant.company_id = Some(company());
            bundle.tenant.client_id = Some(id(number));
            bundle.metadata.as_of = lease.as_of();
            bundle.metadata.run_id = Some(run_of(day, 3));
            let body = serde_json::to_string(&bundle).unwrap();
            EvidenceRecord { owner: EvidenceOwner::Client(id(number)), product: Product::Edr, body }
        };
        let mut own = self.bundles.iter().find(|bundle| bundle.tenant.client_id.is_none()).unwrap().clone();
        own.tenant.company_id = Some(company());
        own.metadata.as_of = lease.as_of();
        own.metadata.run_id = Some(run_of(day, 3));
        let body = serde_json::to_string(&own).unwrap();
        let own = EvidenceRecord { owner: EvidenceOwner::Company, product: Product::Edr, body };
        self.store.commit(&lease, ended(&lease), (0..clients).map(record).chain([own]).collect()).await.unwrap();
    }

    /// Another console over the same stack.
    pub fn console_with(&self, sign_in: SignIn, site: Site) -> Arc<Console> {
        let Ok(console) = Console::new(&self.parts, packs(&self.maker, &self.shelf), sign_in, site);
        Arc::new(console)
    }

    async fn connect(&self) {
        let created = first() - TimeDelta::days(1);
        let new = Connection::new(
            company(),
            ConnectionId::parse("edr").unwrap(),
            Product::Edr,
            mapping(&self.account),
            created,
        );
        self.store.add_connection(&new).await.unwrap();
        let one = Mapping::OneClient { client: client(CLIENT) };
        let new = Connection::new(company(), ConnectionId::parse("sat").unwrap(), Product::Sat, one, created);
        self.store.add_connection(&new).await.unwrap();
        let by = Decider { name: "somebody".to_owned(), on_this_machine: false };
        self.console.evidence.decisions.choose(&company(), &client(CLIENT), baseline(), &by).await.unwrap();
    }

    async fn leased(&self, connection: &str, run_id: RunId, day: i64) -> Lease {
        let now = first() + TimeDelta::days(day);
        let connection = ConnectionId::parse(connection).unwrap();
        let request = RunRequest {
            company: company(),
            connection: connection.clone(),
            run_id: run_id.clone(),
            trigger: Trigger::Schedule,
            request_key: None,
            next_run_at: None,
            not_before: None,
            now,
        };
        assert!(self.store.request_run(request).await.unwrap().new);
        match self.store.take(&company(), &connection, &run_id, "worker", now, TimeDelta::minutes(15)).await.unwrap() {
            LeaseOutcome::Acquired { lease, .. } => lease,
            other => panic!("{other:?}"),
        }
    }

    pub async fn succeed(&self, day: i64) {
        let lease = self.leased("edr", run(day), day).await;
        let record = |bundle: &EdrBundle| {
            let mut bundle = bundle.clone();
            bundle.tenant.company_id = Some(company());
            bundle.metadata.as_of = lease.as_of();
            bundle.metadata.run_id = Some(run(day));
            let owner = bundle.tenant.client_id.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
            EvidenceRecord { owner, product: Product::Edr, body: serde_json::to_string(&bundle).unwrap() }
        };
        let evidence = self.bundles.iter().map(record).collect();
        self.store.commit(&lease, ended(&lease), evidence).await.unwrap();
    }

    pub async fn succeed_training(&self, day: i64) {
        let id = training_run(day);
        let lease = self.leased("sat", id.clone(), day).await;
        let mut bundle: serde_json::Value =
            serde_json::from_str(include_str!("../samples/bundles/sat-v2.json")).unwrap();
        bundle["tenant"] = serde_json::json!({"company_id": company(), "client_id": CLIENT});
        bundle["metadata"]["as_of"] = serde_json::to_value(lease.as_of()).unwrap();
        bundle["metadata"]["run_id"] = id.as_str().into();
        let owner = EvidenceOwner::Client(client(CLIENT));
        let record = EvidenceRecord { owner, product: Product::Sat, body: bundle.to_string() };
        self.store.commit(&lease, ended(&lease), vec![record]).await.unwrap();
    }

    pub async fn fail(&self, day: i64) {
        let lease = self.leased("edr", run(day), day).await;
        let failed = RunFailure {
            finished_at: lease.as_of() + TimeDelta::seconds(3),
            failure: Failure::new(FailureCode::Unavailable, "Huntress said <b>no</b>").at("GET /v1/agents"),
            api_calls: 2,
            records: RecordCounts::default(),
            next_run_at: None,
        };
        self.store.fail(&lease, failed).await.unwrap();
    }

    /// A browser without a session.
    pub fn stranger(&self) -> Browser {
        Browser { origin: self.origin.clone(), cookie: None, form_token: String::new() }
    }

    /// A browser of a caller whom no token names, signed in by a link.
    pub async fn browser_of(&self, caller: Caller) -> Browser {
        let link = self.console.login_link(caller).unwrap();
        let mut browser = self.stranger();
        browser.cookie = browser.get(link.strip_prefix(&self.origin).unwrap()).await.cookie;
        browser.remember_form_token().await;
        browser
    }

    /// A browser that has signed in with a token.
    pub async fn browser(&self, token: &str) -> Browser {
        let mut browser = self.stranger();
        let page = browser.send(Method::POST, "/login", &[], Some(&[("token", token), ("to", "/settings")])).await;
        assert_eq!((page.status, page.location.as_deref()), (StatusCode::SEE_OTHER, Some("/settings")), "{page:?}");
        browser.cookie = page.cookie;
        browser.remember_form_token().await;
        browser
    }
}

fn packs(maker: &Arc<PackMaker>, shelf: &Arc<Shelf>) -> PackService {
    let dispatch = PackDispatch::Here(Arc::clone(maker));
    PackService { reader: maker.reader.clone(), dispatch, shelf: Arc::clone(shelf) }
}

fn mapping(account: &Account) -> Mapping {
    let organizations: Vec<String> =
        account.records(List::Organizations).map(|organization| organization["id"].to_string()).collect();
    let clients = [(organizations[0].clone(), client(CLIENT)), (organizations[1].clone(), client(OTHER))];
    Mapping::ByOrganization { clients: clients.into(), ignored: [].into() }
}

fn ended(lease: &Lease) -> RunSuccess {
    RunSuccess {
        finished_at: lease.as_of() + TimeDelta::seconds(3),
        api_calls: 6,
        records: RecordCounts::default(),
        pages: RecordCounts::default(),
        next_run_at: None,
        basis: EvaluationBasis::new(vec![training().hash(), baseline().hash()]),
    }
}

/// The run of a day. Ids begin with their time, by which runs are found.
pub fn run(day: i64) -> RunId {
    run_of(day, 1)
}

/// The same of training.
pub fn training_run(day: i64) -> RunId {
    run_of(day, 2)
}

fn run_of(day: i64, number: u8) -> RunId {
    let at = format!("{:012x}", (first() + TimeDelta::days(day)).timestamp_millis());
    RunId::parse(format!("{}-{}-7000-8000-{number:012x}", &at[..8], &at[8..])).unwrap()
}

/// A browser, as far as the console sees one.
pub struct Browser {
    pub origin: String,
    pub cookie: Option<String>,
    pub form_token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub location: Option<String>,
    pub cookie: Option<String>,
    pub body: String,
}

impl Page {
    /// Whether it is a page that holds this text.
    #[track_caller]
    pub fn has(&self, text: &str) -> &Self {
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
        self
    }

    #[track_caller]
    pub fn has_not(&self, text: &str) -> &Self {
        assert!(!self.body.contains(text), "{text:?} in {}", self.body);
        self
    }
}

impl Browser {
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Page {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut request = client.request(method.clone(), format!("{}{path}", self.origin));
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        if method == Method::POST && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("origin")) {
            request = request.header(ORIGIN, &self.origin);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let answer = request.send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, cookie) = (header(LOCATION), header(SET_COOKIE));
        let cookie = cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned());
        let (status, headers) = (answer.status(), answer.headers().clone());
        Page { status, headers, location, cookie, body: answer.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, &[], None).await
    }

    /// A page that must be there.
    #[track_caller]
    pub fn open<'a>(&'a self, path: &'a str) -> impl Future<Output = Page> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let page = self.get(path).await;
            assert_eq!(page.status, StatusCode::OK, "{path} at {caller}: {}", page.body);
            page
        }
    }

    /// Sends a form of a page of this session.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let form = [&[("form_token", self.form_token.as_str())], form].concat();
        self.send(Method::POST, path, &[], Some(&form)).await
    }

    /// The bytes of a file.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{}{path}", self.origin)).header(COOKIE, self.cookie.as_deref().unwrap());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.bytes().await.unwrap().to_vec()
    }

    async fn remember_form_token(&mut self) {
        // Any page of a session has it, a refusal too.
        let page = self.get("/settings").await;
        let token = page.body.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        self.form_token = token.unwrap_or_else(|| panic!("no form in {}", page.body)).to_owned();
    }
}

/// Counts of requests that read.
pub fn reads(counts: &BTreeMap<String, u64>) -> u64 {
    ["GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"].iter().filter_map(|it| counts.get(*it)).sum()
}

//! The handlers of the four Lambda functions with their sample events, and the two AWS services behind them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod access;
mod answers;
mod audit;
mod connections;
mod console;
mod credentials;
mod decisions;
mod dispatcher;
mod events;
mod evidence;
mod keyring;
mod known_clients;
mod lists;
mod onboarding;
mod one_transaction;
mod openapi;
mod packs;
mod passing;
mod people;
mod permissions;
mod portfolio;
mod reads;
mod redirect;
mod redrive;
mod refused;
mod scheduler;
mod services;
mod signing;
mod stalled;
mod table;
mod telemetry;

use axum::Router;
use axum::body::{Body, to_bytes};
use chrono::{DateTime, TimeDelta, Utc};
use common::api::{Claims, host, lambda_caller, routes};
use common::app::collection::batch::Batch;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Worker;
use common::app::connections::{Connections, OauthSettings};
use common::app::people::PeopleService;
use common::app::runs::plan::Planner;
use common::app::stack::{Parts, Stack};
use common::aws::queue::{Queue, Queued, RunMessage};
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::Clock;
use common::domain::connection::Connection;
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::Trigger;
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::{RunRequest, Store};
use huntress_evidence::engine::Engine;
use lambda_http::request::LambdaRequest;
use serde_json::Value;
use simulator::{API_KEY, API_SECRET, Account, Simulator};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tower::ServiceExt;

/// It stands still.
struct Stopped(DateTime<Utc>);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn sleep_until(&self, _: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// 07:00 in New York: the time of the sample events.
fn tick() -> DateTime<Utc> {
    common::domain::time::parse("2026-03-22T11:00:00Z").unwrap()
}

fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

fn connection(id: &str) -> ConnectionId {
    ConnectionId::parse(id).unwrap()
}

/// What the functions have around them, with a simulated account.
struct World {
    store: Store,
    credentials: Arc<Credentials>,
    huntress: Huntress,
    simulator: Simulator,
    queue: Arc<Queue>,
    messages: UnboundedReceiver<Queued>,
    oauth: Arc<OauthSettings>,
    _engine: Engine,
    folder: TempDir,
}

impl World {
    /// With the company's connections of these ids, all due at the tick.
    async fn with(connections: &[&str]) -> Self {
        let engine = Engine::memory().await.unwrap();
        let store = Store::new(engine.client(), "evidence");
        store.create_table().await.unwrap();
        let folder = TempDir::new().unwrap();
        let credentials = Arc::new(Credentials::Sealed(SealedFiles::open(folder.path()).unwrap()));
        let simulator = Simulator::builder(Account::worked_example(tick())).rate_limit(None).start().await.unwrap();
        let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let clock = Arc::new(Stopped(tick() + TimeDelta::seconds(5)));
        let huntress = Huntress { http: http_client(Timeouts::default()).unwrap(), clock, origins };
        let (sender, messages) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::InProcess(sender));
        let world = Self {
            store,
            credentials,
            huntress,
            simulator,
            queue,
            messages,
            oauth: OauthSettings::none(),
            _engine: engine,
            folder,
        };
        for id in connections {
            world.add(id).await;
        }
        world
    }

    async fn add(&self, id: &str) {
        let (company, id) = (company(), connection(id));
        let binding = Binding { company: &company, connection: &id, product: Product::Edr };
        let credential = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
        self.credentials.put(binding, &Credential::Edr(credential)).await.unwrap();
        let mapping = Mapping::OneClient { client: ClientId::parse("client-acme-corp").unwrap() };
        let created_at = tick() - TimeDelta::days(2);
        let connection = Connection::new(company.clone(), id.clone(), Product::Edr, mapping, created_at);
        let connection = Connection { next_run_at: Some(tick()), ..connection };
        self.store.add_connection(&connection).await.unwrap();
    }

    /// A run as if it had been asked for.
    async fn queued(&self, id: &str, run: &str) {
        self.queued_at(id, run, tick()).await;
    }

    async fn queued_at(&self, id: &str, run: &str, now: DateTime<Utc>) {
        let request = RunRequest {
            company: company(),
            connection: connection(id),
            run_id: RunId::parse(run).unwrap(),
            trigger: Trigger::Schedule,
            request_key: None,
            next_run_at: None,
            not_before: None,
            now,
        };
        assert!(self.store.request_run(request).await.unwrap().new);
    }

    /// Another account in the place of the worked example.
    fn use_simulator(&mut self, simulator: Simulator) {
        let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
        self.huntress.origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        self.simulator = simulator;
    }

    /// Replaces a connection by one of the training product. Its credential is not touched.
    async fn make_training(&self, id: &str) {
        let (company, id) = (company(), connection(id));
        let there = self.store.connection(&company, &id).await.unwrap().unwrap();
        self.store.remove_connection(&company, &id, tick()).await.unwrap();
        self.store.add_connection(&Connection { product: Product::Sat, ..there }).await.unwrap();
    }

    fn parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            keyring: acceptance::people::keyring(&self.folder.path().join("people")),
            queue: Arc::clone(&self.queue),
            limiters: Arc::default(),
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            oauth: Arc::clone(&self.oauth),
        }
    }

    fn planner(&self) -> Planner {
        let Ok(planner) = self.parts().planner();
        planner
    }

    fn worker(&self) -> Worker {
        let Ok(worker) = self.parts().worker();
        worker
    }

    fn connection_service(&self) -> Connections {
        let Ok(connections) = self.parts().connections();
        connections
    }

    fn service(&self) -> PeopleService {
        let Ok(people) = self.parts().people();
        people
    }

    /// `on-demand-sync` as its `main` puts it together.
    fn on_demand_sync(&self) -> Router {
        function(routes::ON_DEMAND_SYNC.router(Arc::new(self.planner())))
    }

    /// `connection-test` as its `main` puts it together.
    fn connection_test(&self) -> Router {
        function(routes::CONNECTION_TEST.router(Arc::new(self.connection_service())))
    }

    /// `connections-api` as its `main` puts it together.
    fn connections_api(&self) -> Router {
        let Ok(decisions) = self.parts().decisions();
        let connections = routes::CONNECTIONS_API.router(Arc::new(self.connection_service()));
        function(connections.merge(routes::DECISIONS_API.router(Arc::new(decisions))))
    }

    /// `evidence-api` as its `main` puts it together.
    fn evidence_api(&self) -> Router {
        let Ok(evidence) = self.parts().evidence();
        function(routes::EVIDENCE_API.router(Arc::new(evidence)))
    }

    /// What `serve` alone has.
    fn serve(&self) -> Router {
        let Ok(tokens) = self.parts().tokens();
        function(routes::TOKENS.router(Arc::new(tokens)))
    }

    /// `people-api` as its `main` puts it together.
    fn people_api(&self) -> Router {
        function(routes::PEOPLE_API.router(Arc::new(self.service())))
    }

    /// The messages that were sent since the last call.
    fn sent(&mut self) -> Vec<RunMessage> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).map(|queued| queued.message).collect()
    }
}

/// Routes as a function hosts them.
fn function(routes: Router) -> Router {
    let claims = Arc::new(Claims::read(&|_| None));
    host(routes).layer(axum::middleware::from_fn_with_state(claims, lambda_caller))
}

/// The event of a sample file.
fn sample(file: &str) -> Value {
    let path = format!("{}/../functions/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The batch of a sample file.
fn batch(file: &str) -> Batch {
    serde_json::from_value(sample(file)).unwrap()
}

/// What a function answers to an event of the HTTP API: status and body.
async fn ask(function: Router, event: &Value) -> (u16, Value) {
    let (status, _, body) = ask_for_all(function, event).await;
    (status, body)
}

/// With the headers, too.
async fn ask_for_all(function: Router, event: &Value) -> (u16, axum::http::HeaderMap, Value) {
    // As text, since the event is told from those of other kinds by trying one after the other.
    let request: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
    let request: axum::http::Request<lambda_http::Body> = request.into();
    let answer = function.oneshot(request.map(|body| Body::from(body.to_vec()))).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (method, path) = (&event["requestContext"]["http"]["method"], &event["rawPath"]);
    openapi::assert_documented(
        (method.as_str().unwrap(), path.as_str().unwrap()),
        parts.status.as_u16(),
        &parts.headers,
        &body,
    );
    (parts.status.as_u16(), parts.headers, body)
}

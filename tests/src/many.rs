//! Very many connections: planned by one tick, and worked on by many workers at a time, over a real table and real HTTP.

use crate::engine::{Counted, Engine, TABLE};
use aws_sdk_dynamodb::Client;
use chrono::TimeDelta;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::{Processed, Worker};
use common::app::runs::plan::{Planned, Planner};
use common::aws::queue::{Queue, Queued, RunMessage};
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::{Clock, SystemClock};
use common::domain::connection::Connection;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::{Run, RunStatus};
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::{EvidenceOwner, Store};
use simulator::{API_KEY, API_SECRET, Account, Simulator};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;

/// Connections of one company.
const OF_A_COMPANY: usize = 100;

/// So many connections, all due, each with a vendor account of its own that has the records of the worked example.
pub struct Many {
    /// How many.
    pub connections: usize,
    /// The table, as the planner and the workers use it.
    pub store: Store,
    /// What they ask of it.
    pub counted: Counted,
    /// Huntress.
    pub simulator: Simulator,
    /// Who asks for the runs.
    pub planner: Planner,
    /// The engine behind the table.
    pub engine: Engine,
    worker: Arc<Worker>,
    messages: UnboundedReceiver<Queued>,
    _folder: TempDir,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Worked {
    /// Its message.
    pub message: RunMessage,
    /// What came of it.
    pub processed: Processed,
    /// How long a worker was at it.
    pub took: Duration,
}

fn company(number: usize) -> CompanyId {
    CompanyId::parse(format!("msp-{}", number / OF_A_COMPANY)).unwrap()
}

fn connection(number: usize) -> ConnectionId {
    ConnectionId::parse(format!("edr-{number}")).unwrap()
}

fn client(number: usize) -> ClientId {
    ClientId::parse(format!("client-{number}")).unwrap()
}

impl Many {
    /// The connections, saved and due.
    pub async fn with(connections: usize) -> Self {
        Self::over(connections, Engine::client_counting).await
    }

    /// The same over a table that refuses transactions with this text in them, as one does that can never be carried out.
    pub async fn refused(connections: usize, text: &'static str) -> Self {
        Self::over(connections, |engine| (engine.client_refused(text), Counted::default())).await
    }

    async fn over(connections: usize, table: impl FnOnce(&Engine) -> (Client, Counted)) -> Self {
        let engine = Engine::memory().await;
        let preparing = engine.store().await;
        let folder = TempDir::new().unwrap();
        let credentials = Arc::new(Credentials::Sealed(SealedFiles::open(folder.path()).unwrap()));
        let clock = Arc::new(SystemClock);
        let now = clock.now();
        for number in 0..connections {
            let (company, id) = (company(number), connection(number));
            let binding = Binding { company: &company, connection: &id, product: Product::Edr };
            let credential = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
            credentials.put(binding, &Credential::Edr(credential)).await.unwrap();
            let mapping = Mapping::OneClient { client: client(number) };
            let new = Connection::new(company, id, Product::Edr, mapping, now - TimeDelta::days(1));
            preparing.add_connection(&Connection { next_run_at: Some(now), ..new }).await.unwrap();
        }
        let simulator = Simulator::builder(Account::worked_example(now)).rate_limit(None).start().await.unwrap();
        let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let (table, counted) = table(&engine);
        let store = Store::new(table, TABLE);
        let (sender, messages) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::InProcess(sender));
        let worker = Worker {
            store: store.clone(),
            credentials,
            huntress: Huntress { http: http_client(Timeouts::default()).unwrap(), clock: clock.clone(), origins },
            limiters: Arc::default(),
            queue: Arc::clone(&queue),
            keyring: crate::people::keyring(&folder.path().join("people")),
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        };
        let planner = Planner {
            store: store.clone(),
            queue,
            clock,
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            cool_down: TimeDelta::zero(),
        };
        let worker = Arc::new(worker);
        Self { connections, store, counted, simulator, planner, engine, worker, messages, _folder: folder }
    }

    /// Plans the tick.
    pub async fn plan(&self) -> Planned {
        self.planner.tick(self.planner.clock.now()).await.unwrap()
    }

    /// Works on every message that is there, so many at a time.
    pub async fn work(&mut self, workers: usize) -> Vec<Worked> {
        let mut messages: Vec<RunMessage> =
            std::iter::from_fn(|| self.messages.try_recv().ok()).map(|queued| queued.message).collect();
        let mut at_work = JoinSet::new();
        let mut done = Vec::with_capacity(messages.len());
        let mut deliveries = 0;
        loop {
            while at_work.len() < workers
                && let Some(message) = messages.pop()
            {
                let worker = Arc::clone(&self.worker);
                deliveries += 1;
                let owner = format!("delivery-{deliveries}");
                at_work.spawn(async move {
                    let start = Instant::now();
                    let deadline = worker.huntress.clock.now() + TimeDelta::minutes(14);
                    let processed = worker.process(&message, &owner, deadline, Arc::default()).await.unwrap();
                    Worked { message, processed, took: start.elapsed() }
                });
            }
            match at_work.join_next().await {
                Some(worked) => done.push(worked.unwrap()),
                None => return done,
            }
        }
    }

    /// Every connection has one run, which succeeded, and its client the evidence of that run, with the numbers of the worked example.
    pub async fn assert_nothing_is_lost(&self) {
        for number in 0..self.connections {
            let (company, connection) = (company(number), connection(number));
            let runs: Vec<Run> = self.store.runs(&company, &connection, 10).await.unwrap();
            let [run] = runs.as_slice() else { panic!("{connection}: {} runs", runs.len()) };
            assert_eq!(run.status, RunStatus::Succeeded, "{connection}: {:?}", run.failure);
            let evidence = self.store.latest(&company, &EvidenceOwner::Client(client(number))).await.unwrap();
            let [evidence] = evidence.as_slice() else { panic!("{connection}: {} bundles", evidence.len()) };
            assert_eq!(evidence.run_id, run.id);
            assert!(evidence.body.contains(r#""metric_key":"agents_total","metric_value":"87""#), "{}", evidence.body);
            assert_eq!(self.store.active_run(&company, &connection).await.unwrap(), None);
        }
    }
}

//! A training connection that tracks people, in a table on disk, with its simulated account.

use super::collect::selected;
use acceptance::clock::SteppingClock;
use acceptance::edr::as_of;
use acceptance::engine::Engine;
use acceptance::people::{Workforce, keyring};
use acceptance::sat::huntress_at;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::Huntress;
use common::app::collection::worker::{Processed, Worker};
use common::app::people::PeopleKeyring;
use common::app::runs::plan::Planner;
use common::aws::queue::{Queue, Queued};
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::Clock;
use common::domain::connection::Connection;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::people::person::{PeopleSettings, PersonEvent, PersonId, PrivacyMode};
use common::domain::people::roster::LearnerId;
use common::domain::people::status::{PersonStatus, Reset};
use common::domain::product::Product;
use common::domain::sat::bundle::SatBundle;
use common::domain::sat::{Caps, SatSettings};
use common::huntress::sat::SatCredential;
use common::store::{ConnectionChange, EvidenceOwner, PersonRecord, Store};
use simulator::{List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator, SimulatorBuilder};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// One delivery of a run's message.
pub struct Part {
    pub processed: Processed,
    pub waited: TimeDelta,
}

pub struct World {
    pub clock: SteppingClock,
    pub engine: Engine,
    pub store: Store,
    pub credentials: Arc<Credentials>,
    pub huntress: Huntress,
    pub simulator: Simulator,
    pub keyring: Arc<PeopleKeyring>,
    queue: Arc<Queue>,
    messages: UnboundedReceiver<Queued>,
    pub company: CompanyId,
    pub id: ConnectionId,
    pub folder: TempDir,
}

impl World {
    /// A connection in this mode with these assignments selected.
    pub async fn new(workforce: &Workforce, mode: PrivacyMode, ids: &[&str]) -> Self {
        Self::with(workforce, mode, ids, |builder| builder).await
    }

    pub async fn with(
        workforce: &Workforce,
        mode: PrivacyMode,
        ids: &[&str],
        change: impl FnOnce(SimulatorBuilder) -> SimulatorBuilder,
    ) -> Self {
        let clock = SteppingClock::at(as_of());
        let folder = TempDir::new().unwrap();
        let engine = Engine::file(&folder.path().join("data.db")).await;
        let store = engine.store().await;
        let credentials = Arc::new(Credentials::Sealed(SealedFiles::open(&folder.path().join("sealed")).unwrap()));
        let simulator = Simulator::sat_only(workforce.account()).clock(clock.for_simulator());
        let simulator = change(simulator).start().await.unwrap();
        let (company, id) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("sat").unwrap());
        let binding = Binding { company: &company, connection: &id, product: Product::Sat };
        let credential = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
        credentials.put(binding, &Credential::Sat(credential)).await.unwrap();
        let mapping = Mapping::OneClient { client: ClientId::parse("client-acme-corp").unwrap() };
        let mut connection = Connection::new(company.clone(), id.clone(), Product::Sat, mapping, as_of());
        connection.people = PeopleSettings { mode, selected: selected(ids), recertify_after_days: None };
        store.add_connection(&connection).await.unwrap();
        let huntress = huntress_at(&simulator, &clock);
        let (sender, messages) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::InProcess(sender));
        let keyring = keyring(&folder.path().join("people"));
        Self { clock, engine, store, credentials, huntress, simulator, keyring, queue, messages, company, id, folder }
    }

    pub fn planner(&self) -> Planner {
        let clock = Arc::new(self.clock.clone());
        Planner {
            store: self.store.clone(),
            queue: Arc::clone(&self.queue),
            clock,
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            cool_down: chrono::TimeDelta::zero(),
        }
    }

    pub fn worker(&self) -> Worker {
        Worker {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            limiters: Arc::default(),
            keyring: Arc::clone(&self.keyring),
            queue: Arc::clone(&self.queue),
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        }
    }

    /// Asks for a run.
    pub async fn ask(&self) {
        self.simulator.reset_log();
        self.planner().sync_now(&self.company, &self.id, None).await.unwrap();
    }

    /// Delivers the next message when it is due, to a new process.
    pub async fn part(&mut self) -> Option<Part> {
        let Queued { message, delay, .. } = self.messages.try_recv().ok()?;
        self.wait(delay).await;
        let began = self.clock.now();
        let deadline = began + TimeDelta::minutes(14);
        let processed = self.worker().process(&message, "worker-1", deadline, Arc::default()).await.unwrap();
        Some(Part { processed, waited: self.clock.now() - began })
    }

    /// A run that ends in one part.
    pub async fn sync(&mut self) -> Processed {
        self.ask().await;
        self.part().await.unwrap().processed
    }

    /// A sync that succeeds, a day after whatever was before.
    pub async fn night(&mut self, workforce: &Workforce) {
        self.simulator.set_sat(workforce.account());
        self.wait(TimeDelta::days(1)).await;
        assert_eq!(self.sync().await, Processed::Succeeded { bundles: 1 });
    }

    pub async fn wait(&self, time: TimeDelta) {
        self.clock.sleep_until(self.clock.now() + time).await;
    }

    pub async fn configure(&self, change: impl FnOnce(&mut PeopleSettings)) {
        let mut people = self.connection().await.people;
        change(&mut people);
        let change = ConnectionChange { people: Some(people), ..Default::default() };
        self.store.change_connection(&self.company, &self.id, change).await.unwrap();
    }

    pub async fn cap(&self, records: u64) {
        let caps = Caps { activity_per_assignment: records, ..Caps::default() };
        let sat = Some(SatSettings::new(caps, false).unwrap());
        let change = ConnectionChange { sat, ..Default::default() };
        self.store.change_connection(&self.company, &self.id, change).await.unwrap();
    }

    pub async fn connection(&self) -> Connection {
        self.store.connection(&self.company, &self.id).await.unwrap().unwrap()
    }

    pub async fn bundle(&self) -> SatBundle {
        let owner = EvidenceOwner::Client(ClientId::parse("client-acme-corp").unwrap());
        serde_json::from_str(&self.store.latest(&self.company, &owner).await.unwrap()[0].body).unwrap()
    }

    /// The person that a learner is kept as.
    pub async fn person_id(&self, learner: &str) -> PersonId {
        let hasher = self.keyring.hasher(&self.store, &self.company).await.unwrap();
        hasher.person(&LearnerId::new(learner).unwrap())
    }

    pub async fn person(&self, learner: &str) -> Option<PersonRecord> {
        self.store.person(&self.company, &self.id, &self.person_id(learner).await).await.unwrap()
    }

    pub async fn status(&self, learner: &str) -> Option<(PersonStatus, DateTime<Utc>)> {
        self.person(learner).await.map(|record| (record.state.compliance.status, record.state.compliance.since))
    }

    /// The statuses of learners.
    pub async fn statuses<const N: usize>(&self, learners: [&str; N]) -> [Option<PersonStatus>; N] {
        let mut statuses = [None; N];
        for (status, learner) in statuses.iter_mut().zip(learners) {
            *status = self.status(learner).await.map(|(status, _)| status);
        }
        statuses
    }

    pub async fn reset(&self, learner: &str, reason: &str) {
        let reset = Reset { by: "auditor".to_owned(), at: self.clock.now(), reason: reason.to_owned() };
        let person = self.person_id(learner).await;
        self.store.reset_person(&self.company, &self.id, &person, &reset, None).await.unwrap();
    }

    /// What happened to a learner, in short.
    pub async fn history(&self, learner: &str) -> Vec<String> {
        let person = self.person_id(learner).await;
        let events = self.store.events_of(&self.company, &self.id, &person).await.unwrap();
        let short = |event: &PersonEvent| match event {
            PersonEvent::StatusChanged { from: Some(from), to, .. } => format!("{from} > {to}"),
            PersonEvent::StatusChanged { from: None, to, .. } => format!("> {to}"),
            PersonEvent::Reset { from, reset } => format!("{from} reset by {}: {}", reset.by, reset.reason),
            PersonEvent::Opened { by, reason, columns } => format!("{} opened by {by}: {reason}", columns.join("+")),
        };
        events.iter().map(|logged| short(&logged.event)).collect()
    }

    /// How often a list was asked for in the last sync.
    pub fn asked(&self, list: List) -> usize {
        self.simulator.requests().iter().filter(|request| request.list == Some(list)).count()
    }

    /// What evidence says, and every byte below the folder, once the engine has ended.
    pub async fn end(self) -> Vec<u8> {
        let bodies = self.engine.bodies().await;
        self.engine.stop().await;
        [bodies.into_bytes(), bytes_below(self.folder.path())].concat()
    }
}

/// Every file below a folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The path and the content of every file below a folder.
pub fn bytes_below(folder: &Path) -> Vec<u8> {
    let of = |path: PathBuf| [path.to_string_lossy().into_owned().into_bytes(), std::fs::read(path).unwrap()].concat();
    files_below(folder).into_iter().flat_map(of).collect()
}

/// Whether a text is among bytes.
pub fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

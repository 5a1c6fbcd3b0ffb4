//! What seeds are played in: accounts, tables as they are before, and a deployment over them.

use crate::aws::{Aws, Interrupt, TABLE};
use crate::plan::{Answer, Plan, Request, Scene};
use crate::queue::Queues;
use crate::snapshot::{Snapshot, look};
use acceptance::clock::SteppingClock;
use acceptance::people::{Workforce, keyring};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Worker;
use common::app::people::PeopleKeyring;
use common::app::runs::plan::Planner;
use common::aws::documents::Documents;
use common::aws::queue::Queue;
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles, SealedTable, SecretsManager};
use common::domain::connection::Connection;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::people::person::{PeopleSettings, PrivacyMode};
use common::domain::product::Product;
use common::domain::sat::id::SatId;
use common::huntress::edr::EdrCredential;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::sat::SatCredential;
use common::settings::Origins;
use common::store::{EvidenceOwner, Store};
use dynoxide::Database;
use simulator::{
    API_KEY, API_SECRET, Account, AccountSpec, Fault, FaultKind, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount,
    SatSpec, Shape, Simulator,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// When the earlier run is asked for.
pub fn start() -> DateTime<Utc> {
    acceptance::edr::as_of()
}

/// When the run that things go wrong with is asked for.
pub fn second() -> DateTime<Utc> {
    start() + TimeDelta::hours(1)
}

/// When all is well again: no trouble lasts that long.
pub fn third() -> DateTime<Utc> {
    start() + TimeDelta::days(30)
}

pub fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

pub fn connection_id() -> ConnectionId {
    ConnectionId::parse("main").unwrap()
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

impl Scene {
    fn endpoints(self) -> Account {
        let (organizations, agents, incidents) = if self == Self::ManyClients { (95, 40, 3) } else { (4, 24, 8) };
        AccountSpec { seed: 9, shape: Shape::Vendor, organizations, agents, incidents, as_of: start() }.generate()
    }

    /// With people, somebody has done something since the earlier run.
    fn training(self, earlier: bool) -> SatAccount {
        if self.tracks_people() {
            let four = Workforce::four_people();
            return if earlier { four.account() } else { four.completed("B", "person-4").account() };
        }
        SatSpec { seed: 5, learners: 12, assignments: 4, campaigns: 3, activity_per_assignment: 3, as_of: start() }
            .generate()
    }

    fn connection(self) -> Connection {
        let mapping = match self.product() {
            Product::Sat => Mapping::OneClient { client: client("client-a") },
            Product::Edr => {
                let mut organizations: Vec<String> =
                    self.endpoints().records(List::Organizations).map(|it| it["id"].to_string()).collect();
                let clients = if self == Self::ManyClients {
                    organizations
                        .into_iter()
                        .enumerate()
                        .map(|(place, id)| (id, client(&format!("c{place}"))))
                        .collect()
                } else {
                    // The last one is in no mapping.
                    organizations.truncate(3);
                    organizations.into_iter().zip(["client-a", "client-a", "client-b"].map(client)).collect()
                };
                Mapping::ByOrganization { clients, ignored: [].into() }
            }
        };
        let mut connection = Connection::new(company(), connection_id(), self.product(), mapping, start());
        connection.next_run_at = Some(second());
        if self.tracks_people() {
            let selected = ["A", "B"].into_iter().map(|id| SatId::parse(id).unwrap()).collect();
            connection.people =
                PeopleSettings { mode: PrivacyMode::Pseudonymous, selected, recertify_after_days: None };
        }
        connection
    }

    /// Who has evidence of it, or a few of them.
    pub fn owners(self) -> Vec<EvidenceOwner> {
        let named = |names: &[&str]| names.iter().map(|name| EvidenceOwner::Client(client(name))).collect();
        let mut owners: Vec<EvidenceOwner> = match self {
            Self::Endpoints | Self::EndpointsInParts => named(&["client-a", "client-b"]),
            Self::ManyClients => named(&["c0", "c24", "c50", "c94"]),
            Self::Training | Self::TrainingInParts | Self::People | Self::PeopleInParts => return named(&["client-a"]),
        };
        owners.push(EvidenceOwner::Company);
        owners
    }

    /// Bundles of one run.
    pub fn bundles(self) -> u64 {
        if self == Self::ManyClients { 96 } else { self.owners().len() as u64 }
    }
}

/// What the seeds of one thread share.
pub struct Harness {
    folder: TempDir,
    credentials: BTreeMap<&'static str, Arc<Credentials>>,
    keyring: Arc<PeopleKeyring>,
    patient: reqwest::Client,
    hasty: reqwest::Client,
    queues: Queues,
    simulators: BTreeMap<Scene, (Arc<Simulator>, u32)>,
    before: BTreeMap<(Scene, bool), (PathBuf, Snapshot)>,
    clean: BTreeMap<(Scene, bool, DateTime<Utc>), Snapshot>,
}

/// A simulator remembers each token, so it is replaced from time to time.
const USES: u32 = 100;

impl Harness {
    pub async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let mut credentials = BTreeMap::new();
        for product in [Product::Edr, Product::Sat] {
            let files = SealedFiles::open(&folder.path().join(product.as_str())).unwrap();
            let files = Credentials::Sealed(files);
            let credential = match product {
                Product::Edr => Credential::Edr(EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() }),
                Product::Sat => {
                    let (client_id, client_secret) = (SAT_CLIENT_ID.into(), SAT_CLIENT_SECRET.into());
                    Credential::Sat(SatCredential { client_id, client_secret })
                }
            };
            let (company, connection) = (company(), connection_id());
            files.put(Binding { company: &company, connection: &connection, product }, &credential).await.unwrap();
            credentials.insert(product.as_str(), Arc::new(files));
        }
        let keyring = keyring(&folder.path().join("people"));
        let hasty = Timeouts { read: Duration::from_millis(100), ..Timeouts::default() };
        let (patient, hasty) = (http_client(Timeouts::default()).unwrap(), http_client(hasty).unwrap());
        let queues = Queues::start().await;
        let (simulators, before, clean) = Default::default();
        Self { folder, credentials, keyring, patient, hasty, queues, simulators, before, clean }
    }

    /// An account without a limit, which answers properly.
    async fn simulator(&mut self, scene: Scene, earlier: bool) -> Arc<Simulator> {
        let scene = scene.in_one_go();
        if self.simulators.get(&scene).is_none_or(|(_, uses)| *uses >= USES) {
            let builder = match scene.product() {
                Product::Edr => Simulator::builder(scene.endpoints()).max_page(10).rate_limit(None),
                Product::Sat => Simulator::sat_only(scene.training(false)).sat_max_page(10).sat_rate_limit(None, None),
            };
            let started = builder.clock(Arc::new(start)).start().await.unwrap();
            self.simulators.insert(scene, (Arc::new(started), 0));
        }
        let (simulator, uses) = self.simulators.get_mut(&scene).unwrap();
        *uses += 1;
        simulator.set_faults(Vec::new());
        simulator.reset_log();
        if scene == Scene::People {
            simulator.set_sat(scene.training(earlier));
        }
        Arc::clone(simulator)
    }

    /// The table before things go wrong, in a file, and what is seen in it.
    pub async fn before(&mut self, scene: Scene, earlier: bool) -> (PathBuf, Snapshot) {
        let scene = scene.in_one_go();
        if let Some(known) = self.before.get(&(scene, earlier)) {
            return known.clone();
        }
        let database = Database::memory().unwrap();
        let deployment = self.over(database.clone(), scene, true, start(), "before").await;
        deployment.store.create_table().await.unwrap();
        deployment.store.add_connection(&scene.connection()).await.unwrap();
        if earlier {
            deployment.sync().await.unwrap();
        }
        let path = self.folder.path().join(format!("{scene:?}-{earlier}.db"));
        database.vacuum_into(path.to_str().unwrap()).unwrap();
        let snapshot = look(&deployment.client, scene).await.unwrap();
        assert_eq!(snapshot.runs.len(), usize::from(earlier));
        self.before.insert((scene, earlier), (path.clone(), snapshot.clone()));
        (path, snapshot)
    }

    /// What is seen after a clean run in one go that is evaluated at `as_of`.
    pub async fn clean(&mut self, scene: Scene, earlier: bool, as_of: DateTime<Utc>) -> Snapshot {
        let scene = scene.in_one_go();
        if let Some(known) = self.clean.get(&(scene, earlier, as_of)) {
            return known.clone();
        }
        let deployment = self.clean_deployment(scene, earlier, as_of).await;
        deployment.sync().await.unwrap();
        let snapshot = look(&deployment.client, scene).await.unwrap();
        assert_eq!(snapshot.runs[0].as_of, Some(as_of));
        self.clean.insert((scene, earlier, as_of), snapshot.clone());
        snapshot
    }

    async fn clean_deployment(&mut self, scene: Scene, earlier: bool, now: DateTime<Utc>) -> Deployment {
        let (file, _) = self.before(scene, earlier).await;
        self.over(restored(&file), scene, false, now, "clean").await
    }

    async fn over(
        &mut self,
        database: Database,
        scene: Scene,
        earlier: bool,
        now: DateTime<Utc>,
        name: &str,
    ) -> Deployment {
        let simulator = self.simulator(scene, earlier).await;
        let clock = SteppingClock::at(now);
        self.deployment(database, scene, simulator, clock, name, false)
    }

    /// A deployment for the run that things go wrong with. Nothing does yet.
    pub async fn troubled(&mut self, plan: &Plan) -> Deployment {
        let (file, _) = self.before(plan.scene, plan.earlier).await;
        let clock = SteppingClock::at(second());
        let simulator = if plan.scene.is_limited() {
            let builder = match plan.scene.product() {
                Product::Edr => Simulator::builder(plan.scene.endpoints()).max_page(10).rate_limit(Some(4)),
                Product::Sat => {
                    Simulator::sat_only(plan.scene.training(false)).sat_max_page(10).sat_rate_limit(Some(6), None)
                }
            };
            Arc::new(builder.clock(clock.for_simulator()).start().await.unwrap())
        } else {
            self.simulator(plan.scene, false).await
        };
        let hasty = plan.requests.iter().any(|request| matches!(request.answer, Answer::Hang(_)));
        self.deployment(restored(&file), plan.scene, simulator, clock, &plan.seed.to_string(), hasty)
    }

    /// From now on the credentials of a deployment are in Secrets Manager, or sealed in its table, and the keys of its people are of KMS.
    pub async fn keep_in_aws(&mut self, deployment: &mut Deployment, sealed: bool) {
        let product = deployment.scene.product();
        let (company, connection) = (company(), connection_id());
        let binding = Binding { company: &company, connection: &connection, product };
        let mut keys = || self.queues.keys_of(&deployment.aws, &deployment.clock);
        let credentials = if sealed {
            let credential = deployment.credentials.get(binding).await.unwrap();
            let credentials = Credentials::Table(Box::new(SealedTable::new(deployment.store.clone(), keys())));
            credentials.put(binding, &credential).await.unwrap();
            credentials
        } else {
            Credentials::Manager(SecretsManager::new(deployment.aws.secrets_client("the worker"), "huntress-evidence"))
        };
        let documents = Documents::Folder(self.folder.path().join("people/certificates"));
        deployment.credentials = Arc::new(credentials);
        deployment.keyring = Arc::new(PeopleKeyring { wrapping: keys(), documents });
    }

    /// The table before things go wrong.
    pub async fn table_before(&mut self, plan: &Plan) -> Database {
        restored(&self.before(plan.scene, plan.earlier).await.0)
    }

    /// The same table later, with an account that answers properly.
    pub async fn recovered(&mut self, deployment: &Deployment, now: DateTime<Utc>) -> Deployment {
        let simulator = self.simulator(deployment.scene, false).await;
        let huntress = huntress(&simulator, self.patient.clone(), &deployment.clock);
        deployment.clock.move_to(now);
        let (clock, aws) = (deployment.clock.clone(), deployment.aws.clone());
        let (client, store) = (deployment.client.clone(), deployment.store.clone());
        let (queue, credentials, keyring) =
            (Arc::clone(&deployment.queue), Arc::clone(&deployment.credentials), Arc::clone(&deployment.keyring));
        Deployment {
            scene: deployment.scene,
            clock,
            aws,
            client,
            store,
            queue,
            credentials,
            keyring,
            huntress,
            simulator,
        }
    }

    fn deployment(
        &mut self,
        database: Database,
        scene: Scene,
        simulator: Arc<Simulator>,
        clock: SteppingClock,
        name: &str,
        hasty: bool,
    ) -> Deployment {
        let aws = Aws::new(database, clock.clone());
        let (client, queue) = (aws.client(name), Arc::new(self.queues.of(&aws, &clock)));
        let store = Store::new(client.clone(), TABLE);
        let http = if hasty { &self.hasty } else { &self.patient };
        let huntress = huntress(&simulator, http.clone(), &clock);
        let credentials = Arc::clone(&self.credentials[scene.product().as_str()]);
        let keyring = Arc::clone(&self.keyring);
        Deployment { scene, clock, aws, client, store, queue, credentials, keyring, huntress, simulator }
    }
}

fn restored(file: &std::path::Path) -> Database {
    let database = Database::memory().unwrap();
    database.restore_from(file.to_str().unwrap()).unwrap();
    database
}

fn huntress(simulator: &Simulator, http: reqwest::Client, clock: &SteppingClock) -> Huntress {
    let origin = |product| Origin::parse(&simulator.origin(), product, true).unwrap();
    let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
    Huntress { http, clock: Arc::new(clock.clone()), origins }
}

/// The functions with what is around them.
pub struct Deployment {
    pub scene: Scene,
    pub clock: SteppingClock,
    pub aws: Aws,
    /// Of the table, for who looks at it.
    pub client: aws_sdk_dynamodb::Client,
    pub store: Store,
    pub queue: Arc<Queue>,
    pub simulator: Arc<Simulator>,
    credentials: Arc<Credentials>,
    keyring: Arc<PeopleKeyring>,
    huntress: Huntress,
}

impl Deployment {
    /// Asks another table.
    pub fn use_table(&mut self, client: aws_sdk_dynamodb::Client) {
        self.store = Store::new(client, TABLE);
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

    /// In a process of its own: it knows nothing of what others sent but what the table says.
    pub fn worker(&self) -> Worker {
        Worker {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            limiters: Arc::default(),
            queue: Arc::clone(&self.queue),
            keyring: Arc::clone(&self.keyring),
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        }
    }

    /// From now on the account answers so.
    pub fn answer(&self, requests: &[Request]) {
        self.simulator.set_faults(requests.iter().map(|request| self.fault(request)).collect());
    }

    fn fault(&self, request: &Request) -> Fault {
        let kind = match request.answer {
            Answer::Status(status) => FaultKind::Status(status),
            Answer::RetryAfter(status, seconds) => FaultKind::RetryAfter(status, seconds.to_string()),
            Answer::Unauthorized => FaultKind::Unauthorized,
            Answer::Forbidden => FaultKind::Forbidden,
            Answer::Reset => FaultKind::Reset,
            Answer::Truncated => FaultKind::Truncate,
            Answer::HalfJson => FaultKind::TruncateJson,
            Answer::NotJson => FaultKind::NotJson,
            Answer::MissingKey => FaultKind::MissingKey,
            Answer::SameToken => FaultKind::RepeatToken,
            Answer::Hang(time) => FaultKind::Hang(time),
            Answer::Dies => {
                let aws = self.aws.clone();
                // Before the answer is sent, so the process never reads it.
                FaultKind::patch(move |_| aws.interrupt(Interrupt::Died))
            }
        };
        Fault { list: Some(request.list), path: None, from_request: request.from, times: request.times, kind }
    }
}

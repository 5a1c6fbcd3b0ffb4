//! Runs of a stored connection: what a worker leaves in the table, and what it never leaves anywhere.

use crate::records::ACCOUNT;
use acceptance::clock::SteppingClock;
use acceptance::edr::as_of;
use acceptance::engine::Engine;
use acceptance::log::Log;
use acceptance::sat::huntress_at;
use chrono::TimeDelta;
use common::app::collection::collect::Huntress;
use common::app::collection::worker::{Processed, Worker};
use common::app::connections::Connections;
use common::app::runs::plan::Planner;
use common::aws::queue::{Queue, Queued};
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles};
use common::clock::Clock;
use common::domain::connection::{Connection, ConnectionStatus};
use common::domain::evidence::Reason;
use common::domain::failure::FailureCode;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::mapping::Mapping;
use common::domain::policy::Outcome;
use common::domain::product::Product;
use common::domain::quality::QualityCode;
use common::domain::run::RunStatus;
use common::domain::sat::bundle::SatBundle;
use common::domain::sat::id::SatId;
use common::domain::sat::status::Status;
use common::huntress::sat::SatCredential;
use common::store::{ConnectionChange, EvidenceOwner, Store, StoredEvidence};
use simulator::{Fault, FaultKind, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SCOPES, SatAccount, Simulator};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// A training connection in a table on disk, with its simulated account.
struct World {
    clock: SteppingClock,
    engine: Engine,
    store: Store,
    credentials: Arc<Credentials>,
    huntress: Huntress,
    simulator: Simulator,
    queue: Arc<Queue>,
    messages: UnboundedReceiver<Queued>,
    company: CompanyId,
    id: ConnectionId,
    folder: TempDir,
}

impl World {
    async fn of(account: SatAccount) -> Self {
        let clock = SteppingClock::at(as_of());
        let folder = TempDir::new().unwrap();
        let engine = Engine::file(&folder.path().join("data.db")).await;
        let store = engine.store().await;
        let credentials = Arc::new(Credentials::Sealed(SealedFiles::open(&folder.path().join("sealed")).unwrap()));
        let simulator = Simulator::sat_only(account).clock(clock.for_simulator()).start().await.unwrap();
        let (company, id) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("sat").unwrap());
        let binding = Binding { company: &company, connection: &id, product: Product::Sat };
        let credential = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
        credentials.put(binding, &Credential::Sat(credential)).await.unwrap();
        let mapping = Mapping::OneClient { client: ClientId::parse("client-acme-corp").unwrap() };
        let connection = Connection::new(company.clone(), id.clone(), Product::Sat, mapping, as_of());
        store.add_connection(&connection).await.unwrap();
        let huntress = huntress_at(&simulator, &clock);
        let (sender, messages) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::InProcess(sender));
        Self { clock, engine, store, credentials, huntress, simulator, queue, messages, company, id, folder }
    }

    fn planner(&self) -> Planner {
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

    fn connections(&self) -> Connections {
        let (store, credentials) = (self.store.clone(), Arc::clone(&self.credentials));
        Connections {
            store,
            credentials,
            huntress: self.huntress.clone(),
            limiters: Arc::default(),
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        }
    }

    /// Does the runs that were asked for.
    async fn work(&mut self) -> Vec<Processed> {
        let (store, credentials) = (self.store.clone(), Arc::clone(&self.credentials));
        let (huntress, queue) = (self.huntress.clone(), Arc::clone(&self.queue));
        let keyring = acceptance::people::keyring(&self.folder.path().join("people"));
        let worker = Worker {
            store,
            credentials,
            huntress,
            limiters: Arc::default(),
            queue,
            keyring,
            schedule: Default::default(),
            oauth: common::app::connections::OauthSettings::none(),
        };
        let mut processed = Vec::new();
        while let Ok(Queued { message, .. }) = self.messages.try_recv() {
            let deadline = self.clock.now() + TimeDelta::minutes(14);
            processed.push(worker.process(&message, "worker-1", deadline, Arc::default()).await.unwrap());
        }
        processed
    }

    async fn sync_now(&mut self) -> Processed {
        self.planner().sync_now(&self.company, &self.id, None).await.unwrap();
        let processed = self.work().await;
        assert_eq!(processed.len(), 1);
        processed.into_iter().next().unwrap()
    }

    /// A tick now, and the runs that it asks for.
    async fn tick(&mut self) -> Vec<Processed> {
        self.planner().tick(self.clock.now()).await.unwrap();
        self.work().await
    }

    async fn wait(&self, time: TimeDelta) {
        self.clock.sleep_until(self.clock.now() + time).await;
    }

    async fn connection(&self) -> Connection {
        self.store.connection(&self.company, &self.id).await.unwrap().unwrap()
    }

    async fn latest(&self) -> Vec<StoredEvidence> {
        let owner = EvidenceOwner::Client(ClientId::parse("client-acme-corp").unwrap());
        self.store.latest(&self.company, &owner).await.unwrap()
    }
}

fn crafted() -> SatAccount {
    crate::records::serve(crate::records::workforce(10, 9))
}

#[tokio::test]
async fn a_run_stores_the_signals_and_saves_the_account_that_it_found() {
    let mut world = World::of(crafted()).await;
    assert_eq!(world.connection().await.account_id, None);
    assert_eq!(world.sync_now().await, Processed::Succeeded { bundles: 1 });
    let connection = world.connection().await;
    assert_eq!(connection.account_id, Some(SatId::parse(ACCOUNT).unwrap()));
    assert_eq!((connection.status, connection.last_success_at), (ConnectionStatus::Ok, Some(as_of())));

    let latest = world.latest().await;
    assert_eq!(latest.len(), 1);
    assert_eq!((latest[0].product, latest[0].as_of), (Product::Sat, as_of()));
    let bundle: SatBundle = serde_json::from_str(&latest[0].body).unwrap();
    let statuses: Vec<String> = bundle.signals.iter().map(|it| format!("{} {}", it.signal_key, it.status)).collect();
    assert_eq!(statuses, ["workforce_coverage pass", "phishing_simulation warning"]);
    assert_eq!(bundle.metadata.run_id.as_ref(), Some(&latest[0].run_id));
    assert!(bundle.signals.iter().all(|it| !it.controls.is_empty()));
}

#[tokio::test]
async fn every_run_asks_for_a_token_of_its_own() {
    let mut world = World::of(crafted()).await;
    for runs in 1..=3 {
        assert_eq!(world.sync_now().await, Processed::Succeeded { bundles: 1 });
        let mut tokens = world.simulator.access_tokens();
        tokens.dedup();
        assert_eq!(tokens.len(), runs);
    }
}

#[tokio::test]
async fn an_auth_failure_is_left_alone_for_24_hours_but_not_by_sync_now_and_a_success_clears_it() {
    let mut world = World::of(crafted()).await;
    world.sync_now().await;
    let good = world.latest().await;
    world.wait(TimeDelta::hours(2)).await;
    world.simulator.set_revoked_client(true);
    let failed_at = world.clock.now();
    let Processed::Failed(failure) = world.sync_now().await else { panic!("a failure was expected") };
    assert_eq!(failure.code, FailureCode::AuthFailed);
    let connection = world.connection().await;
    assert_eq!(connection.status, ConnectionStatus::AuthFailed);
    assert_eq!(connection.last_failure.unwrap().code, FailureCode::AuthFailed);
    let next = connection.next_run_at.unwrap();
    assert!(next >= failed_at + TimeDelta::hours(24), "{next}");
    assert!(next <= failed_at + TimeDelta::hours(49), "{next}");
    assert_eq!(world.latest().await, good, "the last good evidence stays");
    let runs = world.store.runs(&world.company, &world.id, 1).await.unwrap();
    assert_eq!(runs[0].status, RunStatus::AuthFailed);

    // The vendor is not asked by any tick within the day.
    world.simulator.reset_log();
    for _ in 0..23 {
        world.wait(TimeDelta::hours(1)).await;
        assert_eq!(world.tick().await, [], "{}", world.clock.now());
    }
    assert_eq!(world.simulator.requests().len(), 0);

    // On demand it is, at once; and again it fails.
    assert!(matches!(world.sync_now().await, Processed::Failed(failure) if failure.code == FailureCode::AuthFailed));
    assert_eq!(world.simulator.requests().len(), 2);

    world.simulator.set_revoked_client(false);
    assert_eq!(world.sync_now().await, Processed::Succeeded { bundles: 1 });
    let connection = world.connection().await;
    assert_eq!((connection.status, connection.last_failure), (ConnectionStatus::Ok, None));
    assert!(connection.next_run_at.unwrap() <= world.clock.now() + TimeDelta::hours(24));
}

#[tokio::test]
async fn after_the_backoff_the_tick_tries_again_by_itself() {
    let mut world = World::of(crafted()).await;
    world.simulator.set_scopes_granted(SCOPES[..4].to_vec());
    assert!(matches!(world.sync_now().await, Processed::Failed(failure) if failure.code == FailureCode::MissingScopes));
    let connection = world.connection().await;
    assert_eq!(connection.status, ConnectionStatus::AuthFailed);
    world.simulator.set_scopes_granted(SCOPES.to_vec());
    world.clock.sleep_until(connection.next_run_at.unwrap()).await;
    assert_eq!(world.tick().await, [Processed::Succeeded { bundles: 1 }]);
    assert_eq!(world.connection().await.status, ConnectionStatus::Ok);
}

#[tokio::test]
async fn a_failure_that_is_none_of_the_credential_waits_no_day() {
    let mut world = World::of(crafted()).await;
    world.simulator.set_faults(vec![Fault::always(Some(List::LearnerActivity), FaultKind::Status(404))]);
    assert!(matches!(world.sync_now().await, Processed::Failed(failure) if failure.code == FailureCode::Refused));
    let connection = world.connection().await;
    assert_eq!((connection.status, connection.account_id), (ConnectionStatus::Error, None));
    assert!(connection.next_run_at.unwrap() < as_of() + TimeDelta::hours(24));
    assert_eq!(world.latest().await, []);
}

/// A run that succeeds with a retry and a renewed token, failures of several kinds, a test: then every byte on disk, every line of
/// the log and everything that was told is searched.
#[test]
fn no_learner_token_or_secret_is_stored_logged_or_told() {
    let account = SatAccount::demo(as_of());
    let people = account.personal_markers();
    assert!(people.len() > 100, "{}", people.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ((told, bytes, tokens), log) = Log::of(|| {
        runtime.block_on(async {
            let mut world = World::of(account).await;
            let once = |list, kind| Fault::once(Some(list), 1, kind);
            let faults = [
                vec![
                    once(List::Learners, FaultKind::Status(502)),
                    once(List::LearnerActivity, FaultKind::Unauthorized),
                ],
                vec![Fault::always(Some(List::Learners), FaultKind::Forbidden)],
                vec![Fault::always(Some(List::LearnerActivity), FaultKind::patch(|page| page["data"] = "none".into()))],
                vec![Fault::always(Some(List::Learners), FaultKind::TruncateJson)],
                vec![Fault::always(Some(List::Token), FaultKind::Unauthorized)],
            ];
            let mut told = String::new();
            for (n, faults) in faults.into_iter().enumerate() {
                world.simulator.set_faults(faults);
                let processed = world.sync_now().await;
                assert_eq!(matches!(processed, Processed::Succeeded { .. }), n == 0, "{n}: {processed:?}");
                told.push_str(&format!("{processed:?}\n"));
            }
            world.simulator.set_faults(Vec::new());
            let report = world.connections().test(&world.company, &world.id).await.unwrap();
            told.push_str(&format!("{}\n{report:?}\n", serde_json::to_string(&report).unwrap()));
            told.push_str(&format!("{:?}\n{:?}\n", world.connection().await, world.latest().await));
            let tokens = world.simulator.access_tokens();
            let mut bytes = world.engine.bodies().await.into_bytes();
            world.engine.stop().await;
            for file in std::fs::read_dir(world.folder.path()).unwrap() {
                let path = file.unwrap().path();
                if path.is_file() {
                    bytes.extend(std::fs::read(path).unwrap());
                }
            }
            (told, bytes, tokens)
        })
    });
    assert!(tokens.len() >= 6, "{}", tokens.len());
    let stored = String::from_utf8_lossy(&bytes);
    // What is kept is there to be found, so silence means that nothing else was.
    assert!(stored.contains("workforce_coverage") && stored.contains("huntress-sat"));
    assert!(told.contains("workforce_coverage"));
    assert!(log.contains("run ended") && log.contains("hyper_util"));
    let secrets = [SAT_CLIENT_SECRET.to_owned()];
    for marker in people.iter().chain(&tokens).chain(&secrets) {
        for (place, text) in [("the data file", &*stored), ("what was told", &told), ("the log", &log)] {
            assert!(!text.contains(marker.as_str()), "{marker} in {place}");
        }
    }
}

#[tokio::test]
async fn an_account_of_another_clients_organization_decides_nothing() {
    // As a number here, and as a text in the mapping.
    let mut records = crate::records::workforce(10, 9);
    records.accounts[0]["attributes"]["ioOrgId"] = serde_json::json!(30417);
    let mut world = World::of(crate::records::serve(records)).await;
    let bundle_of = async |world: &World| -> SatBundle {
        serde_json::from_str(&world.latest().await.last().unwrap().body).unwrap()
    };
    let said = |bundle: &SatBundle| {
        let statuses = bundle.signals.iter().map(|signal| (signal.status, signal.reason));
        let verdicts = bundle.verdicts.iter().flatten().map(|verdict| (verdict.outcome, verdict.reason));
        (statuses.collect::<Vec<_>>(), verdicts.collect::<Vec<_>>())
    };
    assert_eq!(world.sync_now().await, Processed::Succeeded { bundles: 1 });
    let bundle = bundle_of(&world).await;
    assert_eq!(bundle.metadata.account.io_org_id.as_deref(), Some("30417"));
    let undisturbed = said(&bundle);
    assert_eq!((undisturbed.0[0].0, undisturbed.1[0].0), (Status::Pass, Outcome::Pass));

    let mapped_to = |client: &str| Mapping::ByOrganization {
        clients: [("30417".to_owned(), ClientId::parse(client).unwrap())].into(),
        ignored: [].into(),
    };
    let edr = ConnectionId::parse("edr").unwrap();
    let other = Connection::new(world.company.clone(), edr, Product::Edr, mapped_to("client-acme-corp"), as_of());
    world.store.add_connection(&other).await.unwrap();
    world.wait(TimeDelta::hours(1)).await;
    world.sync_now().await;
    assert_eq!(said(&bundle_of(&world).await), undisturbed);

    let change = ConnectionChange { mapping: Some(mapped_to("client-globex")), ..Default::default() };
    world.store.change_connection(&other.company, &other.id, change).await.unwrap();
    world.wait(TimeDelta::hours(1)).await;
    world.sync_now().await;
    let bundle = bundle_of(&world).await;
    let (statuses, verdicts) = said(&bundle);
    let reason = Some(Reason::AccountOfAnotherClient);
    assert_eq!(statuses, [(Status::Inconclusive, reason); 2]);
    assert_eq!(verdicts, [(Outcome::Inconclusive, reason); 2]);
    let codes: Vec<_> = bundle.metadata.data_quality.iter().map(|entry| entry.code).collect();
    assert!(codes.contains(&QualityCode::AccountOfAnotherClient), "{codes:?}");
    // Nobody else's id is in it.
    assert!(!serde_json::to_string(&bundle).unwrap().contains("globex"));
}

#[tokio::test]
async fn the_organization_of_an_account_proposes_the_client_where_nobody_named_one() {
    let mut records = crate::records::workforce(10, 9);
    records.accounts[0]["attributes"]["ioOrgId"] = serde_json::json!(30417);
    let world = World::of(crate::records::serve(records)).await;
    let client = |id: &str| ClientId::parse(id).unwrap();
    let clients = [("30417".to_owned(), client("client-acme-corp"))].into();
    let mapping = Mapping::ByOrganization { clients, ignored: [].into() };
    let edr = ConnectionId::parse("edr").unwrap();
    let edr = Connection::new(world.company.clone(), edr, Product::Edr, mapping, as_of());
    world.store.add_connection(&edr).await.unwrap();
    let connections = world.connections();
    // Without a client the evidence would be that of the company, under its own id.
    for (id, named, expected) in
        [("unnamed", "msp-acme", "client-acme-corp"), ("named", "client-globex", "client-globex")]
    {
        let mapping = Mapping::OneClient { client: client(named) };
        let new = ConnectionId::parse(id).unwrap();
        let new = Connection::new(world.company.clone(), new, Product::Sat, mapping, as_of());
        let sat = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
        let actor = common::domain::audit::Actor::cli("alice");
        let check = common::app::connections::Check::Test;
        let saved = connections.add(new, &Credential::Sat(sat), check, &actor).await.unwrap();
        assert_eq!(saved.mapping, Mapping::OneClient { client: client(expected) }, "{id}");
    }
}

//! Packs of a store, from the commit to the check: what is in them, whose it is, and what does not agree with the log.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod golden;

use acceptance::clock::SteppingClock;
use acceptance::edr::{Scene, as_of};
use acceptance::engine::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::decisions::{Decisions, ExceptionSpec};
use common::app::log::{EvidenceLog, LogSigner, LogState};
use common::app::packs::{PackMaker, PackReader, PackRequest};
use common::domain::audit::{Actor, AuditAction, AuditEvent};
use common::domain::calendar::{Calendar, Until};
use common::domain::connection::Connection;
use common::domain::decisions::{Decider, ExceptionRequest, ExceptionSubject};
use common::domain::edr::bundle::split;
use common::domain::evidence::EdrBundle;
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, CompanyId, ConnectionId, ConnectionKey, RunId};
use common::domain::log::LogId;
use common::domain::log::statement::{EvaluationBasis, RULES};
use common::domain::mapping::Mapping;
use common::domain::policy::{ClientPolicies, InForce, baseline, training};
use common::domain::product::Product;
use common::domain::run::{RecordCounts, Trigger};
use common::domain::time::{Window, parse};
use common::domain::window::Tick;
use common::pack::verify::{Known, Report, Step, verify};
use common::pack::zip::Archive;
use common::store::{EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunFailure, RunRequest, RunSuccess, Store};
use simulator::{Account, List};
use std::collections::BTreeMap;
use std::sync::Arc;

fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

fn connection() -> ConnectionId {
    ConnectionId::parse("edr").unwrap()
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

/// 07:05 in New York on the first day.
fn first() -> DateTime<Utc> {
    parse("2026-03-16T11:05:00Z").unwrap()
}

struct World {
    store: Store,
    clock: SteppingClock,
    bundles: Vec<EdrBundle>,
    maker: PackMaker,
    _engine: Engine,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::on(Calendar::default()).await
    }

    /// With days of a calendar.
    async fn on(calendar: Calendar) -> Self {
        Self::of(Account::worked_example(as_of()), calendar).await
    }

    /// Of an account, with days of a calendar.
    async fn of(account: Account, calendar: Calendar) -> Self {
        let engine = Engine::memory().await;
        let store = engine.store().await.with_calendar(calendar);
        let clock = SteppingClock::at(first());
        // Two clients, and organizations of no client.
        let collected = account.clone();
        let outcome = tokio::task::spawn_blocking(|| Scene::of(collected).collect_blocking()).await.unwrap();
        let organizations: Vec<String> =
            account.records(List::Organizations).map(|organization| organization["id"].to_string()).collect();
        let clients = [(organizations[0].clone(), client("client-a")), (organizations[1].clone(), client("client-b"))];
        let mapping = Mapping::ByOrganization { clients: clients.into(), ignored: [].into() };
        let (tally, collection) = outcome.result.as_ref().unwrap();
        let chosen = [(client("client-a"), InForce::after([baseline()]))];
        let bundles = split(tally, collection, &company(), &mapping, &ClientPolicies::new(chosen.into()));
        let new = Connection::new(company(), connection(), Product::Edr, mapping, first() - TimeDelta::days(1));
        store.add_connection(&new).await.unwrap();
        let mapping = Mapping::OneClient { client: client("client-a") };
        let training = ConnectionId::parse("sat").unwrap();
        let new = Connection::new(company(), training, Product::Sat, mapping, first() - TimeDelta::days(1));
        store.add_connection(&new).await.unwrap();
        // Chosen before the first run, as the verdicts of the bundles say.
        clock.move_to(first() - TimeDelta::hours(1));
        let decisions = Decisions { store: store.clone(), clock: Arc::new(clock.clone()) };
        let alice = Decider { name: "alice".to_owned(), on_this_machine: true };
        decisions.choose(&company(), &client("client-a"), baseline(), &alice).await.unwrap();
        clock.move_to(first());
        let folder = tempfile::tempdir().unwrap();
        let signer = Arc::new(LogSigner::of_file(&folder.path().join("log.key")).unwrap());
        let reader = PackReader { store: store.clone(), clock: Arc::new(clock.clone()) };
        let maker = PackMaker { reader, signer };
        Self { store, clock, bundles, maker, _engine: engine, folder }
    }

    async fn leased(&self, day: i64) -> Lease {
        self.leased_of(&connection(), run(day), day).await
    }

    async fn leased_of(&self, connection: &ConnectionId, run_id: RunId, day: i64) -> Lease {
        let now = first() + TimeDelta::days(day);
        let request = RunRequest {
            company: company(),
            connection: connection.clone(),
            run_id: run_id.clone(),
            trigger: Trigger::OnDemand,
            request_key: None,
            next_run_at: None,
            not_before: None,
            now,
        };
        assert!(self.store.request_run(request).await.unwrap().new);
        match self.store.take(&company(), connection, &run_id, "worker", now, TimeDelta::minutes(15)).await.unwrap() {
            LeaseOutcome::Acquired { lease, .. } => lease,
            other => panic!("{other:?}"),
        }
    }

    /// A run of training with evidence.
    async fn succeed_training(&self, day: i64) {
        let id = RunId::parse(format!("run-sat-{day:04}")).unwrap();
        let lease = self.leased_of(&ConnectionId::parse("sat").unwrap(), id.clone(), day).await;
        let mut bundle: serde_json::Value =
            serde_json::from_str(include_str!("../samples/bundles/sat-v2.json")).unwrap();
        bundle["tenant"] = serde_json::json!({"company_id": company(), "client_id": "client-a"});
        bundle["metadata"]["as_of"] = serde_json::to_value(lease.as_of()).unwrap();
        bundle["metadata"]["run_id"] = id.as_str().into();
        let owner = EvidenceOwner::Client(client("client-a"));
        let record = EvidenceRecord { owner, product: Product::Sat, body: bundle.to_string() };
        self.store.commit(&lease, ended(&lease), vec![record]).await.unwrap();
    }

    /// A run with evidence, some minutes after the tick.
    async fn succeed(&self, day: i64) {
        self.commit(day, |bundle| bundle).await;
    }

    /// A run whose bundles are changed before they are committed.
    async fn commit(&self, day: i64, change: impl Fn(String) -> String) {
        self.commit_by(RULES, day, change).await;
    }

    /// The same, as a release with these rules says it.
    async fn commit_by(&self, rules: &str, day: i64, change: impl Fn(String) -> String) {
        let lease = self.leased(day).await;
        let record = |bundle: &EdrBundle| {
            let mut bundle = bundle.clone();
            bundle.tenant.company_id = Some(company());
            bundle.metadata.as_of = lease.as_of();
            bundle.metadata.run_id = Some(run(day));
            let owner = bundle.tenant.client_id.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
            EvidenceRecord { owner, product: Product::Edr, body: change(serde_json::to_string(&bundle).unwrap()) }
        };
        let evidence = self.bundles.iter().map(record).collect();
        let basis = EvaluationBasis { rules: rules.to_owned(), ..ended(&lease).basis };
        self.store.commit(&lease, RunSuccess { basis, ..ended(&lease) }, evidence).await.unwrap();
    }

    async fn fail(&self, day: i64) {
        let lease = self.leased(day).await;
        let failed = RunFailure {
            finished_at: lease.as_of() + TimeDelta::seconds(3),
            failure: Failure::new(FailureCode::Unavailable, "Huntress said no").at("GET /v1/agents"),
            api_calls: 2,
            records: RecordCounts::default(),
            next_run_at: None,
        };
        self.store.fail(&lease, failed).await.unwrap();
    }

    fn request(name: &str) -> PackRequest {
        PackRequest {
            company: company(),
            client: client(name),
            from: "2026-03-16".parse().unwrap(),
            to: "2026-03-22".parse().unwrap(),
        }
    }

    async fn pack(&self, name: &str) -> Vec<u8> {
        self.maker.pack(&Self::request(name)).await.unwrap()
    }

    fn checked(&self, bytes: &[u8]) -> Report {
        verify(bytes, &Known { keys: vec![self.maker.signer.verifier().clone()], older: Vec::new() })
    }
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

fn run(day: i64) -> RunId {
    RunId::parse(format!("run-{day:04}")).unwrap()
}

fn files(bytes: &[u8]) -> BTreeMap<String, String> {
    let archive = Archive::open(bytes).unwrap();
    let read = |entry| String::from_utf8(archive.read(entry, 1 << 26).unwrap()).unwrap();
    archive.entries().iter().map(|entry| (entry.name.clone(), read(entry))).collect()
}

#[tokio::test]
async fn a_pack_of_a_store_is_good_and_holds_one_client_alone() {
    let world = World::new().await;
    for day in 0..5 {
        if day == 2 { world.fail(day).await } else { world.succeed(day).await }
    }
    world.clock.move_to(first() + TimeDelta::days(10));
    let bytes = world.pack("client-a").await;
    let report = world.checked(&bytes);
    assert!(report.is_good(), "{:#?}", report.failure());
    assert_eq!(bytes, world.pack("client-a").await, "the same pack is the same file");
    let files = files(&bytes);
    let evidence: Vec<&String> = files.keys().filter(|path| path.starts_with("evidence/")).collect();
    assert_eq!(evidence.len(), 4, "{evidence:?}");
    assert_eq!(evidence[0], "evidence/huntress-edr/edr/20260316T110500Z_run-0000.json");
    for (path, text) in &files {
        assert!(!text.contains("client-b"), "{path} names another client");
    }
    assert!(files["csv/window.csv"].contains("2026-03-18,edr,huntress-edr,,,failed,unavailable,GET /v1/agents"));
    // The committed bytes, not others of the same meaning.
    let owner = EvidenceOwner::Client(client("client-a"));
    let stored = world.store.latest(&company(), &owner).await.unwrap();
    assert_eq!(files["evidence/huntress-edr/edr/20260320T110500Z_run-0004.json"], stored[0].body);
}

#[tokio::test]
async fn a_pack_ends_at_the_full_hour_of_its_making() {
    let world = World::new().await;
    let refused = |error: common::app::packs::MakePackError| error.to_string();
    world.succeed(0).await;
    // 11:05 is in no full hour yet.
    world.clock.move_to(first() + TimeDelta::minutes(1));
    let line = refused(world.maker.pack(&World::request("client-a")).await.unwrap_err());
    assert!(line.contains("the first entry in the logs of client-a is of 2026-03-16T11:05:03Z"), "{line}");
    assert!(line.ends_with("make it after the next full hour, 2026-03-16T12:00:00Z"), "{line}");
    world.clock.move_to(first() + TimeDelta::hours(1));
    let bytes = world.pack("client-a").await;
    assert!(world.checked(&bytes).is_good());
    world.clock.move_to(first() + TimeDelta::minutes(110));
    assert_eq!(bytes, world.pack("client-a").await, "within the hour it is the same file");
    let line = refused(world.maker.pack(&World::request("nobody")).await.unwrap_err());
    assert!(line.contains("no connection has evidence of a client nobody"), "{line}");
    let backwards = PackRequest { from: "2026-03-23".parse().unwrap(), ..World::request("client-a") };
    assert!(refused(world.maker.pack(&backwards).await.unwrap_err()).contains("swap --from and --to"));
}

#[tokio::test]
async fn a_later_pack_goes_on_from_an_earlier_one() {
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(2));
    let earlier = world.pack("client-b").await;
    for day in 1..4 {
        world.succeed(day).await;
    }
    world.clock.move_to(first() + TimeDelta::days(4));
    let later = world.pack("client-b").await;
    let keys = vec![world.maker.signer.verifier().clone()];
    let report = verify(&later, &Known { keys: keys.clone(), older: vec![("earlier".to_owned(), &earlier)] });
    assert!(report.is_good(), "{:?}", report.failure());
    let report = verify(&earlier, &Known { keys, older: vec![("later".to_owned(), &later)] });
    assert_eq!(report.failure().map(|(step, _)| step), Some(Step::Consistency));
}

#[tokio::test]
async fn a_checkpoint_is_signed_where_the_log_grew() {
    let world = World::new().await;
    let log = EvidenceLog {
        store: world.store.clone(),
        signer: Arc::clone(&world.maker.signer),
        archive: None,
        clock: Arc::new(world.clock.clone()),
    };
    let id = LogId::of_connection(&company(), &connection());
    assert_eq!(log.sign(&id).await.unwrap(), None);
    world.succeed(0).await;
    let one = log.sign(&id).await.unwrap().unwrap();
    // The company's own has grown, too: by the choice of a policy.
    assert_eq!((one.size, log.sign_all(&company()).await.unwrap()), (1, 1));
    assert_eq!(log.sign_all(&company()).await.unwrap(), 0);
    world.succeed(1).await;
    assert_eq!(log.sign_all(&company()).await.unwrap(), 1);
    let state = LogState::read(&world.store, &id).await.unwrap();
    assert_eq!((state.leaves.len(), state.checkpoint.unwrap().size), (2, 2));
    // The key stays the same, and a damaged one is not replaced.
    let path = world.folder.path().join("log.key");
    assert_eq!(LogSigner::of_file(&path).unwrap().verifier(), world.maker.signer.verifier());
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    std::fs::write(&path, "PRIVATE+KEY+damaged").unwrap();
    assert!(LogSigner::of_file(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "PRIVATE+KEY+damaged");
}

/// Who runs the collector can commit what they like; what does not follow from the facts beside it is found.
#[tokio::test]
async fn a_number_that_does_not_follow_from_its_facts_is_found() {
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(2));
    let told = |report: &Report| report.steps.iter().find(|step| step.step == Step::Numbers).unwrap().detail.clone();
    let report = world.checked(&world.pack("client-a").await);
    assert!(told(&report).starts_with("42 numbers and 5 verdicts of 1 bundle follow"), "{}", told(&report));
    let total =
        |text: &str| text.split("\"metric_key\":\"agents_total\",\"metric_value\":\"").nth(1).unwrap()[..2].to_owned();
    world
        .commit(1, |body| {
            let shown = format!("\"agents_total\",\"metric_value\":\"{}", total(&body));
            assert!(body.contains(&shown));
            body.replacen(&shown, "\"agents_total\",\"metric_value\":\"9", 1)
        })
        .await;
    world.clock.move_to(first() + TimeDelta::hours(26));
    let report = world.checked(&world.pack("client-a").await);
    let (step, failed) = report.failure().unwrap();
    assert_eq!(step, Step::Numbers);
    assert!(failed.to_string().contains("run-0001.json: agents_total is not what its facts give"), "{failed}");
}

/// What docs/verifying.md shows in a block of this language, the first that holds `with`.
fn shown(language: &str, with: &str) -> String {
    let page = include_str!("../../docs/verifying.md");
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(with)).unwrap().to_owned()
}

/// Runs a program in a folder: whether it succeeded, and what it printed.
fn ran(folder: &std::path::Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[tokio::test]
async fn the_script_and_the_commands_of_the_docs_check_a_pack_without_this_program() {
    let world = World::new().await;
    for day in 0..4 {
        if day == 1 { world.fail(day).await } else { world.succeed(day).await }
    }
    world.clock.move_to(first() + TimeDelta::days(7));
    let bytes = world.pack("client-b").await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("pack.zip"), &bytes).unwrap();
    let script = shown("python", "import");
    assert!(script.lines().count() <= 60, "it is to be read in one sitting");
    std::fs::write(at.join("verify.py"), script).unwrap();
    let key = world.maker.signer.verifier().to_string();
    let (good, said) = ran(at, "python3", &["verify.py", "pack.zip", &key]);
    assert!(good && said.starts_with("good: "), "{said}");
    let (good, said) = ran(at, "bash", &["-e", "-c", &shown("sh", "openssl")]);
    assert!(good && said.contains("Signature Verified Successfully"), "{said}");

    // The same of every recorded file with a byte changed, zipped by another program.
    let other = common::signing::LogKey::of_seed(&[5; 32], None).unwrap().verifier().to_string();
    assert!(!ran(at, "python3", &["verify.py", "pack.zip", &other]).0, "signed by another key");
    let recorded = |path: &str| path.starts_with("log/") || path.starts_with("proofs/");
    for (path, _) in files(&bytes).iter().filter(|(path, text)| recorded(path) && !text.is_empty()) {
        let edit = format!(
            "import zipfile\nz = zipfile.ZipFile('pack.zip')\nw = zipfile.ZipFile('changed.zip', 'w')\n\
             for n in z.namelist():\n d = z.read(n)\n w.writestr(n, d[:9] + bytes([d[9] ^ 1]) + d[10:] if n == {path:?} else d)\nw.close()"
        );
        assert!(ran(at, "python3", &["-c", &edit]).0);
        let (good, said) = ran(at, "python3", &["verify.py", "changed.zip", &key]);
        assert!(!good && said.contains("AssertionError") && said.contains(path.as_str()), "{path}: {said}");
    }
}

/// What validators of others look at as well: `.ci/run exports` takes the files from here.
#[tokio::test]
async fn exports_are_what_their_schemas_say() {
    let world = World::new().await;
    world.succeed(0).await;
    world.succeed_training(0).await;
    for (name, hours) in [("fresh", 2), ("stale", 48), ("expired", 24 * 9)] {
        world.clock.move_to(first() + TimeDelta::hours(hours));
        let request = PackRequest { to: "2026-03-31".parse().unwrap(), ..World::request("client-a") };
        let bytes = world.maker.pack(&request).await.unwrap();
        assert!(world.checked(&bytes).is_good(), "{:?}", world.checked(&bytes).failure());
        std::fs::write(format!("{}/pack-{name}.zip", env!("CARGO_TARGET_TMPDIR")), &bytes).unwrap();
        let files = files(&bytes);
        let oscal: serde_json::Value = serde_json::from_str(&files["oscal/assessment-results.json"]).unwrap();
        let schema = include_str!("../samples/schemas/oscal-assessment-results-1.2.1.json");
        let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let wrong: Vec<String> =
            schema.iter_errors(&oscal).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let result = &oscal["assessment-results"]["results"][0];
        let findings = result["findings"].as_array().map_or(0, Vec::len);
        // What is not fresh is neither satisfied nor not.
        assert_eq!(findings > 0, name == "fresh", "{findings} findings");
        assert!(result["observations"].as_array().unwrap().len() >= 5);
        let ocsf: Vec<serde_json::Value> = serde_json::from_str(&files["ocsf/compliance-findings.json"]).unwrap();
        assert!(!ocsf.is_empty());
        for finding in &ocsf {
            let (id, detail) =
                (&finding["compliance"]["status_id"], finding["compliance"]["status_detail"].as_str().unwrap());
            let expected: &[u64] = if name == "fresh" { &[1, 2, 3, 99] } else { &[2] };
            assert!(expected.contains(&id.as_u64().unwrap()), "{finding}");
            assert!(name == "fresh" || detail.starts_with(&format!("{name} (was ")), "{detail}");
        }
    }
}

/// A pack says what was done about the client, and nothing of another.
#[tokio::test]
async fn a_pack_has_the_audit_events_of_its_client_cut_to_it() {
    let world = World::new().await;
    world.succeed(0).await;
    let at = |hours| first() + TimeDelta::hours(hours);
    let actor = Actor::cli("alice");
    let event = |action, hours| {
        AuditEvent::of_connection(&actor, action, ConnectionKey::of(&company(), &connection()), at(hours))
    };
    let mapping =
        |clients: serde_json::Value| serde_json::json!({"kind": "by_organization", "clients": clients, "ignored": []});
    let both = mapping(serde_json::json!({"1": "client-a", "2": "client-b"}));
    let events = [
        event(AuditAction::MappingChanged, 1).changing(&mapping(serde_json::json!({"2": "client-b"})), &both),
        event(AuditAction::ConnectionPaused, 2).because("until client-b has paid"),
        AuditEvent { client: Some(client("client-b")), ..event(AuditAction::ProviderNamed, 2) },
        AuditEvent { client: Some(client("client-a")), ..event(AuditAction::PackMade, 2) },
        // After the pack.
        event(AuditAction::ConnectionResumed, 30),
    ];
    for event in &events {
        world.store.add_audit_event(event).await.unwrap();
    }
    world.clock.move_to(at(24));
    let bytes = world.pack("client-a").await;
    assert!(world.checked(&bytes).is_good(), "{:?}", world.checked(&bytes).failure());
    let files = files(&bytes);
    let told: Vec<serde_json::Value> =
        files["audit/events.jsonl"].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = told.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["policy.chosen", "mapping.changed", "connection.paused"]);
    assert_eq!(told[1]["after"]["clients"], serde_json::json!({"1": "client-a"}));
    assert_eq!(told[2]["reason"], serde_json::Value::Null);
    assert!(files["csv/audit-log.csv"].contains("mapping.changed,edr"), "{}", files["csv/audit-log.csv"]);
    for (path, text) in &files {
        assert!(!text.contains("client-b"), "{path} names another client");
    }
}

/// Verdicts are those of the policies that the client had chosen, as its own decisions say.
#[tokio::test]
async fn verdicts_by_a_policy_that_nobody_chose_are_found() {
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(4));
    assert!(world.checked(&world.pack("client-a").await).is_good());
    // From now on another one is in force; what is committed is still by the first.
    let decisions = Decisions { store: world.store.clone(), clock: Arc::new(world.clock.clone()) };
    let alice = Decider { name: "alice".to_owned(), on_this_machine: true };
    let strict = common::domain::policy::presets().iter().find(|policy| policy.name().as_str() == "strict").unwrap();
    decisions.choose(&company(), &client("client-a"), strict, &alice).await.unwrap();
    world.succeed(1).await;
    world.clock.move_to(first() + TimeDelta::hours(30));
    let report = world.checked(&world.pack("client-a").await);
    let (step, failed) = report.failure().unwrap();
    assert_eq!(step, Step::Numbers);
    assert!(failed.to_string().contains("run-0001.json: its verdicts are not by the policies"), "{failed}");
}

#[tokio::test]
async fn a_log_goes_on_under_another_key_that_the_old_one_announces() {
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(2));
    let earlier = world.pack("client-a").await;
    let old = world.maker.signer.verifier().clone();
    let path = world.folder.path().join("log.key");
    let actor = Actor::cli("alice");
    let now = first() + TimeDelta::hours(2);
    let new = LogSigner::replace_file(&path, &world.store, &company(), &actor, now).await.unwrap();
    assert_eq!((new.verifier().name(), new.verifier() == &old), (old.name(), false));
    assert_eq!(LogSigner::of_file(&path).unwrap().verifier(), new.verifier());
    // The old key is kept, readable by its owner alone.
    let kept = world.folder.path().join(format!("log.key.{:08x}", old.id()));
    assert_eq!(LogSigner::of_file(&kept).unwrap().verifier(), &old);
    world.succeed(1).await;
    world.clock.move_to(first() + TimeDelta::hours(30));
    let key = new.verifier().clone();
    let maker = PackMaker { signer: Arc::new(new), ..world.maker.clone() };
    let later = maker.pack(&World::request("client-a")).await.unwrap();
    // Who knows the old key alone can follow, and compare with what it signed.
    let report = verify(&later, &Known { keys: vec![old.clone()], older: vec![("earlier".to_owned(), &earlier)] });
    assert!(report.is_good(), "{:?}", report.failure());
    let signature = report.steps.iter().find(|step| step.step == Step::Signature).unwrap();
    assert!(signature.detail.contains("announced by a key that was given (1 followed)"), "{}", signature.detail);
    assert!(verify(&later, &Known { keys: vec![key], older: Vec::new() }).is_good());
    // Stopped after the announcement, a repetition goes on with the same key.
    let leaves = world.store.company_log(&company()).await.unwrap().len();
    let text = std::fs::read(&path).unwrap();
    std::fs::rename(&path, world.folder.path().join("log.key.next")).unwrap();
    std::fs::copy(&kept, &path).unwrap();
    LogSigner::replace_file(&path, &world.store, &company(), &actor, now).await.unwrap();
    assert_eq!(
        (std::fs::read(&path).unwrap(), world.store.company_log(&company()).await.unwrap().len()),
        (text, leaves)
    );
}

/// Whoever changes a folder so that evidence and log disagree gets nothing that counts as proved: every read says so.
#[tokio::test]
async fn evidence_that_its_log_contradicts_is_not_shown() {
    use aws_sdk_dynamodb::types::AttributeValue;
    for change in ["leaf", "no leaf", "commit", "stripped"] {
        let world = World::new().await;
        for day in 0..2 {
            world.succeed(day).await;
        }
        world.clock.move_to(first() + TimeDelta::days(3));
        let dynamo = world._engine.client();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let pk = text("CONNECTION#msp-acme#edr");
        let of = |sk: &str| [("pk".to_owned(), pk.clone()), ("sk".to_owned(), text(sk))];
        let leaf = of("LOG#LEAF#00000000000000000001");
        let commit = of("COMMIT#2026-03-17T11:05:00.000Z#run-0001");
        let get = async |key: [(String, AttributeValue); 2]| {
            let found = dynamo.get_item().table_name(acceptance::engine::TABLE).set_key(Some(key.into())).send().await;
            found.unwrap().item.unwrap()
        };
        match change {
            "no leaf" => {
                let gone = dynamo.delete_item().table_name(acceptance::engine::TABLE).set_key(Some(leaf.into()));
                gone.send().await.unwrap();
            }
            _ => {
                let mut item = get(if change == "leaf" { leaf } else { commit }).await;
                match change {
                    "leaf" => {
                        let data = item["data"].as_s().unwrap().replace("\"bundles\":3", "\"bundles\":4");
                        item.insert("data".to_owned(), AttributeValue::S(data));
                    }
                    "commit" => {
                        item.insert("bundles".to_owned(), AttributeValue::N("4".to_owned()));
                    }
                    _ => {
                        item.remove("leaf");
                        item.remove("bundle_root");
                    }
                }
                dynamo.put_item().table_name(acceptance::engine::TABLE).set_item(Some(item)).send().await.unwrap();
            }
        }
        let owner = EvidenceOwner::Client(client("client-a"));
        let window = Window { start: first(), end: first() + TimeDelta::days(3) };
        let reads = [
            world.store.latest(&company(), &owner).await.map(drop),
            world.store.evidence_of_run(&company(), &owner, Product::Edr, &run(1)).await.map(drop),
            world.store.history(&company(), &owner, Product::Edr, window).await.map(drop),
            world.maker.pack(&World::request("client-a")).await.map(drop).map_err(|error| match error {
                common::app::packs::MakePackError::Store(error) => error,
                other => panic!("{change}: {other}"),
            }),
        ];
        for (place, read) in reads.into_iter().enumerate() {
            let said = read.unwrap_err().to_string();
            assert!(said.contains("log") && said.contains("cannot be used"), "{change}, read {place}: {said}");
        }
        // The day before is still what its leaf says, and that is proved by the leaf after it.
        let first_hour = Window { start: first(), end: first() + TimeDelta::hours(1) };
        let before = world.store.latest_between(&company(), &owner, None, first_hour).await;
        match before {
            Ok(before) => assert!(before.len() == 1 && !change.ends_with("leaf"), "{change}"),
            Err(error) => assert!(change.ends_with("leaf"), "{change}: {error}"),
        }
    }
}

/// One piece of evidence is proved by few leaves, wherever it lies in the log; and each of those counts.
#[tokio::test]
async fn each_leaf_that_proves_a_piece_of_evidence_counts() {
    use acceptance::tamper::{Tampering, put_back, tamper};
    let world = World::new().await;
    for day in 0..11 {
        world.succeed(day).await;
    }
    let (dynamo, owner) = (world._engine.client(), EvidenceOwner::Client(client("client-a")));
    let read = async |day: i64| {
        let at = first() + TimeDelta::days(day);
        let hour = Window { start: at, end: at + TimeDelta::hours(1) };
        world.store.latest_between(&company(), &owner, None, hour).await.map(|it| it.len())
    };
    // The leaf itself, those that join it to larger trees, and the newest.
    for (day, leaves) in [(0, vec![0, 1, 3, 7, 10]), (4, vec![4, 5, 7, 10]), (8, vec![8, 9, 10]), (10, vec![10])] {
        for leaf in 0..11 {
            for how in [Tampering::LeafChanged(leaf), Tampering::TreeBeforeLeafChanged(leaf)] {
                // There is no tree before the first.
                if how == Tampering::TreeBeforeLeafChanged(0) {
                    continue;
                }
                let before = tamper(&dynamo, acceptance::engine::TABLE, "msp-acme#edr", how).await;
                let refused = read(day).await.is_err();
                assert_eq!(refused, leaves.contains(&leaf), "the evidence of day {day}, {how:?}");
                put_back(&dynamo, acceptance::engine::TABLE, before).await;
            }
        }
        assert_eq!(read(day).await.unwrap(), 1, "day {day}");
    }
    // What an older release wrote knows no trees: then all of the log is read.
    for leaf in 0..11 {
        tamper(&dynamo, acceptance::engine::TABLE, "msp-acme#edr", Tampering::TreeBeforeLeafForgotten(leaf)).await;
    }
    assert_eq!(read(4).await.unwrap(), 1);
    let _ = tamper(&dynamo, acceptance::engine::TABLE, "msp-acme#edr", Tampering::LeafChanged(6)).await;
    assert!(read(4).await.is_err());
}

/// A decision that is not the one that the company's log committed to makes no pack and no export.
#[tokio::test]
async fn a_decision_that_was_changed_makes_no_pack() {
    use aws_sdk_dynamodb::types::AttributeValue;
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(2));
    world.pack("client-a").await;
    let dynamo = world._engine.client();
    let scan = dynamo.scan().table_name(acceptance::engine::TABLE).send().await.unwrap();
    let mut changed = 0;
    for mut item in scan.items.unwrap_or_default() {
        if !item["pk"].as_s().unwrap().starts_with("DECISIONS#") {
            continue;
        }
        for value in item.values_mut() {
            if let AttributeValue::S(text) = value
                && text.contains("\"nonce\":")
            {
                *text = text.replace("\"alice\"", "\"mallory\"");
                changed += 1;
            }
        }
        dynamo.put_item().table_name(acceptance::engine::TABLE).set_item(Some(item)).send().await.unwrap();
    }
    assert!(changed > 0, "no decision is kept as a text");
    let line = world.maker.pack(&World::request("client-a")).await.unwrap_err().to_string();
    assert!(line.contains("is not what the company's log committed to"), "{line}");
}

/// A folder that was put back from an older copy is signed no more: a log that was signed once may not fork.
#[tokio::test]
async fn a_log_that_is_shorter_than_its_checkpoint_makes_no_pack() {
    let world = World::new().await;
    world.succeed(0).await;
    world.clock.move_to(first() + TimeDelta::hours(2));
    world.pack("client-a").await;
    // What is in a pack is covered by a checkpoint that is kept.
    let id = LogId::of_connection(&company(), &connection());
    let kept = world.store.kept_checkpoint(&id).await.unwrap().unwrap();
    assert_eq!(kept.size, 1);
    world.store.keep_checkpoint(&id, &common::store::KeptCheckpoint { size: 2, ..kept }).await.unwrap();
    let line = world.maker.pack(&World::request("client-a")).await.unwrap_err().to_string();
    assert!(line.contains("the log msp-acme/edr has 1 leaves, and a checkpoint was signed over 2"), "{line}");
}

#[tokio::test]
async fn a_pack_of_another_zone_has_its_days_and_is_checked_by_them() {
    // 11:05 by universal time is five past midnight in Auckland, until the clocks go back there on 5 April, and five past eleven in the evening after that.
    let calendar = Calendar::parse("cron(0 5 * * ? *)", "Pacific/Auckland").unwrap();
    let world = World::on(calendar.clone()).await;
    let decisions = Decisions { store: world.store.clone(), clock: Arc::new(world.clock.clone()) };
    let by = |name: &str| Decider { name: name.to_owned(), on_this_machine: true };
    let request = ExceptionRequest {
        client: client("client-a"),
        subject: ExceptionSubject::Control(String::new()),
        reason: "The laptops of the sales team are replaced in May.".to_owned(),
        by: by("alice"),
        from: None,
        until: Until::EndOf("2026-04-05".parse().unwrap()),
        link: None,
    };
    let spec = ExceptionSpec::Rule("edr-missing".to_owned());
    let excepted = decisions.except(&company(), &spec, request, Some(&by("bob"))).await.unwrap();
    // 25 hours after 5 April began there.
    assert_eq!(excepted.exception.until, parse("2026-04-05T12:00:00Z").unwrap());
    for day in [0, 18, 19, 20] {
        world.succeed(day).await;
    }
    let first_tick = calendar.tick_of("2026-04-02".parse().unwrap(), first() + TimeDelta::days(30)).unwrap();
    world.store.record_tick(Tick { due: first_tick, handled: first_tick + TimeDelta::seconds(9) }).await.unwrap();
    world.clock.move_to(first() + TimeDelta::days(40));
    let wanted = |from: &str, to: &str| PackRequest {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        ..World::request("client-a")
    };
    // Its instant is the end of 5 April there, which is the first at which the exception counts no more.
    let bytes = world.maker.pack(&wanted("2026-03-17", "2026-04-05")).await.unwrap();
    let report = world.checked(&bytes);
    assert!(report.is_good(), "{:#?}", report.failure());
    let packed = files(&bytes);
    let manifest: serde_json::Value = serde_json::from_str(&packed["manifest.json"]).unwrap();
    assert_eq!((&manifest["zone"], &manifest["at"]), (&"Pacific/Auckland".into(), &"2026-04-05T12:00:00Z".into()));
    let window: serde_json::Value = serde_json::from_str(&packed["window.json"]).unwrap();
    assert_eq!((&window["zone"], &window["schedule"]), (&"Pacific/Auckland".into(), &"cron(0 5 * * ? *)".into()));
    let rows: Vec<String> = packed["csv/window.csv"]
        .lines()
        .filter(|line| line.contains(",edr,"))
        .map(|line| line.split(',').take(7).collect::<Vec<_>>().join(","))
        .collect();
    assert_eq!(rows.len(), 20);
    for expected in [
        "2026-03-17,edr,huntress-edr,2026-03-16T11:05:00Z,run-0000,",
        "2026-04-02,edr,huntress-edr,,,unexplained",
        "2026-04-03,edr,huntress-edr,,,no_tick",
        "2026-04-04,edr,huntress-edr,2026-04-03T11:05:00Z,run-0018,",
        // What is of 4 and of 5 April by universal time is of the 5th there, both: the newest counts.
        "2026-04-05,edr,huntress-edr,2026-04-05T11:05:00Z,run-0020,",
    ] {
        assert!(rows.iter().any(|row| row.starts_with(expected)), "{expected} in {rows:#?}");
    }
    assert!(!packed["csv/controls.csv"].contains("accepted until"), "{}", packed["csv/controls.csv"]);
    // A day earlier it does, and says until which day.
    let bytes = world.maker.pack(&wanted("2026-03-17", "2026-04-04")).await.unwrap();
    assert!(world.checked(&bytes).is_good());
    assert!(files(&bytes)["csv/controls.csv"].contains("accepted until 2026-04-05"));
}

#[tokio::test]
async fn numbers_by_rules_that_this_release_does_not_know_are_not_called_wrong() {
    let world = World::new().await;
    world.commit_by("4", 0, |bundle| bundle).await;
    world.clock.move_to(first() + TimeDelta::days(10));
    let report = world.checked(&world.pack("client-a").await);
    let (step, failed) = report.failure().unwrap();
    assert_eq!(step, Step::Numbers);
    assert!(failed.to_string().contains("rules 4, which this release does not know: check it with a newer one"));
}

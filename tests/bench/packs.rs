//! A year of daily evidence of one client and one product: its pack made and checked, beside `sha256sum` and `zip` over the same files.
//!
//! The table is the embedded engine over loopback HTTP with the real SDK. The check runs in a process of its own, whose memory is the most that it ever had.
//!
//! Usage: `cargo bench --workspace --bench packs`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark: a failure here is a failed measurement"
)]

use acceptance::clock::SteppingClock;
use acceptance::edr::{Scene, as_of};
use acceptance::engine::Engine;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::decisions::Decisions;
use common::app::log::LogSigner;
use common::app::packs::{PackMaker, PackReader, PackRequest};
use common::domain::connection::Connection;
use common::domain::decisions::Decider;
use common::domain::edr::bundle::split;
use common::domain::evidence::EdrBundle;
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::mapping::Mapping;
use common::domain::policy::{ClientPolicies, InForce, baseline, training};
use common::domain::product::Product;
use common::domain::run::{RecordCounts, Trigger};
use common::domain::time::parse;
use common::pack::verify::{Known, verify};
use common::pack::zip::Archive;
use common::store::{EvidenceOwner, EvidenceRecord, LeaseOutcome, RunRequest, RunSuccess, Store};
use simulator::{Account, List};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DAYS: i64 = 365;

/// How often each thing is done; the best counts, since everything else that the machine does adds to it.
const TIMES: usize = 5;

fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

fn edr() -> ConnectionId {
    ConnectionId::parse("edr").unwrap()
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn first() -> DateTime<Utc> {
    parse("2025-01-01T12:05:00Z").unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--check") {
        return check(Path::new(&arguments[place + 1]));
    }
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

/// What `verify` does, with the time and the memory that it took.
fn check(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    let start = Instant::now();
    let report = verify(&bytes, &Known::default());
    let took = start.elapsed();
    assert!(report.is_good(), "{:?}", report.failure());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    println!("{} {peak}", took.as_micros());
}

async fn measure() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let clock = SteppingClock::at(first() - TimeDelta::hours(1));
    let bundles = prepared(&store, &clock).await;
    for day in 0..DAYS {
        succeed(&store, &bundles, day).await;
    }
    clock.move_to(first() + TimeDelta::days(DAYS + 1));
    let folder = tempfile::tempdir().unwrap();
    let signer = Arc::new(LogSigner::of_file(&folder.path().join("log.key")).unwrap());
    let maker = PackMaker { reader: PackReader { store, clock: Arc::new(clock) }, signer };
    let request = PackRequest {
        company: company(),
        client: client("client-a"),
        from: "2025-01-01".parse().unwrap(),
        to: "2025-12-31".parse().unwrap(),
    };
    let (mut pack, mut making) = (Vec::new(), Duration::MAX);
    for _ in 0..TIMES {
        let start = Instant::now();
        pack = maker.pack(&request).await.unwrap();
        making = making.min(start.elapsed());
    }
    let file = folder.path().join("pack.zip");
    std::fs::write(&file, &pack).unwrap();
    let checked: Vec<(u64, String)> = (0..TIMES).map(|_| in_own_process(&file)).collect();
    let (checking, memory) = checked.into_iter().min().unwrap();

    let unpacked = folder.path().join("files");
    let mut whole = 0;
    let archive = Archive::open(&pack).unwrap();
    for entry in archive.entries() {
        let bytes = archive.read(entry, 1 << 28).unwrap();
        whole += bytes.len();
        let path = unpacked.join(&entry.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    println!(
        "{DAYS} days, one client, one product: {} files with {:.2} MB, {:.2} MB as a pack",
        archive.entries().len(),
        megabytes(whole),
        megabytes(pack.len())
    );
    println!("made          {:>8.0} ms   read from the table, proved, rendered, signed, zipped", milliseconds(making));
    println!(
        "verified      {:>8.0} ms   all steps, in a process of {memory} at most",
        milliseconds(Duration::from_micros(checking))
    );
    for (name, script) in [
        ("sha256sum", "find . -type f -print0 | xargs -0 sha256sum > /dev/null"),
        ("zip", "rm -f ../other.zip && zip -qr ../other.zip ."),
    ] {
        match beside(&unpacked, script) {
            Some(took) => println!("{name:<14}{:>8.0} ms   over the same files", milliseconds(took)),
            None => println!("{name:<14} is not installed here"),
        }
    }
    if let Ok(other) = std::fs::metadata(folder.path().join("other.zip")) {
        println!("              {:.2} MB as zip packs them", megabytes(usize::try_from(other.len()).unwrap()));
    }
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn in_own_process(file: &Path) -> (u64, String) {
    let output = Command::new(std::env::current_exe().unwrap()).arg("--check").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let (micros, peak) = printed.trim().split_once(' ').unwrap();
    (micros.parse().unwrap(), peak.to_owned())
}

/// The best of several times that a script takes; `None` where it does not run.
fn beside(folder: &Path, script: &str) -> Option<Duration> {
    let run = || {
        let start = Instant::now();
        let status = Command::new("sh").args(["-c", script]).current_dir(folder).status().unwrap();
        status.success().then(|| start.elapsed())
    };
    (0..TIMES).map(|_| run()).collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// A connection of two clients, one of which chose a policy, and the bundles of one run.
async fn prepared(store: &Store, clock: &SteppingClock) -> Vec<EdrBundle> {
    let account = Account::worked_example(as_of());
    let organizations: Vec<String> =
        account.records(List::Organizations).map(|organization| organization["id"].to_string()).collect();
    let outcome = tokio::task::spawn_blocking(move || Scene::of(account).collect_blocking()).await.unwrap();
    let clients = [(organizations[0].clone(), client("client-a")), (organizations[1].clone(), client("client-b"))];
    let mapping = Mapping::ByOrganization { clients: clients.into(), ignored: [].into() };
    let (tally, collection) = outcome.result.as_ref().unwrap();
    let chosen = [(client("client-a"), InForce::after([baseline()]))];
    let bundles = split(tally, collection, &company(), &mapping, &ClientPolicies::new(chosen.into()));
    let new = Connection::new(company(), edr(), Product::Edr, mapping, first() - TimeDelta::days(1));
    store.add_connection(&new).await.unwrap();
    let decisions = Decisions { store: store.clone(), clock: Arc::new(clock.clone()) };
    let alice = Decider { name: "alice".to_owned(), on_this_machine: true };
    decisions.choose(&company(), &client("client-a"), baseline(), &alice).await.unwrap();
    bundles
}

async fn succeed(store: &Store, bundles: &[EdrBundle], day: i64) {
    let now = first() + TimeDelta::days(day);
    let run_id = RunId::parse(format!("run-{day:04}")).unwrap();
    let request = RunRequest {
        company: company(),
        connection: edr(),
        run_id: run_id.clone(),
        trigger: Trigger::Schedule,
        request_key: None,
        next_run_at: None,
        not_before: None,
        now,
    };
    assert!(store.request_run(request).await.unwrap().new);
    let taken = store.take(&company(), &edr(), &run_id, "worker", now, TimeDelta::minutes(15)).await.unwrap();
    let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
    let ended = RunSuccess {
        finished_at: now + TimeDelta::seconds(3),
        api_calls: 6,
        records: RecordCounts::default(),
        pages: RecordCounts::default(),
        next_run_at: None,
        basis: EvaluationBasis::new(vec![training().hash(), baseline().hash()]),
    };
    let record = |bundle: &EdrBundle| {
        let mut bundle = bundle.clone();
        bundle.tenant.company_id = Some(company());
        bundle.metadata.as_of = now;
        bundle.metadata.run_id = Some(run_id.clone());
        let owner = bundle.tenant.client_id.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
        EvidenceRecord { owner, product: Product::Edr, body: serde_json::to_string(&bundle).unwrap() }
    };
    store.commit(&lease, ended, bundles.iter().map(record).collect()).await.unwrap();
}

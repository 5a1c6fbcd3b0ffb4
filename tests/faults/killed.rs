//! `serve` under load, killed with SIGKILL at random moments and started again over the same folder: afterwards the books have to balance.

use crate::number;
use chrono::{DateTime, Utc};
use common::app::collection::collect::Huntress;
use common::clock::SystemClock;
use common::domain::failure::FailureCode;
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::product::Product;
use common::domain::run::{Run, RunStatus};
use common::domain::time::Window;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::{EvidenceOwner, Store};
use fastrand::Rng;
use huntress_evidence::stack::LocalStack;
use serde_json::Value;
use simulator::{
    API_KEY, API_SECRET, AccountSpec, Fault, FaultKind, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatSpec, Shape, Simulator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Each with a client of its own, by the same name.
const CONNECTIONS: [(&str, &str); 10] = [
    ("edr-1", "edr"),
    ("edr-2", "edr"),
    ("edr-3", "edr"),
    ("edr-4", "edr"),
    ("edr-5", "edr"),
    ("edr-6", "edr"),
    ("edr-7", "edr"),
    ("edr-8", "edr"),
    ("sat-1", "sat"),
    ("sat-2", "sat"),
];

const DEFAULT_KILLS: u64 = 12;

/// Quarters of a second that the last process has for all that is left to do: the request limits are the vendor's, in real time.
const LONGEST_END: u32 = 4 * 300;

struct Home {
    folder: TempDir,
    simulator: Simulator,
}

impl Home {
    async fn new() -> Self {
        let as_of = acceptance::edr::as_of();
        let account = AccountSpec { seed: 3, shape: Shape::Vendor, organizations: 3, agents: 30, incidents: 5, as_of };
        let training =
            SatSpec { seed: 3, learners: 9, assignments: 3, campaigns: 2, activity_per_assignment: 2, as_of };
        // An answer takes a while, so that many a kill rules in the middle of a run.
        let slow = Fault::always(None, FaultKind::Hang(Duration::from_millis(25)));
        let builder = Simulator::builder(account.generate()).sat(training.generate());
        let simulator = builder.rate_limit(None).sat_rate_limit(None, None).fault(slow).start().await.unwrap();
        Self { folder: TempDir::new().unwrap(), simulator }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_huntress-evidence-tested"));
        command.args(arguments).arg("--data").arg(self.data()).env_clear().current_dir(self.folder.path());
        let origin = self.simulator.origin();
        command.env("HUNTRESS_EDR_URL", &origin).env("HUNTRESS_SAT_URL", &origin).env("HUNTRESS_ALLOW_LOOPBACK", "1");
        command.env("HUNTRESS_API_KEY", API_KEY).env("HUNTRESS_API_SECRET", API_SECRET);
        command.env("HUNTRESS_SAT_CLIENT_ID", SAT_CLIENT_ID).env("HUNTRESS_SAT_CLIENT_SECRET", SAT_CLIENT_SECRET);
        command.stdin(Stdio::null());
        command
    }

    fn connect(&self) {
        for (connection, product) in CONNECTIONS {
            let arguments = ["connect", product, "--id", connection, "--client", connection];
            let output = self.command(&arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// A process that may not be ready yet.
    fn start(&self) -> Server {
        let log = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command =
            self.command(&["serve", "--listen", "127.0.0.1:0", "--workers", "4", "--sync-cool-down", "0"]);
        Server { child: command.stdout(Stdio::piped()).stderr(log).spawn().unwrap() }
    }

    /// Waits until the account was asked so often, or for a second: by then the limits of the accounts may be used up.
    fn after(&self, requests: usize) {
        self.simulator.reset_log();
        for _ in 0..200 {
            if self.simulator.requests().len() >= requests {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("api-token")).unwrap()
    }

    async fn stack(&self) -> LocalStack {
        let origin = |product| Origin::parse(&self.simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let http = http_client(Timeouts::default()).unwrap();
        LocalStack::open(&self.data(), Huntress { http, clock: Arc::new(SystemClock), origins }).await.unwrap().0
    }
}

struct Server {
    child: Child,
}

impl Server {
    /// Where it listens, once it does; `None` if it ended before.
    fn origin(&mut self) -> Option<String> {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(line.strip_prefix("listening on ")?.split_whitespace().next()?.to_owned())
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks for runs until nobody answers any more, and tells which ones were promised.
fn load(origin: &str, token: &str, seed: u64) -> Vec<(&'static str, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = http_client(Timeouts::default()).unwrap();
    let mut rng = Rng::with_seed(seed);
    let mut promised = Vec::new();
    // No process lives as long.
    for _ in 0..10_000 {
        let (connection, _) = CONNECTIONS[rng.usize(0..CONNECTIONS.len())];
        let url = format!("{origin}/v1/companies/local/connections/{connection}/sync");
        let answered = runtime.block_on(async {
            let answer = client.post(url).bearer_auth(token).send().await.ok()?;
            let status = answer.status();
            let body: Value = serde_json::from_slice(&answer.bytes().await.ok()?).unwrap();
            assert_eq!(status, 202, "{body}");
            Some(body["run_id"].as_str().unwrap().to_owned())
        });
        let Some(run) = answered else { return promised };
        promised.push((connection, run));
        thread::sleep(Duration::from_millis(rng.u64(1..20)));
    }
    promised
}

#[test]
fn sigkill_at_any_moment_leaves_books_that_balance() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let seed = number("FAULT_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let kills = number("FAULT_KILLS").unwrap_or(DEFAULT_KILLS);
    println!("FAULT_SEED={seed} FAULT_KILLS={kills} cargo test --workspace --test faults -- sigkill");
    let mut rng = Rng::with_seed(seed);
    let home = runtime.block_on(Home::new());
    home.connect();
    let mut promised = BTreeSet::new();
    for kill in 0..kills {
        let mut server = home.start();
        if rng.u32(0..5) == 0 {
            // While it starts.
            thread::sleep(Duration::from_millis(rng.u64(0..400)));
            server.kill();
            continue;
        }
        let Some(origin) = server.origin() else { panic!("{}", log(&home)) };
        let token = home.token();
        let (requests, moment) = (rng.usize(0..40), Duration::from_micros(rng.u64(0..40_000)));
        let load_seed = seed + kill;
        let loading = thread::spawn(move || load(&origin, &token, load_seed));
        home.after(requests);
        thread::sleep(moment);
        server.kill();
        promised.extend(loading.join().unwrap());
    }

    // The last one brings to its end what was promised.
    let mut server = home.start();
    let Some(origin) = server.origin() else { panic!("{}", log(&home)) };
    let client = http_client(Timeouts::default()).unwrap();
    let mut open = promised.clone();
    for _ in 0..LONGEST_END {
        let Some((connection, run)) = open.first().cloned() else { break };
        let url = format!("{origin}/v1/companies/local/connections/{connection}/runs/{run}");
        let answer: Value = runtime.block_on(async {
            let answer = client.get(url).bearer_auth(home.token()).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{connection} {run}: a promised run is lost");
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        });
        let status = serde_json::from_value::<RunStatus>(answer["run"]["status"].clone()).unwrap();
        if status.is_final() {
            open.pop_first();
        } else {
            thread::sleep(Duration::from_millis(250));
        }
    }
    assert!(open.is_empty(), "runs that do not end: {open:?}\n{}", log(&home));
    server.kill();
    println!("{}", runtime.block_on(balance(&home, &promised)));
}

fn log(home: &Home) -> String {
    let text = std::fs::read_to_string(home.folder.path().join("log")).unwrap_or_default();
    text.lines().rev().take(40).collect::<Vec<_>>().join("\n")
}

/// The table once every run in it is over, and the runs of each connection.
async fn books(home: &Home) -> (LocalStack, Vec<Vec<Run>>) {
    let company = CompanyId::parse("local").unwrap();
    for _ in 0..LONGEST_END / 8 {
        let stack = home.stack().await;
        let (mut books, mut over) = (Vec::new(), true);
        for (connection, _) in CONNECTIONS {
            let id = ConnectionId::parse(connection).unwrap();
            let runs = stack.parts.store.runs(&company, &id, usize::MAX).await.unwrap();
            let active = stack.parts.store.active_run(&company, &id).await.unwrap();
            let open = runs.iter().find(|run| !run.status.is_final()).map(|run| &run.id);
            assert_eq!(active.as_ref().map(|active| &active.run_id), open, "{connection}: the run that is not over");
            over &= open.is_none();
            books.push(runs);
        }
        if over {
            return (stack, books);
        }
        // A run whose promise was never heard. One process at a time has the folder.
        stack.close().await;
        let mut server = home.start();
        server.origin().unwrap();
        thread::sleep(Duration::from_secs(2));
        server.kill();
    }
    panic!("a run does not end\n{}", log(home));
}

/// Checks the books and sums them up.
async fn balance(home: &Home, promised: &BTreeSet<(&'static str, String)>) -> String {
    let company = CompanyId::parse("local").unwrap();
    let (stack, books) = books(home).await;
    let mut endings: BTreeMap<&str, u64> = BTreeMap::new();
    for ((connection, product), runs) in CONNECTIONS.into_iter().zip(&books) {
        let id = ConnectionId::parse(connection).unwrap();
        let mut owners = vec![EvidenceOwner::Client(ClientId::parse(connection).unwrap())];
        if product == "edr" {
            owners.push(EvidenceOwner::Company);
        }
        check(&stack.parts.store, &company, &id, product, runs, &owners).await;
        for (_, run) in promised.iter().filter(|(of, _)| *of == connection) {
            assert!(runs.iter().any(|it| it.id.as_str() == run), "{connection} {run}: a promised run is lost");
        }
        for run in runs {
            *endings.entry(run.failure.as_ref().map_or("succeeded", |failure| failure.code.as_str())).or_default() += 1;
        }
    }
    stack.close().await;
    let database = rusqlite::Connection::open(home.data().join("evidence.db")).unwrap();
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    assert!(endings["succeeded"] > 0 && !promised.is_empty());
    format!("{} runs were promised; of all: {endings:?}", promised.len())
}

/// Of every run that succeeded each owner has one piece of evidence, and of no other one any.
async fn check(
    store: &Store,
    company: &CompanyId,
    connection: &ConnectionId,
    product: &str,
    runs: &[Run],
    owners: &[EvidenceOwner],
) {
    let product = if product == "edr" { Product::Edr } else { Product::Sat };
    let mut succeeded: Vec<(DateTime<Utc>, &RunId)> = Vec::new();
    for run in runs {
        match &run.failure {
            None => {
                assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
                assert_eq!(run.bundles, owners.len() as u64, "{run:?}");
                succeeded.push((run.as_of.unwrap(), &run.id));
            }
            // The limits are real, and the load does not care for them. Nothing else was wrong.
            Some(failure) => assert_eq!(failure.code, FailureCode::RateLimited, "{run:?}"),
        }
    }
    succeeded.sort();
    for owner in owners {
        let history = store.history(company, owner, product, Window::ALL).await;
        let history = history.unwrap();
        let mut pieces: Vec<_> =
            history.iter().filter(|it| it.connection == *connection).map(|it| (it.as_of, &it.run_id)).collect();
        pieces.sort();
        assert_eq!(pieces, succeeded, "{owner:?} of {connection}");
        for piece in history {
            assert!(piece.body.contains(piece.run_id.as_str()), "{owner:?}: evidence of another run");
        }
    }
}

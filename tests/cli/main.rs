//! The command `huntress-evidence` as a process of its own, against a simulated account.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod arguments;
mod audited;
mod clock;
mod collect;
mod damage;
mod decisions;
mod deployed;
mod disk;
mod documented;
mod failures;
mod keyed;
mod packs;
mod pasted;
mod people;
mod questions;
mod recovery;
mod redirect;
mod serve;
mod server;
mod stored;
mod terminal;
mod tokens;
mod training;

use chrono::{DateTime, Utc};
use common::clock::{Clock, SystemClock};
use serde_json::Value;
use simulator::{Account, Simulator, SimulatorBuilder};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The credential of every simulated account here. Neither may ever be seen.
const KEY: &str = "hk_marker_5f0c2d9ab1";
const SECRET: &str = "hs_marker_77e1c0d4f2";

/// The 18 metrics in the order of the bundle.
const METRICS: [&str; 18] = [
    "agents_total",
    "agents_online",
    "agents_offline",
    "agents_missing",
    "agents_online_percentage",
    "incidents_total",
    "incidents_open",
    "incidents_in_progress",
    "incidents_resolved",
    "incidents_critical",
    "incidents_high",
    "organizations_total",
    "organizations_with_agents",
    "average_agents_per_org",
    "organization_coverage_pct",
    "mean_time_to_detect_hours",
    "mean_time_to_resolve_hours",
    "incidents_auto_resolved",
];

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// The day that it is where the schedule is: what commands mean by today.
fn today() -> String {
    common::domain::calendar::Calendar::default().day_of(now()).to_string()
}

/// Runs what is asynchronous in a test that is not.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Output {
    /// Panics unless the command did what it was asked without a word on stderr.
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }

    /// The whole of stdout as one JSON value.
    #[track_caller]
    fn json(self) -> Value {
        let done = self.done();
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stdout))
    }

    /// The one line of a failure: on stderr, and nothing on stdout.
    #[track_caller]
    fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "{self:?}");
        let line = self.stderr.strip_prefix("huntress-evidence: ").and_then(|line| line.strip_suffix('\n'));
        line.unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// A simulated account, and a folder for what is stored of it.
struct Home {
    simulator: Simulator,
    folder: TempDir,
}

impl Home {
    fn new(account: Account) -> Self {
        Self::of(simulated(account))
    }

    fn of(builder: SimulatorBuilder) -> Self {
        let simulator = wait(builder.credentials(KEY, SECRET).start()).unwrap();
        Self { simulator, folder: TempDir::new().unwrap() }
    }

    /// The data folder, which is not there yet.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command with nothing in its environment but the simulated account and its credential.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(self.folder.path(), arguments);
        command
            .env("HUNTRESS_EDR_URL", self.simulator.origin())
            .env("HUNTRESS_ALLOW_LOOPBACK", "1")
            .env("HUNTRESS_API_KEY", KEY)
            .env("HUNTRESS_API_SECRET", SECRET);
        command
    }

    /// Runs a command that stores nothing.
    fn run(&self, arguments: &[&str]) -> Output {
        output(&mut self.command(arguments))
    }

    /// Runs a command on the data folder.
    fn on_data(&self, arguments: &[&str]) -> Output {
        output(self.command(arguments).arg("--data").arg(self.data()))
    }

    /// Has a connection `edr` of this account.
    #[track_caller]
    fn connect(&self) {
        self.on_data(&["connect", "edr", "--client", "acme"]).done();
    }
}

/// A simulator without the limit of 60 requests a minute.
fn simulated(account: Account) -> SimulatorBuilder {
    Simulator::builder(account).rate_limit(None).dated(true)
}

/// 87 agents, 12 organizations, 14 incidents.
fn worked_example() -> Account {
    Account::worked_example(now())
}

/// The command with an empty environment and no terminal.
fn bare(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huntress-evidence-tested"));
    command.args(arguments).env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for something that has to come.
#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("in a minute there was no {what}")
}

/// The value of a metric in a bundle.
fn metric<'a>(bundle: &'a Value, key: &str) -> &'a str {
    let metrics = bundle["metrics"].as_array().unwrap().iter().chain(bundle["extended_metrics"].as_array().unwrap());
    let found: Vec<&Value> = metrics.filter(|metric| metric["metric_key"] == key).collect();
    assert_eq!(found.len(), 1, "{key}");
    found[0]["metric_value"].as_str().unwrap_or("null")
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

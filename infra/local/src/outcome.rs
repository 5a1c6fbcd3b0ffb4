//! How a command ends: an exit code, and one line to people.

use common::domain::run::{Failure, FailureCode};
use common::settings::SettingsError;
use std::process::ExitCode;

/// A command that did not do what it was asked.
#[derive(Debug)]
pub struct Fault {
    exit: u8,
    line: String,
}

/// Usage, a missing credential, an origin that is not allowed.
const USAGE: u8 = 2;
/// An auth failure.
const AUTH: u8 = 3;
/// Anything else.
const OTHER: u8 = 4;

impl Fault {
    /// The command cannot be carried out as given.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { exit: USAGE, line: line.into() }
    }

    /// Something else went wrong.
    pub fn other(line: impl Into<String>) -> Self {
        Self { exit: OTHER, line: line.into() }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code {
            code if code.is_auth() => AUTH,
            FailureCode::OriginNotAllowed | FailureCode::CredentialMissing => USAGE,
            _ => OTHER,
        };
        Self { exit, line: failure.to_string() }
    }
}

impl From<SettingsError> for Fault {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Prints the one line of a failure and gives the exit code.
#[expect(clippy::print_stderr, reason = "this is the one line that a failing command prints")]
pub fn report(fault: &Fault) -> ExitCode {
    eprintln!("huntress-evidence: {}", fault.line.replace(['\n', '\r'], " "));
    ExitCode::from(fault.exit)
}

/// Help and version go out as they are; a usage error becomes one line.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::from(OTHER) };
    }
    let text = error.to_string();
    let first: Vec<&str> =
        text.lines().take_while(|line| !line.trim_start().starts_with("Usage:")).map(str::trim).collect();
    let line = first.join(" ").trim().trim_start_matches("error: ").to_owned();
    let line = if line.is_empty() { "a command is missing".to_owned() } else { line };
    report(&Fault::usage(format!("{line} (see huntress-evidence --help)")))
}

/// Logs go to stderr: nothing but with `-v`, or as JSON lines where a process serves.
#[expect(clippy::disallowed_methods, reason = "the filter of the log is set up before anything else reads settings")]
pub fn start_logging(verbose: bool, json: bool) {
    use tracing_subscriber::EnvFilter;
    let level = match (verbose, json) {
        (true, _) => "info",
        (false, true) => "info",
        (false, false) => "off",
    };
    let filter = std::env::var("HUNTRESS_EVIDENCE_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    // The SDK's own lines say nothing that ours do not.
    let filter = filter.unwrap_or_else(|| EnvFilter::new(format!("{level},aws=warn,aws_config=warn,hyper=warn")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started =
        if json { builder.json().flatten_event(true).try_init() } else { builder.with_target(false).try_init() };
    // A second start in one process changes nothing.
    drop(started);
}

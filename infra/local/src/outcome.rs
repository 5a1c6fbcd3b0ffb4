//! How a command ends: an exit code, and one line to people.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use common::domain::failure::{Failure, FailureCode};
use common::domain::text::line;
use common::settings::SettingsError;
use std::error::Error;
use std::process::ExitCode;

/// A command that did not do what it was asked.
#[derive(Debug)]
pub struct CliError {
    exit: u8,
    line: String,
}

/// Usage, a missing credential, an origin that is not allowed.
const USAGE: u8 = 2;
/// An auth failure.
const AUTH: u8 = 3;
/// Anything else.
const OTHER: u8 = 4;

impl CliError {
    /// The command cannot be carried out as given.
    pub fn usage(line: impl Into<String>) -> Self {
        Self { exit: USAGE, line: line.into() }
    }

    /// Says one thing more.
    pub fn and(self, more: &str) -> Self {
        Self { line: format!("{}; {more}", self.line), ..self }
    }

    /// Something else went wrong.
    pub fn other(line: impl Into<String>) -> Self {
        Self { exit: OTHER, line: line.into() }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code {
            code if code.is_auth() => AUTH,
            FailureCode::OriginNotAllowed | FailureCode::CredentialMissing => USAGE,
            _ => OTHER,
        };
        Self { exit, line: failure.to_string() }
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        let remedy = match error {
            SettingsError::Missing("HUNTRESS_API_KEY" | "HUNTRESS_API_SECRET") => {
                "; make a key in Huntress under API Credentials and set both HUNTRESS_API_KEY and HUNTRESS_API_SECRET"
            }
            SettingsError::Missing(_) => "; set it",
            SettingsError::Unreadable(_) => "; set it again, or unset it",
            SettingsError::OneOf(..) | SettingsError::Invalid { .. } => "",
        };
        Self::usage(format!("{error}{remedy}"))
    }
}

/// Tells people on stderr what else happened in a command that did what it was asked.
#[expect(clippy::print_stderr, reason = "what is said beside the answer must not be in it")]
pub fn note(text: &str) {
    eprintln!("huntress-evidence: {}", line(text));
}

/// Prints the one line of a failure and gives the exit code.
#[expect(clippy::print_stderr, reason = "this is the one line that a failing command prints")]
pub fn report(fault: &CliError) -> ExitCode {
    eprintln!("huntress-evidence: {}", line(&fault.line));
    ExitCode::from(fault.exit)
}

/// Help and version go out as they are; a usage error becomes one line.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::from(OTHER) };
    }
    report(&CliError::usage(format!("{} (see huntress-evidence --help)", what_is_wrong(error))))
}

/// What is wrong with the arguments. It repeats nothing that was typed but the names of options: a value may be a key in the wrong place.
fn what_is_wrong(error: &clap::Error) -> String {
    let texts = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.as_str()],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let argument = texts(ContextKind::InvalidArg).join(", ");
    let suggested = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg].map(texts).concat();
    let line = match error.kind() {
        ErrorKind::UnknownArgument => match argument.split('=').next() {
            Some(option) if option.starts_with("--") => format!("there is no option {option} here"),
            _ => "an argument is one too many, or an option that does not exist".to_owned(),
        },
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::InvalidValue if texts(ContextKind::InvalidValue).join("").is_empty() => {
            format!("{argument} needs a value")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let why = error.source().map_or(String::new(), |why| format!(": {why}"));
            format!("the value of {argument} cannot be used{why}")
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "the command is not complete: say which product, as in collect edr".to_owned()
        }
        ErrorKind::ArgumentConflict => {
            let other = texts(ContextKind::PriorArg).join(", ");
            match other.as_str() {
                "" => format!("{argument} cannot be given with the others"),
                other if other == argument => format!("{argument} can be given once only"),
                other => format!("{argument} and {other} cannot be given together"),
            }
        }
        _ => "the arguments cannot be used".to_owned(),
    };
    // The last one is the most similar.
    match suggested.last() {
        Some(suggestion) => format!("{line}; did you mean {suggestion}?"),
        None => line,
    }
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
    // The lines of the SDK and of the embedded engine say nothing that ours do not.
    let libraries = if level == "off" { "" } else { ",aws=warn,aws_config=warn,hyper=warn,dynoxide=error" };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(format!("{level}{libraries}")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started =
        if json { builder.json().flatten_event(true).try_init() } else { builder.with_target(false).try_init() };
    // A second start in one process changes nothing.
    drop(started);
}

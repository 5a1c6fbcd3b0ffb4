//! What people decide about clients.

pub mod attest;
pub mod exception;
pub mod policies;
pub mod policy;

use crate::arguments::ActorArgs;
use crate::commands::{by, faults};
use crate::outcome::CliError;
use chrono::NaiveDate;
use common::app::decisions::DecisionError;
use common::domain::calendar::Until;
use common::domain::decisions::Decider;
use common::store::StoreError;
use std::path::Path;

/// Who decides, on this machine.
fn decider(actor: &ActorArgs) -> Decider {
    Decider { name: by(actor).name, on_this_machine: true }
}

/// What was not decided: what was asked for is wrong, or the data file.
pub fn fault(error: DecisionError) -> CliError {
    match error {
        DecisionError::Store(error @ StoreError::UnknownClient(_)) => CliError::usage(faults::unknown_client(&error)),
        DecisionError::Store(error) => faults::unusable(&error),
        error if error.is_refusal() => CliError::usage(error.to_string()),
        error => CliError::other(error.to_string()),
    }
}

/// The longest policy file, in bytes.
const LONGEST_FILE: u64 = 256 * 1024;

/// The text of a file with a policy.
pub fn policy_file(file: &Path) -> Result<String, CliError> {
    let shown = file.display();
    let length = std::fs::metadata(file).map_err(|error| CliError::usage(format!("{shown}: {error}")))?.len();
    if length > LONGEST_FILE {
        return Err(CliError::usage(format!("{shown}: a policy has at most {LONGEST_FILE} bytes, not {length}")));
    }
    std::fs::read_to_string(file).map_err(|error| CliError::usage(format!("{shown}: {error}")))
}

/// A day, which means its end in the schedule's zone, or an instant.
pub fn until(text: &str) -> Result<Until, String> {
    Until::parse(text)
        .ok_or_else(|| "expected a day, as in 2026-12-01, or a time with a zone, as in 2026-12-01T17:00:00Z".to_owned())
}

/// A day.
pub fn day(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "expected a day, as in 2026-12-01".to_owned())
}

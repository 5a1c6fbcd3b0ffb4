//! What a use case could not do, as one line that says what to do.

use crate::outcome::CliError;
use crate::storage::trouble_in;
use common::app::connections::ConnectionError;
use common::app::evidence::{EvidenceError, QuestionError};
use common::app::people::{KeyringError, PeopleError};
use common::app::runs::plan::PlanError;
use common::domain::id::ConnectionId;
use common::store::StoreError;

/// The table cannot be used.
pub fn unusable(error: &StoreError) -> CliError {
    if let StoreError::UnknownClient(_) = error {
        return CliError::other(unknown_client(error));
    }
    let trouble = trouble_in(error).map_or_else(|| error.to_string(), ToOwned::to_owned);
    CliError::other(format!("the data file cannot be used: {trouble}"))
}

/// There is no such client, and what shows which there are.
pub fn unknown_client(error: &StoreError) -> String {
    format!("{error}; see: huntress-evidence clients")
}

/// There is no such connection.
pub fn no_connection(connection: &ConnectionId) -> CliError {
    CliError::other(format!("there is no connection {connection}; see huntress-evidence connections"))
}

/// A fault of the table, with what it was about.
pub fn stored(error: StoreError, connection: &ConnectionId) -> CliError {
    match error {
        StoreError::NotFound { record: "connection" } => no_connection(connection),
        error => unusable(&error),
    }
}

/// A fault about a connection.
pub fn of_connection(error: ConnectionError, connection: &ConnectionId) -> CliError {
    match error {
        ConnectionError::Store(error) => stored(error, connection),
        ConnectionError::Failed(failure) => failure.into(),
        ConnectionError::Refused(line) => CliError::usage(line),
        error => CliError::other(error.to_string()),
    }
}

/// A fault of planning.
pub fn of_plan(error: PlanError, connection: &ConnectionId) -> CliError {
    match error {
        PlanError::Store(error) => stored(error, connection),
        error @ (PlanError::Queue(_) | PlanError::CoolingDown { .. }) => CliError::other(error.to_string()),
    }
}

/// A fault of reading evidence.
pub fn of_evidence(error: EvidenceError) -> CliError {
    match error {
        EvidenceError::Store(error) => unusable(&error),
        error @ EvidenceError::Unreadable { .. } => CliError::other(error.to_string()),
    }
}

/// What was asked of evidence has no answer: what was asked for is wrong, or there is nothing to answer from.
pub fn of_question(error: QuestionError) -> CliError {
    match error {
        QuestionError::Evidence(error) => of_evidence(error),
        error @ (QuestionError::NoEvidence { .. } | QuestionError::NoFacts(_)) => CliError::other(error.to_string()),
        error => CliError::usage(error.to_string()),
    }
}

/// A fault about people, with the connection that it was about.
pub fn of_people(error: PeopleError, connection: &ConnectionId) -> CliError {
    match error {
        PeopleError::Failed(failure) => failure.into(),
        PeopleError::Refused(line) => CliError::usage(line),
        PeopleError::Store(StoreError::NotFound { record: "person" }) => {
            CliError::other(format!("there is no such person; see: huntress-evidence people {connection}"))
        }
        PeopleError::Store(StoreError::NotFound { record: "certificate" }) => CliError::other(format!(
            "there is no certificate of this person; see: huntress-evidence person {connection} PERSON"
        )),
        PeopleError::Store(error) => stored(error, connection),
        PeopleError::PeopleKeyring(KeyringError::NothingSealed) => CliError::other(format!(
            "{}; see: huntress-evidence privacy {connection} full",
            KeyringError::NothingSealed
        )),
        PeopleError::PeopleKeyring(error) => CliError::other(error.to_string()),
    }
}

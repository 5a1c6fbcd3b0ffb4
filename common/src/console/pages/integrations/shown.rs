//! A connection and its test, as the pages of integrations show them.

use crate::console::layout::{At, State as Mark, name};
use crate::console::words;
use crate::domain::connection::{Connection, ConnectionStatus};
use crate::domain::expiry::ExpiryState;
use crate::domain::failure::Failure;
use crate::domain::guidance;
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::text::counted;
use crate::huntress::connection_test::TestReport;
use chrono::{DateTime, Utc};

/// A connection in one card.
pub(super) struct ConnectionCard {
    pub id: String,
    pub mark: Mark,
    pub last_attempt: Option<At>,
    pub last_success: Option<At>,
    pub next_run: Option<At>,
    pub failure: Option<Trouble>,
    pub mapped: String,
    /// When the credential ends, and how near that is.
    pub expiry: Option<(Mark, At)>,
}

/// What went wrong, and what to do: the sentences of the failure, and the text about it where there is more to say.
pub(super) struct Trouble {
    pub message: String,
    pub action: String,
    pub cause: Option<&'static str>,
    pub cure: Option<&'static str>,
}

impl Trouble {
    pub(super) fn of(product: Product, failure: &Failure) -> Self {
        let about = guidance::about_failure(product, failure.code);
        Self {
            message: failure.message.clone(),
            action: failure.action.clone(),
            cause: about.map(|about| about.cause),
            cure: about.map(|about| about.action),
        }
    }
}

/// The state of a connection.
pub(super) fn mark_of(connection: &Connection) -> Mark {
    match connection.status {
        _ if connection.paused => Mark::new("none", "paused"),
        ConnectionStatus::New => Mark::new("working", "new: no run has ended yet"),
        ConnectionStatus::Ok => Mark::new("pass", "connected"),
        ConnectionStatus::AuthFailed => Mark::new("fail", "Huntress refuses the credential"),
        ConnectionStatus::Error => Mark::new("warning", "the last run failed"),
    }
}

/// Whose evidence a connection gathers, in words.
pub(super) fn mapped(mapping: &Mapping) -> String {
    match mapping {
        Mapping::OneClient { client } => format!("all of it is {client}'s"),
        Mapping::ByOrganization { clients, ignored } => {
            let of = mapping.clients().len();
            format!(
                "{} of {}, {} ignored",
                counted(clients.len(), "organization", "organizations"),
                counted(of, "client", "clients"),
                ignored.len()
            )
        }
    }
}

/// The end of a credential, where it is known.
pub(in crate::console::pages) fn expiry(
    connection: &Connection,
    now: DateTime<Utc>,
) -> Option<(ExpiryState, Mark, At)> {
    connection.credential_term.expiry(now).map(|expiry| {
        let (kind, words) = match expiry.state {
            ExpiryState::Ok => ("pass", "good"),
            ExpiryState::Expiring => ("warning", "ends soon: replace it"),
            ExpiryState::Expired => ("fail", "has ended: replace it"),
        };
        (expiry.state, Mark::new(kind, words), At(expiry.at))
    })
}

impl ConnectionCard {
    pub(super) fn of(connection: &Connection, now: DateTime<Utc>) -> Self {
        Self {
            id: connection.id.to_string(),
            mark: mark_of(connection),
            last_attempt: connection.last_attempt_at.map(At),
            last_success: connection.last_success_at.map(At),
            next_run: connection.next_run_at.map(At),
            failure: connection.last_failure.as_ref().map(|failure| Trouble::of(connection.product, failure)),
            mapped: mapped(&connection.mapping),
            expiry: expiry(connection, now).map(|(_, mark, at)| (mark, at)),
        }
    }
}

/// A connection test: a line per permission.
pub(super) struct TestShown {
    pub passed: bool,
    pub permissions: Vec<Permission>,
    pub accounts: Vec<SeenAccount>,
    pub requests_left: Option<u64>,
}

/// An account that the credential sees.
pub(super) struct SeenAccount {
    pub id: String,
    pub name: String,
}

pub(super) struct Permission {
    pub name: String,
    pub mark: Mark,
    pub trouble: Option<Trouble>,
}

impl TestShown {
    pub(super) fn of(product: Product, report: TestReport) -> Self {
        let permissions = report.permissions.into_iter().map(|permission| Permission {
            name: words::code(&permission.permission),
            mark: if permission.granted { Mark::new("pass", "granted") } else { Mark::new("fail", "not granted") },
            trouble: permission.failure.as_ref().map(|failure| Trouble::of(product, failure)),
        });
        let accounts = report.accounts.iter().map(|account| SeenAccount {
            id: account.id.clone(),
            name: account.name.as_deref().map_or_else(|| "(no name)".to_owned(), name),
        });
        Self {
            passed: report.passed,
            permissions: permissions.collect(),
            accounts: accounts.collect(),
            requests_left: report.requests_left,
        }
    }
}

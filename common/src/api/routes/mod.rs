//! The routes by noun: each file has its part of the table, `ROUTES`, above its handlers. A group is what one Lambda function serves; `serve` serves all.

mod assignments;
mod audit_log;
mod clients;
mod connections;
mod decisions;
mod evidence;
mod log;
mod oauth;
#[cfg(feature = "pack")]
mod packs;
mod people;
mod portfolio;
mod query;
mod questions;
mod root;
mod runs;
mod tokens;

pub use oauth::{ConnectedByRedirect, set_cookie};

#[cfg(feature = "pack")]
use super::route::Entry;
use super::route::Group;
use crate::app::connections::Connections;
use crate::app::decisions::Decisions;
use crate::app::evidence::EvidenceReader;
#[cfg(feature = "pack")]
use crate::app::packs::PackService;
use crate::app::people::PeopleService;
use crate::app::runs::plan::Planner;
use crate::app::tokens::Tokens;
use std::sync::Arc;

/// The test of a connection, and the assignments that count: what asks Huntress and changes little.
pub const CONNECTION_TEST: Group<Arc<Connections>> =
    Group { function: "connection-test", nouns: &[connections::TEST_ROUTES, assignments::ROUTES] };

/// Connections and their credentials: made, changed, removed.
pub const CONNECTIONS_API: Group<Arc<Connections>> =
    Group { function: "connections-api", nouns: &[connections::ROUTES, oauth::ROUTES] };

/// Where browsers come back to from Huntress, alone.
pub const OAUTH_CALLBACK: Group<Arc<Connections>> =
    Group { function: "connections-api", nouns: &[oauth::CALLBACK_ROUTES] };

/// Policies, exceptions and attestations. They are written by the function that writes connections.
pub const DECISIONS_API: Group<Arc<Decisions>> = Group { function: "connections-api", nouns: &[decisions::ROUTES] };

/// Runs.
pub const ON_DEMAND_SYNC: Group<Arc<Planner>> = Group { function: "on-demand-sync", nouns: &[runs::ROUTES] };

/// Evidence, and what stands at the root.
pub const EVIDENCE_API: Group<Arc<EvidenceReader>> = Group {
    function: "evidence-api",
    nouns: &[root::ROUTES, portfolio::ROUTES, evidence::ROUTES, questions::ROUTES, audit_log::ROUTES, log::ROUTES],
};

/// People.
pub const PEOPLE_API: Group<Arc<PeopleService>> =
    Group { function: "people-api", nouns: &[people::ROUTES, clients::ROUTES] };

/// Packs and exports.
#[cfg(feature = "pack")]
pub const PACKS_API: Group<Arc<PackService>> = Group { function: "packs-api", nouns: &[packs::ROUTES] };
/// Access tokens, on one machine alone.
pub const TOKENS: Group<Arc<Tokens>> = Group { function: SERVE, nouns: &[tokens::ROUTES] };

/// What stands for a function where `serve` alone answers.
pub const SERVE: &str = "serve";

/// The whole table.
#[cfg(feature = "pack")]
#[must_use]
pub fn table() -> Vec<Entry> {
    let connections = CONNECTION_TEST.entries().chain(CONNECTIONS_API.entries()).chain(ON_DEMAND_SYNC.entries());
    let connections = connections.chain(DECISIONS_API.entries());
    let evidence = EVIDENCE_API.entries().chain(PACKS_API.entries());
    connections.chain(PEOPLE_API.entries()).chain(evidence).chain(TOKENS.entries()).collect()
}

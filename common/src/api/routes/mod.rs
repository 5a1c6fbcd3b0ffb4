//! The routes by noun: each file has its part of the table, `ROUTES`, above its handlers. A group is what one Lambda function serves; `serve` serves all.

mod assignments;
mod clients;
mod connections;
mod evidence;
mod people;
mod root;
mod runs;

use super::route::{Entry, Group};
use crate::app::connections::Connections;
use crate::app::evidence::EvidenceReader;
use crate::app::people::PeopleService;
use crate::app::runs::plan::Planner;
use std::sync::Arc;

/// Connections and their credentials.
pub const CONNECTION_TEST: Group<Arc<Connections>> =
    Group { function: "connection-test", nouns: &[connections::ROUTES, assignments::ROUTES] };

/// Runs.
pub const ON_DEMAND_SYNC: Group<Arc<Planner>> = Group { function: "on-demand-sync", nouns: &[runs::ROUTES] };

/// Evidence, and what stands at the root.
pub const EVIDENCE_API: Group<Arc<EvidenceReader>> =
    Group { function: "evidence-api", nouns: &[root::ROUTES, evidence::ROUTES] };

/// People.
pub const PEOPLE_API: Group<Arc<PeopleService>> =
    Group { function: "people-api", nouns: &[people::ROUTES, clients::ROUTES] };

/// The whole table.
#[must_use]
pub fn table() -> Vec<Entry> {
    let connections = CONNECTION_TEST.entries().chain(ON_DEMAND_SYNC.entries());
    connections.chain(PEOPLE_API.entries()).chain(EVIDENCE_API.entries()).collect()
}

//! The routes by noun: each file has its part of the table, `ROUTES`, above its handlers. A group is what one Lambda function serves; `serve` serves all.

mod assignments;
mod clients;
mod connections;
mod people;
mod runs;

use super::route::{Entry, Group};
use crate::app::connections::Connections;
use crate::app::people::PeopleService;
use crate::app::runs::plan::Planner;
use std::sync::Arc;

/// Connections and their credentials.
pub const CONNECTION_TEST: Group<Arc<Connections>> =
    Group { function: "connection-test", nouns: &[connections::ROUTES, assignments::ROUTES] };

/// Runs.
pub const ON_DEMAND_SYNC: Group<Arc<Planner>> = Group { function: "on-demand-sync", nouns: &[runs::ROUTES] };

/// People.
pub const PEOPLE_API: Group<Arc<PeopleService>> =
    Group { function: "people-api", nouns: &[people::ROUTES, clients::ROUTES] };

/// The whole table.
#[must_use]
pub fn table() -> Vec<Entry> {
    CONNECTION_TEST.entries().chain(ON_DEMAND_SYNC.entries()).chain(PEOPLE_API.entries()).collect()
}

//! A connection.

use crate::domain::connection::{Connection, ConnectionStatus, TestOutcome};

use crate::domain::edr::EdrSettings;
use crate::domain::failure::Failure;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::people::person::PeopleSettings;
use crate::domain::product::Product;
use crate::domain::sat::SatSettings;
use crate::domain::sat::id::SatId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A connection. It holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionView {
    /// Who runs it.
    pub company: CompanyId,
    /// Its id within the company.
    pub id: ConnectionId,
    /// The product it reads.
    pub product: Product,
    /// How it fared last.
    pub status: ConnectionStatus,
    /// The client of each organization that is mapped.
    pub clients: BTreeMap<String, ClientId>,
    /// Organizations that are left out of all evidence.
    pub ignored: BTreeSet<String>,
    /// The client that all organizations belong to, where they are not mapped one by one.
    pub default_client: Option<ClientId>,
    /// The same mapping, as it is stored.
    pub mapping: Mapping,
    /// Settings of the endpoint rules.
    pub edr: EdrSettings,
    /// Settings of the training rules.
    pub sat: SatSettings,
    /// What is kept of people, and the assignments that count.
    pub people: PeopleSettings,
    /// The account at Huntress, once it is known.
    pub account_id: Option<SatId>,
    /// Whether the daily tick passes it over.
    pub paused: bool,
    /// When it was saved first.
    pub created_at: DateTime<Utc>,
    /// When a run last started.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When a run last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// From when on the daily tick takes it; null while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The last failure, until a success.
    pub last_failure: Option<Failure>,
    /// The outcome of the last connection test.
    pub last_test: Option<TestOutcome>,
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        let (clients, ignored, default_client) = match &connection.mapping {
            Mapping::OneClient { client } => (BTreeMap::new(), BTreeSet::new(), Some(client.clone())),
            Mapping::ByOrganization { clients, ignored } => (clients.clone(), ignored.clone(), None),
        };
        Self {
            company: connection.company,
            id: connection.id,
            product: connection.product,
            status: connection.status,
            clients,
            ignored,
            default_client,
            mapping: connection.mapping,
            edr: connection.edr,
            sat: connection.sat,
            people: connection.people,
            account_id: connection.account_id,
            paused: connection.paused,
            created_at: connection.created_at,
            last_attempt_at: connection.last_attempt_at,
            last_success_at: connection.last_success_at,
            next_run_at: connection.next_run_at,
            last_failure: connection.last_failure,
            last_test: connection.last_test,
        }
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionAnswer {
    /// As it is now.
    pub connection: ConnectionView,
}

impl From<Connection> for ConnectionAnswer {
    fn from(connection: Connection) -> Self {
        Self { connection: connection.into() }
    }
}

/// The connections of a company, by id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionList {
    /// Each of them.
    pub connections: Vec<ConnectionView>,
}

impl From<Vec<Connection>> for ConnectionList {
    fn from(connections: Vec<Connection>) -> Self {
        Self { connections: connections.into_iter().map(Into::into).collect() }
    }
}

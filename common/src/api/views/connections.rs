//! A connection.

use crate::domain::connection::{Connection, ConnectionStatus, TestOutcome};

use crate::domain::edr::EdrSettings;
use crate::domain::expiry::{CredentialTerm, Expiry};
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionView {
    /// Who runs it.
    pub company: CompanyId,
    /// Its id within the company.
    pub id: ConnectionId,
    /// The product it reads.
    pub product: Product,
    /// How it fared last.
    pub status: ConnectionStatus,
    /// How often somebody changed it: its ETag.
    pub revision: u64,
    /// The client of each organization that is mapped.
    pub clients: BTreeMap<String, ClientId>,
    /// Organizations that are left out of all evidence.
    pub ignored: BTreeSet<String>,
    /// The client that all organizations belong to, where they are not mapped one by one.
    pub default_client: Option<ClientId>,
    /// Its limits and caps.
    pub settings: SettingsView,
    /// The same mapping, as it is stored.
    pub mapping: Mapping,
    /// Settings of the endpoint rules.
    pub edr: EdrSettings,
    /// Clients whose agents have limits of age of their own.
    pub edr_clients: BTreeMap<ClientId, EdrSettings>,
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
    /// How its credential came, and how long it is said to be good for.
    pub credential: CredentialTerm,
    /// How near the end of the credential is; null where no end is known.
    pub expiry: Option<Expiry>,
}

impl ConnectionView {
    /// A connection as it looks at `now`.
    #[must_use]
    pub fn at(connection: Connection, now: DateTime<Utc>) -> Self {
        let (clients, ignored, default_client) = match &connection.mapping {
            Mapping::OneClient { client } => (BTreeMap::new(), BTreeSet::new(), Some(client.clone())),
            Mapping::ByOrganization { clients, ignored } => (clients.clone(), ignored.clone(), None),
        };
        let settings = SettingsView::of(&connection);
        Self {
            company: connection.company,
            id: connection.id,
            product: connection.product,
            status: connection.status,
            revision: connection.revision,
            settings,
            clients,
            ignored,
            default_client,
            mapping: connection.mapping,
            edr: connection.edr,
            edr_clients: connection.edr_clients,
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
            credential: connection.credential_term,
            expiry: connection.credential_term.expiry(now),
        }
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionAnswer {
    /// As it is now.
    pub connection: ConnectionView,
    /// What was done to the credential before it was kept, where anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

impl ConnectionAnswer {
    /// A connection as it looks at `now`.
    #[must_use]
    pub fn at(connection: Connection, now: DateTime<Utc>) -> Self {
        Self { connection: ConnectionView::at(connection, now), note: None }
    }

    /// Says whether blanks, line ends or quotes were removed around a pasted credential.
    #[must_use]
    pub fn trimmed(self, trimmed: bool) -> Self {
        let note = "blanks, line ends or quotes around the pasted credential were removed";
        Self { note: trimmed.then_some(note), ..self }
    }
}

/// Where somebody has to go to agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedirectAnswer {
    /// The address at Huntress, for the browser that got the cookie with this answer.
    pub authorize_url: String,
    /// When they have to be back.
    pub expires_at: DateTime<Utc>,
}

/// A page of connections, by id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionPage {
    /// Each of them.
    pub items: Vec<ConnectionView>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
}

/// The settings of a connection, by its product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum SettingsView {
    /// Of the endpoint rules.
    Edr {
        /// An agent is online up to so many hours after its last call.
        online_within_hours: u32,
        /// An agent is missing so many days after its last call.
        missing_after_days: u32,
    },
    /// Of the training rules.
    Sat {
        /// At most so many assignments are read.
        max_assignments: u64,
        /// At most so many activity records of an assignment are read.
        max_activity: u64,
        /// At most so many phishing campaigns are read.
        max_campaigns: u64,
        /// Whether the training covers the tenant's privacy policies and procedures.
        training_covers_privacy_policies: bool,
    },
}

impl SettingsView {
    fn of(connection: &Connection) -> Self {
        let (edr, caps) = (connection.edr, connection.sat.caps());
        match connection.product {
            Product::Edr => Self::Edr {
                online_within_hours: edr.online_within_hours(),
                missing_after_days: edr.missing_after_days(),
            },
            Product::Sat => Self::Sat {
                max_assignments: caps.assignments,
                max_activity: caps.activity_per_assignment,
                max_campaigns: caps.campaigns,
                training_covers_privacy_policies: connection.sat.training_covers_privacy_policies(),
            },
        }
    }
}

/// The connections of a company, by id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionList {
    /// Each of them.
    pub connections: Vec<ConnectionView>,
}

impl ConnectionList {
    /// Connections as they look at `now`.
    #[must_use]
    pub fn at(connections: Vec<Connection>, now: DateTime<Utc>) -> Self {
        let view = |connection| ConnectionView::at(connection, now);
        Self { connections: connections.into_iter().map(view).collect() }
    }
}

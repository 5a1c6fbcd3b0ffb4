//! The organizations of a connection.

use crate::app::connections::Organization;
use crate::domain::id::{ClientId, RunId};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A page of the organizations of a connection, by id, as its newest evidence lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationList {
    /// Each of them.
    pub items: Vec<OrganizationView>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
    /// The run of that evidence; null before the first one.
    pub run_id: Option<RunId>,
    /// The instant of its evaluation.
    pub as_of: Option<DateTime<Utc>>,
}

/// An organization, and where its evidence goes under the mapping as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationView {
    /// Huntress's id.
    pub id: String,
    /// Its name; null where the evidence does not have it.
    pub name: Option<String>,
    /// The client that its evidence belongs to; null for none.
    pub client: Option<ClientId>,
    /// Whether it is left out of all evidence.
    pub ignored: bool,
    /// Whether the account still lists it.
    pub listed: bool,
    /// A client of the company that it could be mapped to, by its name; null where there is none, or nothing to propose.
    pub proposal: Option<ClientId>,
}

impl From<Organization> for OrganizationView {
    fn from(Organization { id, name, client, ignored, listed, proposal }: Organization) -> Self {
        Self { id, name, client, ignored, listed, proposal }
    }
}

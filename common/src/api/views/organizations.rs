//! The organizations of a connection.

use crate::app::connections::Organization;
use crate::domain::id::RunId;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// A page of the organizations of a connection, by id, as its newest evidence lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationList {
    /// Each of them.
    pub items: Vec<Organization>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
    /// The run of that evidence; null before the first one.
    pub run_id: Option<RunId>,
    /// The instant of its evaluation.
    pub as_of: Option<DateTime<Utc>>,
}

//! The portfolio.

use crate::app::evidence::ClientRow;
use serde::Serialize;

/// Clients, worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientList {
    /// A page of them.
    pub items: Vec<ClientRow>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
}

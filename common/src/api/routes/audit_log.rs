//! The audit log: who did what.

use super::query::{instant, span};
use crate::api::cursor::{self, place};
use crate::api::views::AuditList;
use crate::api::{CompanyPath, Explained, Method, Parameters, Problem, Route, Scope, route};
use crate::app::evidence::EvidenceReader;
use crate::domain::id::ClientId;
use crate::domain::time::Window;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

const AUDIT_LOG: &str = "/v1/companies/{company}/audit-log";

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] =
    &[route!(Method::Get, AUDIT_LOG, Scope::AuditLogRead, list, fails: [NOT_FOUND])];

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Wanted {
    client: Option<ClientId>,
    #[serde(default, deserialize_with = "instant")]
    from: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "instant")]
    to: Option<DateTime<Utc>>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Explained for Wanted {
    const WANTED: &str = "client must be an id, from and to instants as in 2026-03-22T12:00:00Z, limit 1 to 100, after the next_after of the page before";
}

/// Audit events, oldest first, a page at a time; for a caller who is bound to clients those of them.
async fn list(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyPath { company, caller }: CompanyPath,
    Parameters(Wanted { client, from, to, limit, after }): Parameters<Wanted>,
) -> Result<Json<AuditList>, Problem> {
    let limit = cursor::limit(limit, 100)?;
    let after: Option<String> = after.map(|after| place(AUDIT_LOG, &after)).transpose()?;
    let clients = match client {
        Some(client) => {
            caller.see_client(&client)?;
            Some([client].into())
        }
        None => caller.clients,
    };
    let asked = Window { start: from.unwrap_or(Window::ALL.start), end: to.unwrap_or(Window::ALL.end) };
    let span = span(caller.window).within(asked);
    let page = evidence.audit_log(&company, clients.as_ref(), span, after.as_deref(), limit).await?;
    let next_after = page.next_after.as_ref().and_then(|after| cursor::cursor(AUDIT_LOG, after));
    Ok(Json(AuditList { next_after, ..page.into() }))
}

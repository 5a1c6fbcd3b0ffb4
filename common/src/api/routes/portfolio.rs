//! The portfolio: clients at a glance, worst first.

use super::query::{AsOf, instant, span};
use crate::api::cursor::{cursor, limit, place};
use crate::api::views::ClientList;
use crate::api::{ClientPath, CompanyPath, Explained, Method, Parameters, Problem, Route, Scope, route};
use crate::app::evidence::{ClientRow, EvidenceReader, Urgency};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

const CLIENTS: &str = "/v1/companies/{company}/clients";
const CLIENT: &str = "/v1/companies/{company}/clients/{client}";

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] =
    &[route!(Method::Get, CLIENTS, Scope::EvidenceRead, list), route!(Method::Get, CLIENT, Scope::EvidenceRead, get)];

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default, deserialize_with = "instant")]
    as_of: Option<DateTime<Utc>>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Explained for Wanted {
    const WANTED: &str =
        "limit must be 1 to 100, after the next_after of the page before, as_of an instant as in 2026-03-22T12:00:00Z";
}

/// The clients that the caller may see, worst first, a page at a time.
async fn list(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyPath { company, caller }: CompanyPath,
    Parameters(Wanted { as_of, limit: wanted, after }): Parameters<Wanted>,
) -> Result<Json<ClientList>, Problem> {
    let limit = limit(wanted, 100)?;
    let after: Option<Urgency> = after.map(|after| place(CLIENTS, &after)).transpose()?;
    let rows = evidence.portfolio(&company, caller.clients.as_ref(), span(caller.window).until(as_of)).await?;
    let rest = rows.into_iter().filter(|row| after.as_ref().is_none_or(|after| row.urgency() > *after));
    let mut items: Vec<ClientRow> = rest.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_after = items.last().filter(|_| more).and_then(|last| cursor(CLIENTS, &last.urgency()));
    Ok(Json(ClientList { items, next_after }))
}

/// One client at a glance.
async fn get(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<ClientRow>, Problem> {
    Ok(Json(evidence.client(&company, &client, span(window).until(as_of)).await?))
}

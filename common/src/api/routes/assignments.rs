//! The assignments that count for the training of people: listed and selected while the caller waits, because a choice is checked at Huntress.

use crate::api::answer::Revised;
use crate::api::views::{AssignmentList, ConnectionAnswer};
use crate::api::{Body, ConnectionPath, IfMatch, Method, Problem, Route, Scope, route};
use crate::app::assignments::Choice;
use crate::app::connections::Connections;
use crate::domain::audit::Actor;
use crate::domain::people::selection::SelectedAssignments;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;

const ASSIGNMENTS: &str = "/v1/companies/{company}/connections/{connection}/assignments";

pub(super) const ROUTES: &[Route<Arc<Connections>>] = &[
    route!(Method::Get, ASSIGNMENTS, Scope::ConnectionsRead, list, fails: [OTHER_PRODUCT, UPSTREAM]),
    route!(Method::Put, ASSIGNMENTS, Scope::ConnectionsWrite, select, fails: [OTHER_PRODUCT, REFUSED_SETTING, UPSTREAM]),
];

/// The assignments that can be selected, as Huntress lists them now.
async fn list(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Json<AssignmentList>, Problem> {
    Ok(Json(connections.assignments(&company, &connection).await?.into()))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Selection {
    assignments: Option<SelectedAssignments>,
    #[serde(default, deserialize_with = "given")]
    recertify_after_days: Option<Option<u32>>,
    max_activity: Option<u64>,
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::<u32>::deserialize(deserializer).map(Some)
}

/// Saves which assignments count, and when people must certify again; a field that is not given stays as it is.
async fn select(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IfMatch(if_revision): IfMatch,
    Body(Selection { assignments, recertify_after_days, max_activity }): Body<Selection>,
) -> Result<Revised<ConnectionAnswer>, Problem> {
    let choice = Choice { selected: assignments, recertify_after_days, max_activity };
    tracing::info!(%company, %connection, subject, "assignments selected");
    let actor = Actor::api(subject);
    let saved = connections.select_assignments(&company, &connection, choice, if_revision, &actor).await?;
    let now = connections.huntress.clock.now();
    Ok(Revised { revision: saved.revision, answer: ConnectionAnswer::at(saved, now) })
}

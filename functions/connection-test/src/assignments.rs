//! The assignments that count for the training of people: listed and picked while the caller waits, because a choice is checked at Huntress.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use common::api::{ConnectionPath, Problem};
use common::app::people::{AssignmentSelector, Choice};
use common::domain::sat::selection::SelectedAssignments;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The routes of assignments, below the root.
pub fn router(picker: Arc<AssignmentSelector>) -> Router {
    let path = "/v1/companies/{company}/connections/{connection}/assignments";
    Router::new().route(path, get(assignments).put(pick)).with_state(picker)
}

fn unreadable() -> Problem {
    Problem::bad_request(
        "the body must be JSON with assignments, a list of ids, recertify_after_days and max_activity, or some of them",
    )
}

/// The assignments that can be picked, as Huntress lists them now.
async fn assignments(
    State(picker): State<Arc<AssignmentSelector>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Response, Problem> {
    let (assignments, gone) = picker.assignments(&company, &connection).await?;
    Ok(Json(json!({"assignments": assignments, "picked_but_missing": gone})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickBody {
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
async fn pick(
    State(picker): State<Arc<AssignmentSelector>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    body: Result<Json<PickBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(body) = body.map_err(|_| unreadable())?;
    let PickBody { assignments: picks, recertify_after_days, max_activity } = body;
    let choice = Choice { picks, recertify_after_days, max_activity };
    let saved = picker.pick(&company, &connection, choice).await?;
    tracing::info!(%company, %connection, subject, "assignments picked");
    Ok(Json(json!({"connection": saved})).into_response())
}

//! The connection test over HTTP: a result per permission, within 29 seconds.

pub mod assignments;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use common::api::{ConnectionPath, Problem};
use common::app::connections::test::Tester;
use std::sync::Arc;

/// The route of this function, below the root.
pub fn router(tester: Arc<Tester>) -> Router {
    Router::new().route("/v1/companies/{company}/connections/{connection}/test", post(test)).with_state(tester)
}

async fn test(
    State(tester): State<Arc<Tester>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<Response, Problem> {
    let report = tester.test(&company, &connection).await?;
    tracing::info!(%company, %connection, subject, passed = report.passed, "connection tested");
    Ok(Json(report).into_response())
}

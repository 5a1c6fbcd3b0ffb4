//! Connections.

use crate::api::{ConnectionPath, Method, Problem, Route, Scope};
use crate::app::connections::Connections;
use crate::huntress::connection_test::TestReport;
use axum::Json;
use axum::extract::State;
use axum::routing::on;
use std::sync::Arc;

pub(super) const ROUTES: &[Route<Arc<Connections>>] =
    &[Route::new(Method::Post, "/v1/companies/{company}/connections/{connection}/test", Scope::SyncRun, |method| {
        on(method, test)
    })];

/// A result per permission, within 29 seconds.
async fn test(
    State(connections): State<Arc<Connections>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
) -> Result<Json<TestReport>, Problem> {
    let report = connections.test(&company, &connection).await?;
    tracing::info!(%company, %connection, subject, passed = report.passed, "connection tested");
    Ok(Json(report))
}

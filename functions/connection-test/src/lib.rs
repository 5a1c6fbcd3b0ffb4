//! The connection test over HTTP: a result per permission, within 29 seconds.

pub mod assignments;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use common::api::{Caller, Problem};
use common::domain::id::{CompanyId, ConnectionId};
use common::sync::test::Tester;
use std::sync::Arc;

/// The route of this function, below the root.
pub fn router(tester: Arc<Tester>) -> Router {
    Router::new().route("/v1/companies/{company}/connections/{connection}/test", post(test)).with_state(tester)
}

async fn test(
    State(tester): State<Arc<Tester>>,
    caller: Caller,
    Path((company, connection)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (company, connection) = (CompanyId::parse(company)?, ConnectionId::parse(connection)?);
    caller.act_for(&company)?;
    let report = tester.test(&company, &connection).await?;
    tracing::info!(%company, %connection, subject = caller.subject, passed = report.passed, "connection tested");
    Ok(Json(report).into_response())
}

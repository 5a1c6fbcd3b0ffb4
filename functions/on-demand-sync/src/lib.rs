//! Sync Now over HTTP, the state of runs, and what the next one will ask.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use common::api::{ConnectionPath, Problem};
use common::app::collection::collect::RateLimiters;
use common::app::runs::forecast::forecast_of;
use common::app::runs::plan::Planner;
use common::domain::id::RunId;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The routes of this function, below the root.
pub fn router(planner: Arc<Planner>) -> Router {
    Router::new()
        .route("/v1/companies/{company}/connections/{connection}/sync", post(sync_now))
        .route("/v1/companies/{company}/connections/{connection}/runs", get(runs))
        .route("/v1/companies/{company}/connections/{connection}/runs/{run}", get(run))
        .route("/v1/companies/{company}/connections/{connection}/forecast", get(forecast))
        .with_state(planner)
}

/// Asks for a run at once and answers 202 with its id. An `Idempotency-Key` makes a repeated request the same run.
async fn sync_now(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = planner.sync_now(&company, &connection, idempotency_key(&headers)?).await?;
    tracing::info!(%company, %connection, run = %asked.run.id, subject, joined = asked.joined, "sync asked for");
    let location = format!("/v1/companies/{company}/connections/{connection}/runs/{}", asked.run.id);
    let body = Json(json!({"run_id": asked.run.id, "joined": asked.joined, "run": asked.run}));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters")),
    }
}

#[derive(Deserialize)]
struct Paging {
    limit: Option<u32>,
}

/// The runs of a connection, newest first.
async fn runs(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    paging: Result<Query<Paging>, QueryRejection>,
) -> Result<Response, Problem> {
    let limit = paging.ok().map(|Query(paging)| paging.limit.unwrap_or(20)).filter(|limit| (1..=100).contains(limit));
    let limit = limit.ok_or_else(|| Problem::bad_request("limit must be 1 to 100"))?;
    let runs = planner.store.runs(&company, &connection, limit as usize).await?;
    Ok(Json(json!({"runs": runs})).into_response())
}

#[derive(Deserialize)]
struct Named {
    run: String,
}

/// One run.
async fn run(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Path(Named { run }): Path<Named>,
) -> Result<Response, Problem> {
    let run = planner.store.run(&company, &connection, &RunId::parse(run)?).await?;
    let run = run.ok_or_else(|| Problem::not_found("run"))?;
    Ok(Json(json!({"run": run})).into_response())
}

/// What the next run will ask of Huntress and how long that takes, told from the last one; null if none has succeeded lately.
async fn forecast(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Response, Problem> {
    let (store, now) = (&planner.store, planner.clock.now());
    // This process sends nothing to Huntress: what others sent, they left word of.
    let forecast = forecast_of(store, &RateLimiters::default(), &company, &connection, now).await?;
    Ok(Json(json!({"forecast": forecast})).into_response())
}

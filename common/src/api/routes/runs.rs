//! Sync Now, the state of runs, and what the next one will ask.

use crate::api::views::{ForecastAnswer, RunAnswer, RunList, SyncAnswer};
use crate::api::{ConnectionPath, Explained, Method, Parameters, Problem, Route, Scope};
use crate::app::collection::collect::RateLimiters;
use crate::app::runs::plan::Planner;
use crate::domain::audit::Actor;
use crate::domain::id::RunId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::on;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const ROUTES: &[Route<Arc<Planner>>] = &[
    Route::new(Method::Post, "/v1/companies/{company}/connections/{connection}/sync", Scope::SyncRun, |method| {
        on(method, sync_now)
    }),
    Route::new(
        Method::Get,
        "/v1/companies/{company}/connections/{connection}/runs",
        Scope::ConnectionsRead,
        |method| on(method, list),
    ),
    Route::new(
        Method::Get,
        "/v1/companies/{company}/connections/{connection}/runs/{run}",
        Scope::ConnectionsRead,
        |method| on(method, get),
    ),
    Route::new(
        Method::Get,
        "/v1/companies/{company}/connections/{connection}/forecast",
        Scope::ConnectionsRead,
        |method| on(method, forecast),
    ),
];

/// Asks for a run at once and answers 202 with its id. An `Idempotency-Key` makes a repeated request the same run.
async fn sync_now(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    headers: HeaderMap,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<SyncAnswer>), Problem> {
    let actor = Actor::api(subject);
    let asked = planner.sync_now_as(&company, &connection, idempotency_key(&headers)?, &actor).await?;
    tracing::info!(%company, %connection, run = %asked.run.id, subject = actor.name, joined = asked.joined, "sync asked for");
    let location = format!("/v1/companies/{company}/connections/{connection}/runs/{}", asked.run.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(asked.into())))
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

impl Explained for Paging {
    const WANTED: &str = "limit must be 1 to 100";
}

/// The runs of a connection, newest first.
async fn list(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<RunList>, Problem> {
    let limit = Some(paging.limit.unwrap_or(20)).filter(|limit| (1..=100).contains(limit));
    let limit = limit.ok_or_else(|| Problem::bad_request(Paging::WANTED))?;
    Ok(Json(planner.runs(&company, &connection, limit as usize).await?.into()))
}

#[derive(Deserialize)]
struct Named {
    run: String,
}

/// One run.
async fn get(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Path(Named { run }): Path<Named>,
) -> Result<Json<RunAnswer>, Problem> {
    let run = planner.run(&company, &connection, &RunId::parse(run)?).await?;
    Ok(Json(RunAnswer { run: run.into() }))
}

/// What the next run will ask of Huntress and how long that takes.
async fn forecast(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
) -> Result<Json<ForecastAnswer>, Problem> {
    // Whoever sends requests to Huntress publishes its counts; this process sends none.
    let forecast = planner.forecast(&company, &connection, &RateLimiters::default()).await?;
    Ok(Json(ForecastAnswer { forecast }))
}

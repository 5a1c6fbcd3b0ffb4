//! Sync Now, the state of runs, and what the next one will ask.

use crate::api::answer::Accepted;
use crate::api::views::{ForecastAnswer, RunAnswer, RunList, SyncAnswer};
use crate::api::{ConnectionPath, Explained, IdempotencyKey, Method, Parameters, Problem, Route, Scope, route};
use crate::app::collection::collect::RateLimiters;
use crate::app::runs::plan::Planner;
use crate::domain::audit::Actor;
use crate::domain::id::RunId;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const ROUTES: &[Route<Arc<Planner>>] = &[
    route!(Method::Post, "/v1/companies/{company}/connections/{connection}/sync", Scope::SyncRun, sync_now),
    route!(Method::Get, "/v1/companies/{company}/connections/{connection}/runs", Scope::ConnectionsRead, list),
    route!(Method::Get, "/v1/companies/{company}/connections/{connection}/runs/{run}", Scope::ConnectionsRead, get),
    route!(Method::Get, "/v1/companies/{company}/connections/{connection}/forecast", Scope::ConnectionsRead, forecast),
];

/// Asks for a run at once and answers 202 with its id. An `Idempotency-Key` makes a repeated request the same run.
async fn sync_now(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Accepted<Json<SyncAnswer>>, Problem> {
    let actor = Actor::api(subject);
    let asked = planner.sync_now_as(&company, &connection, key, &actor).await?;
    tracing::info!(%company, %connection, run = %asked.run.id, subject = actor.name, joined = asked.joined, "sync asked for");
    let location = format!("/v1/companies/{company}/connections/{connection}/runs/{}", asked.run.id);
    Ok(Accepted { location, answer: Json(asked.into()) })
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

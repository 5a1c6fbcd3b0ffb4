//! Sync Now, the state of runs, and what the next one will ask.

use super::query::Page;
use crate::api::answer::Accepted;
use crate::api::cursor::{cursor, limit, place};
use crate::api::views::{ForecastAnswer, RunAnswer, RunList, SyncAnswer};
use crate::api::{ConnectionPath, IdempotencyKey, Method, NoBody, Parameters, Problem, Route, Scope, route};
use crate::app::collection::collect::RateLimiters;
use crate::app::runs::plan::Planner;
use crate::domain::audit::Actor;
use crate::domain::id::RunId;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;

const RUNS: &str = "/v1/companies/{company}/connections/{connection}/runs";

pub(super) const ROUTES: &[Route<Arc<Planner>>] = &[
    route!(Method::Post, "/v1/companies/{company}/connections/{connection}/sync", Scope::SyncRun, sync_now, fails: [COOLING_DOWN, KEY_REUSED]),
    route!(Method::Get, RUNS, Scope::ConnectionsRead, list),
    route!(Method::Get, "/v1/companies/{company}/connections/{connection}/runs/{run}", Scope::ConnectionsRead, get),
    route!(Method::Get, "/v1/companies/{company}/connections/{connection}/forecast", Scope::ConnectionsRead, forecast),
];

/// Asks for a run at once and answers 202 with its id. An `Idempotency-Key` makes a repeated request the same run.
async fn sync_now(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    IdempotencyKey(key): IdempotencyKey,
    body: NoBody,
) -> Result<Accepted<Json<SyncAnswer>>, Problem> {
    if let NoBody::Some = body {
        // What was asked without a body is another request.
        let known = match &key {
            Some(key) => planner.knows_request(&company, &connection, key).await?,
            None => false,
        };
        return Err(if known { Problem::key_reused() } else { Problem::bad_request("Sync Now takes no body") });
    }
    let actor = Actor::api(subject);
    let asked = planner.sync_now_as(&company, &connection, key, &actor).await?;
    tracing::info!(%company, %connection, run = %asked.run.id, subject = actor.name, joined = asked.joined, "sync asked for");
    let location = format!("/v1/companies/{company}/connections/{connection}/runs/{}", asked.run.id);
    Ok(Accepted { location, answer: Json(asked.into()) })
}

/// The runs of a connection, newest first.
async fn list(
    State(planner): State<Arc<Planner>>,
    ConnectionPath { company, connection, .. }: ConnectionPath,
    Parameters(Page { limit: asked, after }): Parameters<Page>,
) -> Result<Json<RunList>, Problem> {
    let limit = limit(Some(asked.unwrap_or(20)), 100)?;
    let before: Option<RunId> = after.map(|after| place(RUNS, &after)).transpose()?;
    let mut runs = match before {
        Some(before) => planner.runs_before(&company, &connection, &before, limit + 1).await?,
        None => planner.runs(&company, &connection, limit + 1).await?,
    };
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next_after = runs.last().filter(|_| more).and_then(|last| cursor(RUNS, &last.id));
    Ok(Json(RunList { next_after, ..runs.into() }))
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

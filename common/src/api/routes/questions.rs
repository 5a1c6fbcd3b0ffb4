//! What is asked of facts that are there: how a number came about, what other limits would say, what becomes of a number, and the audit window.

use super::query::{AsOf, instant, span};
use crate::api::{Body, ClientPath, Explained, Method, Parameters, Problem, Route, Scope, route};
use crate::app::evidence::{EvidenceReader, ExplainedEvidence, ForecastAnswer, WhatIf, WhatIfAnswer};
use crate::domain::calendar::DayRange;
use crate::domain::policy::{LimitChanges, Policy};
use crate::domain::window::AuditWindow;
use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use std::sync::Arc;

const EXPLAIN: &str = "/v1/companies/{company}/clients/{client}/explain/{rule}";
const WHAT_IF: &str = "/v1/companies/{company}/clients/{client}/what-if";
const FORECAST: &str = "/v1/companies/{company}/clients/{client}/forecast-training";
const WINDOW: &str = "/v1/companies/{company}/clients/{client}/window";

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] = &[
    route!(Method::Get, EXPLAIN, Scope::EvidenceRead, explain, fails: [NO_FACTS, REFUSED_POLICY]),
    route!(Method::Post, WHAT_IF, Scope::EvidenceRead, what_if, fails: [NO_FACTS, WINDOW_REFUSED, REFUSED_SETTING, REFUSED_POLICY]),
    route!(Method::Get, FORECAST, Scope::EvidenceRead, forecast, fails: [NO_FACTS]),
    route!(Method::Get, WINDOW, Scope::EvidenceRead, window, fails: [WINDOW_REFUSED]),
];

#[derive(Deserialize)]
struct OfRule {
    rule: String,
}

/// How a rule or a metric came about.
async fn explain(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(OfRule { rule }): Path<OfRule>,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<ExplainedEvidence>, Problem> {
    Ok(Json(evidence.explain(&company, &client, &rule, span(window).until(as_of)).await?))
}

/// What is tried out. Nothing is stored, so it is for who may read.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct Tried {
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    policy: Option<serde_json::Value>,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    set: LimitChanges,
    #[serde(default)]
    online_within_hours: Option<u32>,
    #[serde(default)]
    missing_after_days: Option<u32>,
    #[serde(default)]
    from: Option<NaiveDate>,
    #[serde(default)]
    to: Option<NaiveDate>,
}

/// The differences that other limits would have made.
async fn what_if(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Body(tried): Body<Tried>,
) -> Result<Json<WhatIfAnswer>, Problem> {
    let policy = tried.policy.map(|policy| Policy::parse(&policy.to_string())).transpose();
    let policy = policy.map_err(|error| Problem::unprocessable("refused_policy", error.to_string()))?;
    let wanted = WhatIf {
        policy: policy.map(Arc::new),
        limits: tried.set,
        online_within_hours: tried.online_within_hours,
        missing_after_days: tried.missing_after_days,
        from: tried.from,
        to: tried.to,
    };
    Ok(Json(evidence.what_if(&company, &client, &wanted, span(window)).await?))
}

/// What becomes of the training coverage if nobody trains again.
async fn forecast(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<ForecastAnswer>, Problem> {
    Ok(Json(evidence.forecast_training(&company, &client, span(window).until(as_of)).await?))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Bounds {
    from: NaiveDate,
    to: NaiveDate,
    #[serde(default, deserialize_with = "instant")]
    as_of: Option<DateTime<Utc>>,
}

impl Explained for Bounds {
    const WANTED: &str = "from and to must be days as in 2026-03-22, as_of an instant as in 2026-03-22T12:00:00Z";
}

/// A row for each day and connection of the client.
async fn window(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(Bounds { from, to, as_of }): Parameters<Bounds>,
) -> Result<Json<AuditWindow>, Problem> {
    Ok(Json(evidence.window_within(&company, &client, DayRange { from, to }, as_of, span(window)).await?))
}

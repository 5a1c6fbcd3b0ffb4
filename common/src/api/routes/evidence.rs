//! Evidence of a client, and of the company itself.

use super::query::{AsOf, instant, span};
use crate::api::answer::Committed;
use crate::api::cursor;
use crate::api::views::{CompletenessList, ControlList, EvidenceList, FindingsList, HistoryList};
use crate::api::{
    ClientPath, CompanyWidePath, Explained, IfNoneMatch, Method, Parameters, Problem, Route, Scope, route,
};
use crate::app::evidence::{EvidenceReader, HistoryRequest, HistoryValue};
use crate::domain::controls::ControlMap;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::{EvidenceOwner, StoredEvidence};
use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

const OF_CLIENT: &str = "/v1/companies/{company}/clients/{client}/evidence";
const OF_CLIENT_RUN: &str = "/v1/companies/{company}/clients/{client}/evidence/{product}/{run}";
const METRICS: &str = "/v1/companies/{company}/clients/{client}/metrics";
const SIGNALS: &str = "/v1/companies/{company}/clients/{client}/signals";
const HISTORY: &str = "/v1/companies/{company}/clients/{client}/history";
const CONTROLS: &str = "/v1/companies/{company}/clients/{client}/controls";
const FINDINGS: &str = "/v1/companies/{company}/clients/{client}/findings";
const COMPLETENESS: &str = "/v1/companies/{company}/clients/{client}/completeness";
const OF_COMPANY: &str = "/v1/companies/{company}/evidence";
const OF_COMPANY_RUN: &str = "/v1/companies/{company}/evidence/{product}/{run}";
const COMPANY_METRICS: &str = "/v1/companies/{company}/evidence/metrics";
const COMPANY_HISTORY: &str = "/v1/companies/{company}/evidence/history";
const COMPANY_FINDINGS: &str = "/v1/companies/{company}/evidence/findings";
const COMPANY_COMPLETENESS: &str = "/v1/companies/{company}/evidence/completeness";

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] = &[
    route!(Method::Get, OF_CLIENT, Scope::EvidenceRead, latest),
    route!(Method::Get, OF_CLIENT_RUN, Scope::EvidenceRead, of_run),
    route!(Method::Get, METRICS, Scope::EvidenceRead, metrics),
    route!(Method::Get, SIGNALS, Scope::EvidenceRead, signals),
    route!(Method::Get, HISTORY, Scope::EvidenceRead, history),
    route!(Method::Get, CONTROLS, Scope::EvidenceRead, controls),
    route!(Method::Get, OF_COMPANY, Scope::EvidenceRead, company_latest),
    route!(Method::Get, OF_COMPANY_RUN, Scope::EvidenceRead, company_of_run, fails: [NOT_FOUND]),
    route!(Method::Get, COMPANY_METRICS, Scope::EvidenceRead, company_metrics),
    route!(Method::Get, COMPANY_HISTORY, Scope::EvidenceRead, company_history),
    route!(Method::Get, FINDINGS, Scope::EvidenceRead, findings),
    route!(Method::Get, COMPLETENESS, Scope::EvidenceRead, completeness),
    route!(Method::Get, COMPANY_FINDINGS, Scope::EvidenceRead, company_findings),
    route!(Method::Get, COMPANY_COMPLETENESS, Scope::EvidenceRead, company_completeness),
];

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Wanted {
    product: Option<Product>,
    #[serde(default, deserialize_with = "instant")]
    as_of: Option<DateTime<Utc>>,
}

impl Explained for Wanted {
    const WANTED: &str = "product must be huntress-edr or huntress-sat, as_of an instant as in 2026-03-22T12:00:00Z";
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct Series {
    key: String,
    #[serde(default, deserialize_with = "instant")]
    from: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "instant")]
    to: Option<DateTime<Utc>>,
    limit: Option<usize>,
    after: Option<String>,
}

impl Explained for Series {
    const WANTED: &str = "key must be a metric or a value of a signal, as in workforce_coverage.coverage_pct, from and to instants as in 2026-03-22T12:00:00Z, limit 1 to 100, after the next_after of the page before";
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct OfRun {
    product: String,
    run: String,
}

/// The latest evidence of a client, its bundles as they were committed.
async fn latest(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(Wanted { product, as_of }): Parameters<Wanted>,
) -> Result<Json<EvidenceList>, Problem> {
    list(&evidence, &company, EvidenceOwner::Client(client), product, span(window).until(as_of)).await
}

/// The latest endpoint evidence of a client.
async fn metrics(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<EvidenceList>, Problem> {
    let span = span(window).until(as_of);
    let (latest, coverage) = evidence.latest_with_coverage(&company, &client, span).await?;
    Ok(Json(EvidenceList { endpoint_coverage: coverage, ..latest.try_into()? }))
}

/// The latest training evidence of a client.
async fn signals(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<EvidenceList>, Problem> {
    let owner = EvidenceOwner::Client(client);
    list(&evidence, &company, owner, Some(Product::Sat), span(window).until(as_of)).await
}

async fn list(
    evidence: &EvidenceReader,
    company: &CompanyId,
    owner: EvidenceOwner,
    product: Option<Product>,
    span: Window,
) -> Result<Json<EvidenceList>, Problem> {
    let latest = evidence.latest(company, &owner, product, span).await?;
    Ok(Json(latest.try_into()?))
}

/// The evidence of a client that a run has made: the committed bytes.
async fn of_run(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Path(of): Path<OfRun>,
    known: IfNoneMatch,
) -> Result<Committed, Problem> {
    committed(&evidence, &company, EvidenceOwner::Client(client), of, span(window), known).await
}

async fn committed(
    evidence: &EvidenceReader,
    company: &CompanyId,
    owner: EvidenceOwner,
    OfRun { product, run }: OfRun,
    span: Window,
    known: IfNoneMatch,
) -> Result<Committed, Problem> {
    let product = Product::parse(&product).ok_or_else(|| Problem::not_found("evidence"))?;
    let run = RunId::parse(run).map_err(|_| Problem::not_found("evidence"))?;
    let StoredEvidence { sha256, body, .. } = evidence.of_run(company, &owner, product, &run, span).await?;
    Ok(Committed { sha256, body, known })
}

/// The values of a metric, or of a signal's value, over time.
async fn history(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(series): Parameters<Series>,
) -> Result<Json<HistoryList>, Problem> {
    values(&evidence, &company, Some(client), series, span(window)).await
}

async fn values(
    evidence: &EvidenceReader,
    company: &CompanyId,
    client: Option<ClientId>,
    Series { key, from, to, limit, after }: Series,
    span: Window,
) -> Result<Json<HistoryList>, Problem> {
    let limit = cursor::limit(limit, 100)?;
    // A cursor is of its own list alone.
    let whose = client.as_ref().map_or_else(|| COMPANY_HISTORY.to_owned(), |client| format!("{HISTORY} {client}"));
    let list = format!("{whose} {key}");
    let after: Option<HistoryPlace> = after.map(|after| cursor::place(&list, &after)).transpose()?;
    let owner = client.clone().map_or(EvidenceOwner::Company, EvidenceOwner::Client);
    let mut history = evidence.history(company, &owner, HistoryRequest { key: &key, from, to }, span).await?;
    if let Some(after) = after {
        history.values.retain(|value| place_of(value) > after);
    }
    let more = history.values.len() > limit;
    history.values.truncate(limit);
    let next_after = history.values.last().filter(|_| more).and_then(|last| cursor::cursor(&list, &place_of(last)));
    Ok(Json(HistoryList { next_after, ..HistoryList::of(key, client, history) }))
}

/// Where a value stands among the others.
type HistoryPlace = (DateTime<Utc>, ConnectionId, RunId);

fn place_of(value: &HistoryValue) -> HistoryPlace {
    (value.as_of, value.connection.clone(), value.run_id.clone())
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
struct OfFramework {
    /// The controls of one framework alone, as `SOC 2`, in any letter case.
    framework: Option<String>,
    #[serde(default, deserialize_with = "instant")]
    as_of: Option<DateTime<Utc>>,
}

impl Explained for OfFramework {
    const WANTED: &str =
        "framework must be one of the control map, as in SOC 2, as_of an instant as in 2026-03-22T12:00:00Z";
}

/// A framework of the control map, whatever the case of its letters.
fn framework_named(named: &str) -> Result<&'static str, Problem> {
    let rows = ControlMap::current().rows();
    let row = rows.iter().find(|row| row.framework.eq_ignore_ascii_case(named.trim()));
    row.map(|row| row.framework.as_str()).ok_or_else(|| {
        let known: BTreeSet<&str> = rows.iter().map(|row| row.framework.as_str()).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Problem::bad_request(format!("framework must be one of: {known}"))
    })
}

/// The controls that a client's evidence supports.
async fn controls(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(OfFramework { framework, as_of }): Parameters<OfFramework>,
) -> Result<Json<ControlList>, Problem> {
    let framework = framework.map(|named| framework_named(&named)).transpose()?;
    let controls = evidence.controls(&company, &client, span(window).until(as_of)).await?;
    let mut controls = controls.unwrap_or_default();
    controls.controls.retain(|control| framework.is_none_or(|wanted| control.framework == wanted));
    Ok(Json(ControlList::of(client, controls)))
}

/// The company's own evidence, over all organizations.
async fn company_latest(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Parameters(Wanted { product, as_of }): Parameters<Wanted>,
) -> Result<Json<EvidenceList>, Problem> {
    list(&evidence, &company, EvidenceOwner::Company, product, span(window).until(as_of)).await
}

/// The company's own endpoint evidence.
async fn company_metrics(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<EvidenceList>, Problem> {
    let span = span(window).until(as_of);
    list(&evidence, &company, EvidenceOwner::Company, Some(Product::Edr), span).await
}

/// The company's own evidence that a run has made: the committed bytes.
async fn company_of_run(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Path(of): Path<OfRun>,
    known: IfNoneMatch,
) -> Result<Committed, Problem> {
    committed(&evidence, &company, EvidenceOwner::Company, of, span(window), known).await
}

/// The values of a metric of the company's own evidence over time.
async fn company_history(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Parameters(series): Parameters<Series>,
) -> Result<Json<HistoryList>, Problem> {
    values(&evidence, &company, None, series, span(window)).await
}

/// The records that pull the numbers of a client down.
async fn findings(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<FindingsList>, Problem> {
    let (owner, span) = (EvidenceOwner::Client(client), span(window).until(as_of));
    let latest = evidence.latest(&company, &owner, Some(Product::Edr), span).await?;
    Ok(Json(latest.as_slice().try_into()?))
}

/// How completely the lists behind the evidence of a client were read.
async fn completeness(
    State(evidence): State<Arc<EvidenceReader>>,
    ClientPath { company, client, window, .. }: ClientPath,
    Parameters(Wanted { product, as_of }): Parameters<Wanted>,
) -> Result<Json<CompletenessList>, Problem> {
    let (owner, span) = (EvidenceOwner::Client(client), span(window).until(as_of));
    let latest = evidence.latest(&company, &owner, product, span).await?;
    Ok(Json(latest.as_slice().try_into()?))
}

/// The records that pull the numbers of the company's own evidence down.
async fn company_findings(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Parameters(AsOf { as_of }): Parameters<AsOf>,
) -> Result<Json<FindingsList>, Problem> {
    let span = span(window).until(as_of);
    let latest = evidence.latest(&company, &EvidenceOwner::Company, Some(Product::Edr), span).await?;
    Ok(Json(latest.as_slice().try_into()?))
}

/// How completely the lists behind the company's own evidence were read.
async fn company_completeness(
    State(evidence): State<Arc<EvidenceReader>>,
    CompanyWidePath { company, window, .. }: CompanyWidePath,
    Parameters(Wanted { product, as_of }): Parameters<Wanted>,
) -> Result<Json<CompletenessList>, Problem> {
    let span = span(window).until(as_of);
    let latest = evidence.latest(&company, &EvidenceOwner::Company, product, span).await?;
    Ok(Json(latest.as_slice().try_into()?))
}

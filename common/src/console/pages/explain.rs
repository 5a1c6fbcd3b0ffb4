//! `/clients/{client}/explain/{rule}`: how the value of a rule came about, what the rule said of it, and what would change that.

use super::client::evidence_path;
use super::evidence::{ListRow, list};
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::{AgentLimitsUsed, ExplainedEvidence, QuestionError};
use crate::console::layout::{At, Frame, State as Mark, age_at};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::policy::{Explanation, FormulaNumber, NeedExplanation, RuleExplanation};
use crate::domain::time::parse;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}/explain/{rule}", Scope::EvidenceRead, |method| on(method, show))];

#[derive(Deserialize)]
struct Named {
    rule: String,
}

#[derive(Deserialize)]
struct Wanted {
    as_of: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    frame: Frame,
    client: String,
    name: String,
    value: String,
    formula: String,
    /// What was counted, and how many.
    numbers: Vec<FormulaNumber>,
    /// The least and the greatest that the value may be, where something is unknown.
    bounds: Option<Extremes<String>>,
    uncertain: bool,
    agents: Option<AgentLimitsUsed>,
    rule: Option<RuleShown>,
    committed: bool,
    product: &'static str,
    connection: String,
    as_of: At,
    age: String,
    evidence: String,
    lists: Vec<ListRow>,
    may_propose: bool,
}

/// The rule, and what it said.
struct RuleShown {
    id: String,
    mark: Mark,
    reason: Option<String>,
    limits: String,
    policy: String,
    sha256: String,
    needs: Vec<String>,
    if_nothing: String,
    /// What it would say of the least and of the greatest value.
    of_bounds: Option<Extremes<Mark>>,
    changes: Vec<(Mark, String)>,
}

/// Of the least value that there may be, and of the greatest.
struct Extremes<T> {
    least: T,
    greatest: T,
}

fn with_unit(value: &str, metric: &str) -> String {
    format!("{value}{}", words::unit(metric))
}

fn need(need: &NeedExplanation) -> String {
    let what = words::metric(&need.metric).to_lowercase();
    match &need.value {
        Some(value) => format!("{what}: at least {}; it is {value}", need.at_least),
        None => format!("{what}: at least {}; what it is is not known", need.at_least),
    }
}

fn rule_shown(metric: &str, rule: RuleExplanation) -> RuleShown {
    RuleShown {
        id: rule.rule.to_string(),
        mark: Mark::of_outcome(rule.outcome),
        reason: rule.reason.map(|reason| reason.to_string()),
        limits: words::limits(metric, &rule.limit),
        policy: format!("{} {}", rule.policy.policy, rule.policy.version),
        sha256: rule.policy.sha256,
        needs: rule.needs.iter().map(need).collect(),
        if_nothing: rule.if_nothing_to_measure.to_string(),
        of_bounds: rule
            .if_least
            .zip(rule.if_greatest)
            .map(|(least, greatest)| Extremes { least: Mark::of_outcome(least), greatest: Mark::of_outcome(greatest) }),
        changes: rule.changes.into_iter().map(|it| (Mark::of_outcome(it.outcome), it.text)).collect(),
    }
}

/// Whoever follows an old link is told in the page's own words.
fn unexplained(error: QuestionError) -> Problem {
    match error {
        QuestionError::NoEvidence { .. } => Problem::not_found("evidence of this rule"),
        other => other.into(),
    }
}

/// The instant that somebody asks about.
fn instant(wanted: &Wanted) -> Result<Option<DateTime<Utc>>, Problem> {
    let text = wanted.as_of.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let wrong = || Problem::bad_request("as_of must be an instant like 2026-03-22T12:00:00Z");
    text.map(|text| parse(text).ok_or_else(wrong)).transpose()
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    ClientViewer { viewer, client }: ClientViewer,
    Path(Named { rule }): Path<Named>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let span = viewer.span().until(instant(&wanted)?);
    let explained = console.evidence.explain(viewer.company(), &client, &rule, span).await.map_err(unexplained)?;
    let frame = Frame::of_client("Explanation", &viewer.session, &client, "/explain");
    let may_propose = viewer.caller().scopes.contains(Scope::ExceptionsPropose);
    // As old as it was at the end of what the viewer may see.
    let at = span.end.min(console.entrance.clock.now());
    Ok(html(StatusCode::OK, &page(frame, may_propose, explained, at)))
}

fn page(frame: Frame, may_propose: bool, explained: ExplainedEvidence, at: DateTime<Utc>) -> ExplainPage {
    let ExplainedEvidence { client_id, connection, product, run_id, as_of, agents, explanation, committed, requests } =
        explained;
    let Explanation { metric, formula, numbers, value, null_reason, least, greatest, uncertain, rule, .. } =
        explanation;
    ExplainPage {
        frame,
        name: words::metric(&metric),
        value: match (value, null_reason) {
            (Some(value), _) => with_unit(&value, &metric),
            (None, Some(reason)) => format!("no value: {reason}"),
            (None, None) => "no value".to_owned(),
        },
        formula,
        numbers,
        bounds: least.zip(greatest).map(|(least, greatest)| Extremes {
            least: with_unit(&least, &metric),
            greatest: with_unit(&greatest, &metric),
        }),
        uncertain,
        agents,
        rule: rule.map(|rule| rule_shown(&metric, rule)),
        committed,
        product: words::product(product),
        connection: connection.to_string(),
        as_of: At(as_of),
        age: age_at(as_of, at),
        evidence: evidence_path(&client_id, product, &run_id),
        lists: requests.into_iter().map(list).collect(),
        client: client_id.to_string(),
        may_propose,
    }
}

//! `/clients/{client}/controls`: control cards by framework.

use super::client::{RuleRow, rule_row};
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::SupportedControl;
use crate::console::layout::{At, Frame, State as Mark};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::controls::ControlMap;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}/controls", Scope::EvidenceRead, |method| on(method, show))];

#[derive(Deserialize)]
struct Wanted {
    framework: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "controls.html")]
struct ControlsPage {
    frame: Frame,
    client: String,
    at: At,
    map_versions: String,
    frameworks: Vec<Framework>,
    chosen: Option<String>,
    names: Vec<String>,
    may_propose: bool,
}

struct Framework {
    name: String,
    version: String,
    anchor: String,
    controls: Vec<ControlCard>,
}

struct ControlCard {
    id: String,
    mark: Option<Mark>,
    support: Vec<SupportRow>,
    rules: Vec<RuleRow>,
    /// What an exception for it is named by.
    oscal_id: Option<String>,
    exception: Option<(String, At)>,
}

struct SupportRow {
    evidence: String,
    strength: String,
    rationale: Option<String>,
}

async fn show(
    State(console): State<Arc<EvidencePages>>,
    ClientViewer { viewer, client }: ClientViewer,
    Query(Wanted { framework }): Query<Wanted>,
) -> Result<Response, Problem> {
    let span = viewer.span();
    let company = viewer.company();
    let controls = console.evidence.controls(company, &client, span).await?.unwrap_or_default();
    let at = span.end.min(console.entrance.clock.now());
    let mut frameworks: BTreeMap<String, Framework> = BTreeMap::new();
    for control in controls.controls {
        let name = control.framework.clone();
        let framework = frameworks.entry(name.clone()).or_insert_with(|| Framework {
            anchor: anchor(&name),
            name,
            version: control.version.clone(),
            controls: Vec::new(),
        });
        let rules = control.rules.iter().map(|rule| rule_row(rule, None, at)).collect();
        framework.controls.push(card(control, rules));
    }
    let names: Vec<String> = frameworks.keys().cloned().collect();
    let chosen = framework.filter(|chosen| names.contains(chosen));
    let frameworks = frameworks.into_values().filter(|it| chosen.as_ref().is_none_or(|chosen| *chosen == it.name));
    let page = ControlsPage {
        frame: Frame::of_client("Controls", &viewer.session, &client, "/controls"),
        client: client.to_string(),
        at: At(at),
        map_versions: controls.map_versions.into_iter().collect::<Vec<_>>().join(", "),
        frameworks: frameworks.collect(),
        chosen,
        names,
        may_propose: viewer.caller().scopes.contains(Scope::ExceptionsPropose),
    };
    Ok(html(StatusCode::OK, &page))
}

fn anchor(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn card(control: SupportedControl, rules: Vec<RuleRow>) -> ControlCard {
    let SupportedControl { framework, id, evidence, status, .. } = control;
    let rows: Vec<_> =
        ControlMap::current().rows().iter().filter(|row| row.framework == framework && row.id == id).collect();
    let support = evidence.into_iter().map(|support| {
        // What stands in brackets behind it is no part of the name.
        let key = support.evidence.split([' ', '(']).next().unwrap_or_default();
        let row = rows.iter().find(|row| {
            row.evidence.as_str() == key || (row.evidence.as_str() == "person_training" && key == "training")
        });
        SupportRow {
            evidence: row.map_or_else(
                || words::code(&support.evidence),
                |row| {
                    format!(
                        "{}{}",
                        words::evidence(row.evidence),
                        support.evidence.get(key.len()..).unwrap_or_default()
                    )
                },
            ),
            strength: support.strength,
            rationale: row.map(|row| row.rationale.clone()),
        }
    });
    let exception = status.as_ref().and_then(|status| status.exception.as_ref());
    ControlCard {
        support: support.collect(),
        rules,
        oscal_id: rows.first().and_then(|row| row.oscal_id.clone()),
        exception: exception.map(|it| (it.id.clone(), At(it.until))),
        mark: status.as_ref().map(Mark::of_status),
        id,
    }
}

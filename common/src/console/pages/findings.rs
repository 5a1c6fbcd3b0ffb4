//! `/clients/{client}/findings`: which records pull the numbers down.

use super::client::evidence_path;
use crate::api::{Method, Problem, Route, Scope};
use crate::app::evidence::Evidence;
use crate::console::layout::{At, Frame, age_at, name};
use crate::console::{ClientViewer, EvidencePages, html, words};
use crate::domain::edr::findings::{Finding, FindingKind, Findings};
use crate::domain::id::ClientId;
use crate::domain::product::Product;
use crate::store::EvidenceOwner;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/clients/{client}/findings", Scope::EvidenceRead, |method| on(method, show))];

#[derive(askama::Template)]
#[template(path = "findings.html")]
struct FindingsPage {
    frame: Frame,
    client: String,
    sources: Vec<Source>,
}

struct Source {
    connection: String,
    as_of: At,
    age: String,
    href: String,
    /// `None` for evidence of version 1, which did not keep them.
    kinds: Option<Vec<Kind>>,
}

struct Kind {
    title: &'static str,
    /// What to do about it.
    advice: &'static str,
    total: u64,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    organization: String,
    severity: Option<String>,
    since: Option<(At, String)>,
}

fn title(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::AgentMissing => "Agents that are missing",
        FindingKind::AgentUnknown => "Agents whose state cannot be said",
        FindingKind::AgentIsolated => "Agents that are isolated",
        FindingKind::AgentWithoutEdr => "Agents without the EDR component",
        FindingKind::AgentDefenderUnhealthy => "Agents whose Defender is not healthy",
        FindingKind::OrganizationWithoutAgents => "Organizations without an agent",
        FindingKind::IncidentOpen => "Incidents that are open",
    }
}

fn advice(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::AgentMissing => "Switch the device on, or remove the agent in Huntress if it is gone for good.",
        FindingKind::AgentUnknown => {
            "Look at the agent in Huntress: it has not called back yet, or its record cannot be read."
        }
        FindingKind::AgentIsolated => "Finish the remediation in Huntress, then release the host.",
        FindingKind::AgentWithoutEdr => "Reinstall the agent, or update it in Huntress.",
        FindingKind::AgentDefenderUnhealthy => "Look at the Defender policy of the host in Huntress.",
        FindingKind::OrganizationWithoutAgents => "Deploy agents there, or ignore the organization in the mapping.",
        FindingKind::IncidentOpen => "Approve or reject the remediations of the report in Huntress.",
    }
}

#[derive(Deserialize)]
struct WithFindings {
    #[serde(default)]
    findings: Option<Findings>,
}

async fn show(State(console): State<Arc<EvidencePages>>, of: ClientViewer) -> Result<Response, Problem> {
    let ClientViewer { viewer, client } = of;
    let owner = EvidenceOwner::Client(client.clone());
    let latest = console.evidence.latest(viewer.company(), &owner, Some(Product::Edr), viewer.span()).await?;
    let sources: Result<Vec<Source>, Problem> = latest.iter().map(|evidence| source(&client, evidence)).collect();
    let frame = Frame::of_client("Findings", &viewer.session, &client, "/findings");
    Ok(html(StatusCode::OK, &FindingsPage { frame, client: client.to_string(), sources: sources? }))
}

fn source(client: &ClientId, evidence: &Evidence) -> Result<Source, Problem> {
    let WithFindings { findings } = evidence.bundle()?;
    let stored = &evidence.stored;
    let kinds = findings.map(|findings| {
        let listed = |kind: FindingKind| {
            let total = findings.total.get(&kind).copied().unwrap_or(0);
            let rows = findings.items.iter().filter(|it| it.kind == kind).map(|it| row(it, evidence));
            (total > 0).then(|| Kind { title: title(kind), advice: advice(kind), total, rows: rows.collect() })
        };
        FindingKind::ALL.into_iter().filter_map(listed).collect()
    });
    Ok(Source {
        connection: stored.connection.to_string(),
        as_of: At(stored.as_of),
        age: age_at(stored.as_of, evidence.read_at),
        href: evidence_path(client, stored.product, &stored.run_id),
        kinds,
    })
}

fn row(finding: &Finding, evidence: &Evidence) -> Row {
    let severity = finding.severity.map(|severity| {
        let word = serde_json::to_value(severity).ok();
        words::code(word.as_ref().and_then(|word| word.as_str()).unwrap_or("not known"))
    });
    Row {
        id: name(&finding.id),
        organization: finding.organization_id.as_deref().map_or_else(|| "none that is listed".to_owned(), name),
        severity,
        since: finding.since.map(|since| (At(since), age_at(since, evidence.read_at))),
    }
}

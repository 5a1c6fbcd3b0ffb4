//! `/runs`: what the connections did.

use crate::api::{Method, Problem, Route, Scope};
use crate::console::layout::{At, Frame, State as Mark, product};
use crate::console::{ConnectionPages, Viewer, html, words};
use crate::domain::failure::Failure;
use crate::domain::run::{Run, RunStatus};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<ConnectionPages>>] =
    &[Route::new(Method::Get, "/runs", Scope::ConnectionsRead, |method| on(method, list))];

/// Runs of one connection that are shown.
const SHOWN: usize = 20;

#[derive(askama::Template)]
#[template(path = "runs.html")]
struct Runs {
    frame: Frame,
    connections: Vec<OfConnection>,
    /// Whether a run is under way, so that the page is worth another look.
    live: bool,
}

struct OfConnection {
    id: String,
    product: &'static str,
    runs: Vec<Row>,
}

struct Row {
    id: String,
    asked: At,
    trigger: String,
    mark: Mark,
    until: Option<At>,
    took: Option<String>,
    records: String,
    api_calls: u64,
    failure: Option<Failure>,
}

/// The state of a run.
pub(super) fn mark_of(run: &Run) -> Mark {
    let kind = match run.status {
        RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => "working",
        RunStatus::Succeeded => "pass",
        RunStatus::Failed | RunStatus::AuthFailed => "fail",
    };
    Mark::new(kind, words::code(&run.status.to_string()))
}

impl From<Run> for Row {
    fn from(run: Run) -> Self {
        let took = run.as_of.zip(run.finished_at).map(|(from, to)| {
            let seconds = to.signed_duration_since(from).num_seconds().max(0);
            if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
        });
        let records: Vec<String> =
            run.records.iter().map(|(list, count)| format!("{count} {}", words::code(list))).collect();
        Self {
            id: run.id.to_string(),
            asked: At(run.requested_at),
            trigger: words::code(&run.trigger.to_string()),
            mark: mark_of(&run),
            until: run.waiting_until.filter(|_| !run.status.is_final()).map(At),
            took,
            records: if records.is_empty() { "–".to_owned() } else { records.join(", ") },
            api_calls: run.api_calls,
            failure: run.failure,
        }
    }
}

async fn list(State(console): State<Arc<ConnectionPages>>, viewer: Viewer) -> Result<Response, Problem> {
    viewer.caller().see_company()?;
    let mut connections = Vec::new();
    let mut live = false;
    for connection in console.connections.list(viewer.company()).await? {
        let runs = console.planner.runs(viewer.company(), &connection.id, SHOWN).await?;
        live |= runs.iter().any(|run| !run.status.is_final());
        connections.push(OfConnection {
            id: connection.id.to_string(),
            product: product(connection.product),
            runs: runs.into_iter().map(Row::from).collect(),
        });
    }
    let page = Runs { frame: Frame::new("Runs", Some(&viewer.session), "/runs"), connections, live };
    Ok(html(StatusCode::OK, &page))
}

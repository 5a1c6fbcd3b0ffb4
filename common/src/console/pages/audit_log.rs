//! `/audit-log`: who did what.

use crate::api::{Method, Problem, Route, Scope};
use crate::console::layout::{At, Frame, cut, name};
use crate::console::{EvidencePages, Viewer, html};
use crate::domain::audit::{ActorKind, AuditEvent};
use crate::domain::id::ClientId;
use crate::domain::time::Window;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::on;
use chrono::{NaiveDate, TimeDelta};
use serde::Deserialize;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<EvidencePages>>] =
    &[Route::new(Method::Get, "/audit-log", Scope::AuditLogRead, |method| on(method, list))];

/// Events on a page.
const SHOWN: usize = 100;
/// Days that are shown where nobody asks for others.
const DAYS: i64 = 30;

#[derive(Deserialize)]
struct Wanted {
    client: Option<String>,
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
}

#[derive(askama::Template)]
#[template(path = "audit_log.html")]
struct AuditLog {
    frame: Frame,
    client: String,
    from: String,
    to: String,
    wrong: Option<String>,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Row {
    at: At,
    actor: String,
    came_by: &'static str,
    action: &'static str,
    subject: String,
    client: Option<String>,
    reason: Option<String>,
    change: Option<Change>,
}

/// What an event changed.
struct Change {
    before: String,
    after: String,
}

impl From<AuditEvent> for Row {
    fn from(event: AuditEvent) -> Self {
        let value = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), |value| cut(&value.to_string(), 2_000))
        };
        let changed = event.before.is_some() || event.after.is_some();
        Self {
            at: At(event.at),
            actor: name(&event.actor),
            came_by: match event.actor_kind {
                ActorKind::Api => "with a token",
                ActorKind::Cli => "on the machine",
            },
            action: event.action.as_str(),
            subject: name(&event.subject),
            client: event.client.as_ref().map(ToString::to_string),
            change: changed.then(|| Change { before: value(&event.before), after: value(&event.after) }),
            reason: event.reason.as_deref().map(|reason| cut(reason, 1_000)),
        }
    }
}

async fn list(
    State(console): State<Arc<EvidencePages>>,
    viewer: Viewer,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let calendar = console.entrance.calendar();
    let today = calendar.day_of(console.entrance.clock.now());
    let mut wrong = None;
    let mut day = |text: &Option<String>, usual: NaiveDate| match text.as_deref().map(str::trim) {
        None | Some("") => usual,
        Some(text) => text.parse().unwrap_or_else(|_| {
            wrong = Some("Days are written like 2026-03-22; the usual ones are shown".to_owned());
            usual
        }),
    };
    let to = day(&wanted.to, today);
    let from = day(&wanted.from, to.checked_sub_signed(TimeDelta::days(DAYS)).unwrap_or(to));
    let given = wanted.client.as_deref().map(str::trim).filter(|client| !client.is_empty());
    let clients = match given.map(ClientId::parse) {
        None => viewer.caller().clients.clone(),
        Some(Ok(client)) => {
            viewer.caller().see_client(&client)?;
            Some([client].into())
        }
        Some(Err(error)) => {
            wrong = Some(format!("This is no id of a client ({error}); all are shown"));
            viewer.caller().clients.clone()
        }
    };
    let span = viewer.span().within(Window { start: calendar.start_of(from), end: calendar.end_of(to) });
    let is_place = |after: &String| after.len() == 41 && after.is_ascii() && after.as_bytes().get(24) == Some(&b'#');
    let after = wanted.after.filter(is_place);
    let page = console.evidence.audit_log(viewer.company(), clients.as_ref(), span, after.as_deref(), SHOWN).await?;
    let next = page.next_after.map(|after| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("client", given.unwrap_or_default()).append_pair("from", &from.to_string());
        query.append_pair("to", &to.to_string()).append_pair("after", &after);
        format!("/audit-log?{}", query.finish())
    });
    let page = AuditLog {
        frame: Frame::new("Audit log", Some(&viewer.session), "/audit-log"),
        client: given.unwrap_or_default().to_owned(),
        from: from.to_string(),
        to: to.to_string(),
        wrong,
        rows: page.events.into_iter().map(Row::from).collect(),
        next,
    };
    Ok(html(StatusCode::OK, &page))
}

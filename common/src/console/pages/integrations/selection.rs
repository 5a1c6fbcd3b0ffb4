//! Which assignments count for the training of people: ticked from the list that Huntress gives now.

use super::{find, revision_of};
use crate::api::{Problem, Scope};
use crate::app::assignments::Choice;
use crate::app::people::PeopleError;
use crate::console::layout::{At, Frame, name};
use crate::console::{ConnectionPages, Fields, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::people::person::MAX_RECERTIFY_DAYS;
use crate::domain::people::selection::SelectedAssignments;
use crate::domain::sat::assignment::AssignmentState;
use crate::domain::sat::id::SatId;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(askama::Template)]
#[template(path = "integrations/assignments.html")]
struct Page {
    frame: Frame,
    form_token: String,
    revision: u64,
    connection: String,
    rows: Vec<Row>,
    missing: Vec<String>,
    recertify: String,
    most_days: u32,
    may_write: bool,
    wrong: Option<String>,
}

struct Row {
    id: String,
    name: String,
    state: &'static str,
    starts: Option<At>,
    ends: Option<At>,
    selected: bool,
}

fn state(state: AssignmentState) -> &'static str {
    match state {
        AssignmentState::InProgress => "in progress",
        AssignmentState::Completed => "completed",
        AssignmentState::Draft => "draft",
        AssignmentState::NotHeld => "not held",
        AssignmentState::Unknown => "unknown",
    }
}

async fn page(
    console: &ConnectionPages,
    viewer: &Viewer,
    connection: &Connection,
    typed: Option<&Fields>,
    wrong: Option<String>,
) -> Result<Page, Problem> {
    let listed = console.connections.assignments(viewer.company(), &connection.id).await?;
    let ticked: Option<BTreeSet<&str>> = typed.map(|fields| fields.all("assignment").collect());
    let rows = listed.assignments.into_iter().map(|assignment| Row {
        name: assignment.name.as_deref().map_or_else(|| "(no name)".to_owned(), name),
        state: state(assignment.status),
        starts: assignment.starts_at.map(At),
        ends: assignment.ends_at.map(At),
        selected: ticked.as_ref().map_or(assignment.selected, |ticked| ticked.contains(assignment.id.as_str())),
        id: assignment.id.to_string(),
    });
    let recertify = connection.people.recertify_after_days.map_or_else(String::new, |days| days.to_string());
    Ok(Page {
        frame: Frame::new(format!("Assignments of {}", connection.id), Some(&viewer.session), "/integrations"),
        form_token: viewer.session.form_token.clone(),
        revision: connection.revision,
        connection: connection.id.to_string(),
        rows: rows.collect(),
        missing: listed.missing.iter().map(ToString::to_string).collect(),
        recertify: typed.map_or(recertify, |fields| fields.get("recertify").to_owned()),
        most_days: MAX_RECERTIFY_DAYS,
        may_write: viewer.caller().scopes.contains(Scope::ConnectionsWrite),
        wrong,
    })
}

pub(super) async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let connection = find(&console, &viewer, &id).await?;
    Ok(html(StatusCode::OK, &page(&console, &viewer, &connection, None, None).await?))
}

fn choice(fields: &Fields) -> Result<Choice, String> {
    let ids: Result<Vec<SatId>, _> = fields.all("assignment").map(SatId::parse).collect();
    let ids = ids.map_err(|error| format!("an assignment: {error}"))?;
    let selected: SelectedAssignments = ids.into_iter().collect();
    let days = match fields.typed("recertify") {
        None => None,
        Some(days) => {
            Some(days.parse().map_err(|_| format!("certify again after: {days} is no whole number of days"))?)
        }
    };
    Ok(Choice { selected: Some(selected), recertify_after_days: Some(days), max_activity: None })
}

pub(super) async fn save(
    State(console): State<Arc<ConnectionPages>>,
    Path(id): Path<String>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let saved = async {
        let connection = find(&console, &viewer, &id).await?;
        if revision_of(&fields)? != Some(connection.revision) {
            return Err(Problem::stale());
        }
        let wrong = match choice(&fields) {
            Err(wrong) => wrong,
            Ok(choice) => {
                let actor = Actor::api(viewer.caller().subject.clone());
                let (company, id, revision) = (viewer.company(), &connection.id, Some(connection.revision));
                match console.connections.select_assignments(company, id, choice, revision, &actor).await {
                    Ok(_) => return Ok(see_other(&format!("/integrations/{}?done=selected", connection.id))),
                    Err(PeopleError::Refused(wrong)) => wrong,
                    Err(other) => return Err(other.into()),
                }
            }
        };
        let page = page(&console, &viewer, &connection, Some(&fields), Some(wrong)).await?;
        Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page))
    };
    saved.await.unwrap_or_else(Problem::into_response)
}

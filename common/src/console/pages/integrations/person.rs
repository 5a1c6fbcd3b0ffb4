//! One person whose training is followed: where they stand, what happened to them, who they are for a reason, and the links by which they see the same.

use super::find;
use crate::api::{Problem, Scope};
use crate::app::people::{LINK_DAYS, LONGEST_LINK_DAYS, PeopleError};
use crate::console::layout::{At, Frame, State as Mark, name};
use crate::console::pages::training::mark_of;
use crate::console::{ConnectionPages, SignedForm, Viewer, html, see_other};
use crate::domain::audit::Actor;
use crate::domain::connection::Connection;
use crate::domain::id::{ClientId, ConnectionId, PersonId};
use crate::domain::people::person::{PersonEvent, PrivacyMode};
use crate::domain::people::selection::SelectedAssignments;
use crate::store::{LoggedEvent, PersonRecord};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

/// The page of a person, whose id is a hash.
pub(in crate::console::pages) fn path_of(connection: &ConnectionId, person: &PersonId) -> String {
    format!("/integrations/{connection}/people/{person}")
}

/// Clients whose training pages are linked at most: those of a connection may be many.
const LINKED: usize = 5;

/// Links to the training pages of the clients whose people these are.
pub(super) fn clients(connection: &Connection) -> Vec<String> {
    connection.mapping.clients().into_iter().take(LINKED).map(ClientId::to_string).collect()
}

#[derive(askama::Template)]
#[template(path = "integrations/person.html")]
struct Page {
    frame: Frame,
    form_token: String,
    connection: String,
    clients: Vec<String>,
    path: String,
    person: String,
    mark: Mark,
    since: At,
    completed: Vec<String>,
    missing: Vec<String>,
    inactive: bool,
    history: Vec<(At, String)>,
    may_open: bool,
    identity: Option<Opened>,
    reason: String,
    may_change: bool,
    /// Until when each link works that is there.
    links: Vec<At>,
    days: String,
    most_days: u32,
    made: Option<Made>,
    /// Whether nobody reaches these pages from another machine.
    only_here: bool,
    wrong: Option<(&'static str, String)>,
}

/// Who somebody is, opened for a reason.
struct Opened {
    name: String,
    email: String,
}

/// A link that was made just now. It is shown this once.
struct Made {
    address: String,
    until: At,
}

/// What happened to a person, in words.
fn told(event: &PersonEvent) -> String {
    let words = |status| mark_of(status).words().to_owned();
    match event {
        PersonEvent::StatusChanged { from: None, to, .. } => format!("first seen: {}", words(*to)),
        PersonEvent::StatusChanged { from: Some(from), to, .. } => format!("{}, before {}", words(*to), words(*from)),
        PersonEvent::Reset { reset, .. } => format!("put back by {}: {}", name(&reset.by), reset.reason),
        PersonEvent::Opened { by, reason, columns } => {
            format!("{} opened by {}: {reason}", columns.join(" and "), name(by))
        }
    }
}

/// The names in the path.
#[derive(Deserialize)]
pub(super) struct Named {
    connection: String,
    person: String,
}

/// A person, and the connection that tracks them.
struct Found {
    connection: Connection,
    record: PersonRecord,
}

async fn find_person(
    console: &ConnectionPages,
    viewer: &Viewer,
    Named { connection, person }: Named,
) -> Result<Found, Problem> {
    let connection = find(console, viewer, &connection).await?;
    let person = PersonId::parse(person).map_err(|_| Problem::not_found("person"))?;
    let record = console.people.person(viewer.company(), &connection.id, person.as_str()).await?;
    Ok(Found { connection, record })
}

async fn page(
    console: &ConnectionPages,
    viewer: &Viewer,
    Found { connection, record }: &Found,
) -> Result<Page, Problem> {
    let (company, id, state) = (viewer.company(), &connection.id, &record.state);
    let events = console.people.events(company, id, &record.person).await?;
    let links = console.people.links(company, id, &record.person).await?;
    let scopes = viewer.caller().scopes;
    let ids = |of: &SelectedAssignments| of.iter().map(|it| name(&it.to_string())).collect();
    Ok(Page {
        frame: Frame::new(format!("A person of {id}"), Some(&viewer.session), "/integrations"),
        form_token: viewer.session.form_token.clone(),
        connection: id.to_string(),
        clients: clients(connection),
        path: path_of(id, &record.person),
        person: record.person.to_string(),
        mark: mark_of(state.compliance.status),
        since: At(state.compliance.since),
        completed: ids(&state.completed),
        missing: ids(&state.missing),
        inactive: state.inactive,
        history: events.iter().rev().map(|LoggedEvent { at, event, .. }| (At(*at), told(event))).collect(),
        may_open: scopes.contains(Scope::PeopleOpen) && connection.people.mode == PrivacyMode::Full,
        identity: None,
        reason: String::new(),
        may_change: scopes.contains(Scope::PeopleChange),
        links: links.into_iter().map(At).collect(),
        days: LINK_DAYS.to_string(),
        most_days: LONGEST_LINK_DAYS,
        made: None,
        only_here: !console.entrance.site.is_public(),
        wrong: None,
    })
}

/// A form that was refused, as it was filled in.
fn refused(page: &Page) -> Response {
    html(StatusCode::UNPROCESSABLE_ENTITY, page)
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    done: Option<String>,
}

pub(super) async fn show(
    State(console): State<Arc<ConnectionPages>>,
    viewer: Viewer,
    Path(named): Path<Named>,
    Query(Wanted { done }): Query<Wanted>,
) -> Result<Response, Problem> {
    let found = find_person(&console, &viewer, named).await?;
    let mut page = page(&console, &viewer, &found).await?;
    if done.as_deref() == Some("taken-back") {
        page.frame = page.frame.with_notice(true, "Taken back: whoever opens one of their links is told so.");
    }
    Ok(html(StatusCode::OK, &page))
}

fn actor(viewer: &Viewer) -> Actor {
    Actor::api(viewer.caller().subject.clone())
}

/// Makes a link, which is shown on the page that answers and nowhere else.
pub(super) async fn make_link(
    State(console): State<Arc<ConnectionPages>>,
    Path(named): Path<Named>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let made = async {
        let found = find_person(&console, &viewer, named).await?;
        let typed = fields.get("days").trim();
        let made = match typed.parse() {
            Err(_) => Err(PeopleError::Refused(format!("a link lasts 1 to {LONGEST_LINK_DAYS} days"))),
            Ok(days) => {
                let (company, person) = (viewer.company(), found.record.person.as_str());
                console.people.make_link(company, &found.connection.id, person, days, &actor(&viewer)).await
            }
        };
        let mut page = page(&console, &viewer, &found).await?;
        match made {
            Ok(link) => {
                page.made = Some(Made { address: link.below(console.entrance.site.origin()), until: At(link.until) });
                Ok(html(StatusCode::OK, &page))
            }
            Err(PeopleError::Refused(text)) => {
                page.days = typed.to_owned();
                page.wrong = Some(("link", text));
                Ok(refused(&page))
            }
            Err(error) => Err(error.into()),
        }
    };
    made.await.unwrap_or_else(Problem::into_response)
}

/// Takes back every link of theirs.
pub(super) async fn take_back(
    State(console): State<Arc<ConnectionPages>>,
    Path(named): Path<Named>,
    SignedForm { viewer, .. }: SignedForm,
) -> Result<Response, Problem> {
    let found = find_person(&console, &viewer, named).await?;
    let (company, person) = (viewer.company(), &found.record.person);
    console.people.take_back_links(company, &found.connection.id, person.as_str(), &actor(&viewer)).await?;
    Ok(see_other(&format!("{}?done=taken-back", path_of(&found.connection.id, person))))
}

/// Name and address for a reason, which is recorded; they are shown once.
pub(super) async fn open(
    State(console): State<Arc<ConnectionPages>>,
    Path(named): Path<Named>,
    SignedForm { viewer, fields }: SignedForm,
) -> Response {
    let opened = async {
        let found = find_person(&console, &viewer, named).await?;
        let reason = fields.typed("reason").unwrap_or_default();
        let identity = console
            .people
            .identity(viewer.company(), &found.connection.id, &found.record, &actor(&viewer), reason)
            .await;
        let mut page = page(&console, &viewer, &found).await?;
        match identity {
            Ok(identity) => {
                let shown = |text: Option<String>| text.as_deref().map_or_else(|| "not kept".to_owned(), name);
                page.identity = Some(Opened { name: shown(identity.name), email: shown(identity.email) });
                Ok(html(StatusCode::OK, &page))
            }
            Err(PeopleError::Refused(text)) => {
                page.reason = reason.to_owned();
                page.wrong = Some(("open", text));
                Ok(refused(&page))
            }
            Err(error) => Err(error.into()),
        }
    };
    opened.await.unwrap_or_else(Problem::into_response)
}

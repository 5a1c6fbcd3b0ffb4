//! `/integrations`: a card for each product with its whole set-up, and a page for each connection: its state, its test, its sync, its mapping, its people.

mod cards;
mod connection;
mod credential;
mod mapping;
pub(super) mod person;
mod privacy;
mod selection;
pub(super) mod shown;

use crate::api::{Method, Problem, Route, Scope};
use crate::console::{ConnectionPages, Viewer};
use crate::domain::connection::Connection;
use crate::domain::id::ConnectionId;
use axum::routing::on;
use std::sync::Arc;

pub(super) const PAGES: &[Route<Arc<ConnectionPages>>] = &[
    Route::new(Method::Get, "/integrations", Scope::ConnectionsRead, |method| on(method, cards::show)),
    Route::new(Method::Post, "/integrations", Scope::ConnectionsWrite, |method| on(method, cards::connect)),
    Route::new(Method::Post, "/integrations/redirect", Scope::ConnectionsWrite, |method| on(method, cards::redirect)),
    Route::new(Method::Get, "/integrations/{connection}", Scope::ConnectionsRead, |method| {
        on(method, connection::show)
    }),
    Route::new(Method::Post, "/integrations/{connection}/test", Scope::SyncRun, |method| on(method, connection::test)),
    Route::new(Method::Post, "/integrations/{connection}/sync", Scope::SyncRun, |method| on(method, connection::sync)),
    Route::new(Method::Post, "/integrations/{connection}/credential", Scope::ConnectionsWrite, |method| {
        on(method, connection::replace_credential)
    }),
    Route::new(Method::Post, "/integrations/{connection}/settings", Scope::ConnectionsWrite, |method| {
        on(method, connection::change_settings)
    }),
    Route::new(Method::Post, "/integrations/{connection}/privacy", Scope::PeopleErase, |method| {
        on(method, privacy::choose)
    }),
    Route::new(Method::Get, "/integrations/{connection}/people/{person}", Scope::PeopleRead, |method| {
        on(method, person::show)
    }),
    Route::new(Method::Post, "/integrations/{connection}/people/{person}/link", Scope::PeopleChange, |method| {
        on(method, person::make_link)
    }),
    Route::new(Method::Post, "/integrations/{connection}/people/{person}/take-back", Scope::PeopleChange, |method| {
        on(method, person::take_back)
    }),
    Route::new(Method::Post, "/integrations/{connection}/people/{person}/name", Scope::PeopleOpen, |method| {
        on(method, person::open)
    }),
    Route::new(Method::Post, "/integrations/{connection}/pause", Scope::ConnectionsWrite, |method| {
        on(method, connection::pause)
    }),
    Route::new(Method::Post, "/integrations/{connection}/resume", Scope::ConnectionsWrite, |method| {
        on(method, connection::resume)
    }),
    Route::new(Method::Post, "/integrations/{connection}/disconnect", Scope::ConnectionsWrite, |method| {
        on(method, connection::disconnect)
    }),
    Route::new(Method::Get, "/integrations/{connection}/mapping", Scope::ConnectionsRead, |method| {
        on(method, mapping::show)
    }),
    Route::new(Method::Post, "/integrations/{connection}/mapping", Scope::ConnectionsWrite, |method| {
        on(method, mapping::save)
    }),
    Route::new(Method::Get, "/integrations/{connection}/assignments", Scope::ConnectionsRead, |method| {
        on(method, selection::show)
    }),
    Route::new(Method::Post, "/integrations/{connection}/assignments", Scope::ConnectionsWrite, |method| {
        on(method, selection::save)
    }),
];

/// A connection of the company whose pages somebody looks at. Who is bound to clients has no connections.
async fn find(console: &ConnectionPages, viewer: &Viewer, id: &str) -> Result<Connection, Problem> {
    viewer.caller().see_company()?;
    let id = ConnectionId::parse(id.to_owned()).map_err(|_| Problem::not_found("connection"))?;
    Ok(console.connections.get(viewer.company(), &id).await?)
}

/// The revision that a form was made from.
fn revision_of(fields: &crate::console::Fields) -> Result<Option<u64>, Problem> {
    let revision = fields.get("revision").parse().map_err(|_| Problem::form_refused())?;
    Ok(Some(revision))
}

//! People over HTTP: what is kept, where people stand, resets, certificates, erasing, and a client's provider of training.

mod choices;
mod looking;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post, put};
use common::api::Problem;
use common::domain::sat::person::PersonId;
use common::sync::people::Desk;
use std::sync::Arc;

/// The routes of this function, below the root.
pub fn router(desk: Arc<Desk>) -> Router {
    let of = |path: &str| format!("/v1/companies/{{company}}/connections/{{connection}}{path}");
    Router::new()
        .route(&of("/privacy"), put(choices::privacy))
        .route(&of("/people"), get(looking::people).delete(looking::erase_everybody))
        .route(&of("/people/lookup"), post(looking::lookup))
        .route(&of("/people/{person}"), get(looking::person).delete(looking::erase))
        .route(&of("/people/{person}/onboarding"), get(looking::onboarding))
        .route(&of("/people/{person}/reset"), post(looking::reset))
        .route(&of("/people/{person}/identity"), post(looking::identity))
        .route(&of("/people/{person}/certificate"), post(looking::certificate))
        .route(
            "/v1/companies/{company}/clients/{client}/training-provider",
            get(choices::provider).put(choices::name_provider).delete(choices::forget_provider),
        )
        .with_state(desk)
}

/// The person of a path. Only ids of ours: a path is in many logs, and a learner's id must be in none.
fn person_of(path: &str) -> Result<PersonId, Problem> {
    PersonId::parse(path).map_err(|_| Problem::not_found("person"))
}

/// A body that is not what the route takes. The parser's own words may quote it.
fn unreadable(_: JsonRejection) -> Problem {
    Problem::bad_request(
        "the body must be JSON with the fields that the route is documented with, sent as application/json",
    )
}

//! People over HTTP: what is kept, where people stand, resets, certificates, erasing, and a client's provider of training.

mod choices;
mod people;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use common::api::{ConnectionPath, Problem, path_params};
use common::app::people::PeopleService;
use common::domain::id::{CompanyId, ConnectionId};
use common::domain::sat::person::PersonId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The routes of this function, below the root.
pub fn router(desk: Arc<PeopleService>) -> Router {
    let of = |path: &str| format!("/v1/companies/{{company}}/connections/{{connection}}{path}");
    Router::new()
        .route(&of("/privacy"), put(choices::privacy))
        .route(&of("/people"), get(people::people).delete(people::erase_everybody))
        .route(&of("/people/lookup"), post(people::lookup))
        .route(&of("/people/{person}"), get(people::person).delete(people::erase))
        .route(&of("/people/{person}/onboarding"), get(people::onboarding))
        .route(&of("/people/{person}/reset"), post(people::reset))
        .route(&of("/people/{person}/identity"), post(people::identity))
        .route(&of("/people/{person}/certificate"), post(people::certificate))
        .route(
            "/v1/companies/{company}/clients/{client}/training-provider",
            get(choices::provider).put(choices::name_provider).delete(choices::forget_provider),
        )
        .with_state(desk)
}

/// A person of a connection of the caller's own company.
struct PersonPath {
    company: CompanyId,
    connection: ConnectionId,
    person: PersonId,
    subject: String,
}

impl<S: Send + Sync> FromRequestParts<S> for PersonPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Named {
            person: String,
        }
        let ConnectionPath { company, connection, subject } = ConnectionPath::from_request_parts(parts, state).await?;
        let Named { person } = path_params(parts, state).await?;
        // Only ids of ours: a path is in many logs, and a learner's id must be in none.
        let person = PersonId::parse(&person).map_err(|_| Problem::not_found("person"))?;
        Ok(Self { company, connection, person, subject })
    }
}

/// A body in JSON.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // The parser's own words may quote the body.
        let body = Json::from_request(request, state).await.map_err(|_| {
            Problem::bad_request(
                "the body must be JSON with the fields that the route is documented with, sent as application/json",
            )
        })?;
        Ok(Self(body.0))
    }
}

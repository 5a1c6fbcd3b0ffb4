//! Clients: who provides their training.

use crate::api::views::ProviderAnswer;
use crate::api::{Body, ClientPath, Method, Problem, Route, Scope, route};
use crate::app::people::PeopleService;
use crate::domain::audit::Actor;
use crate::domain::id::ConnectionId;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

const PROVIDER: &str = "/v1/companies/{company}/clients/{client}/training-provider";

pub(super) const ROUTES: &[Route<Arc<PeopleService>>] = &[
    route!(Method::Get, PROVIDER, Scope::PeopleRead, provider),
    route!(Method::Put, PROVIDER, Scope::PeopleChange, name_provider),
    route!(Method::Delete, PROVIDER, Scope::PeopleChange, forget_provider),
];

/// The connection that provides the client's training; null when none is named.
async fn provider(
    State(people): State<Arc<PeopleService>>,
    ClientPath { company, client, .. }: ClientPath,
) -> Result<Json<ProviderAnswer>, Problem> {
    let provider = people.provider(&company, &client).await?;
    Ok(Json(ProviderAnswer { client, provider }))
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct NewProvider {
    connection: ConnectionId,
}

/// Names the connection that provides the client's training, in place of an earlier one.
async fn name_provider(
    State(people): State<Arc<PeopleService>>,
    ClientPath { company, client, subject, .. }: ClientPath,
    Body(NewProvider { connection }): Body<NewProvider>,
) -> Result<Json<ProviderAnswer>, Problem> {
    let provider = Some(people.name_provider(&company, &client, &connection, &Actor::api(subject)).await?);
    Ok(Json(ProviderAnswer { client, provider }))
}

/// Names no provider any more.
async fn forget_provider(
    State(people): State<Arc<PeopleService>>,
    ClientPath { company, client, subject, .. }: ClientPath,
) -> Result<StatusCode, Problem> {
    people.forget_provider(&company, &client, &Actor::api(subject)).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! What a company decides about the people of a connection.

use super::Body;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::api::{ClientPath, ConnectionPath, Problem};
use common::app::people::PeopleService;
use common::domain::id::ConnectionId;
use common::domain::sat::person::PrivacyMode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyBody {
    mode: PrivacyMode,
    #[serde(default)]
    erase: bool,
}

/// Sets what is kept of people. A mode that keeps less erases the rest, and only with `erase`.
pub async fn privacy(
    State(desk): State<Arc<PeopleService>>,
    ConnectionPath { company, connection, subject }: ConnectionPath,
    Body(body): Body<PrivacyBody>,
) -> Result<Response, Problem> {
    let saved = desk.set_mode(&company, &connection, body.mode, body.erase).await?;
    tracing::info!(%company, %connection, subject, mode = %body.mode, "privacy mode set");
    Ok(Json(json!({"connection": saved})).into_response())
}

/// The connection that provides the client's training; null when none is named.
pub async fn provider(
    State(desk): State<Arc<PeopleService>>,
    ClientPath { company, client, .. }: ClientPath,
) -> Result<Response, Problem> {
    let provider = desk.store.provider(&company, &client).await?;
    Ok(Json(json!({"client": client, "provider": provider})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    connection: ConnectionId,
}

/// Names the connection that provides the client's training, in place of an earlier one.
pub async fn name_provider(
    State(desk): State<Arc<PeopleService>>,
    ClientPath { company, client, subject }: ClientPath,
    Body(body): Body<ProviderBody>,
) -> Result<Response, Problem> {
    let named = desk.name_provider(&company, &client, &body.connection, &subject).await?;
    Ok(Json(json!({"client": client, "provider": named})).into_response())
}

/// Names no provider any more.
pub async fn forget_provider(
    State(desk): State<Arc<PeopleService>>,
    ClientPath { company, client, subject }: ClientPath,
) -> Result<Response, Problem> {
    desk.forget_provider(&company, &client, &subject).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

//! What a company decides about the people of a connection.

use super::unreadable;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::api::{Caller, Problem};
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::sat::person::PrivacyMode;
use common::sync::people::Desk;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

type OfConnection = Path<(String, String)>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyBody {
    mode: PrivacyMode,
    #[serde(default)]
    erase: bool,
}

/// Sets what is kept of people. A mode that keeps less erases the rest, and only with `erase`.
pub async fn privacy(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path((company, connection)): OfConnection,
    body: Result<Json<PrivacyBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let (company, connection) = (CompanyId::parse(company)?, ConnectionId::parse(connection)?);
    caller.act_for(&company)?;
    let Json(body) = body.map_err(unreadable)?;
    let saved = desk.set_mode(&company, &connection, body.mode, body.erase).await?;
    tracing::info!(%company, %connection, subject = caller.subject, mode = %body.mode, "privacy mode set");
    Ok(Json(json!({"connection": saved})).into_response())
}

type OfClient = Path<(String, String)>;

/// The connection that provides the client's training; null when none is named.
pub async fn provider(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path((company, client)): OfClient,
) -> Result<Response, Problem> {
    let (company, client) = (CompanyId::parse(company)?, ClientId::parse(client)?);
    caller.act_for(&company)?;
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
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path((company, client)): OfClient,
    body: Result<Json<ProviderBody>, JsonRejection>,
) -> Result<Response, Problem> {
    let (company, client) = (CompanyId::parse(company)?, ClientId::parse(client)?);
    caller.act_for(&company)?;
    let Json(body) = body.map_err(unreadable)?;
    let named = desk.name_provider(&company, &client, &body.connection, &caller.subject).await?;
    Ok(Json(json!({"client": client, "provider": named})).into_response())
}

/// Names no provider any more.
pub async fn forget_provider(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path((company, client)): OfClient,
) -> Result<Response, Problem> {
    let (company, client) = (CompanyId::parse(company)?, ClientId::parse(client)?);
    caller.act_for(&company)?;
    desk.forget_provider(&company, &client, &caller.subject).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

//! Taking a connection away: its credential, its daily sync and what it provides; what it has proved stays.

use crate::aws::secrets::{Binding, Credentials, SecretError};
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};

/// Why a connection is not taken away.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of the credential.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// They would stay, and nobody would look after them any more.
    #[error("the connection keeps people")]
    KeepsPeople,
}

/// Removes a connection and its credential; `by` names no provider of training any more where it was one. Runs and evidence stay. A run that a
/// worker is at comes to its end, one that is queued or waiting ends as `not_found`. Repeated after an interruption it goes on.
///
/// # Errors
/// [`DisconnectError`], and [`StoreError::NotFound`] for a connection that is not there.
pub async fn disconnect(
    store: &Store,
    credentials: &Credentials,
    company: &CompanyId,
    id: &ConnectionId,
    (by, now): (&str, DateTime<Utc>),
) -> Result<Connection, DisconnectError> {
    let connection = store.connection(company, id).await?.ok_or(StoreError::NotFound { record: "connection" })?;
    if store.keeping(company, id).await?.is_some() {
        return Err(DisconnectError::KeepsPeople);
    }
    for client in connection.mapping.clients() {
        if store.provider(company, client).await?.is_some_and(|provider| provider.connection == *id) {
            store.forget_provider(company, client, now, by).await?;
        }
    }
    // The record last: as long as it is there, the command finds what is left to do.
    credentials.remove(Binding { company, connection: id, product: connection.product }).await?;
    store.remove_connection(company, id, now).await?;
    Ok(connection)
}

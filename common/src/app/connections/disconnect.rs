//! Taking a connection away: its credential, its daily sync and what it provides; what it has proved stays.

use super::{ConnectionError, Connections};
use crate::aws::secrets::Binding;
use crate::domain::audit::{Actor, AuditAction};
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::store::{StoreError, Timeline};

impl Connections {
    /// Removes a connection and its credential, with `if_revision` only if it has that revision; the actor names no provider of training any more where it was one. Runs and evidence stay. A run that a
    /// worker is at comes to its end, one that is queued or waiting ends as `not_found`. Repeated after an interruption it goes on.
    ///
    /// # Errors
    /// [`ConnectionError::KeepsPeople`], and [`crate::store::StoreError::NotFound`] for a connection that is not there.
    pub async fn disconnect(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        if_revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let connection = self.get(company, id).await?;
        if if_revision.is_some_and(|revision| revision != connection.revision) {
            return Err(ConnectionError::Stale);
        }
        if self.store.people_key_record(company, id).await?.is_some() {
            return Err(ConnectionError::KeepsPeople);
        }
        for client in connection.mapping.clients() {
            if self.store.provider(company, client).await?.is_some_and(|provider| provider.connection == *id) {
                self.store.forget_provider(company, client, self.huntress.instant(), &actor.name, None).await?;
            }
        }
        if connection.product == Product::Sat {
            // Who exchanges its refresh token now must not keep the next one.
            self.store.forget_exchange(company, id).await?;
        }
        // The record last: as long as it is there, the command finds what is left to do.
        self.credentials.remove(Binding { company, connection: id, product: connection.product }).await?;
        let now = self.huntress.instant();
        let mut timeline = self.timeline_of(&connection).await?;
        Timeline::begin(&mut timeline.removed, now);
        let event = self.event(actor, AuditAction::ConnectionRemoved, company, id);
        match self.store.remove_connection_as(company, id, if_revision, &event, &timeline).await {
            Ok(()) => Ok(connection),
            Err(StoreError::Conflict { .. }) => Err(ConnectionError::Stale),
            Err(error) => Err(error.into()),
        }
    }
}

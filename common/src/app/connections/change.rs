//! What a person changes about a connection: its mapping, and whether the daily tick takes it.

use super::Connections;
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::store::{ConnectionChange, Scheduling, StoreError};

impl Connections {
    /// Divides the evidence among clients as `mapping` says, from the next sync on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there; so for the others.
    pub async fn map(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        mapping: Mapping,
    ) -> Result<Connection, StoreError> {
        let mapped = ConnectionChange { mapping: Some(mapping), ..Default::default() };
        self.store.change_connection(company, id, mapped).await
    }

    /// Has the daily tick pass the connection over.
    ///
    /// # Errors
    /// As [`Connections::map`].
    pub async fn pause(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, StoreError> {
        let paused = ConnectionChange { scheduling: Some(Scheduling::Pause), ..Default::default() };
        self.store.change_connection(company, id, paused).await
    }

    /// Has the daily tick take the connection again.
    ///
    /// # Errors
    /// As [`Connections::map`].
    pub async fn resume(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, StoreError> {
        let resume = Scheduling::Resume { next_run_at: self.schedule.next_after(self.huntress.clock.now()) };
        let resumed = ConnectionChange { scheduling: Some(resume), ..Default::default() };
        self.store.change_connection(company, id, resumed).await
    }
}

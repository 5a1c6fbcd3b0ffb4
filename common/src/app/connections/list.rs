//! The connections of a company.

use super::Connections;
use crate::domain::connection::Connection;
use crate::domain::id::CompanyId;
use crate::store::StoreError;

impl Connections {
    /// All connections of a company, by id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn list(&self, company: &CompanyId) -> Result<Vec<Connection>, StoreError> {
        self.store.connections(company).await
    }
}

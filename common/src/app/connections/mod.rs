//! Connections: listed, added, changed, tested and removed. One file per verb.

mod add;
mod change;
mod disconnect;
mod list;
mod test;

pub use add::Check;
pub use change::{ClientLimits, SettingsChange};
pub use test::TEST_TIME;

use crate::app::collection::collect::{Huntress, RateLimiters};
use crate::aws::secrets::{Credentials, SecretError};
use crate::domain::connection::Connection;
use crate::domain::failure::Failure;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::domain::schedule::Schedule;
use crate::store::{Store, StoreError};
use std::sync::Arc;

/// The connections of companies, their credentials, and the account behind each.
pub struct Connections {
    /// Connections.
    pub store: Store,
    /// Credentials.
    pub credentials: Arc<Credentials>,
    /// The vendor.
    pub huntress: Huntress,
    /// The request limits of the accounts.
    pub limiters: Arc<RateLimiters>,
    /// When connections are due.
    pub schedule: Schedule,
}

/// Why something about a connection was not done.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The place of the credential.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The company has a connection of that id.
    #[error("there is a connection {0} already")]
    Exists(ConnectionId),
    /// A credential of another product.
    #[error("the connection is one of {0}")]
    OtherProduct(Product),
    /// Huntress refuses the credential, or cannot be asked.
    #[error("{0}")]
    Failed(Failure),
    /// Somebody else has changed it in between.
    #[error("the connection was changed in between")]
    Stale,
    /// What was asked for cannot be done as it was asked.
    #[error("{0}")]
    Refused(String),
    /// They would stay, and nobody could reach them any more.
    #[error("the connection keeps people; erase them first")]
    KeepsPeople,
}

impl Connections {
    /// A connection.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for one that is not there.
    pub async fn get(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, StoreError> {
        let connection = self.store.connection(company, id).await?;
        connection.ok_or(StoreError::NotFound { record: "connection" })
    }
}

//! Connections: listed, added, changed, tested and removed. One file per verb.

mod add;
mod change;
mod disconnect;
mod exchange;
mod list;
mod names;
mod organizations;
mod redirect;
mod test;

pub use add::{Check, NewCredential};
pub use change::{ClientLimits, ExpiryChange, SettingsChange};
pub(in crate::app) use exchange::Exchanger;
pub use names::RecordNames;
pub use organizations::{Organization, Organizations};
pub use redirect::{
    AccountChoice, BrowserCookie, REDIRECT_TIME, RedirectError, RedirectStarted, RedirectWish, Redirected, Return,
};
pub use test::TEST_TIME;

use crate::app::collection::collect::{Huntress, RateLimiters};
use crate::aws::secrets::oauth_client::OauthClient;
use crate::aws::secrets::{Credentials, SecretError};
use crate::domain::connection::Connection;
use crate::domain::failure::Failure;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::domain::schedule::Schedule;
use crate::settings::PublicUrl;
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
    /// What it takes to connect by redirect.
    pub oauth: Arc<OauthSettings>,
}

/// What it takes to connect by redirect, as far as it is there.
pub struct OauthSettings {
    /// The OAuth client that this service is at Huntress SAT.
    pub client: OauthClient,
    /// Where browsers reach this service.
    pub public_url: Option<PublicUrl>,
    /// Whether this process serves the console, so that a callback can link to it.
    pub has_pages: bool,
}

impl OauthSettings {
    /// Nobody can connect by redirect.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Arc::new(Self { client: OauthClient::None, public_url: None, has_pages: false })
    }
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
    /// The connection still has tracked people, whom nobody could erase once it is removed.
    #[error("the connection has tracked people; erase them first")]
    KeepsPeople,
}

impl Connections {
    /// Who exchanges the refresh token of a connection for a request that does not wait.
    pub(in crate::app) fn exchanger<'a>(
        &'a self,
        company: &'a CompanyId,
        connection: &'a ConnectionId,
    ) -> Exchanger<'a> {
        Exchanger {
            store: &self.store,
            credentials: &self.credentials,
            client: &self.oauth.client,
            clock: Arc::clone(&self.huntress.clock),
            company,
            connection,
            lease: None,
        }
    }

    /// A connection.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for one that is not there.
    pub async fn get(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, StoreError> {
        let connection = self.store.connection(company, id).await?;
        connection.ok_or(StoreError::NotFound { record: "connection" })
    }
}

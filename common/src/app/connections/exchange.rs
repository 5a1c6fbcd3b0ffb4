//! Access tokens of a connection that somebody agreed to: its refresh token is exchanged by one at a time, and a new one is kept before the access token is used.

use crate::aws::secrets::oauth_client::OauthClient;
use crate::aws::secrets::{Binding, Credential, Credentials, SecretError};
use crate::clock::Clock;
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::huntress::retry::Transport;
use crate::huntress::sat::{
    AccessToken, CONNECT_AGAIN, NotRefreshed, Refreshed, SatAgreement, SatCredential, TokenSource,
};
use crate::store::{Exchange, ExchangeOutcome, Lease, Store, StoreError};
use chrono::TimeDelta;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// Nobody else exchanges the token for so long. A process that dies at it blocks the next one no longer.
const HOLD: TimeDelta = TimeDelta::seconds(60);

/// An exchange is given up before [`HOLD`] is over, so that who took it over never meets who had it.
const EXCHANGE_TIME: Duration = Duration::from_secs(45);

/// How often it is tried to keep a new refresh token: without it the agreement is lost.
const KEEP_ATTEMPTS: u32 = 3;

/// How often a worker waits for who is at the exchange.
const WAITS: u32 = 3;

/// Who wants access tokens of a connection.
pub(in crate::app) struct Exchanger<'a> {
    pub store: &'a Store,
    pub credentials: &'a Credentials,
    pub client: &'a OauthClient,
    pub clock: Arc<dyn Clock>,
    pub company: &'a CompanyId,
    pub connection: &'a ConnectionId,
    /// The run that they are for. Without one, nobody waits for who is at the exchange.
    pub lease: Option<&'a Lease>,
}

impl TokenSource for Exchanger<'_> {
    fn access_token<'s>(&'s self, transport: &'s Transport) -> AccessToken<'s> {
        Box::pin(self.exchange(transport))
    }
}

impl Exchanger<'_> {
    async fn exchange(&self, transport: &Transport) -> Result<SecretString, Failure> {
        let client = self.client().await?;
        if let Some(lease) = self.lease
            && !self.store.holds(lease).await.map_err(storage)?
        {
            return Err(Failure::new(FailureCode::LeaseLost, "another worker has the run"));
        }
        let exchange = self.take().await?;
        let (token, interrupted) = match self.exchanged(transport, &client, &exchange).await {
            Ok(token) => (Ok(token), false),
            Err(NotExchanged { failure, interrupted }) => (Err(failure), interrupted),
        };
        if let Err(error) = self.store.end_exchange(&exchange, interrupted).await {
            // The next one waits until the hold is over, and takes this one for interrupted.
            tracing::warn!(connection = %self.connection, error = &error as &dyn std::error::Error, "the exchange of the refresh token was not ended");
        }
        token
    }

    /// The client that this service is.
    async fn client(&self) -> Result<Arc<SatCredential>, Failure> {
        let client = self.client.get().await.map_err(|error| unconfigured(&error))?;
        client.ok_or_else(|| {
            let message = "the connection was made by redirect, and this service has no OAuth client of Huntress SAT";
            let action = "set HUNTRESS_SAT_OAUTH_CLIENT_ID and HUNTRESS_SAT_OAUTH_CLIENT_SECRET, on AWS the parameter SatOauthSecret";
            Failure { action: action.to_owned(), ..Failure::new(FailureCode::CredentialMissing, message) }
        })
    }

    async fn take(&self) -> Result<Exchange, Failure> {
        for _ in 0..WAITS {
            let now = self.clock.now();
            match self.store.take_exchange(self.company, self.connection, now, HOLD).await.map_err(storage)? {
                ExchangeOutcome::Acquired(exchange) => return Ok(exchange),
                ExchangeOutcome::Held { until } if self.lease.is_some() => self.clock.sleep_until(until).await,
                ExchangeOutcome::Held { .. } => break,
            }
        }
        let message = "another request renews the access of this connection at the moment";
        Err(Failure { action: "try again in a minute".to_owned(), ..Failure::new(FailureCode::Unavailable, message) })
    }

    async fn exchanged(
        &self,
        transport: &Transport,
        client: &SatCredential,
        exchange: &Exchange,
    ) -> Result<SecretString, NotExchanged> {
        let known = |failure| NotExchanged { failure, interrupted: exchange.after_interruption };
        // Read under the hold: it may have been replaced while this one waited.
        let agreement = self.agreement().await.map_err(known)?;
        let refreshed = tokio::time::timeout(EXCHANGE_TIME, agreement.refresh(transport, client)).await;
        let Refreshed { access_token, rotated } = match refreshed {
            Ok(Ok(refreshed)) => refreshed,
            Ok(Err(NotRefreshed { failure, is_refused, is_unknown })) => {
                let failure = if is_refused && exchange.after_interruption { interrupted(failure) } else { failure };
                return Err(NotExchanged { failure, interrupted: is_unknown || exchange.after_interruption });
            }
            Err(_) => {
                let failure =
                    Failure::new(FailureCode::Unavailable, "Huntress did not exchange the refresh token in time");
                return Err(NotExchanged { failure: failure.at("POST /oauth/token"), interrupted: true });
            }
        };
        let Some(refresh_token) = rotated else { return Ok(access_token) };
        let lost = |failure| NotExchanged { failure, interrupted: true };
        // Somebody who took the exchange over, or another credential, must not be overwritten.
        if !self
            .store
            .keeps_exchange(exchange, self.clock.now() + HOLD)
            .await
            .map_err(|error| lost(not_kept(&error)))?
        {
            return Err(lost(Failure::new(
                FailureCode::LeaseLost,
                "somebody else renews the access of this connection",
            )));
        }
        let SatAgreement { client_id, .. } = agreement;
        let rotated = Credential::Agreement(SatAgreement { client_id, refresh_token });
        self.keep(&rotated).await.map_err(lost)?;
        Ok(access_token)
    }

    async fn agreement(&self) -> Result<SatAgreement, Failure> {
        match self.credentials.get(self.binding()).await {
            Ok(Credential::Agreement(agreement)) => Ok(agreement),
            Ok(_) => Err(Failure::new(FailureCode::LeaseLost, "the connection has another credential by now")),
            Err(error) => Err(unconfigured(&error)),
        }
    }

    /// Keeps a new refresh token; the one before is used up.
    async fn keep(&self, rotated: &Credential) -> Result<(), Failure> {
        let mut kept = self.credentials.put(self.binding(), rotated).await;
        for _ in 1..KEEP_ATTEMPTS {
            if kept.is_ok() {
                break;
            }
            kept = self.credentials.put(self.binding(), rotated).await;
        }
        kept.map_err(|error| not_kept(&error))
    }

    fn binding(&self) -> Binding<'_> {
        Binding { company: self.company, connection: self.connection, product: Product::Sat }
    }
}

/// Why there is no access token, and whether the refresh token may be used up.
struct NotExchanged {
    failure: Failure,
    interrupted: bool,
}

/// The failure of an agreement whose new refresh token is lost.
fn not_kept(error: &(dyn std::error::Error + 'static)) -> Failure {
    tracing::error!(error, "a new refresh token was not kept");
    let message = "Huntress exchanged the connection's refresh token, and the new one could not be kept";
    Failure { action: CONNECT_AGAIN.to_owned(), ..Failure::new(FailureCode::AuthFailed, message) }
}

/// The failure of a refresh token that was used up by an exchange whose end nobody knows.
fn interrupted(failure: Failure) -> Failure {
    let message = "an earlier exchange of the connection's refresh token was interrupted before the new one was kept, and Huntress does not accept the old one any more";
    Failure { message: message.to_owned(), ..failure }
}

fn storage(error: StoreError) -> Failure {
    tracing::error!(error = &error as &dyn std::error::Error, "nobody knows who exchanges the refresh token");
    Failure::new(FailureCode::Storage, "the exchange of the refresh token cannot be recorded")
}

fn unconfigured(error: &SecretError) -> Failure {
    let code = if matches!(error, SecretError::Unavailable(_)) {
        FailureCode::Storage
    } else {
        FailureCode::CredentialMissing
    };
    tracing::error!(error = error as &dyn std::error::Error, "no OAuth client, or no agreement");
    Failure::new(code, error.to_string()).about(Product::Sat)
}

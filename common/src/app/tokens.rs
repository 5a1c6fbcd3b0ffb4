//! Access tokens of one machine: made, listed, revoked, and who calls with one. On AWS tokens are the issuer's.

use crate::clock::Clock;
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::id::{CompanyId, TokenName};
use crate::domain::token::{AccessToken, InvalidToken, TokenRequest, name_of};
use crate::store::{Store, StoreError};
use chrono::{SubsecRound, TimeDelta};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use serde::Serialize;
use std::sync::Arc;

/// The last use is kept to this, so that a call is no write.
const USE_KEPT_TO: TimeDelta = TimeDelta::seconds(60);

/// The tokens of a company.
pub struct Tokens {
    /// Where they are kept.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why a token was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
    /// The name is taken.
    #[error("there is a token {0}; revoke it first, or choose another name")]
    Exists(TokenName),
    /// No such token.
    #[error("there is no token {0}; see: huntress-evidence token list")]
    Unknown(TokenName),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// What an audit event says of a token.
#[derive(Serialize)]
struct Granted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<&'a str>,
    clients: &'a Option<std::collections::BTreeSet<crate::domain::id::ClientId>>,
    #[serde(with = "crate::domain::time::as_list")]
    window: Option<crate::domain::time::Window>,
    expires_at: chrono::DateTime<chrono::Utc>,
}

impl<'a> From<&'a AccessToken> for Granted<'a> {
    fn from(token: &'a AccessToken) -> Self {
        Self {
            role: token.role.map(|role| role.as_str()),
            scopes: token.scopes.iter().map(|scope| scope.as_str()).collect(),
            clients: &token.clients,
            window: token.window,
            expires_at: token.expires_at,
        }
    }
}

impl Tokens {
    /// Makes a token. It is shown this once: what is kept is its SHA-256.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn add(
        &self,
        company: &CompanyId,
        request: TokenRequest,
        actor: &Actor,
    ) -> Result<(SecretString, AccessToken), TokenError> {
        let mut random = [0; 32];
        SystemRandom::new().fill(&mut random).map_err(|_| TokenError::Random)?;
        let now = self.clock.now().trunc_subsecs(3);
        let (token, kept) = request.make(random, &actor.name, now)?;
        let event = AuditEvent::new(actor, AuditAction::TokenAdded, company.clone(), kept.name.as_str(), now);
        let event = AuditEvent { after: serde_json::to_value(Granted::from(&kept)).ok(), ..event };
        match self.store.add_token(&kept, &event).await {
            Err(StoreError::Conflict { .. }) => Err(TokenError::Exists(kept.name)),
            added => {
                added?;
                Ok((token.into(), kept))
            }
        }
    }

    /// All tokens, by name; expired ones among them.
    ///
    /// # Errors
    /// [`TokenError::Store`]
    pub async fn list(&self, company: &CompanyId) -> Result<Vec<AccessToken>, TokenError> {
        Ok(self.store.tokens(company).await?)
    }

    /// Revokes a token: from now on it is good for nothing.
    ///
    /// # Errors
    /// [`TokenError::Unknown`]
    pub async fn revoke(&self, company: &CompanyId, name: &TokenName, actor: &Actor) -> Result<(), TokenError> {
        let unknown = || TokenError::Unknown(name.clone());
        let there = self.store.token(company, name).await?.ok_or_else(unknown)?;
        let event = AuditEvent::new(actor, AuditAction::TokenRevoked, company.clone(), name.as_str(), self.clock.now());
        let event = AuditEvent { before: serde_json::to_value(Granted::from(&there)).ok(), ..event };
        match self.store.remove_token(name, &event).await {
            Err(StoreError::NotFound { .. }) => Err(unknown()),
            removed => Ok(removed?),
        }
    }

    /// The token that a text is, if it is one and still good. Its use is noted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn known(&self, company: &CompanyId, text: &str) -> Result<Option<AccessToken>, StoreError> {
        let Some(name) = name_of(text) else { return Ok(None) };
        let now = self.clock.now();
        let Some(token) = self.store.token(company, &name).await?.filter(|token| token.is_good(text, now)) else {
            return Ok(None);
        };
        if token.last_used_at.is_none_or(|last| now.signed_duration_since(last) >= USE_KEPT_TO) {
            self.store.token_used(company, &name, now).await?;
        }
        Ok(Some(token))
    }
}

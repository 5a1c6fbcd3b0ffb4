//! How people come in: with a token of this machine, or over an issuer of OpenID Connect.

mod id_token;
mod issuer;
mod sealed;
mod sessions;

pub use id_token::InvalidToken;
pub(super) use issuer::{Answer, SignedIn};
pub use issuer::{IssuerSignIn, IssuerState, SignInError};
pub use sessions::{CookieKey, SealedSessions};

use super::Tokens;
use super::session::{Session, Sessions};
use crate::api::Problem;
use crate::domain::id::CompanyId;
use crate::store::StoreError;
use secrecy::ExposeSecret;
use std::sync::Arc;

/// How people come in.
pub enum SignIn {
    /// With a token or a login link of this machine; sessions are those of this process.
    Machine {
        /// Who is signed in.
        sessions: Sessions,
        /// Whom tokens are of.
        tokens: Arc<dyn Tokens>,
    },
    /// Over an issuer; sessions are in sealed cookies.
    Issuer(Box<IssuerSignIn>),
    /// Elsewhere, over an issuer: these pages only know who is signed in.
    Elsewhere(Box<SealedSessions>),
}

impl SignIn {
    /// The session of a cookie, unless it has ended.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be said now.
    pub(super) async fn session(&self, secret: &str) -> Result<Option<Session>, Problem> {
        match self {
            Self::Machine { sessions, tokens } => {
                let Some(session) = sessions.find(secret) else { return Ok(None) };
                let good = still_good(sessions, tokens.as_ref(), secret).await?;
                Ok(good.then_some(session))
            }
            Self::Issuer(issuer) => Ok(issuer.sessions.session(secret).await?),
            Self::Elsewhere(sessions) => Ok(sessions.session(secret).await?),
        }
    }

    /// Shows another of the session's companies. Where that is in the cookie, the new cookie.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be done now.
    pub(super) async fn choose_company(
        &self,
        secret: &str,
        session: &Session,
        company: &CompanyId,
    ) -> Result<Option<String>, Problem> {
        let sealed = match self {
            Self::Machine { sessions, .. } => {
                sessions.choose_company(secret, company);
                return Ok(None);
            }
            Self::Issuer(issuer) => &issuer.sessions,
            Self::Elsewhere(sessions) => sessions,
        };
        let chosen = Session { company: company.clone(), ..session.clone() };
        Ok(Some(sealed.cookie(&chosen).await?))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be done now.
    pub(super) async fn end(&self, secret: &str, session: &Session) -> Result<(), Problem> {
        match self {
            Self::Machine { sessions, .. } => sessions.end(secret),
            Self::Issuer(issuer) => issuer.sessions.end(session).await?,
            Self::Elsewhere(sealed) => sealed.end(session).await?,
        }
        Ok(())
    }

    /// The sessions of this process; `None` where sessions are in cookies, which an issuer alone leads to.
    #[must_use]
    pub fn sessions(&self) -> Option<&Sessions> {
        match self {
            Self::Machine { sessions, .. } => Some(sessions),
            Self::Issuer(_) | Self::Elsewhere(_) => None,
        }
    }
}

/// Whether the token that opened a session is still good; the session ends with it.
async fn still_good(sessions: &Sessions, tokens: &dyn Tokens, secret: &str) -> Result<bool, StoreError> {
    let Some(token) = sessions.token_due(secret) else { return Ok(true) };
    if tokens.caller(token.expose_secret()).await?.is_some() {
        return Ok(true);
    }
    sessions.end(secret);
    Ok(false)
}

//! Sessions in sealed cookies: any process that has their key reads them, so one function signs people in and others know them.

use super::issuer::{SignInError, unavailable};
use super::sealed::{self, SessionInCookie};
use crate::aws::lambda::Aws;
use crate::aws::secrets::SecretError;
use crate::aws::secrets::sealing::{HashingKey, SealingKey};
use crate::clock::Clock;
use crate::console::session::Session;
use crate::settings::required;
use crate::store::Store;
use aws_sdk_secretsmanager::Client;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::OnceCell;

const SESSION: &str = "console session";

/// Where the text is that cookies are sealed with.
pub enum CookieKey {
    /// It is known.
    Given(SecretString),
    /// A secret of AWS Secrets Manager, which the stack makes.
    Secret {
        /// Secrets Manager.
        client: Client,
        /// The secret's ARN.
        id: String,
    },
}

/// A key made of fewer characters could be guessed.
const SHORTEST_KEY: usize = 32;

impl CookieKey {
    async fn read(&self) -> Result<SealingKey, SecretError> {
        let text = match self {
            Self::Given(text) => text.clone(),
            Self::Secret { client, id } => {
                let answer = client.get_secret_value().secret_id(id).send().await;
                let value = answer.map_err(|error| SecretError::Unavailable(error.into()))?;
                value.secret_string.map(SecretString::from).ok_or(SecretError::Malformed)?
            }
        };
        if text.expose_secret().len() < SHORTEST_KEY {
            return Err(SecretError::Malformed);
        }
        HashingKey::new(text.expose_secret().as_bytes())
            .derive(&["console", "cookies"])
            .map_err(|error| SecretError::Unavailable(error.into()))
    }
}

/// The sessions of who signed in over an issuer.
pub struct SealedSessions {
    key: CookieKey,
    /// Where it is kept that somebody signed out.
    store: Store,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// The key, once it was read.
    known: OnceCell<SealingKey>,
}

impl SealedSessions {
    /// Sessions whose cookies a key seals.
    #[must_use]
    pub fn new(key: CookieKey, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { key, store, clock, known: OnceCell::new() }
    }

    /// Those whose key is in the secret `CONSOLE_KEY_SECRET`.
    ///
    /// # Errors
    /// A setting that is missing or wrong.
    pub fn of_function(aws: &Aws<'_>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let id = required(aws.lookup(), "CONSOLE_KEY_SECRET")?;
        let key = CookieKey::Secret { client: aws.secrets_manager(), id };
        Ok(Self::new(key, aws.table()?, aws.system_clock()))
    }

    pub(super) async fn key(&self) -> Result<&SealingKey, SignInError> {
        self.known.get_or_try_init(|| self.key.read()).await.map_err(unavailable)
    }

    /// The session of a cookie, unless it has ended.
    pub(super) async fn session(&self, cookie: &str) -> Result<Option<Session>, SignInError> {
        let opened: Option<SessionInCookie> = sealed::open(self.key().await?, SESSION, cookie);
        let session = opened.map(Session::from).filter(|session| session.ends_at > self.clock.now());
        let Some(session) = session else { return Ok(None) };
        let ended = self.store.session_ended(&session.form_token).await?;
        Ok((!ended).then_some(session))
    }

    /// The cookie of a session.
    pub(super) async fn cookie(&self, session: &Session) -> Result<String, SignInError> {
        Ok(sealed::seal(self.key().await?, SESSION, &SessionInCookie::from(session))?)
    }

    /// Ends a session, whoever still has its cookie.
    pub(super) async fn end(&self, session: &Session) -> Result<(), SignInError> {
        Ok(self.store.end_session(&session.form_token, session.ends_at).await?)
    }
}

//! The console as a client of an OpenID Connect issuer: authorization code with PKCE, state and nonce. Who comes back gets a session with exactly the rights
//! that the API would give the claims of their ID token.

use super::id_token::{Expected, InvalidToken, Keys, Unverified};
use super::sealed::{self, NotSealed, OnTheWay};
use super::sessions::SealedSessions;
use crate::api::{Caller, Claims, Problem};
use crate::aws::lambda::Aws;
use crate::aws::secrets::oauth_client::OauthClient;
use crate::console::session::{NoRandom, SESSION_LENGTH, Session, random};
use crate::domain::scope::Scopes;
use crate::huntress::request::{Timeouts, http_client};
use crate::settings::{PublicUrl, SettingsError, required};
use crate::store::StoreError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::{Host, Url};

/// Where people come back to from the issuer.
pub(crate) const CALLBACK: &str = "/login/callback";

/// So long somebody may take at the issuer.
const ON_THE_WAY: TimeDelta = TimeDelta::minutes(10);

/// What the issuer publishes of itself is read anew after this.
const KNOWN_FOR: TimeDelta = TimeDelta::hours(1);

/// A key that is not known is looked for so often, at most: tokens of nobody are no reason to ask the issuer.
const KEYS_ASKED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Answers of the issuer that are larger are none.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Below the 29 s that a function has.
const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(3), read: Duration::from_secs(5), total: Duration::from_secs(8) };

const SIGN_IN: &str = "console sign-in";

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The issuer, or what is asked of AWS, does not answer as it should.
    #[error("the issuer, or a secret, cannot be read")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The table does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This browser did not begin, began too long ago, or somebody came back before.
    #[error("nobody of this browser is on the way")]
    Unknown,
    /// The issuer did not sign them in.
    #[error("the issuer refused")]
    Refused,
    /// What the issuer said of them is not to be believed.
    #[error("the token of the issuer is not to be believed: {0}")]
    Token(#[from] InvalidToken),
    /// They are signed in, and may do nothing here.
    #[error("the token names no company, or no role")]
    NoRole,
    /// They have more companies and clients than a cookie holds.
    #[error("the token names more companies and clients than a cookie holds")]
    TooMany,
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Unavailable(_) => Self::unavailable(&error),
            SignInError::Store(error) => error.into(),
            SignInError::Unknown => Self::sign_in_failed(
                "this sign-in was finished already, took more than ten minutes, or was begun in another browser; sign in again",
            ),
            SignInError::Refused => Self::sign_in_failed("your organization's sign-in said no; sign in again"),
            SignInError::Token(why) => {
                tracing::warn!(%why, "an ID token was refused");
                Self::sign_in_failed(
                    "what your organization's sign-in answered cannot be trusted; sign in again, and tell your administrator if it stays so",
                )
            }
            SignInError::NoRole => Self::no_role(),
            SignInError::TooMany => Self::sign_in_failed(
                "your account names more companies and clients than a session can hold; ask your administrator for an account with fewer",
            ),
        }
    }
}

impl From<NotSealed> for SignInError {
    fn from(error: NotSealed) -> Self {
        match error {
            NotSealed::TooLarge => Self::TooMany,
            NotSealed::Cipher(_) => unavailable(error),
        }
    }
}

impl From<NoRandom> for SignInError {
    fn from(error: NoRandom) -> Self {
        unavailable(error)
    }
}

pub(super) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SignInError {
    SignInError::Unavailable(error.into())
}

/// What an issuer says of itself. <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// An issuer as it was read.
struct Known {
    authorize: Url,
    token: Url,
    end_session: Option<Url>,
    takes_basic: bool,
    keys: Keys,
    read_at: DateTime<Utc>,
}

/// The way to the issuer.
pub struct SignInStart {
    /// Where to.
    pub address: String,
    /// What the browser has to bring back.
    pub cookie: String,
}

/// Somebody who came back.
pub struct SignedIn {
    /// The cookie of the session.
    pub cookie: String,
    /// The page that they wanted.
    pub to: String,
    /// They are in several companies, and have to choose.
    pub chooses: bool,
}

/// What the browser brings back from the issuer.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    error: Option<String>,
}

/// Signing in over an issuer.
pub struct IssuerSignIn {
    /// As tokens have it in `iss`.
    pub issuer: String,
    /// The OAuth client that the console is there.
    pub client: OauthClient,
    /// The sessions of who came back.
    pub sessions: SealedSessions,
    /// What is asked for, e.g. `openid profile`.
    pub scopes: String,
    /// Which claims say what.
    pub claims: Claims,
    /// What the issuer is asked with.
    pub http: reqwest::Client,
    /// Our own origin.
    pub origin: String,
    /// Whether the issuer may be on this machine, without TLS.
    pub allow_loopback: bool,
    /// What is known by now; empty at first.
    pub state: IssuerState,
}

/// What a process knows of the issuer by now.
#[derive(Default)]
pub struct IssuerState(Mutex<Option<Arc<Known>>>);

impl IssuerSignIn {
    /// The one of `OIDC_ISSUER`, with the client in the secret `CONSOLE_OIDC_SECRET`, the key of cookies in the secret `CONSOLE_KEY_SECRET`, the scopes
    /// `CONSOLE_SCOPES` (by default `openid`), and the claims of the API.
    ///
    /// # Errors
    /// A setting that is missing or wrong.
    pub fn of_function(aws: &Aws<'_>) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let lookup = aws.lookup();
        let public = PublicUrl::read(lookup)?.ok_or(SettingsError::Missing("PUBLIC_URL"))?;
        let secret = |name| required(lookup, name);
        let manager = aws.secrets_manager();
        Ok(Self {
            issuer: secret("OIDC_ISSUER")?,
            client: OauthClient::Secret { client: manager, id: secret("CONSOLE_OIDC_SECRET")? },
            sessions: SealedSessions::of_function(aws)?,
            scopes: lookup("CONSOLE_SCOPES").unwrap_or_else(|| "openid".to_owned()),
            claims: Claims::read(lookup),
            http: http_client(TIMEOUTS)?,
            origin: public.start().trim_end_matches('/').to_owned(),
            allow_loopback: lookup("HUNTRESS_ALLOW_LOOPBACK").as_deref() == Some("1"),
            state: IssuerState::default(),
        })
    }

    /// Begins: the way to the issuer, from which the browser comes back to [`CALLBACK`].
    pub(crate) async fn start(&self, to: &str) -> Result<SignInStart, SignInError> {
        let (known, client_id) = (self.known().await?, self.client_id().await?);
        let until = self.sessions.clock.now() + ON_THE_WAY;
        let on_the_way = OnTheWay { state: random()?, nonce: random()?, verifier: random()?, to: to.to_owned(), until };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&on_the_way.verifier));
        let mut address = known.authorize.clone();
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client_id)
            .append_pair("redirect_uri", &self.redirect_uri())
            .append_pair("scope", &self.scopes)
            .append_pair("state", &on_the_way.state)
            .append_pair("nonce", &on_the_way.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let cookie = sealed::seal(self.sessions.key().await?, SIGN_IN, &on_the_way)?;
        Ok(SignInStart { address: address.into(), cookie })
    }

    /// Ends the way: `answer` is what the issuer sent the browser back with, `cookie` what the browser was given at the start.
    pub(crate) async fn finish(&self, answer: &Answer, cookie: Option<&str>) -> Result<SignedIn, SignInError> {
        let now = self.sessions.clock.now();
        let key = self.sessions.key().await?;
        let on_the_way = cookie.and_then(|cookie| sealed::open::<OnTheWay>(key, SIGN_IN, cookie));
        let on_the_way = on_the_way.filter(|it| it.until > now).ok_or(SignInError::Unknown)?;
        let digest = |text: &str| Sha256::digest(text);
        // Hashes: the time that a comparison of them takes gives nothing away.
        if answer.state.as_deref().map(digest) != Some(digest(&on_the_way.state)) {
            return Err(SignInError::Unknown);
        }
        // RFC 9207: an answer says whose it is, where the issuer supports it.
        if answer.iss.as_ref().is_some_and(|iss| *iss != self.issuer) {
            return Err(InvalidToken::Issuer.into());
        }
        if let Some(error) = &answer.error {
            tracing::warn!(error = code_of(error), "the issuer signed somebody not in");
            return Err(SignInError::Refused);
        }
        let code = answer.code.as_deref().ok_or(SignInError::Unknown)?;
        let token = self.exchange(code, &on_the_way.verifier).await?;
        let token = Unverified::parse(token.expose_secret())?;
        let known = self.known_with(token.key_id()).await?;
        let client_id = self.client_id().await?;
        let expected = Expected { issuer: &self.issuer, client_id: &client_id, nonce: &on_the_way.nonce, now };
        let claims = token.verify(&known.keys, expected)?;
        let caller = self.claims.caller(&claims).filter(|caller| caller.scopes != Scopes::NONE);
        let caller = caller.ok_or(SignInError::NoRole)?;
        let chooses = caller.companies.len() > 1;
        Ok(SignedIn { cookie: self.open(caller).await?, to: on_the_way.to, chooses })
    }

    /// The cookie of a new session.
    ///
    /// # Errors
    /// [`SignInError`]
    pub async fn open(&self, caller: Caller) -> Result<String, SignInError> {
        let ends_at = self.sessions.clock.now() + SESSION_LENGTH;
        let session = Session::of(caller, random()?, ends_at).ok_or(SignInError::NoRole)?;
        self.sessions.cookie(&session).await
    }

    /// Where people end their session at the issuer, too, if it has such a place.
    pub(crate) async fn sign_out_address(&self) -> Option<String> {
        let (known, client_id) = (self.known().await.ok()?, self.client_id().await.ok()?);
        let mut address = known.end_session.clone()?;
        let back = format!("{}/login", self.origin);
        address
            .query_pairs_mut()
            .append_pair("client_id", &client_id)
            .append_pair("post_logout_redirect_uri", &back)
            // As Cognito calls it.
            .append_pair("logout_uri", &back);
        Some(address.into())
    }

    fn redirect_uri(&self) -> String {
        format!("{}{CALLBACK}", self.origin)
    }

    async fn client_id(&self) -> Result<String, SignInError> {
        let client = self.client.get().await.map_err(unavailable)?.ok_or_else(|| unavailable("there is no client"))?;
        Ok(client.client_id.expose_secret().to_owned())
    }

    /// Exchanges a code for the ID token.
    async fn exchange(&self, code: &str, verifier: &str) -> Result<SecretString, SignInError> {
        let known = self.known().await?;
        let client = self.client.get().await.map_err(unavailable)?.ok_or_else(|| unavailable("there is no client"))?;
        let (id, secret) = (client.client_id.expose_secret(), client.client_secret.expose_secret());
        let redirect_uri = self.redirect_uri();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", verifier),
        ];
        let request = self.http.post(known.token.clone());
        let (request, credential) = if known.takes_basic {
            let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            (request.basic_auth(encoded(id), Some(encoded(secret))), None)
        } else {
            (request, Some([("client_id", id), ("client_secret", secret)]))
        };
        let fields = fields.into_iter().chain(credential.into_iter().flatten());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer: Tokens = self.read(request).await?;
        match (answer.id_token, answer.error) {
            (Some(token), None) => Ok(token.into()),
            // The code was used, is too old, or is not ours.
            (_, Some(error)) if error == "invalid_grant" => Err(SignInError::Unknown),
            (_, Some(error)) => Err(unavailable(format!("the issuer answers {}", code_of(&error)))),
            (None, None) => Err(unavailable("the issuer gives no ID token")),
        }
    }

    /// The issuer, as it said of itself within the last hour.
    async fn known(&self) -> Result<Arc<Known>, SignInError> {
        self.newer_than(KNOWN_FOR).await
    }

    /// The issuer with a key of this id, if it has one.
    async fn known_with(&self, key_id: Option<&str>) -> Result<Arc<Known>, SignInError> {
        let known = self.known().await?;
        if known.keys.has(key_id) { Ok(known) } else { self.newer_than(KEYS_ASKED_EVERY).await }
    }

    async fn newer_than(&self, age: TimeDelta) -> Result<Arc<Known>, SignInError> {
        let now = self.sessions.clock.now();
        let there = self.state.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(there) = there.filter(|it| now.signed_duration_since(it.read_at) < age) {
            return Ok(there);
        }
        let read = Arc::new(self.discover(now).await?);
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&read));
        Ok(read)
    }

    async fn discover(&self, now: DateTime<Utc>) -> Result<Known, SignInError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let said: Metadata = self.read(self.http.get(self.trusted(&address)?)).await?;
        if said.issuer != self.issuer {
            let (said, ours) = (said.issuer, &self.issuer);
            return Err(unavailable(format!(
                "the issuer calls itself {said:?}, and OIDC_ISSUER {ours:?}: write it as it does"
            )));
        }
        let keys = self.read(self.http.get(self.trusted(&said.jwks_uri)?)).await?;
        let methods = said.token_endpoint_auth_methods_supported;
        Ok(Known {
            authorize: self.trusted(&said.authorization_endpoint)?,
            token: self.trusted(&said.token_endpoint)?,
            // People can do without it.
            end_session: said.end_session_endpoint.and_then(|address| self.trusted(&address).ok()),
            takes_basic: methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")),
            keys,
            read_at: now,
        })
    }

    /// An address over TLS; one of this machine only where that is allowed.
    fn trusted(&self, address: &str) -> Result<Url, SignInError> {
        let url = Url::parse(address).map_err(|_| unavailable("an address of the issuer is no URL"))?;
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        };
        if url.scheme() == "https" || (url.scheme() == "http" && is_loopback && self.allow_loopback) {
            return Ok(url);
        }
        Err(unavailable("an address of the issuer does not begin with https://"))
    }

    /// An answer in JSON, whatever its status: errors have one, too.
    async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, SignInError> {
        let mut answer = request.header(ACCEPT, "application/json").send().await.map_err(unavailable)?;
        let status = answer.status();
        if !status.is_success() && !status.is_client_error() {
            return Err(unavailable(format!("the issuer answers {status}")));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(unavailable)? {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST_ANSWER {
                return Err(unavailable("the issuer's answer is too large"));
            }
        }
        // The error of the parser is dropped: it may quote a token.
        serde_json::from_slice(&body).map_err(|_| unavailable(format!("the issuer's answer {status} cannot be read")))
    }
}

/// An error code of the issuer, as far as it is one.
fn code_of(error: &str) -> &str {
    let is_code = error.len() <= 60 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_code { error } else { "an error without a code" }
}

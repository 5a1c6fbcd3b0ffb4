//! Access tokens: OAuth 2.0 client credentials, asked for anew by every run.

use super::super::error::{BodyError, FetchError};
use super::super::request::{Auth, PostForm, Response};
use super::super::retry::Transport;
use super::agreement::Access;
use super::page::read_object;
use crate::wire::{Scalar, read_json};
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::product::Product;
use evidence_domain::sat::SCOPES;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The credential of the training API. It cannot be printed, copied or serialized.
pub struct SatCredential {
    /// The public half.
    pub client_id: SecretString,
    /// The secret half.
    pub client_secret: SecretString,
}

const TOKEN_PATH: &str = "/oauth/token";

/// Where the credential goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// HTTP Basic.
    Header,
    /// Fields of the form, for a server that does not know Basic.
    Body,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Grant<'a> {
    /// The client's own access, with these scopes.
    Client(&'a [&'a str]),
    /// That of somebody who brought a code.
    Code { code: &'a SecretString, redirect_uri: &'a str, verifier: &'a SecretString },
    /// That of somebody who agreed earlier.
    Refresh(&'a SecretString),
}

impl Grant<'_> {
    /// A code is used up by the first answer, whether that arrives or not.
    fn is_for_once(&self) -> bool {
        matches!(self, Self::Code { .. })
    }
}

/// What an answer brings.
pub(super) struct Tokens {
    pub(super) access: SecretString,
    pub(super) refresh: Option<SecretString>,
    /// The scopes, separated by blanks, if the answer says them.
    pub(super) scope: Option<String>,
}

/// What the token endpoint says.
pub(super) enum Answer {
    Token(Tokens),
    InvalidScope,
    /// The credential is refused, with the status and the code if one could be read.
    Refused {
        status: StatusCode,
        code: Option<&'static str>,
    },
}

/// An access token, and whether a request with it has succeeded.
pub(super) struct Token {
    secret: SecretString,
    proven: AtomicBool,
}

impl Token {
    fn new(secret: SecretString) -> Arc<Self> {
        Arc::new(Self { secret, proven: AtomicBool::new(false) })
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Records that a request with it has succeeded.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}

/// The token of a run and what it takes to renew it.
pub(super) struct Session<'a> {
    transport: &'a Transport,
    access: Access<'a>,
    held: tokio::sync::Mutex<Held>,
    failure: Mutex<Option<Failure>>,
}

/// The token that requests go out with.
pub(super) struct Held {
    token: Arc<Token>,
    place: Place,
}

/// What a request with a refused token has to do.
pub(super) enum Renewal<'s> {
    /// Go out with this token, which another request got in the meantime.
    Renewed(Arc<Token>),
    /// Go out with this new token, and alone: no other request uses it until this one was answered, so that a token which is good for one request is
    /// enough for it.
    First(Arc<Token>, tokio::sync::MutexGuard<'s, Held>),
}

impl<'a> Session<'a> {
    pub(super) async fn open(transport: &'a Transport, access: Access<'a>) -> Result<Self, Failure> {
        let (token, place) = new_token(transport, access, None).await?;
        let held = Held { token: Token::new(token), place };
        Ok(Self { transport, access, held: held.into(), failure: Mutex::default() })
    }

    pub(super) async fn token(&self) -> Arc<Token> {
        Arc::clone(&self.held.lock().await.token)
    }

    /// A token other than the refused one. Of several lists that meet the refusal at once, one renews it and the others take what it got.
    ///
    /// # Errors
    /// [`FetchError::Unauthorized`] for a token that was refused before any request with it succeeded: a new one would be, too.
    pub(super) async fn renew(&self, refused: &Arc<Token>) -> Result<Renewal<'_>, FetchError> {
        let mut held = self.held.lock().await;
        if !Arc::ptr_eq(&held.token, refused) {
            return Ok(Renewal::Renewed(Arc::clone(&held.token)));
        }
        if !refused.proven.load(Ordering::Relaxed) {
            return Err(FetchError::Unauthorized);
        }
        tracing::info!("the access token was refused; asking for a new one");
        match new_token(self.transport, self.access, Some(held.place)).await {
            Ok((token, _)) => {
                held.token = Token::new(token);
                Ok(Renewal::First(Arc::clone(&held.token), held))
            }
            Err(failure) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                Err(FetchError::Unauthorized)
            }
        }
    }

    /// The failure of a renewal, which says more than the refusal that it answers.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The scopes that the client was not given: each is asked for alone, since one that is missing makes the whole request fail.
///
/// # Errors
/// The [`Failure`] of a token request that fails for another reason.
pub(super) async fn missing_scopes(
    transport: &Transport,
    credential: &SatCredential,
) -> Result<Vec<&'static str>, Failure> {
    let mut missing = Vec::new();
    let mut place = None;
    for scope in SCOPES {
        match ask(transport, credential, Grant::Client(&[scope]), place).await? {
            (Answer::Token(_), used) => place = Some(used),
            (Answer::InvalidScope, used) => {
                place = Some(used);
                missing.push(scope);
            }
            (Answer::Refused { status, code }, _) => return Err(refused(status, code)),
        }
    }
    Ok(missing)
}

/// An access token from where it comes.
async fn new_token(
    transport: &Transport,
    access: Access<'_>,
    place: Option<Place>,
) -> Result<(SecretString, Place), Failure> {
    match access {
        Access::Client(credential) => request_token(transport, credential, &SCOPES, place).await,
        Access::Agreement(source) => Ok((source.access_token(transport).await?, place.unwrap_or(Place::Header))),
    }
}

async fn request_token(
    transport: &Transport,
    credential: &SatCredential,
    scopes: &[&str],
    place: Option<Place>,
) -> Result<(SecretString, Place), Failure> {
    match ask(transport, credential, Grant::Client(scopes), place).await? {
        (Answer::Token(tokens), place) => Ok((tokens.access, place)),
        (Answer::InvalidScope, _) => {
            let missing = missing_scopes(transport, credential).await?;
            let message = if missing.is_empty() {
                "the API client may not ask for the five scopes together".to_owned()
            } else {
                format!("the API client lacks {}", missing.join(" and "))
            };
            Err(Failure::new(FailureCode::MissingScopes, message).at(request()).about(Product::Sat))
        }
        (Answer::Refused { status, code }, _) => Err(refused(status, code)),
    }
}

/// Asks for a token: with HTTP Basic first, and in the form only after `401 invalid_client` or `405`.
pub(super) async fn ask(
    transport: &Transport,
    credential: &SatCredential,
    grant: Grant<'_>,
    place: Option<Place>,
) -> Result<(Answer, Place), Failure> {
    let first = place.unwrap_or(Place::Header);
    let answer = post(transport, credential, grant, first).await?;
    let try_body = matches!(
        answer,
        Answer::Refused { status: StatusCode::METHOD_NOT_ALLOWED, .. }
            | Answer::Refused { status: StatusCode::UNAUTHORIZED, code: Some("invalid_client") }
    );
    if place.is_none() && try_body {
        return Ok((post(transport, credential, grant, Place::Body).await?, Place::Body));
    }
    Ok((answer, first))
}

async fn post(
    transport: &Transport,
    credential: &SatCredential,
    grant: Grant<'_>,
    place: Place,
) -> Result<Answer, Failure> {
    let scope = if let Grant::Client(scopes) = grant { scopes.join(" ") } else { String::new() };
    let mut form = match grant {
        Grant::Client(_) => vec![("grant_type", "client_credentials"), ("scope", scope.as_str())],
        Grant::Code { code, redirect_uri, verifier } => vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ],
        Grant::Refresh(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())],
    };
    let auth = match place {
        Place::Header => Some(Auth::Basic(&credential.client_id, &credential.client_secret)),
        Place::Body => {
            form.push(("client_id", credential.client_id.expose_secret()));
            form.push(("client_secret", credential.client_secret.expose_secret()));
            None
        }
    };
    let mut answer = None;
    let mut read = |received: Response<'_>| {
        answer = Some(read_answer(received.status, received.body)?);
        Ok(())
    };
    let post = PostForm { path: TOKEN_PATH, form: &form, auth };
    let posted = if grant.is_for_once() {
        transport.post_form_once(post, &mut read).await
    } else {
        transport.post_form(post, &mut read).await
    };
    let answer = posted.and(answer.ok_or(FetchError::Unavailable { what: "there was no answer".into() }));
    answer.map_err(|error| error.into_failure(Product::Sat, &request(), "an access token"))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    access_token: Scalar<'a>,
    #[serde(borrow)]
    refresh_token: Scalar<'a>,
    #[serde(borrow)]
    scope: Scalar<'a>,
    #[serde(borrow)]
    error: Scalar<'a>,
}

fn read_answer(status: StatusCode, body: &[u8]) -> Result<Answer, BodyError> {
    if status == StatusCode::OK {
        return read_json(body, |text| {
            let fields: Fields<'_> = read_object(text)?;
            let given =
                |field: &Scalar<'_>| field.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
            let missing = || BodyError::shape("access_token", "the token is not there");
            let access = given(&fields.access_token).ok_or_else(missing)?.into();
            let (refresh, scope) = (given(&fields.refresh_token).map(SecretString::from), given(&fields.scope));
            Ok(Answer::Token(Tokens { access, refresh, scope }))
        });
    }
    // An error body may be of any shape, or HTML; only a known code counts, and nothing of it is repeated.
    let code = read_json(body, |text| {
        let fields: Fields<'_> = read_object(text)?;
        let known = ["invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client"];
        Ok(known.into_iter().find(|code| fields.error.text() == Some(*code)))
    });
    Ok(match code.unwrap_or_default() {
        Some("invalid_scope") => Answer::InvalidScope,
        code => Answer::Refused { status, code },
    })
}

fn refused(status: StatusCode, code: Option<&'static str>) -> Failure {
    let auth = code.is_some() || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let failure = if auth {
        let code = code.unwrap_or("an error that cannot be read");
        let message = format!("the client id or secret was not accepted (status {}, {code})", status.as_u16());
        Failure::new(FailureCode::AuthFailed, message)
    } else {
        let message = format!("the token endpoint refused the request (status {})", status.as_u16());
        Failure::new(FailureCode::Refused, message)
    };
    failure.at(request()).about(Product::Sat)
}

/// The failure of a request that is not the customer's: this service is the client that is refused.
pub(super) fn refused_grant(status: StatusCode, code: Option<&'static str>) -> Failure {
    let code = code.unwrap_or("an error that cannot be read");
    let message =
        format!("the OAuth client of this service was not accepted by Huntress (status {}, {code})", status.as_u16());
    let action = "check HUNTRESS_SAT_OAUTH_CLIENT_ID and HUNTRESS_SAT_OAUTH_CLIENT_SECRET (on AWS the secret of SatOauthSecret) and the redirect address in Huntress SAT under Settings, API Clients";
    Failure { action: action.to_owned(), ..Failure::new(FailureCode::Refused, message).at(request()) }
}

fn request() -> String {
    format!("POST {TOKEN_PATH}")
}

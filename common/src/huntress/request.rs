//! One request and one answer: what is sent, how long it may take, and which answers are read.

use super::error::{BodyError, FetchError};
use super::origin::Origin;
use crate::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// Bodies larger than this, after decompression, are refused. A full page of 500 records is below 1 MB.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// How long one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub read: Duration,
    /// For the whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), read: Duration::from_secs(30), total: Duration::from_secs(120) }
    }
}

/// A client for all requests of a process to Huntress: redirects are off, and so are proxies of the environment.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn http_client(timeouts: Timeouts) -> Result<reqwest::Client, reqwest::Error> {
    crate::tls::client()
        .user_agent(concat!("huntress-evidence/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .timeout(timeouts.total)
        .build()
}

/// The credential of a request.
#[derive(Clone, Copy)]
pub enum Auth<'a> {
    /// HTTP Basic.
    Basic(&'a SecretString, &'a SecretString),
    /// An access token.
    Bearer(&'a SecretString),
    /// None: the address itself is what lets in.
    None,
}

/// A GET.
#[derive(Clone, Copy)]
pub struct Get<'a> {
    /// The absolute path.
    pub path: &'a str,
    /// Query parameters, not yet encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// The credential.
    pub auth: Auth<'a>,
    /// The media type that is asked for.
    pub accept: &'static str,
}

/// The one POST there is: for an access token.
#[derive(Clone, Copy)]
pub struct PostForm<'a> {
    /// The absolute path.
    pub path: &'a str,
    /// The fields, not yet encoded. They may hold the credential, so nothing prints them.
    pub form: &'a [(&'a str, &'a str)],
    /// HTTP Basic, if the credential goes there.
    pub auth: Option<Auth<'a>>,
}

/// An answer that is worth reading.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    /// Its status: 200, or for a form a client error.
    pub status: StatusCode,
    /// Its media type, as the server says it.
    pub content_type: Option<&'a str>,
    /// Its body, decompressed.
    pub body: &'a [u8],
}

/// Takes an answer. One type for all, so that sending and retrying is compiled once and not for each list.
pub type Reader<'r> = dyn FnMut(Response<'_>) -> Result<(), BodyError> + Send + 'r;

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    Get(Get<'a>),
    PostForm(PostForm<'a>),
}

impl Request<'_> {
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Get(get) => get.path,
            Self::PostForm(post) => post.path,
        }
    }

    /// Whether an answer of this status is read, or only its status counts. Of errors, only the token endpoint's have a code that decides something.
    fn reads(&self, status: StatusCode) -> bool {
        match self {
            Self::Get(_) => status == StatusCode::OK,
            Self::PostForm(_) => status == StatusCode::OK || status.is_client_error(),
        }
    }
}

/// An attempt that failed.
pub(super) enum AttemptError {
    /// For good.
    Permanent(FetchError),
    /// Perhaps not the next time; the server may have said when.
    Transient { error: FetchError, retry_after: Option<TimeDelta> },
}

impl AttemptError {
    pub(super) fn transient(what: &'static str) -> Self {
        Self::Transient { error: FetchError::Unavailable { what }, retry_after: None }
    }
}

impl From<BodyError> for AttemptError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NotJson => Self::Transient { error: not_json(), retry_after: None },
            BodyError::Shape { path, what } => Self::Permanent(FetchError::Malformed { path, what }),
            BodyError::Inconsistent { what } => Self::Permanent(FetchError::Inconsistent { what }),
        }
    }
}

/// Sends requests to one origin, each once.
pub(super) struct Sender {
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    origin: Origin,
}

impl Sender {
    pub(super) fn new(http: reqwest::Client, clock: Arc<dyn Clock>, origin: Origin) -> Self {
        Self { http, clock, origin }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a request; the answer's head is there when it returns.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<reqwest::Response, AttemptError> {
        let url = self.origin.url(request.path());
        let (builder, auth) = match request {
            Request::Get(get) => {
                let mut url = url;
                if !get.query.is_empty() {
                    url.query_pairs_mut().extend_pairs(get.query);
                }
                (self.http.get(url).header(ACCEPT, get.accept), Some(get.auth))
            }
            Request::PostForm(post) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(post.form).finish();
                let builder = self.http.post(url).header(ACCEPT, "application/json");
                (builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form), post.auth)
            }
        };
        let builder = match auth {
            Some(Auth::Basic(name, secret)) => builder.basic_auth(name.expose_secret(), Some(secret.expose_secret())),
            Some(Auth::Bearer(token)) => builder.bearer_auth(token.expose_secret()),
            Some(Auth::None) | None => builder,
        };
        builder.send().await.map_err(|error| AttemptError::transient(kind_of(&error)))
    }

    /// Classifies an answer by its status; the body of one that is worth reading is in `buffer` when it succeeds, and its media type is returned.
    pub(super) async fn receive(
        &self,
        request: Request<'_>,
        response: reqwest::Response,
        buffer: &mut Vec<u8>,
    ) -> Result<(StatusCode, Option<String>), AttemptError> {
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = retry_after(response.headers(), self.clock.now());
                Err(AttemptError::Transient { error: FetchError::RateLimited { retry_after }, retry_after })
            }
            status if status.is_server_error() => {
                let retry_after = retry_after(response.headers(), self.clock.now());
                let what = match status.as_u16() {
                    500 => "status 500",
                    502 => "status 502",
                    503 => "status 503",
                    504 => "status 504",
                    _ => "another status of 5xx",
                };
                Err(AttemptError::Transient { error: FetchError::Unavailable { what }, retry_after })
            }
            status if request.reads(status) => {
                let content_type =
                    response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).map(str::to_owned);
                read_body(response, buffer).await?;
                Ok((status, content_type))
            }
            StatusCode::UNAUTHORIZED => Err(AttemptError::Permanent(FetchError::Unauthorized)),
            StatusCode::FORBIDDEN => Err(AttemptError::Permanent(FetchError::Forbidden)),
            StatusCode::NOT_FOUND => Err(AttemptError::Permanent(FetchError::NotFound)),
            status => Err(AttemptError::Permanent(FetchError::Refused { status: status.as_u16() })),
        }
    }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are more than anybody waits.
        return Some(TimeDelta::seconds(i64::from(text.parse().unwrap_or(u32::MAX))));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(DateTime::<Utc>::from(date).signed_duration_since(now).max(TimeDelta::zero()))
}

/// Reads a body into `buffer`, up to the bound. What a gzip stream expands to is counted piece by piece, so a small bomb stays small.
async fn read_body(mut response: reqwest::Response, buffer: &mut Vec<u8>) -> Result<(), AttemptError> {
    buffer.clear();
    while let Some(chunk) = response.chunk().await.map_err(|error| AttemptError::transient(kind_of(&error)))? {
        if buffer.len() + chunk.len() > MAX_BODY_BYTES {
            let what = format!("it is larger than {} MiB", MAX_BODY_BYTES / 1024 / 1024);
            return Err(AttemptError::Permanent(FetchError::Malformed { path: "the whole answer".to_owned(), what }));
        }
        buffer.extend_from_slice(&chunk);
    }
    Ok(())
}

fn not_json() -> FetchError {
    FetchError::Malformed { path: "the whole answer".to_owned(), what: "it is no JSON, or is cut off".to_owned() }
}

/// The kind of a failed exchange, without the URL or anything else of the request.
fn kind_of(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer ended early"
    } else {
        "the connection broke"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = parse("2026-03-22T12:00:00Z").unwrap();
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now).map(|wait| wait.num_seconds())
        };
        assert_eq!(read("30"), Some(30));
        assert_eq!(read("Sun, 22 Mar 2026 12:01:30 GMT"), Some(90));
        assert_eq!(read("Sun, 22 Mar 2026 11:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999"), Some(i64::from(u32::MAX)));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }
}

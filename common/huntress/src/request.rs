//! One request and one answer: what is sent, how long it may take, and which answers are read.

use super::encoding::{BodyProblem, Coding, Inflater};
use super::error::{BodyError, FetchError};
use super::origin::Origin;
use crate::clock::Clock;
use crate::tls;
use chrono::{DateTime, TimeDelta, Utc};
use evidence_domain::time::CLOCK_TOLERANCE;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AGE, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
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
    Transient {
        /// What the request fails with if no later attempt succeeds.
        error: FetchError,
        /// How long the server asks to wait.
        retry_after: Option<TimeDelta>,
    },
}

impl AttemptError {
    pub(super) fn transient(what: &'static str) -> Self {
        Self::Transient { error: FetchError::Unavailable { what: what.into() }, retry_after: None }
    }
}

impl From<BodyError> for AttemptError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NotJson => Self::Transient { error: error.into(), retry_after: None },
            error => Self::Permanent(error.into()),
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

    /// Sends a request; the answer's head is there when it returns, and its time is close to ours.
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
        let sent_at = self.clock.now();
        let response = builder.header(ACCEPT_ENCODING, "gzip").send().await.map_err(|error| attempt_error(&error))?;
        let ahead = clock_ahead(response.headers(), sent_at, self.clock.now());
        if ahead.abs() > CLOCK_TOLERANCE {
            return Err(AttemptError::Permanent(FetchError::ClockWrong { ahead }));
        }
        Ok(response)
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
                let what = format!("status {}", status.as_u16()).into();
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

/// The instant that a `Date` header names.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?.trim()).ok()?;
    Some(date.into())
}

/// How far our clock is ahead of the server's, negative when it is behind; zero where the answer's `Date` lies between sending and receiving, or is not
/// there. A cache gives the `Date` of when it stored the answer, and its age since.
fn clock_ahead(headers: &HeaderMap, sent_at: DateTime<Utc>, received_at: DateTime<Utc>) -> TimeDelta {
    let Some(date) = date(headers) else { return TimeDelta::zero() };
    let age = headers.get(AGE).and_then(|it| it.to_str().ok()?.trim().parse::<u32>().ok()).unwrap_or(0);
    let theirs = date + TimeDelta::seconds(i64::from(age));
    if theirs < sent_at {
        sent_at.signed_duration_since(theirs)
    } else {
        received_at.signed_duration_since(theirs).min(TimeDelta::zero())
    }
}

/// `Retry-After` in seconds, of which a fraction counts whole, or as a date, which is measured against the answer's own.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number {
        // More seconds than fit are more than anybody waits.
        let seconds: f64 = text.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "the value is between 0 and the largest u32")]
        return Some(TimeDelta::seconds(seconds.ceil().min(f64::from(u32::MAX)) as i64));
    }
    let until = DateTime::<Utc>::from(httpdate::parse_http_date(text).ok()?);
    Some(until.signed_duration_since(date(headers).unwrap_or(now)).max(TimeDelta::zero()))
}

/// Reads a body into `buffer`, up to the bound. What a gzip stream expands to is counted piece by piece, so a small bomb stays small.
async fn read_body(mut response: reqwest::Response, buffer: &mut Vec<u8>) -> Result<(), AttemptError> {
    buffer.clear();
    let coding = Coding::of(response.headers())
        .map_err(|what| AttemptError::Permanent(BodyError::shape("the whole answer", what).into()))?;
    let mut inflater = match coding {
        Coding::Plain => None,
        Coding::Gzip => Some(Inflater::default()),
    };
    while let Some(chunk) = response.chunk().await.map_err(|error| attempt_error(&error))? {
        let read = match &mut inflater {
            None if buffer.len() + chunk.len() > MAX_BODY_BYTES => Err(BodyProblem::TooLarge),
            None => {
                buffer.extend_from_slice(&chunk);
                Ok(())
            }
            Some(inflater) => inflater.push(&chunk, buffer, MAX_BODY_BYTES),
        };
        read?;
    }
    match inflater {
        Some(inflater) => Ok(inflater.finish()?),
        None => Ok(()),
    }
}

impl From<BodyProblem> for AttemptError {
    fn from(problem: BodyProblem) -> Self {
        match problem {
            BodyProblem::TooLarge => {
                let what = format!("it is larger than {} MiB", MAX_BODY_BYTES / 1024 / 1024);
                Self::Permanent(BodyError::shape("the whole answer", &what).into())
            }
            BodyProblem::CutOff => Self::transient("the answer ended early"),
            BodyProblem::Damaged => Self::transient("the compressed answer is damaged"),
        }
    }
}

/// What became of a request that has no answer. Neither the URL nor anything else of the request is in it.
fn attempt_error(error: &reqwest::Error) -> AttemptError {
    if let Some(what) = tls::certificate_problem(error) {
        return AttemptError::Permanent(FetchError::Untrusted { what });
    }
    AttemptError::transient(if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_body() || error.is_decode() {
        "the answer ended early"
    } else {
        "the connection broke"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_domain::time::parse;
    use reqwest::header::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = parse("2026-03-22T12:00:00Z").unwrap();
        let read = |text: &str| retry_after(&headers(&[("retry-after", text)]), now).map(|wait| wait.num_seconds());
        assert_eq!(read("30"), Some(30));
        assert_eq!(read("3.5"), Some(4));
        assert_eq!(read("0.2"), Some(1));
        assert_eq!(read("Sun, 22 Mar 2026 12:01:30 GMT"), Some(90));
        assert_eq!(read("Sun, 22 Mar 2026 11:00:00 GMT"), Some(0));
        assert_eq!(read("99999999999999999999"), Some(i64::from(u32::MAX)));
        for none in ["soon", "-5", "", ".", "1.2.3", "NaN", "inf", "1e9"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn a_date_to_wait_for_is_measured_against_the_answers_own() {
        let now = parse("2026-03-22T12:01:00Z").unwrap();
        let date = [("retry-after", "Sun, 22 Mar 2026 12:00:30 GMT"), ("date", "Sun, 22 Mar 2026 12:00:00 GMT")];
        assert_eq!(retry_after(&headers(&date), now), Some(TimeDelta::seconds(30)));
    }

    #[test]
    fn the_clock_is_compared_with_the_time_that_the_answer_took() {
        let at = |text| parse(text).unwrap();
        let (sent, received) = (at("2026-03-22T12:00:00Z"), at("2026-03-22T13:00:00Z"));
        let ahead = |pairs: &[(&'static str, &str)]| clock_ahead(&headers(pairs), sent, received).num_seconds();
        assert_eq!(ahead(&[]), 0);
        assert_eq!(ahead(&[("date", "yesterday")]), 0);
        assert_eq!(ahead(&[("date", "Sun, 22 Mar 2026 12:30:00 GMT")]), 0);
        assert_eq!(ahead(&[("date", "Sun, 22 Mar 2026 11:50:00 GMT")]), 600);
        assert_eq!(ahead(&[("date", "Sun, 22 Mar 2026 13:10:00 GMT")]), -600);
        assert_eq!(ahead(&[("date", "Sun, 22 Mar 2026 11:50:00 GMT"), ("age", "900")]), 0);
    }
}

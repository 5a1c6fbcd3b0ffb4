//! One GET and its retries: the only way in which evidence is read from Huntress.

use super::error::{BodyError, FetchError};
use super::limits::RateLimiter;
use super::origin::Origin;
use crate::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bodies larger than this, after decompression, are refused. A full page of 500 records is below 1 MB.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Attempts at one request, the first one included.
const ATTEMPTS: u32 = 4;

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

/// How long a run may go on, and how long it may wait at once because the server says so.
#[derive(Debug, Clone, Copy)]
pub struct WaitPolicy {
    /// No request begins after this.
    pub deadline: DateTime<Utc>,
    /// A `Retry-After` beyond this ends the run.
    pub longest_wait: TimeDelta,
    /// Waits of more than this in all are not waited for: the run is paused. `None` for a run that cannot be continued.
    pub pause_above: Option<TimeDelta>,
}

impl WaitPolicy {
    /// The wait that servers may ask for in a run that has hours.
    pub const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(5);

    /// Until `deadline`, with [`Self::LONGEST_WAIT`].
    #[must_use]
    pub fn until(deadline: DateTime<Utc>) -> Self {
        Self { deadline, longest_wait: Self::LONGEST_WAIT, pause_above: None }
    }

    /// For a run that is paid for by the time it takes, and can be continued.
    #[must_use]
    pub fn pausing(self) -> Self {
        // The longest window of the vendor's limits is an hour.
        Self { longest_wait: TimeDelta::minutes(90), pause_above: Some(TimeDelta::seconds(9)), ..self }
    }

    /// The last instant that a request which is wanted at `now` is waited for, after `waited` in all.
    fn latest(&self, now: DateTime<Utc>, waited: TimeDelta) -> DateTime<Utc> {
        let pause = self.pause_above.map(|most| now + (most - waited).max(TimeDelta::zero()));
        pause.map_or(self.deadline, |pause| pause.min(self.deadline))
    }
}

/// What a collection has done so far, for a display that looks in from outside.
#[derive(Debug)]
pub struct Progress {
    requests: AtomicU64,
    pages: AtomicU64,
    records: AtomicU64,
    lowest_remaining: AtomicU64,
    pages_of: Mutex<BTreeMap<String, u64>>,
}

impl Default for Progress {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let lowest_remaining = AtomicU64::new(u64::MAX);
        Self { requests: zero(), pages: zero(), records: zero(), lowest_remaining, pages_of: Mutex::default() }
    }
}

impl Progress {
    /// HTTP requests made, retries too.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Pages read.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Records read.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The fewest requests that the training API said are left; `None` if it has not said.
    pub fn lowest_remaining(&self) -> Option<u64> {
        Some(self.lowest_remaining.load(Ordering::Relaxed)).filter(|lowest| *lowest != u64::MAX)
    }

    /// What an earlier part of the same run has done.
    pub fn resume(&self, before: ProgressSnapshot) {
        self.requests.fetch_add(before.requests, Ordering::Relaxed);
        self.pages.fetch_add(before.pages, Ordering::Relaxed);
        self.records.fetch_add(before.records, Ordering::Relaxed);
        self.lowest_remaining.fetch_min(before.lowest_remaining.unwrap_or(u64::MAX), Ordering::Relaxed);
        *self.lists() = before.pages_of;
    }

    /// What was done so far, for a later part of the same run.
    pub fn done(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            requests: self.requests(),
            pages: self.pages(),
            records: self.records(),
            lowest_remaining: self.lowest_remaining(),
            pages_of: self.pages_of(),
        }
    }

    /// Pages read, by list, under the names that a run's records have.
    pub fn pages_of(&self) -> BTreeMap<String, u64> {
        self.lists().clone()
    }

    /// Counts a page of the list that people call `noun`.
    pub fn add_page(&self, noun: &str, records: u64) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        *self.lists().entry(noun.replace(' ', "_")).or_default() += 1;
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        // A count stays usable whatever a panicking holder was at.
        self.pages_of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a part of a run has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressSnapshot {
    /// HTTP requests, retries too.
    pub requests: u64,
    /// Pages read.
    pub pages: u64,
    /// Records read.
    pub records: u64,
    /// The fewest requests that the training API said are left.
    pub lowest_remaining: Option<u64>,
    /// Pages read, by list.
    pub pages_of: BTreeMap<String, u64>,
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
enum Request<'a> {
    Get(Get<'a>),
    PostForm(PostForm<'a>),
}

impl Request<'_> {
    fn path(&self) -> &str {
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

/// Sends requests to one origin within one budget, and retries what may pass.
pub struct Transport {
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    origin: Origin,
    budget: Arc<RateLimiter>,
    patience: WaitPolicy,
    progress: Arc<Progress>,
    /// Milliseconds that were waited so far; waits at the same time count each.
    waited: AtomicI64,
    paused_until: Mutex<Option<DateTime<Utc>>>,
}

/// An attempt that failed.
enum AttemptError {
    /// For good.
    Permanent(FetchError),
    /// Perhaps not the next time; the server may have said when.
    Transient { error: FetchError, retry_after: Option<TimeDelta> },
}

impl AttemptError {
    fn passing(what: &'static str) -> Self {
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

impl Transport {
    /// A transport to `origin`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        clock: Arc<dyn Clock>,
        origin: Origin,
        budget: Arc<RateLimiter>,
        patience: WaitPolicy,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            http,
            clock,
            origin,
            budget,
            patience,
            progress,
            waited: AtomicI64::new(0),
            paused_until: Mutex::default(),
        }
    }

    /// The clock that waiting goes by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Where requests go.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What was done so far.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Gets one answer and hands it to `read`, which is called again after an attempt whose body was cut off.
    ///
    /// 429, 5xx, resets, time-outs and bodies that are cut off or no JSON are tried four times in all; nothing else is retried.
    ///
    /// # Errors
    /// [`FetchError`], after the last attempt.
    pub async fn get(&self, get: Get<'_>, buffer: &mut Vec<u8>, read: &mut Reader<'_>) -> Result<(), FetchError> {
        self.ask(Request::Get(get), buffer, read).await
    }

    /// Posts a form and hands the answer to `read`, client errors too; with the same retries as [`Self::get`].
    ///
    /// # Errors
    /// [`FetchError`], after the last attempt.
    pub async fn post_form(&self, post: PostForm<'_>, read: &mut Reader<'_>) -> Result<(), FetchError> {
        self.ask(Request::PostForm(post), &mut Vec::new(), read).await
    }

    async fn ask(&self, ask: Request<'_>, buffer: &mut Vec<u8>, read: &mut Reader<'_>) -> Result<(), FetchError> {
        let mut attempt = 1;
        loop {
            self.wait_for_turn().await?;
            // The deadline ends a request that is under way, too: a test has to answer, and a run has to end properly.
            let left = self.patience.deadline.signed_duration_since(self.clock().now()).to_std().unwrap_or_default();
            let attempted = tokio::time::timeout(left, self.attempt(ask, buffer)).await;
            let outcome = match attempted.unwrap_or_else(|_| Err(AttemptError::passing("it took too long"))) {
                Ok((status, content_type)) => {
                    let received = Response { status, content_type: content_type.as_deref(), body: buffer };
                    read(received).map_err(AttemptError::from)
                }
                Err(trouble) => Err(trouble),
            };
            let (error, retry_after) = match outcome {
                Ok(()) => return Ok(()),
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::Transient { error, retry_after }) => (error, retry_after),
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            self.wait_before_retry(attempt, error, retry_after, ask.path()).await?;
            attempt += 1;
        }
    }

    /// Waits until the budget allows a request.
    async fn wait_for_turn(&self) -> Result<(), FetchError> {
        let now = self.clock.now();
        if self.patience.pause_above.is_some() && now >= self.patience.deadline {
            return Err(self.pause(now));
        }
        let acquired = self.budget.acquire(self.clock(), self.patience.latest(now, self.waited())).await;
        self.add_waited(self.clock.now().signed_duration_since(now));
        acquired.map_err(|wait| match self.patience.pause_above {
            Some(_) if wait <= self.patience.longest_wait => self.pause(self.clock.now() + wait),
            _ => FetchError::RateLimited { retry_after: Some(wait) },
        })
    }

    fn pause(&self, until: DateTime<Utc>) -> FetchError {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        FetchError::Paused { until }
    }

    /// From when on the run may go on, if a request had to be put off.
    pub fn paused_until(&self) -> Option<DateTime<Utc>> {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waited(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.waited.load(Ordering::Relaxed))
    }

    fn add_waited(&self, wait: TimeDelta) {
        self.waited.fetch_add(wait.num_milliseconds(), Ordering::Relaxed);
    }

    /// One attempt: status and media type; the body is in `buffer` when it succeeds.
    async fn attempt(
        &self,
        ask: Request<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(StatusCode, Option<String>), AttemptError> {
        self.progress.requests.fetch_add(1, Ordering::Relaxed);
        let url = self.origin.url(ask.path());
        let (request, auth) = match ask {
            Request::Get(get) => {
                let mut url = url;
                if !get.query.is_empty() {
                    url.query_pairs_mut().extend_pairs(get.query);
                }
                (self.http.get(url).header(ACCEPT, get.accept), Some(get.auth))
            }
            Request::PostForm(post) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(post.form).finish();
                let request = self.http.post(url).header(ACCEPT, "application/json");
                (request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form), post.auth)
            }
        };
        let request = match auth {
            Some(Auth::Basic(name, secret)) => request.basic_auth(name.expose_secret(), Some(secret.expose_secret())),
            Some(Auth::Bearer(token)) => request.bearer_auth(token.expose_secret()),
            Some(Auth::None) | None => request,
        };
        let response = request.send().await.map_err(|error| AttemptError::passing(kind_of(&error)))?;
        self.observe(response.headers());
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
            status if ask.reads(status) => {
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

    /// Takes note of what the server says is left of the account's limit.
    fn observe(&self, headers: &HeaderMap) {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        if let Some(remaining) = number("x-huntress-api-call-remaining") {
            self.budget.observe(self.clock.now(), remaining);
        }
        // The training API does not say which of its two windows this is about, so it is only reported.
        if let Some(remaining) = number("x-ratelimit-remaining") {
            self.progress.lowest_remaining.fetch_min(u64::from(remaining), Ordering::Relaxed);
        }
    }

    async fn wait_before_retry(
        &self,
        attempt: u32,
        error: FetchError,
        asked: Option<TimeDelta>,
        path: &str,
    ) -> Result<(), FetchError> {
        let rate_limited = matches!(error, FetchError::RateLimited { .. });
        let wait = asked.unwrap_or_else(|| backoff(attempt, rate_limited));
        let now = self.clock.now();
        let until = now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
        if self.patience.pause_above.is_some()
            && wait <= self.patience.longest_wait
            && until > self.patience.latest(now, self.waited())
        {
            if rate_limited {
                self.budget.block_until(until);
            }
            tracing::warn!(path, attempt, wait_ms = wait.num_milliseconds(), %error, "pausing");
            return Err(self.pause(until));
        }
        if wait > self.patience.longest_wait || until > self.patience.deadline {
            // Only who was told to wait is rate limited; another trouble at the run's end stays what it is.
            let told = rate_limited || asked.is_some();
            return Err(if told { FetchError::RateLimited { retry_after: Some(wait) } } else { error });
        }
        tracing::warn!(path, attempt, wait_ms = wait.num_milliseconds(), %error, "retrying");
        if rate_limited {
            self.budget.block_until(until);
        }
        self.clock.sleep_until(until).await;
        self.add_waited(self.clock.now().signed_duration_since(now));
        Ok(())
    }
}

/// Doubling waits of half a second; after a 429 longer ones, which add up to more than the vendor's window of 60 s. Up to a fifth is added by chance, so
/// that clients which failed together do not come back together.
fn backoff(attempt: u32, rate_limited: bool) -> TimeDelta {
    let base: i64 = if rate_limited { 5_000 * 3_i64.pow(attempt - 1) } else { 500 * 2_i64.pow(attempt - 1) };
    TimeDelta::milliseconds(base + fastrand::i64(0..=base / 5))
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
    while let Some(chunk) = response.chunk().await.map_err(|error| AttemptError::passing(kind_of(&error)))? {
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
    fn waits_after_429_outlast_the_vendors_window() {
        let sum: i64 = (1..ATTEMPTS).map(|attempt| backoff(attempt, true).num_milliseconds()).sum();
        assert!((65_000..=78_000).contains(&sum), "{sum}");
        let sum: i64 = (1..ATTEMPTS).map(|attempt| backoff(attempt, false).num_milliseconds()).sum();
        assert!((3_500..=4_200).contains(&sum), "{sum}");
    }

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

//! Requests within the limits and with retries: the only way in which anything is read from Huntress.

use super::error::FetchError;
use super::origin::Origin;
use super::progress::Progress;
use super::rate_limit::RateLimiter;
use super::request::{AttemptError, Get, PostForm, Reader, Request, Response, Sender};
use crate::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Attempts at one request, the first one included.
const ATTEMPTS: u32 = 4;

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

    /// The waits of a part of a run that is paid for by the time it takes.
    pub const PART_WAITS: TimeDelta = TimeDelta::seconds(9);

    /// Until `deadline`, with [`Self::LONGEST_WAIT`].
    #[must_use]
    pub fn until(deadline: DateTime<Utc>) -> Self {
        Self { deadline, longest_wait: Self::LONGEST_WAIT, pause_above: None }
    }

    /// For a run that is paid for by the time it takes, and can be continued.
    #[must_use]
    pub fn pausing(self) -> Self {
        // The longest window of the vendor's limits is an hour.
        Self { longest_wait: TimeDelta::minutes(90), pause_above: Some(Self::PART_WAITS), ..self }
    }

    /// The last instant that a request which is wanted at `now` is waited for, after `waited` in all.
    fn latest(&self, now: DateTime<Utc>, waited: TimeDelta) -> DateTime<Utc> {
        let pause = self.pause_above.map(|most| now + (most - waited).max(TimeDelta::zero()));
        pause.map_or(self.deadline, |pause| pause.min(self.deadline))
    }
}

/// Sends requests to one origin within its request limits, and retries what may pass.
pub struct Transport {
    sender: Sender,
    rate_limiter: Arc<RateLimiter>,
    wait_policy: WaitPolicy,
    progress: Arc<Progress>,
    /// Milliseconds that were waited so far; waits at the same time count each.
    waited: AtomicI64,
    paused_until: Mutex<Option<DateTime<Utc>>>,
}

impl Transport {
    /// A transport to `origin`.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        clock: Arc<dyn Clock>,
        origin: Origin,
        rate_limiter: Arc<RateLimiter>,
        wait_policy: WaitPolicy,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            sender: Sender::new(http, clock, origin),
            rate_limiter,
            wait_policy,
            progress,
            waited: AtomicI64::new(0),
            paused_until: Mutex::default(),
        }
    }

    /// The clock that waiting goes by.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.sender.clock()
    }

    /// Where requests go.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.sender.origin()
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
        self.retry(Request::Get(get), buffer, read, ATTEMPTS).await
    }

    /// Posts a form and hands the answer to `read`, client errors too; with the same retries as [`Self::get`].
    ///
    /// # Errors
    /// [`FetchError`], after the last attempt.
    pub async fn post_form(&self, post: PostForm<'_>, read: &mut Reader<'_>) -> Result<(), FetchError> {
        self.retry(Request::PostForm(post), &mut Vec::new(), read, ATTEMPTS).await
    }

    /// The same without a retry, for what is used up by its first answer.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn post_form_once(&self, post: PostForm<'_>, read: &mut Reader<'_>) -> Result<(), FetchError> {
        self.retry(Request::PostForm(post), &mut Vec::new(), read, 1).await
    }

    async fn retry(
        &self,
        request: Request<'_>,
        buffer: &mut Vec<u8>,
        read: &mut Reader<'_>,
        attempts: u32,
    ) -> Result<(), FetchError> {
        let mut attempt = 1;
        loop {
            self.wait_for_turn().await?;
            // The deadline ends a request that is under way, too: a test has to answer, and a run has to end properly.
            let left = self.wait_policy.deadline.signed_duration_since(self.clock().now()).to_std().unwrap_or_default();
            let attempted = tokio::time::timeout(left, self.attempt(request, buffer)).await;
            let outcome = match attempted.unwrap_or_else(|_| Err(AttemptError::transient("it took too long"))) {
                Ok((status, content_type)) => {
                    let response = Response { status, content_type: content_type.as_deref(), body: buffer };
                    read(response).map_err(AttemptError::from)
                }
                Err(error) => Err(error),
            };
            let (error, retry_after) = match outcome {
                Ok(()) => return Ok(()),
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::Transient { error, retry_after }) => (error, retry_after),
            };
            if attempt >= attempts {
                return Err(error);
            }
            self.wait_before_retry(attempt, error, retry_after, request.path()).await?;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        request: Request<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(StatusCode, Option<String>), AttemptError> {
        self.progress.add_request();
        let response = self.sender.send(request).await?;
        self.observe(response.headers());
        self.sender.receive(request, response, buffer).await
    }

    /// Waits until the limiter allows a request.
    async fn wait_for_turn(&self) -> Result<(), FetchError> {
        let now = self.clock().now();
        if self.wait_policy.pause_above.is_some() && now >= self.wait_policy.deadline {
            return Err(self.pause(now));
        }
        let acquired = self.rate_limiter.acquire(self.clock(), self.wait_policy.latest(now, self.waited())).await;
        self.add_waited(self.clock().now().signed_duration_since(now));
        acquired.map_err(|wait| match self.wait_policy.pause_above {
            Some(_) if wait <= self.wait_policy.longest_wait => self.pause(self.clock().now() + wait),
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

    /// Takes note of what the server says is left of the account's limit.
    fn observe(&self, headers: &HeaderMap) {
        let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        if let Some(remaining) = number("x-huntress-api-call-remaining") {
            self.rate_limiter.observe(self.clock().now(), remaining);
        }
        // The training API does not say which of its two windows this is about, so it is only reported.
        if let Some(remaining) = number("x-ratelimit-remaining") {
            self.progress.observe_remaining(remaining);
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
        let now = self.clock().now();
        let until = now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
        if self.wait_policy.pause_above.is_some()
            && wait <= self.wait_policy.longest_wait
            && until > self.wait_policy.latest(now, self.waited())
        {
            if rate_limited {
                self.rate_limiter.block_until(until);
            }
            tracing::warn!(path, attempt, wait_ms = wait.num_milliseconds(), %error, "pausing");
            return Err(self.pause(until));
        }
        if wait > self.wait_policy.longest_wait || until > self.wait_policy.deadline {
            // Only who was told to wait is rate limited; another trouble at the run's end stays what it is.
            let stated = rate_limited || asked.is_some();
            return Err(if stated { FetchError::RateLimited { retry_after: Some(wait) } } else { error });
        }
        tracing::warn!(path, attempt, wait_ms = wait.num_milliseconds(), %error, "retrying");
        if rate_limited {
            self.rate_limiter.block_until(until);
        }
        self.clock().sleep_until(until).await;
        self.add_waited(self.clock().now().signed_duration_since(now));
        Ok(())
    }
}

/// Doubling waits of half a second; after a 429 longer ones, which add up to more than the vendor's window of 60 s. Up to a fifth is added by chance, so
/// that clients which failed together do not come back together.
fn backoff(attempt: u32, rate_limited: bool) -> TimeDelta {
    let base: i64 = if rate_limited { 5_000 * 3_i64.pow(attempt - 1) } else { 500 * 2_i64.pow(attempt - 1) };
    TimeDelta::milliseconds(base + fastrand::i64(0..=base / 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_after_429_outlast_the_vendors_window() {
        let sum: i64 = (1..ATTEMPTS).map(|attempt| backoff(attempt, true).num_milliseconds()).sum();
        assert!((65_000..=78_000).contains(&sum), "{sum}");
        let sum: i64 = (1..ATTEMPTS).map(|attempt| backoff(attempt, false).num_milliseconds()).sum();
        assert!((3_500..=4_200).contains(&sum), "{sum}");
    }
}

//! What can go wrong with one request, named by what the caller does next.

use crate::domain::failure::{Failure, FailureCode};
use chrono::{DateTime, TimeDelta, Utc};

/// A request that failed for good, after the retries it was worth.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// 401: the credential is not accepted.
    #[error("the credential was not accepted")]
    Unauthorized,
    /// 403: the credential is accepted, but not for this.
    #[error("the credential lacks the permission")]
    Forbidden,
    /// 404: the path is not known, or not to this credential.
    #[error("not found")]
    NotFound,
    /// Any other status that is no success and not worth a retry; redirects too, which are never followed.
    #[error("answered with status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The limit of requests leaves no time.
    #[error("the request limit is used up")]
    RateLimited {
        /// How long the next request would have to wait, if that is known.
        retry_after: Option<TimeDelta>,
    },
    /// The run may go on, but only later: to wait for that is not worth its price.
    #[error("to be continued later")]
    Paused {
        /// From when on.
        until: DateTime<Utc>,
    },
    /// No usable answer after all attempts.
    #[error("no usable answer: {what}")]
    Unavailable {
        /// Of what kind the last attempt's trouble was.
        what: &'static str,
    },
    /// The answer is not what it must be.
    #[error("malformed answer at {path}: {what}")]
    Malformed {
        /// Where in the answer.
        path: String,
        /// What is wrong there, never its value.
        what: String,
    },
    /// The list contradicts itself.
    #[error("{what}")]
    Inconsistent {
        /// How.
        what: String,
    },
}

/// Why a body cannot be used.
#[derive(Debug)]
pub enum BodyError {
    /// It is no JSON, or is cut off: worth another attempt.
    NotJson,
    /// It is JSON of another shape: asking again would not help.
    Shape {
        /// Where.
        path: String,
        /// What is wrong there.
        what: String,
    },
    /// It contradicts what came before it: asking again would not help.
    Inconsistent {
        /// How.
        what: String,
    },
}

/// The failure that the account's request limit is for a run which cannot go on later.
#[must_use]
pub fn used_up(until: DateTime<Utc>) -> Failure {
    Failure::new(FailureCode::RateLimited, format!("the request limit of the account is used up until {until}"))
}

impl FetchError {
    /// The failure of a request for `noun`, e.g. `agents`, for people. `request` is method and path.
    #[must_use]
    pub fn into_failure(self, request: &str, noun: &str) -> Failure {
        let (code, message) = match self {
            Self::Unauthorized => (FailureCode::AuthFailed, "the API key or secret was not accepted".to_owned()),
            Self::Forbidden => (
                FailureCode::AuthFailed,
                format!("the key may not read {noun}: the permission to view {noun} is missing"),
            ),
            Self::NotFound => {
                (FailureCode::Refused, format!("Huntress answered that there are no {noun} at this address (404)"))
            }
            Self::Refused { status: status @ 300..=399 } => (
                FailureCode::Refused,
                format!("Huntress answered for {noun} with a redirect ({status}), which is never followed"),
            ),
            Self::Refused { status } => {
                (FailureCode::Refused, format!("Huntress refused to list {noun} (status {status})"))
            }
            Self::RateLimited { retry_after: Some(wait) } => (
                FailureCode::RateLimited,
                format!(
                    "the request limit of the account is used up for another {} s, longer than this run may wait",
                    wait.num_seconds()
                ),
            ),
            Self::RateLimited { retry_after: None } => (
                FailureCode::RateLimited,
                "the request limit of the account stayed used up over every retry".to_owned(),
            ),
            Self::Paused { until } => return used_up(until).at(request),
            Self::Unavailable { what } => {
                (FailureCode::Unavailable, format!("Huntress gave no usable answer for {noun}: {what}"))
            }
            Self::Malformed { path, what } => {
                (FailureCode::Malformed, format!("the answer for {noun} is malformed at {path}: {what}"))
            }
            Self::Inconsistent { what } => {
                (FailureCode::Inconsistent, format!("the list of {noun} cannot be trusted: {what}"))
            }
        };
        Failure::new(code, message).at(request)
    }
}

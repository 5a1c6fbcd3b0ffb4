//! What can go wrong with one request, named by what the caller does next.

use chrono::{DateTime, TimeDelta, Utc};
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::product::Product;
use std::borrow::Cow;

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
    /// Any other status that carries nothing to read and is not worth a retry; redirects too, which are never followed.
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
        /// What was wrong with the last attempt.
        what: Cow<'static, str>,
    },
    /// The server could not show that it is Huntress.
    #[error("the server is not trusted: {what}")]
    Untrusted {
        /// What is wrong with its certificate.
        what: String,
    },
    /// Our clock and the server's differ so much that no age can be trusted.
    #[error("the clock is wrong")]
    ClockWrong {
        /// How far our clock is ahead; negative when it is behind.
        ahead: TimeDelta,
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
    /// It reports errors beside its data, so its data may be half of what there is.
    Reported,
    /// It contradicts what came before it: asking again would not help.
    Inconsistent {
        /// How.
        what: String,
    },
}

impl BodyError {
    /// JSON of another shape.
    pub(crate) fn shape(path: &str, what: &str) -> Self {
        Self::Shape { path: path.to_owned(), what: what.to_owned() }
    }

    /// A contradiction.
    pub(crate) fn inconsistent(what: impl Into<String>) -> Self {
        Self::Inconsistent { what: what.into() }
    }
}

impl From<BodyError> for FetchError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::NotJson => {
                Self::Malformed { path: "the whole answer".to_owned(), what: "it is no JSON, or is cut off".to_owned() }
            }
            BodyError::Shape { path, what } => Self::Malformed { path, what },
            BodyError::Reported => {
                Self::Unavailable { what: "the answer reports errors, so what it lists may not be all".into() }
            }
            BodyError::Inconsistent { what } => Self::Inconsistent { what },
        }
    }
}

/// The failure that the account's request limit is for a run which cannot go on later.
#[must_use]
pub fn used_up(until: DateTime<Utc>) -> Failure {
    Failure::new(FailureCode::RateLimited, format!("the request limit of the account is used up until {until}"))
}

/// What to do about a request that Huntress does not understand, or an answer that we do not.
const REPORT: &str = "try again; if it stays so, report the request and the status named here";

impl FetchError {
    /// The failure of a request for `noun`, e.g. `agents`, for people. `request` is method and path.
    #[must_use]
    pub fn into_failure(self, product: Product, request: &str, noun: &str) -> Failure {
        let mut advice = None;
        let (code, message) = match self {
            Self::Unauthorized => (FailureCode::AuthFailed, "the API key or secret was not accepted".to_owned()),
            Self::Forbidden => (
                FailureCode::AuthFailed,
                format!("the key may not read {noun}: the permission to view {noun} is missing"),
            ),
            Self::NotFound => (
                FailureCode::Refused,
                format!(
                    "Huntress answered 404 for {noun}: it has nothing at this address, or nothing for this credential"
                ),
            ),
            Self::Refused { status: status @ (100..=299 | 304) } => {
                advice = Some(REPORT);
                (FailureCode::Refused, format!("Huntress answered for {noun} with status {status} in place of 200"))
            }
            Self::Refused { status: status @ 300..=399 } => (
                FailureCode::Refused,
                format!("Huntress answered for {noun} with a redirect ({status}), which is never followed"),
            ),
            Self::Refused { status: 408 } => {
                advice = Some(FailureCode::Unavailable.action());
                (FailureCode::Refused, format!("Huntress did not wait for the request for {noun} (status 408)"))
            }
            Self::Refused { status: status @ (400 | 405 | 406 | 410 | 411 | 413..=417 | 422 | 431) } => {
                advice = Some(REPORT);
                (FailureCode::Refused, format!("Huntress refused the request for {noun} (status {status})"))
            }
            Self::Refused { status } => {
                (FailureCode::Refused, format!("Huntress refused the request for {noun} (status {status})"))
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
            Self::Untrusted { what } => {
                advice = Some(
                    "if your network inspects TLS, exempt Huntress from that, or add the issuer's certificate to those that this machine trusts; else check the clock",
                );
                (FailureCode::Unavailable, format!("the server that answered is not known to be Huntress: {what}"))
            }
            Self::ClockWrong { ahead } => (FailureCode::ClockWrong, clock_wrong(ahead)),
            Self::Malformed { path, what } => {
                (FailureCode::Malformed, format!("the answer for {noun} is malformed at {path}: {what}"))
            }
            Self::Inconsistent { what } => {
                (FailureCode::Inconsistent, format!("the list of {noun} cannot be trusted: {what}"))
            }
        };
        let failure = Failure::new(code, message).at(request).about(product);
        match advice {
            Some(action) => Failure { action: action.to_owned(), ..failure },
            None => failure,
        }
    }
}

/// How far our clock is from the server's, in the largest unit that says it well.
fn clock_wrong(ahead: TimeDelta) -> String {
    let direction = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
    let minutes = ahead.num_minutes().abs();
    let time = match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    };
    format!("the clock of this machine is {time} {direction} Huntress's, so no age could be trusted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(error: FetchError, noun: &str) -> (FailureCode, String, String) {
        let failure = error.into_failure(Product::Edr, "GET /v1/x", noun);
        (failure.code, failure.message, failure.action)
    }

    #[test]
    fn sentences_are_true_of_every_status() {
        let (code, message, _) = sentence(FetchError::NotFound, "the account");
        assert_eq!(code, FailureCode::Refused);
        assert!(message.contains("404 for the account: it has nothing at this address"), "{message}");
        for status in [201, 204, 206, 304] {
            let (code, message, action) = sentence(FetchError::Refused { status }, "agents");
            assert_eq!(code, FailureCode::Refused);
            assert!(message.contains(&format!("status {status} in place of 200")), "{message}");
            assert!(!action.contains("licensed"), "{action}");
        }
        let (code, message, action) = sentence(FetchError::Refused { status: 408 }, "agents");
        assert_eq!(code, FailureCode::Refused);
        assert!(action.contains("later"), "{action}");
        assert!(message.contains("did not wait") && !action.contains("licensed"), "{message}; {action}");
        let (code, message, action) = sentence(FetchError::Refused { status: 402 }, "agents");
        assert_eq!(code, FailureCode::Refused);
        assert!(message.contains("refused the request for agents") && action.contains("licensed"));
    }

    #[test]
    fn a_wrong_clock_says_by_how_much() {
        let said = |ahead| sentence(FetchError::ClockWrong { ahead }, "agents").1;
        assert!(said(TimeDelta::days(200)).contains("200 days ahead of Huntress's"));
        assert!(said(-TimeDelta::minutes(6)).contains("6 minutes behind Huntress's"));
        assert!(said(TimeDelta::hours(47)).contains("47 hours ahead"));
    }
}

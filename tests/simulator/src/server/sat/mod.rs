//! The training API's rules: OAuth client credentials, scopes, its rate limits, its errors.

mod certificate;
mod consent;
mod page;
mod settings;
mod token;
mod voice;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use chrono::TimeDelta;

use super::Shared;
use super::answer::Call;
use super::reply::{Answer, Voice, insert, retry_after, strike};
use crate::list::List;
use crate::rate::{Verdict, Window};
pub use certificate::CertificateAnswer;
pub use consent::{Consent, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, Rotation};
pub use page::CountsAt;
pub(super) use settings::SatSettings;
pub use settings::{SAT_CLIENT_ID, SAT_CLIENT_SECRET};
pub use token::{ClientAuthentication, SCOPES, TokenMode, TokenRequest};
pub(super) use token::{Presented, SatClient, present};
pub use voice::ErrorShape;
pub(super) use voice::SatVoice;

const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// When API requests were accepted; both limits are the organization's.
pub(super) struct SatWindows {
    minute: Window,
    hour: Window,
}

impl Default for SatWindows {
    fn default() -> Self {
        Self { minute: Window::minute(), hour: Window::hour() }
    }
}

/// Of two limits the one with less left.
#[derive(Clone, Copy)]
struct Left {
    limit: u32,
    remaining: u32,
}

/// `None` is a reset connection.
pub(super) async fn decide(shared: &Shared, call: &Call, list: List) -> Option<Answer> {
    let settings = &shared.settings.sat;
    if list == List::Token {
        return token::decide(shared, call).await;
    }
    if list == List::Authorize {
        return Some(consent::decide(shared, call, SatVoice::token(settings.token_errors)));
    }
    let voice = SatVoice::api(settings.errors);
    if call.request.method != Method::GET.as_str() {
        return Some(voice.error(StatusCode::METHOD_NOT_ALLOWED, "The method is not supported for this route."));
    }
    if !call.request.authenticated {
        return Some(voice.unauthorized());
    }
    if list == List::CertificateFile {
        return strike(shared, call, list, Voice::Sat(voice), |fault| certificate::file(shared, call, fault)).await;
    }
    let left = match ask(shared, call) {
        Ok(left) => left,
        Err((limit, time)) => {
            let mut answer = voice.error(StatusCode::TOO_MANY_REQUESTS, "Too Many Attempts.");
            retry_after(&mut answer, time);
            let reset = (call.request.at + time).timestamp();
            insert(&mut answer, RATE_RESET, &reset.to_string());
            return Some(with_rate_headers(shared, answer, Some(Left { limit, remaining: 0 })));
        }
    };
    let due = |fault| {
        if !token::scopes_of(list).iter().all(|scope| call.grant.scopes.iter().any(|it| it == scope)) {
            return voice.forbidden();
        }
        match list {
            List::Certificate => certificate::answer(shared, call, voice, fault),
            _ => page::answer(shared, call, list, voice, fault),
        }
    };
    let answer = strike(shared, call, list, Voice::Sat(voice), due).await?;
    Some(with_rate_headers(shared, answer, left))
}

/// Counts the request if neither limit refuses it; of two that do, the one that lasts longer is told.
fn ask(shared: &Shared, call: &Call) -> Result<Option<Left>, (u32, TimeDelta)> {
    let settings = &shared.settings.sat;
    let now = call.request.at;
    let mut state = shared.state();
    let SatWindows { minute, hour } = &mut state.sat_windows;
    let verdicts = [(settings.per_minute, &mut *minute), (settings.per_hour, &mut *hour)]
        .map(|(limit, window)| limit.map(|limit| (limit, window.evaluate(limit, now))));
    let refusals = verdicts.iter().flatten().filter_map(|(limit, verdict)| match verdict {
        Verdict::Refused { retry_after } => Some((*limit, *retry_after)),
        Verdict::Accepted { .. } => None,
    });
    if let Some(refusal) = refusals.max_by_key(|(_, retry_after)| *retry_after) {
        return Err(refusal);
    }
    minute.count(now);
    hour.count(now);
    let left = verdicts.iter().flatten().filter_map(|(limit, verdict)| match verdict {
        Verdict::Accepted { remaining } => Some(Left { limit: *limit, remaining: *remaining }),
        Verdict::Refused { .. } => None,
    });
    Ok(left.min_by_key(|left| left.remaining))
}

fn with_rate_headers(shared: &Shared, mut answer: Answer, left: Option<Left>) -> Answer {
    if let (true, Some(left)) = (shared.settings.rate_headers, left) {
        answer.headers_mut().insert(RATE_LIMIT, HeaderValue::from(left.limit));
        answer.headers_mut().insert(RATE_REMAINING, HeaderValue::from(left.remaining));
    }
    answer
}

pub(super) fn not_found(settings: &SatSettings) -> Answer {
    SatVoice::api(settings.errors).not_found()
}

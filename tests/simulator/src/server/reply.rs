//! Answers as bytes: what both products' have in common.

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use chrono::TimeDelta;

use super::answer::Call;
use super::sat::SatVoice;
use super::{Shared, body, edr, pause};
use crate::fault::FaultKind;
use crate::list::List;

pub(super) type Answer = Response<Body>;

pub(super) const JSON: &str = "application/json";

/// How an API says what it says.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    Edr,
    Sat(SatVoice),
}

impl Voice {
    fn media_type(self) -> &'static str {
        match self {
            Self::Edr => JSON,
            Self::Sat(voice) => voice.media_type(),
        }
    }

    fn error(self, status: StatusCode, text: &str) -> Answer {
        match self {
            Self::Edr => edr::error(status, text),
            Self::Sat(voice) => voice.error(status, text),
        }
    }

    fn unauthorized(self) -> Answer {
        match self {
            Self::Edr => edr::unauthorized(),
            Self::Sat(voice) => voice.unauthorized(),
        }
    }

    fn forbidden(self) -> Answer {
        match self {
            Self::Edr => edr::forbidden(),
            Self::Sat(voice) => voice.forbidden(),
        }
    }
}

/// Counts the request for the faults, and gives the answer that is `due` or the fault in its place; `None` is a reset
/// connection.
pub(super) async fn strike(
    shared: &Shared,
    call: &Call,
    list: List,
    voice: Voice,
    due: impl FnOnce(Option<FaultKind>) -> Answer,
) -> Option<Answer> {
    let fault = shared.state().faults.next(list, &call.request.path);
    let answer = match fault {
        Some(FaultKind::Reset) => return None,
        Some(FaultKind::Hang(time)) => {
            pause(time).await;
            due(None)
        }
        Some(FaultKind::Status(status)) => voice.error(code(status), "An error has occurred"),
        Some(FaultKind::StatusWithBody(status, body, kind)) => with_body(code(status), &kind, body.into()),
        Some(FaultKind::RetryAfter(status, value)) => {
            let mut answer = voice.error(code(status), "Try again later");
            insert(&mut answer, RETRY_AFTER, &value);
            answer
        }
        Some(FaultKind::StatusWithHeaders(status, headers)) => {
            with_headers(voice.error(code(status), "Try again later"), &headers)
        }
        Some(FaultKind::Unauthorized) => voice.unauthorized(),
        Some(FaultKind::Forbidden) => voice.forbidden(),
        Some(FaultKind::Redirect(to)) => {
            let mut answer = voice.error(StatusCode::FOUND, "Moved");
            insert(&mut answer, LOCATION, &to);
            answer
        }
        Some(FaultKind::Body(body)) => with_body(StatusCode::OK, voice.media_type(), body.into()),
        Some(FaultKind::NotJson) => {
            let page = "<!DOCTYPE html><html><body><h1>We will be right back</h1></body></html>";
            with_body(StatusCode::OK, "text/html; charset=utf-8", page.into())
        }
        Some(FaultKind::Oversize(size)) => with_body(StatusCode::OK, voice.media_type(), body::oversize(list, size)),
        Some(FaultKind::GzipBomb(size)) => {
            let mut answer = with_body(StatusCode::OK, voice.media_type(), body::gzip_bomb(list, size));
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        }
        fault => due(fault),
    };
    Some(answer)
}

/// 200 with this body, or with what is left of it.
pub(super) fn finish(
    shared: &Shared,
    headers: &HeaderMap,
    media_type: &str,
    mut body: Vec<u8>,
    fault: Option<FaultKind>,
) -> Answer {
    match fault {
        Some(FaultKind::Truncate) => {
            let length = body.len();
            let mut answer = with_body(StatusCode::OK, media_type, body::cut(body));
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            return answer;
        }
        Some(FaultKind::Rewrite(replaced, change)) => {
            return with_headers(with_body(StatusCode::OK, media_type, change(body).into()), &replaced);
        }
        Some(FaultKind::TruncateJson) => body.truncate(body.len() / 2),
        Some(FaultKind::Patch(change)) => {
            if let Ok(mut value) = serde_json::from_slice(&body) {
                change(&mut value);
                body = value.to_string().into_bytes();
            }
        }
        _ => {}
    }
    let accepts_gzip =
        headers.get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok()).is_some_and(|it| it.contains("gzip"));
    if shared.settings.gzip
        && accepts_gzip
        && let Ok(compressed) = body::gzip(&body)
    {
        let mut answer = with_body(StatusCode::OK, media_type, compressed.into());
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return answer;
    }
    with_body(StatusCode::OK, media_type, body.into())
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(super) fn with_body(status: StatusCode, kind: &str, body: Body) -> Answer {
    let mut answer = Answer::new(body);
    *answer.status_mut() = status;
    insert(&mut answer, CONTENT_TYPE, kind);
    answer
}

/// A value that no header can carry is left out.
pub(super) fn insert(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn with_headers(mut answer: Answer, headers: &[(&'static str, String)]) -> Answer {
    for (name, value) in headers {
        insert(&mut answer, HeaderName::from_static(name), value);
    }
    answer
}

/// In whole seconds, rounded up.
pub(super) fn retry_after(answer: &mut Answer, time: TimeDelta) {
    let seconds = (time.num_milliseconds() + 999) / 1000;
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
}

pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

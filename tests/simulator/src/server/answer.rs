//! From a request to its answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, Response, StatusCode};
use serde_json::json;

use super::wire::ResetSwitch;
use super::{Request, Settings, Shared, body, pause};
use crate::account::List;
use crate::fault::FaultKind;
use crate::query::ListQuery;
use crate::rate::Verdict;

type Answer = Response<Body>;

const JSON: &str = "application/json";
const CALL_LIMIT: HeaderName = HeaderName::from_static("x-huntress-api-call-limit");
const CALLS_REMAINING: HeaderName = HeaderName::from_static("x-huntress-api-call-remaining");

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(reset): ConnectInfo<ResetSwitch>,
    request: HttpRequest<Body>,
) -> Answer {
    let (request, place) = arrive(&shared, &request);
    let answer = decide(&shared, &request.0, &request.1).await;
    let status = answer.as_ref().map(|it| it.status().as_u16());
    let mut state = shared.state();
    let forgotten = state.forgotten;
    if let Some(entry) = place.checked_sub(forgotten).and_then(|at| state.log.get_mut(at)) {
        entry.status = status;
    }
    answer.unwrap_or_else(|| {
        reset.pull();
        Answer::default()
    })
}

/// Writes the request down; the number is its place among all that ever arrived.
fn arrive(shared: &Shared, request: &HttpRequest<Body>) -> ((Request, HeaderMap), usize) {
    let headers = request.headers().clone();
    let path = request.uri().path();
    let entry = Request {
        method: request.method().to_string(),
        path: path.to_owned(),
        query: Query::try_from_uri(request.uri()).map(|Query(pairs)| pairs).unwrap_or_default(),
        list: List::ALL.into_iter().find(|list| list.path() == path),
        status: None,
        user_agent: headers.get(USER_AGENT).and_then(|it| it.to_str().ok()).map(str::to_owned),
        authenticated: is_authentic(&headers, &shared.settings.authorization),
        at: (shared.settings.clock)(),
    };
    let mut state = shared.state();
    state.log.push(entry.clone());
    let place = state.forgotten + state.log.len() - 1;
    ((entry, headers), place)
}

fn is_authentic(headers: &HeaderMap, expected: &str) -> bool {
    let Some(Ok(value)) = headers.get(AUTHORIZATION).map(HeaderValue::to_str) else {
        return false;
    };
    value.split_once(' ').is_some_and(|(scheme, sent)| scheme.eq_ignore_ascii_case("basic") && sent.trim() == expected)
}

/// `None` is a reset connection.
async fn decide(shared: &Shared, request: &Request, headers: &HeaderMap) -> Option<Answer> {
    let Some(list) = request.list else {
        return Some(error(StatusCode::NOT_FOUND, "Invalid path specified"));
    };
    if request.method != Method::GET.as_str() {
        return Some(error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
    }
    if !request.authenticated {
        return Some(unauthorized());
    }
    let settings = &shared.settings;
    let remaining = match settings.rate_limit.map(|limit| shared.state().window.ask(limit, request.at)) {
        None => None,
        Some(Verdict::Accepted { remaining }) => Some(remaining),
        Some(Verdict::Refused { retry_after }) => {
            let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
            if settings.retry_after {
                let seconds = (retry_after.num_milliseconds() + 999) / 1000;
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            }
            return Some(with_rate_headers(settings, answer, Some(0)));
        }
    };
    let fault = shared.state().faults.next(list);
    let answer = match fault {
        Some(FaultKind::Reset) => return None,
        Some(FaultKind::Hang(time)) => {
            pause(time).await;
            lawful(shared, list, request, headers, None)
        }
        fault => lawful(shared, list, request, headers, fault),
    };
    Some(with_rate_headers(settings, answer, remaining))
}

fn with_rate_headers(settings: &Settings, mut answer: Answer, remaining: Option<u32>) -> Answer {
    if let (true, Some(limit), Some(remaining)) = (settings.rate_headers, settings.rate_limit, remaining) {
        answer.headers_mut().insert(CALL_LIMIT, HeaderValue::from(limit));
        answer.headers_mut().insert(CALLS_REMAINING, HeaderValue::from(remaining));
    }
    answer
}

/// The answer that is due, or the fault in its place.
fn lawful(shared: &Shared, list: List, request: &Request, headers: &HeaderMap, fault: Option<FaultKind>) -> Answer {
    match fault {
        Some(FaultKind::Status(status)) => error(code(status), "An error has occurred"),
        Some(FaultKind::StatusWithBody(status, body, kind)) => with_body(code(status), &kind, body.into()),
        Some(FaultKind::RetryAfter(status, value)) => {
            let mut answer = error(code(status), "Try again later");
            insert(&mut answer, RETRY_AFTER, &value);
            answer
        }
        Some(FaultKind::Unauthorized) => unauthorized(),
        Some(FaultKind::Forbidden) => {
            error(StatusCode::FORBIDDEN, "There was an issue with your API credential or permissions.")
        }
        Some(FaultKind::Redirect(to)) => {
            let mut answer = error(StatusCode::FOUND, "Moved");
            insert(&mut answer, LOCATION, &to);
            answer
        }
        Some(FaultKind::Body(body)) => with_body(StatusCode::OK, JSON, body.into()),
        Some(FaultKind::NotJson) => {
            let page = "<!DOCTYPE html><html><body><h1>We will be right back</h1></body></html>";
            with_body(StatusCode::OK, "text/html; charset=utf-8", page.into())
        }
        Some(FaultKind::Oversize(size)) => with_body(StatusCode::OK, JSON, body::oversize(list, size)),
        Some(FaultKind::GzipBomb(size)) => {
            let mut answer = with_body(StatusCode::OK, JSON, body::gzip_bomb(list, size));
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        }
        fault => page(shared, list, request, headers, fault),
    }
}

fn page(shared: &Shared, list: List, request: &Request, headers: &HeaderMap, fault: Option<FaultKind>) -> Answer {
    let query = match ListQuery::parse(list, &request.query) {
        Ok(query) => query,
        Err(parameter) => {
            return error(StatusCode::BAD_REQUEST, &format!("{parameter} does not have a valid value"));
        }
    };
    let mut body = shared.page(list, &query, &request.query, fault.as_ref());
    match fault {
        Some(FaultKind::Truncate) => {
            let length = body.len();
            let mut answer = with_body(StatusCode::OK, JSON, body::cut(body));
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            return answer;
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
        let mut answer = with_body(StatusCode::OK, JSON, compressed.into());
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return answer;
    }
    with_body(StatusCode::OK, JSON, body.into())
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn unauthorized() -> Answer {
    error(StatusCode::UNAUTHORIZED, "Missing or incorrect authorization scheme")
}

fn error(status: StatusCode, text: &str) -> Answer {
    with_body(status, JSON, json!({"error": text}).to_string().into())
}

fn with_body(status: StatusCode, kind: &str, body: Body) -> Answer {
    let mut answer = Answer::new(body);
    *answer.status_mut() = status;
    insert(&mut answer, CONTENT_TYPE, kind);
    answer
}

/// A value that no header can carry is left out.
fn insert(answer: &mut Answer, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

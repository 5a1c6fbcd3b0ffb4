//! The endpoint API's rules: HTTP Basic, its rate limit, its errors.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::answer::Call;
use super::reply::{Answer, JSON, Voice, finish, retry_after, strike, with_body};
use super::{Settings, Shared};
use crate::fault::FaultKind;
use crate::list::List;
use crate::query::ListQuery;
use crate::rate::Verdict;

const CALL_LIMIT: HeaderName = HeaderName::from_static("x-huntress-api-call-limit");
const CALLS_REMAINING: HeaderName = HeaderName::from_static("x-huntress-api-call-remaining");

pub(super) fn is_authentic(headers: &HeaderMap, expected: &str) -> bool {
    let Some(Ok(value)) = headers.get(AUTHORIZATION).map(HeaderValue::to_str) else {
        return false;
    };
    value.split_once(' ').is_some_and(|(scheme, sent)| scheme.eq_ignore_ascii_case("basic") && sent.trim() == expected)
}

/// `None` is a reset connection.
pub(super) async fn decide(shared: &Shared, call: &Call, list: List) -> Option<Answer> {
    let request = &call.request;
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
        Some(Verdict::Refused { retry_after: time }) => {
            let mut answer = error(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
            if settings.retry_after {
                retry_after(&mut answer, time);
            }
            return Some(with_rate_headers(settings, answer, Some(0)));
        }
    };
    let answer = strike(shared, call, list, Voice::Edr, |fault| page(shared, call, list, fault)).await?;
    Some(with_rate_headers(settings, answer, remaining))
}

fn with_rate_headers(settings: &Settings, mut answer: Answer, remaining: Option<u32>) -> Answer {
    if let (true, Some(limit), Some(remaining)) = (settings.rate_headers, settings.rate_limit, remaining) {
        answer.headers_mut().insert(CALL_LIMIT, HeaderValue::from(limit));
        answer.headers_mut().insert(CALLS_REMAINING, HeaderValue::from(remaining));
    }
    answer
}

fn page(shared: &Shared, call: &Call, list: List, fault: Option<FaultKind>) -> Answer {
    let query = match ListQuery::parse(list, &call.request.query) {
        Ok(query) => query,
        Err(parameter) => {
            return error(StatusCode::BAD_REQUEST, &format!("{parameter} does not have a valid value"));
        }
    };
    match shared.page(list, &query, &call.request.query, fault.as_ref()) {
        Some(body) => finish(shared, &call.headers, JSON, body, fault),
        None => not_found(),
    }
}

/// One record by its id, `{"agent": {…}}`; 404 for anything else.
pub(super) fn record(shared: &Shared, call: &Call) -> Answer {
    let request = &call.request;
    let mut parts = request.path.trim_start_matches('/').split('/');
    let (list, key) = match (parts.next(), parts.next()) {
        (Some("v1"), Some("agents")) => (List::Agents, "agent"),
        (Some("v1"), Some("organizations")) => (List::Organizations, "organization"),
        (Some("v1"), Some("incident_reports")) => (List::IncidentReports, "incident_report"),
        _ => return not_found(),
    };
    let (Some(id), None) = (parts.next().filter(|id| !id.is_empty()), parts.next()) else { return not_found() };
    if !request.authenticated {
        return unauthorized();
    }
    let mut state = shared.state();
    let refused = shared.settings.rate_limit.map(|limit| state.window.ask(limit, request.at));
    if matches!(refused, Some(Verdict::Refused { .. })) {
        return error(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
    }
    let is_it = |record: &Value| match &record["id"] {
        Value::String(text) => text == id,
        Value::Number(number) => number.to_string() == id,
        _ => false,
    };
    let found = state.account.as_ref().and_then(|account| account.records(list).find(is_it));
    match found {
        Some(record) => with_body(StatusCode::OK, JSON, json!({ key: record }).to_string().into()),
        None => error(StatusCode::NOT_FOUND, "Record not found"),
    }
}

pub(super) fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "Invalid path specified")
}

pub(super) fn unauthorized() -> Answer {
    error(StatusCode::UNAUTHORIZED, "Missing or incorrect authorization scheme")
}

pub(super) fn forbidden() -> Answer {
    error(StatusCode::FORBIDDEN, "There was an issue with your API credential or permissions.")
}

pub(super) fn error(status: StatusCode, text: &str) -> Answer {
    with_body(status, JSON, json!({"error": text}).to_string().into())
}

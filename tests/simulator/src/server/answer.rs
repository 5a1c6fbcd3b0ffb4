//! From a request to its answer.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{ACCEPT, DATE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Request as HttpRequest};

use super::reply::{Answer, insert};
use super::wire::ResetSwitch;
use super::{Request, Shared, edr, sat};
use crate::list::{List, Product};

/// No token request is near as long.
const MAX_REQUEST_BODY: usize = 64 * 1024;

/// A request with what the log leaves out.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) headers: HeaderMap,
    /// The id in its path.
    pub(super) id: String,
    /// What the client presented at the token endpoint, or the scopes of its token elsewhere.
    pub(super) grant: sat::Presented,
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(reset): ConnectInfo<ResetSwitch>,
    request: HttpRequest<Body>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match List::of_path(parts.uri.path()) {
        Some((List::Token, _)) => to_bytes(body, MAX_REQUEST_BODY).await.unwrap_or_default(),
        _ => Bytes::new(),
    };
    let (call, place) = arrive(&shared, &HttpRequest::from_parts(parts, body));
    let answer = decide(&shared, &call).await;
    let status = answer.as_ref().map(|it| it.status().as_u16());
    let mut state = shared.state();
    let forgotten = state.forgotten;
    if let Some(entry) = place.checked_sub(forgotten).and_then(|at| state.log.get_mut(at)) {
        entry.status = status;
    }
    let mut answer = answer.unwrap_or_else(|| {
        reset.pull();
        Answer::default()
    });
    // Without a header, the HTTP library would add one with the machine's time, in which a test does not live.
    if !answer.headers().contains_key(DATE) {
        let date = (shared.settings.clock)().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        insert(&mut answer, DATE, if shared.settings.dated { &date } else { "" });
    }
    answer
}

/// Writes the request down; the number is its place among all that ever arrived.
fn arrive(shared: &Shared, request: &HttpRequest<Bytes>) -> (Call, usize) {
    let headers = request.headers().clone();
    let path = request.uri().path();
    let query: Vec<_> = Query::try_from_uri(request.uri()).map(|Query(pairs)| pairs).unwrap_or_default();
    let at = (shared.settings.clock)();
    let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let mut state = shared.state();
    let (list, id) = match List::of_path(path) {
        Some((list, id)) if state.serves(list.product()) => (Some(list), id.to_owned()),
        _ => (None, String::new()),
    };
    let mut grant = sat::Presented::default();
    let authenticated = match list.filter(|list| list.product() == Product::Sat) {
        None => edr::is_authentic(&headers, &shared.settings.authorization),
        Some(list) => {
            grant = sat::present(&shared.settings.sat, &mut state.sat, list, &id, &query, request, at);
            grant.authenticated
        }
    };
    let entry = Request {
        method: request.method().to_string(),
        path: path.to_owned(),
        query,
        list,
        status: None,
        user_agent: text(USER_AGENT),
        accept: text(ACCEPT),
        authenticated,
        token: grant.asked.clone(),
        at,
    };
    state.log.push(entry.clone());
    let place = state.forgotten + state.log.len() - 1;
    (Call { request: entry, headers, id, grant }, place)
}

/// `None` is a reset connection.
async fn decide(shared: &Shared, call: &Call) -> Option<Answer> {
    match call.request.list.map(|list| (list, list.product())) {
        Some((list, Product::Edr)) => edr::decide(shared, call, list).await,
        Some((list, Product::Sat)) => sat::decide(shared, call, list).await,
        None if call.request.path.starts_with("/api/") => Some(sat::not_found(&shared.settings.sat)),
        None => Some(edr::record(shared, call)),
    }
}

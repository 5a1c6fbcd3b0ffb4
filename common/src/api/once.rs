//! `Idempotency-Key`: a POST that is sent again is carried out once. Its answer is kept for 24 hours, unless it shows what must be kept nowhere.

use super::body::LARGEST_BODY;
use super::caller::Caller;
use super::header::IdempotencyKey;
use super::problem::Problem;
use crate::clock::Clock;
use crate::domain::id::CompanyId;
use crate::store::{Claim, Store, StoreError};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest answer that is kept; a repeated request of a larger one is carried out again.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Where requests are kept.
#[derive(Clone)]
pub struct Once {
    /// The table.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, ETAG];

/// What shows a secret or a name, whose answer is kept nowhere: sent again it is done again, or refused by what is there.
fn shows_secrets(path: &str) -> bool {
    ["/tokens", "/identity", "/certificate", "/lookup", "/start", "/rotate", "/onboarding-link", "/webhooks"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// Carries a POST with a key out once. Syncs know their own keys, and join the run.
pub async fn once(State(once): State<Once>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let company = path.strip_prefix("/v1/companies/").and_then(|rest| rest.split('/').next());
    let company = company.and_then(|company| CompanyId::parse(company).ok());
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(company), Some(caller)) = (company, caller) else { return next.run(request).await };
    let keyed = request.method() == Method::POST && request.headers().contains_key("idempotency-key");
    if !keyed || path.ends_with("/sync") || caller.act_for(&company).is_err() {
        return next.run(request).await;
    }
    carried_out(&once, request, next, &company, &caller).await.unwrap_or_else(IntoResponse::into_response)
}

async fn carried_out(
    Once { store, clock }: &Once,
    request: Request,
    next: Next,
    company: &CompanyId,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let IdempotencyKey(key) = IdempotencyKey::from_request_parts(&mut parts, &()).await?;
    let key = format!("{}\n{}", caller.subject, key.unwrap_or_default());
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| Problem::too_large(LARGEST_BODY))?;
    let path = parts.uri.path().to_owned();
    let asked = format!("{path}\n{}\n{}", parts.uri.query().unwrap_or_default(), String::from_utf8_lossy(&body));
    let failed = |error: StoreError| Problem::from(error);
    match store.claim_once(company, &key, &asked, clock.now()).await.map_err(failed)? {
        Claim::Other => return Err(Problem::key_reused()),
        Claim::Running => {
            return Err(Problem::conflict("the same request is being carried out; ask again in a second"));
        }
        Claim::Answered(Some(answer)) => return answered(&answer),
        Claim::Answered(None) | Claim::New => {}
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let status = parts.status;
    // What may be otherwise the next time is worth another try.
    let passing = status.is_server_error()
        || [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::FAILED_DEPENDENCY,
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
        ]
        .contains(&status);
    let bytes = to_bytes(body, usize::MAX).await.map_err(|_| Problem::bad_request("the answer could not be read"))?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= LARGEST_ANSWER);
    let answer = match text {
        _ if passing => None,
        Some(text) if !shows_secrets(&path) => {
            let header =
                |name: &HeaderName| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned()));
            let headers = HEADERS.iter().filter_map(header).collect();
            let kept = Kept { status: status.as_u16(), headers, body: text.to_owned() };
            Some(serde_json::to_string(&kept).unwrap_or_default())
        }
        _ => Some(String::new()),
    };
    // It is done, whether or not that can be kept.
    if let Err(error) = store.answer_once(company, &key, &asked, answer, clock.now()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the answer to a keyed request was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn answered(answer: &str) -> Result<Response, Problem> {
    let damaged =
        |_| Problem::from(StoreError::Corrupt { record: "request", reason: "its answer cannot be read".to_owned() });
    let kept: Kept = serde_json::from_str(answer).map_err(damaged)?;
    let mut response = (StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK), kept.body).into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

//! Headers of requests.

use super::body::LARGEST_BODY;
use super::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;
use axum::http::request::Parts;
use bytes::Bytes;
use std::convert::Infallible;

/// What the caller has already, from `If-None-Match`; empty without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IfNoneMatch(String);

impl IfNoneMatch {
    /// Whether an `ETag` is among them.
    #[must_use]
    pub fn contains(&self, etag: &str) -> bool {
        self.0.split(',').map(str::trim).any(|known| known == etag || known == "*")
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given = parts.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        Ok(Self(given.unwrap_or_default().to_owned()))
    }
}

/// What makes a repeated request the same request, from `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        match key.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            _ => Err(Problem::bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters")),
        }
    }
}

/// What a browser asks with: its headers, and the query as it stands.
pub struct BrowserQuery {
    /// Its headers.
    pub headers: HeaderMap,
    /// The query, still encoded.
    pub query: String,
}

impl<S: Sync> FromRequestParts<S> for BrowserQuery {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { headers: parts.headers.clone(), query })
    }
}

/// A form that a browser sends, as it stands.
pub struct BrowserForm {
    /// The headers.
    pub headers: HeaderMap,
    /// The form, still encoded.
    pub form: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for BrowserForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let form = Bytes::from_request(request, state).await.map_err(|_| Problem::too_large(LARGEST_BODY))?;
        Ok(Self { headers, form })
    }
}

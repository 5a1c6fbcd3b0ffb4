//! Revisions: a change of a connection names the revision that it is based on (`If-Match`).

use super::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;

/// The revision that a change is meant for, from `If-Match`; `None` for `*`, which is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let given = parts.headers.get(IF_MATCH).ok_or_else(Problem::revision_needed)?;
        let given = given.to_str().unwrap_or_default().trim();
        if given == "*" {
            return Ok(Self(None));
        }
        let revision = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|it| it.parse().ok());
        // Whatever it is, it is not the present one.
        revision.map(|revision| Self(Some(revision))).ok_or_else(Problem::stale)
    }
}

/// The header that tells a revision.
pub(super) fn etag(revision: u64) -> [(HeaderName, String); 1] {
    [(ETAG, format!("\"{revision}\""))]
}

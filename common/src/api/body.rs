//! Bodies and query strings, by one policy for all routes.

use super::problem::Problem;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A body in JSON.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // The parser's own words may quote the body.
        let body = Json::from_request(request, state).await.map_err(|_| {
            Problem::bad_request(
                "the body must be JSON with the fields that the route is documented with, sent as application/json",
            )
        })?;
        Ok(Self(body.0))
    }
}

/// The parameters of a query string. A type says in [`Explained`] what it wants.
pub struct Parameters<T>(pub T);

/// Parameters that say what they are, for who has sent others.
pub trait Explained {
    /// What each may be.
    const WANTED: &str;
}

impl<T: DeserializeOwned + Explained, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(parameters)| Self(parameters)).map_err(|_| Problem::bad_request(T::WANTED))
    }
}

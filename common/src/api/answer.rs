//! Answers that have more than a body: their status and headers stand in their type, so that the description of a route has them too.

use super::header::IfNoneMatch;
use super::problem::Problem;
use super::revision::etag;
use axum::Json;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use serde::Serialize;
use std::io::Read;
use std::marker::PhantomData;

/// Something with a revision, which is its `ETag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// Its revision.
    pub revision: u64,
    /// What it is now.
    pub answer: T,
}

impl<T: Serialize> IntoResponse for Revised<T> {
    fn into_response(self) -> Response {
        (etag(self.revision), Json(self.answer)).into_response()
    }
}

/// 201: something that was made, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<A> {
    /// Its path.
    pub location: String,
    /// What it is.
    pub answer: A,
}

impl<A: IntoResponse> IntoResponse for Created<A> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(LOCATION, self.location)], self.answer).into_response()
    }
}

/// 202: something that goes on, and where to see how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<A> {
    /// Its path.
    pub location: String,
    /// What it is now.
    pub answer: A,
}

impl<A: IntoResponse> IntoResponse for Accepted<A> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, [(LOCATION, self.location)], self.answer).into_response()
    }
}

/// An answer that gives the browser a cookie.
pub struct WithCookie<A> {
    /// The header's value.
    pub cookie: HeaderValue,
    /// The answer.
    pub answer: A,
}

impl<A: IntoResponse> IntoResponse for WithCookie<A> {
    fn into_response(self) -> Response {
        ([(SET_COOKIE, self.cookie)], self.answer).into_response()
    }
}

/// A page for a browser; who does not ask for HTML gets a problem in its place.
pub struct BrowserPage(pub Response);

impl IntoResponse for BrowserPage {
    fn into_response(self) -> Response {
        self.0
    }
}

/// What must stay nowhere on the way.
pub struct Uncached<A>(pub A);

impl<A: IntoResponse> IntoResponse for Uncached<A> {
    fn into_response(self) -> Response {
        ([(CACHE_CONTROL, "no-store")], self.0).into_response()
    }
}

/// Bytes that never change once they are committed, and need not be sent to who has them.
pub struct Committed {
    /// The SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
    /// The bytes, which are JSON.
    pub body: String,
    /// What the caller has.
    pub known: IfNoneMatch,
}

impl IntoResponse for Committed {
    fn into_response(self) -> Response {
        let etag = format!("\"sha256-{}\"", self.sha256);
        let fixed = [(ETAG, etag.clone()), (CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned())];
        if self.known.contains(&etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        (fixed, [(CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// A document in JSON that is the same for everybody until the next release, kept as gzip: it stands in every bootstrap that serves it.
pub struct Document(pub &'static [u8]);

/// A page of the documentation, as it is written.
pub struct Page(pub &'static str);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/markdown; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")], self.0)
            .into_response()
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let mut text = Vec::new();
        if let Err(error) = GzDecoder::new(self.0).read_to_end(&mut text) {
            return Problem::unavailable(&error).into_response();
        }
        ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], text).into_response()
    }
}

/// Text that programs read line by line.
pub struct Text(pub String);

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/plain; charset=utf-8")], self.0).into_response()
    }
}

/// The media types that a file can be of.
pub trait MediaTypes {
    /// Each of them; `*/*` for whatever the source has.
    const ALL: &'static [&'static str];
}

/// A file that a browser is to keep and not to show, whatever it is, and that stays nowhere on the way.
pub struct Download<M> {
    /// Its media type, one of `M`.
    pub media_type: String,
    /// A name for it.
    pub name: String,
    /// Its `ETag`, without quotes, where it has one.
    pub etag: Option<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What it can be.
    pub kind: PhantomData<M>,
}

impl<M> IntoResponse for Download<M> {
    fn into_response(self) -> Response {
        let headers = [
            (CACHE_CONTROL, "no-store".to_owned()),
            (CONTENT_TYPE, self.media_type),
            (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", self.name)),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        let etag = self.etag.map(|etag| [(ETAG, format!("\"{etag}\""))]);
        let response = (headers, self.bytes).into_response();
        match etag {
            Some(etag) => (etag, response).into_response(),
            None => response,
        }
    }
}

/// Something that may be elsewhere, or is still being made.
pub enum Pending<A, T> {
    /// Here it is.
    Here(A),
    /// 303: it is at this address, for some minutes.
    Elsewhere(String),
    /// 202: it is worth another try after so many seconds.
    Later {
        /// So many seconds.
        seconds: u32,
        /// What it is now.
        answer: T,
    },
}

impl<A: IntoResponse, T: Serialize> IntoResponse for Pending<A, T> {
    fn into_response(self) -> Response {
        match self {
            Self::Here(answer) => answer.into_response(),
            Self::Elsewhere(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
            Self::Later { seconds, answer } => {
                (StatusCode::ACCEPTED, [(RETRY_AFTER, seconds.to_string())], Json(answer)).into_response()
            }
        }
    }
}

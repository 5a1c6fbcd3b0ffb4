use axum::http::StatusCode;
use serde_json::json;

use crate::server::reply::{Answer, JSON, with_body};

pub(super) const JSON_API: &str = "application/vnd.api+json";

/// The shape of error bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorShape {
    /// What is to be expected of a Laravel application with Passport and JSON:API: the framework's own words for 401, 429 and
    /// 5xx, OAuth at the token endpoint, and JSON:API for the rest.
    #[default]
    Usual,
    /// `{"errors":[{"status","code","title","detail"}],"jsonapi":{…}}`
    JsonApi,
    /// `{"message":"…"}`
    Laravel,
    /// `{"error":"…","error_description":"…","message":"…"}`
    OAuth,
    /// An HTML page.
    Html,
}

#[derive(Clone, Copy)]
pub(in crate::server) struct SatVoice {
    shape: ErrorShape,
    at_token: bool,
}

impl SatVoice {
    pub(super) fn api(shape: ErrorShape) -> Self {
        Self { shape, at_token: false }
    }

    pub(super) fn token(shape: ErrorShape) -> Self {
        Self { shape, at_token: true }
    }

    pub(in crate::server) fn media_type(self) -> &'static str {
        if self.at_token { JSON } else { JSON_API }
    }

    pub(in crate::server) fn error(self, status: StatusCode, text: &str) -> Answer {
        let code = match status.as_u16() {
            400 => "invalid_request",
            401 => "invalid_token",
            403 => "insufficient_scope",
            429 => "temporarily_unavailable",
            _ => "server_error",
        };
        self.coded_error(status, code, text)
    }

    /// An error with a code of its own, where its shape has one.
    pub(super) fn coded_error(self, status: StatusCode, code: &str, text: &str) -> Answer {
        let title = status.canonical_reason().unwrap_or("Error");
        let shape = match self.shape {
            ErrorShape::Usual if self.at_token => ErrorShape::OAuth,
            ErrorShape::Usual if matches!(status.as_u16(), 401 | 429 | 500..) => ErrorShape::Laravel,
            ErrorShape::Usual => ErrorShape::JsonApi,
            shape => shape,
        };
        let (kind, body) = match shape {
            ErrorShape::Html => (
                "text/html; charset=utf-8",
                format!("<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{text}</h1></body></html>"),
            ),
            ErrorShape::Laravel => (JSON, json!({"message": text}).to_string()),
            ErrorShape::OAuth => (JSON, json!({"error": code, "error_description": text, "message": text}).to_string()),
            ErrorShape::Usual | ErrorShape::JsonApi => {
                let error = json!({"status": status.as_str(), "code": code, "title": title, "detail": text});
                (JSON_API, json!({"errors": [error], "jsonapi": {"version": "1.0"}}).to_string())
            }
        };
        with_body(status, kind, body.into())
    }

    pub(in crate::server) fn unauthorized(self) -> Answer {
        if self.at_token {
            return self.coded_error(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed");
        }
        self.error(StatusCode::UNAUTHORIZED, "Unauthenticated.")
    }

    pub(in crate::server) fn forbidden(self) -> Answer {
        self.error(StatusCode::FORBIDDEN, "Invalid scope(s) provided.")
    }

    pub(super) fn not_found(self) -> Answer {
        self.coded_error(StatusCode::NOT_FOUND, "not_found", "The requested resource does not exist.")
    }
}

//! What stands at the root: whether the service answers, who one is, and what a credential is made of.

use crate::api::answer::{Document, Page};
use crate::api::views::{CredentialSchema, Health, Me};
use crate::api::{Caller, Method, PathParams, Problem, Route, route};
use crate::app::evidence::EvidenceReader;
use crate::domain::product::Product;
use axum::Json;
use std::sync::Arc;

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] = &[
    route!(Method::Get, "/healthz", public, healthz),
    route!(Method::Get, "/v1/openapi.json", public, openapi),
    route!(Method::Get, "/v1/errors", public, errors),
    route!(Method::Get, "/v1/me", known, me),
    route!(Method::Get, "/v1/credential-schemas/{product}", known, credential_schema, fails: [NOT_FOUND]),
];

/// That the process answers.
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// This document: the routes of this release, their types and their problems.
async fn openapi() -> Document {
    Document(include_bytes!("../../../../docs/openapi.json.gz"))
}

/// What each code of a problem means, and what to do: the `type` of a problem points into it.
async fn errors() -> Page {
    Page(include_str!("../../../../docs/errors.md"))
}

/// The caller, as this service understands the token.
async fn me(caller: Caller) -> Json<Me> {
    Json(caller.into())
}

/// What a credential of a product is made of, and the steps to one.
async fn credential_schema(PathParams(product): PathParams<String>) -> Result<Json<CredentialSchema>, Problem> {
    let product = Product::parse(&product).ok_or_else(|| Problem::not_found("product"))?;
    Ok(Json(CredentialSchema::of(product)))
}

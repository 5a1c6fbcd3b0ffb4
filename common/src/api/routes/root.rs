//! What stands at the root: whether the service answers, who one is, and what a credential is made of.

use crate::api::views::{CredentialSchema, Health, Me};
use crate::api::{Caller, Method, Problem, Route};
use crate::app::evidence::EvidenceReader;
use crate::domain::product::Product;
use axum::Json;
use axum::extract::Path;
use axum::routing::on;
use std::sync::Arc;

pub(super) const ROUTES: &[Route<Arc<EvidenceReader>>] = &[
    Route::public(Method::Get, "/healthz", |method| on(method, healthz)),
    Route::known(Method::Get, "/v1/me", |method| on(method, me)),
    Route::known(Method::Get, "/v1/credential-schemas/{product}", |method| on(method, credential_schema)),
];

/// That the process answers.
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// The caller, as this service understands the token.
async fn me(caller: Caller) -> Json<Me> {
    Json(caller.into())
}

/// What a credential of a product is made of, and the steps to one.
async fn credential_schema(Path(product): Path<String>) -> Result<Json<CredentialSchema>, Problem> {
    let product = Product::parse(&product).ok_or_else(|| Problem::not_found("product"))?;
    Ok(Json(CredentialSchema::of(product)))
}

//! The Lambda function `packs-api`: packs that are asked for and fetched, and exports. It cannot sign.

use axum::middleware::from_fn_with_state;
use common::api::{Claims, host, lambda_caller, routes};
use common::aws::lambda::{Aws, start_logging};
use common::settings::{environment, readable_deployment};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let packs = Aws::load(&environment).packs()?;
    let routes = host(routes::PACKS_API.router(Arc::new(packs)));
    let claims = Arc::new(Claims::read(&environment));
    lambda_http::run(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

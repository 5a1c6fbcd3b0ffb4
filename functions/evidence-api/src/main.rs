//! The Lambda function `evidence-api`: reads evidence.

use axum::middleware::from_fn_with_state;
use common::api::{Claims, host, lambda_caller, routes};
use common::app::stack::Stack;
use common::aws::lambda::{Aws, serve, start_logging};
use common::settings::{environment, readable_deployment};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let evidence = Aws::load(&environment).evidence()?;
    let routes = host(routes::EVIDENCE_API.router(Arc::new(evidence)));
    let claims = Arc::new(Claims::read(&environment));
    serve(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

//! The Lambda function `packs-api`: packs that are asked for and fetched, and exports. It cannot sign.

use axum::middleware::from_fn_with_state;
use common::api::{Claims, Once, host, lambda_caller, once, routes};
use common::app::stack::Stack;
use common::aws::lambda::{Aws, serve, start_logging};
use common::settings::{environment, readable_deployment};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::load(&environment);
    let keyed = Once { store: aws.store()?, clock: aws.clock() };
    let packs = aws.packs()?;
    let routes = host(routes::PACKS_API.router(Arc::new(packs)));
    let claims = Arc::new(Claims::read(&environment));
    let routes = routes.layer(from_fn_with_state(keyed, once));
    serve(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

//! The Lambda function `connections-api`: connections and their credentials: made, changed, removed; and what is decided about clients.

use axum::middleware::from_fn_with_state;
use common::api::{Claims, host, lambda_caller, routes};
use common::app::stack::Stack;
use common::aws::lambda::{Aws, start_logging};
use common::settings::{environment, readable_deployment};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::load(&environment);
    let (connections, decisions) = (Arc::new(aws.connections()?), Arc::new(aws.decisions()?));
    let routes = host(routes::CONNECTIONS_API.router(connections).merge(routes::DECISIONS_API.router(decisions)));
    let claims = Arc::new(Claims::read(&environment));
    lambda_http::run(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

//! The Lambda function `connections-api`: connections and their credentials: made, changed, removed; and what is decided about clients.

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
    let (connections, decisions) = (Arc::new(aws.connections()?), Arc::new(aws.decisions()?));
    let keyed = Once { store: connections.store.clone(), clock: Arc::clone(&connections.huntress.clock) };
    let routes = host(routes::CONNECTIONS_API.router(connections).merge(routes::DECISIONS_API.router(decisions)));
    let claims = Arc::new(Claims::read(&environment));
    let routes = routes.layer(from_fn_with_state(keyed, once));
    serve(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

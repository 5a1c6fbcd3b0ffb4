//! The Lambda function `connection-test`: tests a saved connection, and selects the assignments that count.

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
    let connections = Aws::load(&environment).connections()?;
    let keyed = Once { store: connections.store.clone(), clock: Arc::clone(&connections.huntress.clock) };
    let routes = host(routes::CONNECTION_TEST.router(Arc::new(connections)));
    let claims = Arc::new(Claims::read(&environment));
    let routes = routes.layer(from_fn_with_state(keyed, once));
    serve(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

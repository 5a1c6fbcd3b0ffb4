//! The Lambda function `people-api`: the people whose training is tracked, and the choices about them.

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
    let people = Aws::load(&environment).people()?;
    let keyed = Once { store: people.store.clone(), clock: Arc::clone(&people.clock) };
    let routes = host(routes::PEOPLE_API.router(Arc::new(people)));
    let claims = Arc::new(Claims::read(&environment));
    let routes = routes.layer(from_fn_with_state(keyed, once));
    serve(routes.layer(from_fn_with_state(claims, lambda_caller))).await
}

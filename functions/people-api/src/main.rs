//! The Lambda function `people-api`: the people whose training is tracked, and the choices about them.

use common::api::{host, lambda_caller, routes};
use common::app::stack::Stack;
use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    let people = Aws::load(&environment).people()?;
    let routes = host(routes::PEOPLE_API.router(Arc::new(people)));
    lambda_http::run(routes.layer(axum::middleware::from_fn(lambda_caller))).await
}

//! The Lambda function `on-demand-sync`.

use common::api::lambda_caller;
use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let router = on_demand_sync::router(Arc::new(aws.planner()?)).layer(axum::middleware::from_fn(lambda_caller));
    lambda_http::run(router).await
}

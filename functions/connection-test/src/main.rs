//! The Lambda function `connection-test`.

use common::api::lambda_caller;
use common::lambda::{Aws, start_logging};
use common::settings::environment;
use common::sync::test::Tester;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let tester = Tester {
        store: aws.store()?,
        credentials: aws.credentials()?,
        huntress: aws.huntress()?,
        budgets: Arc::default(),
    };
    let router = connection_test::router(Arc::new(tester)).layer(axum::middleware::from_fn(lambda_caller));
    lambda_http::run(router).await
}

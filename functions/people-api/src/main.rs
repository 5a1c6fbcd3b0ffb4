//! The Lambda function `people-api`.

use common::api::lambda_caller;
use common::app::people::PeopleService;
use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let desk = PeopleService { store: aws.store()?, vault: aws.vault()?, clock: aws.clock() };
    let router = people_api::router(Arc::new(desk)).layer(axum::middleware::from_fn(lambda_caller));
    lambda_http::run(router).await
}

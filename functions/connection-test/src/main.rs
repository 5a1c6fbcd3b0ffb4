//! The Lambda function `connection-test`.

use common::api::lambda_caller;
use common::app::connections::test::Tester;
use common::app::people::AssignmentSelector;
use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let (store, credentials, huntress, budgets) = (aws.store()?, aws.credentials()?, aws.huntress()?, Arc::default());
    let tester = Tester {
        store: store.clone(),
        credentials: Arc::clone(&credentials),
        huntress: huntress.clone(),
        budgets: Arc::clone(&budgets),
    };
    let picker = AssignmentSelector { store, credentials, huntress, budgets };
    let routes =
        connection_test::router(Arc::new(tester)).merge(connection_test::assignments::router(Arc::new(picker)));
    let router = routes.layer(axum::middleware::from_fn(lambda_caller));
    lambda_http::run(router).await
}

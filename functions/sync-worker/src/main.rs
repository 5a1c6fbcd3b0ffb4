//! The Lambda function `sync-worker`.

use common::app::collection::worker::Worker;
use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use lambda_runtime::{Error, service_fn};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let huntress = aws.huntress()?;
    let worker = Worker {
        store: aws.store()?,
        credentials: aws.credentials()?,
        vault: aws.vault()?,
        huntress,
        budgets: Arc::default(),
        queue: Arc::new(aws.queue()?),
    };
    let (worker, telemetry) = (&worker, &aws.telemetry());
    lambda_runtime::run(service_fn(async move |event| sync_worker::handle(worker, telemetry, event).await)).await
}

//! The Lambda function `sync-worker`: takes runs from the queue and carries each to its end.

use chrono::{DateTime, Utc};
use common::app::collection::batch::{self, Batch};
use common::app::stack::Stack;
use common::aws::client::Patience;
use common::aws::lambda::{Aws, start_logging};
use common::settings::{environment, readable_deployment};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::convert::Infallible;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::with_patience(&environment, Patience::WORKER);
    let (worker, telemetry) = (&aws.worker()?, &aws.telemetry());
    let handler = async move |LambdaEvent { payload, context }: LambdaEvent<Batch>| {
        let deadline = i64::try_from(context.deadline).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
        let deadline = deadline.unwrap_or(DateTime::<Utc>::MAX_UTC);
        Ok::<_, Infallible>(batch::handle(worker, telemetry, payload, deadline).await)
    };
    lambda_runtime::run(service_fn(handler)).await
}

//! The Lambda function `scheduled-sync`: the daily tick, and the hourly look after runs.

use common::app::runs::tick;
use common::app::stack::Stack;
use common::aws::client::Patience;
use common::aws::lambda::{Aws, start_logging};
use common::settings::{environment, readable_deployment};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::with_patience(&environment, Patience::WORKER);
    let (planner, telemetry) = (&aws.planner()?, &aws.telemetry());
    let handler = async move |event: LambdaEvent<tick::Tick>| {
        tick::handle(planner, telemetry, event.payload).await.map_err(Error::from)
    };
    lambda_runtime::run(service_fn(handler)).await
}

//! The Lambda function `scheduled-sync`.

use common::aws::lambda::{Aws, start_logging};
use common::settings::environment;
use lambda_runtime::{Error, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging(&environment);
    let aws = Aws::load(&environment);
    let (planner, telemetry) = (&aws.planner()?, &aws.telemetry());
    lambda_runtime::run(service_fn(async move |event| {
        scheduled_sync::handle(planner, telemetry, event).await.map_err(Error::from)
    }))
    .await
}

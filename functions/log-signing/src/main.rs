//! The Lambda function `log-signing`: the only one that may use the key of the log. Hourly it signs the logs that grew; when it is asked, it makes a pack.

use common::app::packs::signing::{self, Event};
use common::aws::lambda::{Aws, start_logging};
use common::settings::{environment, readable_deployment};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_logging(&environment);
    readable_deployment()?;
    let signing = &Aws::load(&environment).signing().await?;
    let handler =
        async move |event: LambdaEvent<Event>| signing::handle(signing, event.payload).await.map_err(Error::from);
    lambda_runtime::run(service_fn(handler)).await
}

//! The Lambda function `console-connections`: the pages of integrations, people and settings, for who signed in at the function `console`.

use common::aws::lambda::{Aws, serve, start_logging};
use common::console::{ConnectionPages, Entrance, SealedSessions, SignIn, Site};
use common::settings::{environment, readable_deployment, required};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::load(&environment);
    let site = Site::public(&required(&environment, "PUBLIC_URL")?)?;
    let sign_in = SignIn::Elsewhere(Box::new(SealedSessions::of_function(&aws)?));
    let entrance = Entrance::new(&aws, sign_in, site)?;
    let pages = Arc::new(ConnectionPages::new(&aws, entrance)?);
    serve(pages.router()).await
}

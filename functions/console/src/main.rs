//! The Lambda function `console`: the pages, for who signs in over the issuer whose tokens open the API.

use common::aws::lambda::{Aws, serve, start_logging};
use common::console::{Console, IssuerSignIn, SignIn, Site};
use common::settings::{environment, readable_deployment, required};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::load(&environment);
    let site = Site::public(&required(&environment, "PUBLIC_URL")?)?;
    let sign_in = SignIn::Issuer(Box::new(IssuerSignIn::of_function(&aws)?));
    let console = Console::new(&aws, aws.packs()?, sign_in, site)?;
    serve(Arc::new(console).router()).await
}

//! The Lambda function `console`: the pages of evidence, and signing in over the issuer whose tokens open the API.

use common::aws::lambda::{Aws, serve, start_logging};
use common::console::{Entrance, EvidencePages, IssuerSignIn, SignIn, Site};
use common::settings::{environment, readable_deployment, required};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logging(&environment);
    readable_deployment()?;
    let aws = Aws::load(&environment);
    let site = Site::public(&required(&environment, "PUBLIC_URL")?)?;
    let sign_in = SignIn::Issuer(Box::new(IssuerSignIn::of_function(&aws)?));
    let entrance = Entrance::new(&aws, sign_in, site)?;
    let pages = Arc::new(EvidencePages::new(&aws, aws.packs()?, entrance)?);
    serve(pages.router()).await
}

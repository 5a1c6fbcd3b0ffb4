//! `collect edr`.

use super::{job, tenant};
use crate::arguments::{CollectionArguments, Rules};
use crate::commands::given::Given;
use crate::commands::huntress;
use crate::outcome::CliError;
use crate::{progress, render};
use clap::Args;
use common::clock::SystemClock;
use common::domain::edr::bundle::bundle_of;
use common::domain::failure::{Failure, FailureCode};
use common::huntress::edr::EdrCredential;
use common::huntress::rate_limit::RateLimiter;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// Requests a minute that we allow ourselves; 0 for no limiter of our own
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub requests_per_minute: u32,
    /// Only these organizations; all when none is given
    #[arg(long = "organization", value_name = "ID", num_args = 1..)]
    pub organizations: Vec<String>,
    #[command(flatten)]
    pub rules: Rules,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let mut given = Given::default();
    let done = collect(options, &mut given).await;
    given.said(done)
}

async fn collect(options: Options, given: &mut Given) -> Result<(), CliError> {
    let settings = options.rules.settings()?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential =
        EdrCredential { key: given.required("HUNTRESS_API_KEY")?, secret: given.required("HUNTRESS_API_SECRET")? };
    let limiter = RateLimiter::per_minute(options.requests_per_minute);
    let job = job(&options.collection, &huntress, limiter);
    let display = progress::show(&job.progress, &job.limiter, &huntress.clock);
    let collected = huntress.collect_edr(&credential, settings, job).await;
    drop(display);
    let (tally, collection) = collected?;
    let json = options.collection.json;
    let bundle = bundle_of(&tally, &collection, tenant(options.collection), &options.organizations)
        .map_err(|error| Failure::new(FailureCode::NotFound, error.to_string()).at("GET /v1/organizations"))?;
    if json { render::json(&bundle) } else { render::bundle(&bundle) }
}

//! `collect sat`.

use super::{job, tenant, training_account, training_budget, training_credential};
use crate::arguments::{CollectionArguments, TrainingRules};
use crate::commands::given::Given;
use crate::commands::huntress;
use crate::outcome::CliError;
use crate::{progress, render};
use clap::Args;
use common::clock::SystemClock;
use common::domain::controls::ControlMap;
use common::domain::policy::InForce;
use common::domain::sat::bundle::bundle_of;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// Requests a minute that we allow ourselves instead of the vendor's 200 a minute and 1,500 an hour; 0 for no limiter of our own
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u32>,
    #[command(flatten)]
    pub rules: TrainingRules,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let mut given = Given::default();
    let done = collect(options, &mut given).await;
    given.said(done)
}

async fn collect(options: Options, given: &mut Given) -> Result<(), CliError> {
    let settings = options.rules.settings()?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = training_credential(given)?;
    let configured = training_account(given);
    let job = job(&options.collection, &huntress, training_budget(options.requests_per_minute));
    let display = progress::show(&job.progress, &job.limiter, &huntress.clock);
    let collected = huntress.collect_sat(&credential, settings, configured.as_deref(), job).await;
    drop(display);
    let (tally, collection) = collected?;
    let json = options.collection.json;
    let bundle = bundle_of(&tally, &collection, tenant(options.collection), ControlMap::current(), &InForce::default());
    if json { render::json(&bundle) } else { render::text(&render::signals(&bundle)) }
}

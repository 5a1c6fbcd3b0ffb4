//! `collect training`.

use super::{job, tenant, training_account, training_budget, training_credential};
use crate::arguments::{CollectionArguments, sat_id};
use crate::commands::given::Given;
use crate::commands::huntress;
use crate::outcome::CliError;
use crate::{progress, render};
use clap::Args;
use common::clock::SystemClock;
use common::domain::controls::ControlMap;
use common::domain::people::report::report_of;
use common::domain::sat::id::SatId;
use common::domain::sat::{Caps, SatSettings};
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// An assignment that counts: in progress, completed or draft; can be repeated
    #[arg(long = "assignment", value_name = "ID", required = true, num_args = 1.., value_parser = sat_id)]
    pub assignments: Vec<SatId>,
    /// Requests a minute that we allow ourselves instead of the vendor's 200 a minute and 1,500 an hour; 0 for no limiter of our own
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u32>,
    /// Read at most so many assignments
    #[arg(long, value_name = "N", default_value_t = Caps::default().assignments)]
    pub max_assignments: u64,
    /// Read at most so many activity records of an assignment
    #[arg(long, value_name = "N", default_value_t = Caps::default().activity_per_assignment)]
    pub max_activity: u64,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let mut given = Given::default();
    let done = collect(options, &mut given).await;
    given.said(done)
}

async fn collect(options: Options, given: &mut Given) -> Result<(), CliError> {
    let caps =
        Caps { assignments: options.max_assignments, activity_per_assignment: options.max_activity, ..Caps::default() };
    let settings = SatSettings::new(caps, false).map_err(|error| CliError::usage(error.to_string()))?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = training_credential(given)?;
    let configured = training_account(given);
    let selected = options.assignments.into_iter().collect();
    let job = job(&options.collection, &huntress, training_budget(options.requests_per_minute));
    let display = progress::show(&job.progress, &job.limiter, &huntress.clock);
    let collected = huntress.collect_training(&credential, settings, &selected, configured.as_deref(), job).await;
    drop(display);
    let collection = collected?;
    let json = options.collection.json;
    let report = report_of(&collection, tenant(options.collection), ControlMap::current());
    if json { render::json(&report) } else { render::text(&render::training(&report)) }
}

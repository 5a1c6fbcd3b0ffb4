//! `collect edr`, `collect sat` and `collect training`: one collection, nothing stored.

use crate::arguments::{CollectEdr, CollectSat, CollectTraining, CollectionArguments, Rules, TrainingRules};
use crate::outcome::CliError;
use crate::{progress, render};
use chrono::TimeDelta;
use common::app::collection::collect::{Huntress, Job, budget_of};
use common::clock::{Clock, SystemClock};
use common::domain::controls::ControlMap;
use common::domain::edr::EdrSettings;
use common::domain::edr::bundle::bundle_of as edr_bundle_of;
use common::domain::evidence::Tenant;
use common::domain::failure::{Failure, FailureCode};
use common::domain::product::Product;
use common::domain::sat::bundle::bundle_of as sat_bundle_of;
use common::domain::sat::training::report_of;
use common::domain::sat::{Caps, SatSettings};
use common::huntress::edr::EdrCredential;
use common::huntress::rate_limit::RateLimiter;
use common::huntress::request::{Timeouts, http_client};
use common::huntress::retry::WaitPolicy;
use common::huntress::sat::SatCredential;
use common::settings::{Origins, environment, required};
use std::sync::Arc;

/// A collection by hand may take this long; a million agents at 60 requests a minute take three quarters of an hour.
const LONGEST: TimeDelta = TimeDelta::hours(12);

/// How Huntress is reached from this process.
pub fn huntress(clock: Arc<dyn Clock>) -> Result<Huntress, CliError> {
    let origins = Origins::read(&environment)?;
    let http = http_client(Timeouts::default());
    let http = http.map_err(|error| CliError::other(format!("the HTTP client does not start: {error}")))?;
    Ok(Huntress { http, clock, origins })
}

/// The limits of the endpoint rules, checked together.
pub fn settings(rules: &Rules) -> Result<EdrSettings, CliError> {
    EdrSettings::new(rules.online_within_hours, rules.missing_after_days)
        .map_err(|error| CliError::usage(error.to_string()))
}

/// The settings of the training rules, checked together.
pub fn training_settings(rules: &TrainingRules) -> Result<SatSettings, CliError> {
    let caps = Caps {
        assignments: rules.max_assignments,
        activity_per_assignment: rules.max_activity,
        campaigns: rules.max_campaigns,
    };
    SatSettings::new(caps, rules.training_covers_privacy_policies).map_err(|error| CliError::usage(error.to_string()))
}

/// The job that the arguments describe.
fn job(options: &CollectionArguments, huntress: &Huntress, budget: RateLimiter) -> Job {
    let now = huntress.instant();
    Job {
        as_of: options.as_of.unwrap_or(now),
        as_of_given: options.as_of.is_some(),
        run: None,
        budget: Arc::new(budget),
        patience: WaitPolicy::until(now + LONGEST),
        progress: Arc::default(),
    }
}

fn tenant(options: CollectionArguments) -> Tenant {
    Tenant { company_id: options.company, client_id: options.client }
}

pub async fn edr(options: CollectEdr) -> Result<(), CliError> {
    let settings = settings(&options.rules)?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = EdrCredential {
        key: required(&environment, "HUNTRESS_API_KEY")?.into(),
        secret: required(&environment, "HUNTRESS_API_SECRET")?.into(),
    };
    let budget = RateLimiter::per_minute(options.requests_per_minute);
    let job = job(&options.collection, &huntress, budget);
    let display = progress::show(&job.progress, &job.budget, &huntress.clock);
    let collected = huntress.collect_edr(&credential, settings, job).await;
    drop(display);
    let (tally, collection) = collected?;
    let json = options.collection.json;
    let bundle = edr_bundle_of(&tally, &collection, tenant(options.collection), &options.organizations)
        .map_err(|error| Failure::new(FailureCode::NotFound, error.to_string()).at("GET /v1/organizations"))?;
    if json { render::json(&bundle) } else { render::bundle(&bundle) }
}

pub async fn sat(options: CollectSat) -> Result<(), CliError> {
    let settings = training_settings(&options.rules)?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = training_credential()?;
    let configured = environment("HUNTRESS_SAT_ACCOUNT_ID");
    let job = job(&options.collection, &huntress, training_budget(options.requests_per_minute));
    let display = progress::show(&job.progress, &job.budget, &huntress.clock);
    let collected = huntress.collect_sat(&credential, settings, configured.as_deref(), job).await;
    drop(display);
    let (tally, collection) = collected?;
    let json = options.collection.json;
    let bundle = sat_bundle_of(&tally, &collection, tenant(options.collection), ControlMap::current());
    if json { render::json(&bundle) } else { render::text(&render::signals(&bundle)) }
}

pub async fn training(options: CollectTraining) -> Result<(), CliError> {
    let caps =
        Caps { assignments: options.max_assignments, activity_per_assignment: options.max_activity, ..Caps::default() };
    let settings = SatSettings::new(caps, false).map_err(|error| CliError::usage(error.to_string()))?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = training_credential()?;
    let configured = environment("HUNTRESS_SAT_ACCOUNT_ID");
    let picks = options.assignments.into_iter().collect();
    let job = job(&options.collection, &huntress, training_budget(options.requests_per_minute));
    let display = progress::show(&job.progress, &job.budget, &huntress.clock);
    let collected = huntress.collect_training(&credential, settings, &picks, configured.as_deref(), job).await;
    drop(display);
    let collection = collected?;
    let json = options.collection.json;
    let report = report_of(&collection, tenant(options.collection), ControlMap::current());
    if json { render::json(&report) } else { render::text(&render::training(&report)) }
}

fn training_credential() -> Result<SatCredential, CliError> {
    Ok(SatCredential {
        client_id: required(&environment, "HUNTRESS_SAT_CLIENT_ID")?.into(),
        client_secret: required(&environment, "HUNTRESS_SAT_CLIENT_SECRET")?.into(),
    })
}

fn training_budget(requests_per_minute: Option<u32>) -> RateLimiter {
    requests_per_minute.map_or_else(|| budget_of(Product::Sat), RateLimiter::per_minute)
}

//! `collect edr`: one collection, nothing stored.

use crate::arguments::{CollectEdr, Rules};
use crate::outcome::Fault;
use crate::{progress, render};
use chrono::TimeDelta;
use common::clock::{Clock, SystemClock};
use common::domain::edr::EdrSettings;
use common::domain::edr::bundle::bundle_of;
use common::domain::evidence::Tenant;
use common::domain::run::{Failure, FailureCode};
use common::huntress::edr::EdrCredential;
use common::huntress::limits::Budget;
use common::huntress::transport::{Patience, Timeouts, http_client};
use common::settings::{Origins, environment, required};
use common::sync::collect::{EdrJob, Huntress};
use std::sync::Arc;

/// A collection by hand may take this long; a million agents at 60 requests a minute take three quarters of an hour.
const LONGEST: TimeDelta = TimeDelta::hours(12);

/// How Huntress is reached from this process.
pub fn huntress(clock: Arc<dyn Clock>) -> Result<Huntress, Fault> {
    let origins = Origins::read(&environment)?;
    let http = http_client(Timeouts::default())
        .map_err(|error| Fault::other(format!("the HTTP client does not start: {error}")))?;
    Ok(Huntress { http, clock, edr: origins.edr })
}

/// The limits of the rules, checked together.
pub fn settings(rules: &Rules) -> Result<EdrSettings, Fault> {
    EdrSettings::new(rules.online_within_hours, rules.missing_after_days)
        .map_err(|error| Fault::usage(error.to_string()))
}

pub async fn edr(options: CollectEdr) -> Result<(), Fault> {
    let settings = settings(&options.rules)?;
    let huntress = huntress(Arc::new(SystemClock))?;
    let credential = EdrCredential {
        key: required(&environment, "HUNTRESS_API_KEY")?.into(),
        secret: required(&environment, "HUNTRESS_API_SECRET")?.into(),
    };
    let budget = Arc::new(Budget::per_minute(options.requests_per_minute));
    let now = huntress.instant();
    let job = EdrJob {
        credential: &credential,
        settings,
        as_of: options.as_of.unwrap_or(now),
        as_of_given: options.as_of.is_some(),
        run: None,
        budget: Arc::clone(&budget),
        patience: Patience::until(now + LONGEST),
        progress: Arc::default(),
    };
    let display = progress::show(&job.progress, &budget, &huntress.clock);
    let collected = huntress.collect_edr(job).await;
    drop(display);
    let (tally, collection) = collected?;
    let tenant = Tenant { company_id: options.company, client_id: options.client };
    let bundle = bundle_of(&tally, &collection, tenant, &options.organizations)
        .map_err(|error| Failure::new(FailureCode::NotFound, error.to_string()).at("GET /v1/organizations"))?;
    if options.json { render::json(&bundle) } else { render::bundle(&bundle) }
}

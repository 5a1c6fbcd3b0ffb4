//! `collect`: one collection, nothing stored.

mod edr;
mod sat;
mod training;

use crate::arguments::CollectionArguments;
use crate::commands::given::Given;
use crate::outcome::CliError;
use chrono::TimeDelta;
use clap::Subcommand;
use common::app::collection::collect::{Huntress, Job};
use common::domain::evidence::Tenant;
use common::domain::product::Product;
use common::huntress::rate_limit::RateLimiter;
use common::huntress::retry::WaitPolicy;
use common::huntress::sat::SatCredential;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum Collect {
    /// Endpoint and incident evidence, with HUNTRESS_API_KEY and HUNTRESS_API_SECRET
    Edr(edr::Options),
    /// Training signals, with HUNTRESS_SAT_CLIENT_ID, HUNTRESS_SAT_CLIENT_SECRET and, if there are several accounts, HUNTRESS_SAT_ACCOUNT_ID
    Sat(sat::Options),
    /// Training of each person in the assignments that count, with the same variables; prints learner ids
    Training(training::Options),
}

pub async fn run(collect: Collect) -> Result<(), CliError> {
    match collect {
        Collect::Edr(options) => edr::run(options).await,
        Collect::Sat(options) => sat::run(options).await,
        Collect::Training(options) => training::run(options).await,
    }
}

/// A collection by hand may take this long; a million agents at 60 requests a minute take three quarters of an hour.
const LONGEST: TimeDelta = TimeDelta::hours(12);

/// The job that the arguments describe.
fn job(options: &CollectionArguments, huntress: &Huntress, limiter: RateLimiter) -> Job {
    let now = huntress.instant();
    Job {
        as_of: options.as_of.unwrap_or(now),
        as_of_given: options.as_of.is_some(),
        run: None,
        limiter: Arc::new(limiter),
        wait_policy: WaitPolicy::until(now + LONGEST),
        progress: Arc::default(),
    }
}

fn tenant(options: CollectionArguments) -> Tenant {
    Tenant { company_id: options.company, client_id: options.client }
}

fn training_credential(given: &mut Given) -> Result<SatCredential, CliError> {
    Ok(SatCredential {
        client_id: given.required("HUNTRESS_SAT_CLIENT_ID")?,
        client_secret: given.required("HUNTRESS_SAT_CLIENT_SECRET")?,
    })
}

/// The account to measure, if one is named.
fn training_account(given: &mut Given) -> Option<String> {
    given.variable("HUNTRESS_SAT_ACCOUNT_ID")
}

fn training_budget(requests_per_minute: Option<u32>) -> RateLimiter {
    requests_per_minute.map_or_else(|| RateLimiter::of(Product::Sat), RateLimiter::per_minute)
}

//! The command line.

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use common::domain::edr::EdrSettings;
use common::domain::id::{ClientId, CompanyId};

/// Collects compliance evidence from Huntress.
#[derive(Debug, Parser)]
#[command(name = "huntress-evidence", version, about, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do; the demonstration when nothing is given
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Say more on stderr, e.g. which requests are tried again
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing with a simulated account; needs no key and stores nothing
    Demo,
    /// Collect once and print; store nothing
    #[command(subcommand)]
    Collect(Collect),
}

#[derive(Debug, Subcommand)]
pub enum Collect {
    /// Endpoint and incident evidence, with HUNTRESS_API_KEY and HUNTRESS_API_SECRET
    Edr(CollectEdr),
}

#[derive(Debug, Args)]
pub struct CollectEdr {
    /// Print the bundle as JSON and nothing else
    #[arg(long)]
    pub json: bool,
    /// Evaluate at this instant (RFC 3339) instead of now
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Company named in the evidence
    #[arg(long, value_name = "ID")]
    pub company: Option<CompanyId>,
    /// Client named in the evidence
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Only these organizations; all when none is given
    #[arg(long = "organization", value_name = "ID", num_args = 1..)]
    pub organizations: Vec<String>,
    #[command(flatten)]
    pub rules: Rules,
    /// Requests a minute that we allow ourselves; 0 for no limiter of our own
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub requests_per_minute: u32,
}

/// The limits of the rules.
#[derive(Debug, Args)]
pub struct Rules {
    /// An agent is online up to so many hours after its last call
    #[arg(long, value_name = "HOURS", default_value_t = EdrSettings::default().online_within_hours())]
    pub online_within_hours: u32,
    /// An agent is missing so many days after its last call
    #[arg(long, value_name = "DAYS", default_value_t = EdrSettings::default().missing_after_days())]
    pub missing_after_days: u32,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    common::domain::time::parse(text)
        .ok_or_else(|| "expected a time with a zone, as in 2026-03-22T12:00:00Z".to_owned())
}

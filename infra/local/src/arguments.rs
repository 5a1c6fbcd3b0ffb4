//! What several commands take. A command's own arguments stand beside what it does, in `commands`.

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Parser, ValueEnum};
use common::app::connections::ExpiryChange;
use common::domain::edr::EdrSettings;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::product::Product;
use common::domain::sat::Caps;
use common::domain::sat::SatSettings;
use common::domain::sat::id::SatId;
use std::path::PathBuf;

use crate::commands::Command;
use crate::outcome::CliError;

/// Collects compliance evidence from Huntress
#[derive(Debug, Parser)]
#[command(name = "huntress-evidence", version, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do; the demonstration when nothing is given
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Say more on stderr, e.g. which requests are tried again
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// Where the stored life of connections is.
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// Folder of the data
    #[arg(long, value_name = "DIR", default_value = "huntress-evidence-data")]
    pub data: PathBuf,
    /// Work on a deployed stack instead of a data folder: TABLE_NAME, SECRET_PREFIX or CREDENTIAL_KEY_ID, PEOPLE_KEY_ID and CERTIFICATE_BUCKET_URL name what is its own; region and credentials are found as AWS's own tools find them
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// The company that runs the connector
    #[arg(long, value_name = "ID", default_value = "local")]
    pub company: CompanyId,
}

#[derive(Debug, Args)]
pub struct Listing {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct OfConnection {
    /// The connection
    pub connection: ConnectionId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct OfClientAsOf {
    /// The client
    pub client: ClientId,
    /// The newest evidence of this instant or before it (RFC 3339) instead of the newest of all
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct OfPerson {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    pub person: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Who does what is kept.
#[derive(Debug, Args)]
pub struct ActorArgs {
    /// Who you are, as it is kept; your user name when it is not given
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// What every collection takes.
#[derive(Debug, Args)]
pub struct CollectionArguments {
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
}

/// The settings of the training rules.
#[derive(Debug, Args)]
pub struct TrainingRules {
    /// Read at most so many assignments
    #[arg(long, value_name = "N", default_value_t = Caps::default().assignments)]
    pub max_assignments: u64,
    /// Read at most so many activity records of an assignment
    #[arg(long, value_name = "N", default_value_t = Caps::default().activity_per_assignment)]
    pub max_activity: u64,
    /// Read at most so many phishing campaigns
    #[arg(long, value_name = "N", default_value_t = Caps::default().campaigns)]
    pub max_campaigns: u64,
    /// The training covers the tenant's privacy policies and procedures, so that it supports HIPAA 164.530(b)(1)
    #[arg(long)]
    pub training_covers_privacy_policies: bool,
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

/// Which client each organization's evidence belongs to.
#[derive(Debug, Args)]
pub struct MappingArguments {
    /// All organizations belong to this client; the company's id when neither this nor a mapping is given
    #[arg(long, value_name = "ID", conflicts_with_all = ["map", "map_file", "ignore"])]
    pub client: Option<ClientId>,
    /// An organization's client; can be repeated
    #[arg(long, value_name = "ORGANIZATION=CLIENT")]
    pub map: Vec<String>,
    /// A file with a line `organization,client` for each organization
    #[arg(long, value_name = "FILE")]
    pub map_file: Option<PathBuf>,
    /// An organization that is left out of all evidence; can be repeated
    #[arg(long, value_name = "ORGANIZATION")]
    pub ignore: Vec<String>,
}

/// A product, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProductName {
    /// The endpoint API
    Edr,
    /// The training API
    Sat,
}

impl From<ProductName> for Product {
    fn from(name: ProductName) -> Self {
        match name {
            ProductName::Edr => Self::Edr,
            ProductName::Sat => Self::Sat,
        }
    }
}

impl Rules {
    /// The limits of the endpoint rules, checked together.
    pub fn settings(&self) -> Result<EdrSettings, CliError> {
        EdrSettings::new(self.online_within_hours, self.missing_after_days)
            .map_err(|error| CliError::usage(error.to_string()))
    }
}

impl TrainingRules {
    /// The settings of the training rules, checked together.
    pub fn settings(&self) -> Result<SatSettings, CliError> {
        let caps = Caps {
            assignments: self.max_assignments,
            activity_per_assignment: self.max_activity,
            campaigns: self.max_campaigns,
        };
        SatSettings::new(caps, self.training_covers_privacy_policies)
            .map_err(|error| CliError::usage(error.to_string()))
    }
}

/// An instant, with its zone.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    common::domain::time::parse(text)
        .ok_or_else(|| "expected a time with a zone, as in 2026-03-22T12:00:00Z".to_owned())
}

/// When a credential ends: an instant with its zone, or a day, at whose beginning in UTC it ends.
pub fn end(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|time| time.and_utc());
    common::domain::time::parse(text)
        .or_else(day)
        .ok_or_else(|| "expected a day, as in 2027-03-01, or a time with a zone, as in 2027-03-01T12:00:00Z".to_owned())
}

/// The same, or that no end is known.
pub fn end_or_never(text: &str) -> Result<ExpiryChange, String> {
    match text {
        "never" => Ok(ExpiryChange::Unknown),
        text => end(text).map(ExpiryChange::At).map_err(|error| format!("{error}, or never")),
    }
}

/// An id of the training API.
pub fn sat_id(text: &str) -> Result<SatId, String> {
    SatId::parse(text).map_err(|error| error.to_string())
}

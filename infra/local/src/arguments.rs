//! The command line.

mod connect;
mod people;

pub use connect::*;
pub use people::*;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use common::domain::edr::EdrSettings;
use common::domain::id::{ClientId, CompanyId, ConnectionId};
use common::domain::sat::Caps;
use std::net::SocketAddr;
use std::path::PathBuf;

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

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole thing with a simulated account; needs no key and keeps nothing
    Demo,
    /// Collect once and print; store nothing
    #[command(subcommand)]
    Collect(Collect),
    /// Show how to get a key, and what to do when something goes wrong
    Setup(Setup),
    /// Save a connection
    #[command(subcommand)]
    Connect(Connect),
    /// Copy the credentials of a deployed stack's connections to where its parameter Secrets is to have them
    CopyCredentials(CopyCredentials),
    /// Change which client each organization's evidence belongs to
    Map(Map),
    /// List the saved connections
    Connections(Listing),
    /// Test a saved connection, permission by permission
    Test(OfConnection),
    /// Sync a saved connection now
    Sync(Sync),
    /// List the runs of a connection, newest first
    Runs(OfConnection),
    /// Print the latest evidence of a connection's company, or of a client
    Metrics(Metrics),
    /// Print the values of one metric over time
    History(History),
    /// Print the latest training signals of a client
    Signals(OfClient),
    /// Print the controls that a client's evidence supports
    Controls(OfClient),
    /// List the training assignments that can be picked
    Assignments(OfConnection),
    /// Pick the assignments that count for each person's training
    Pick(Pick),
    /// Say what is kept of people: nothing, a keyed hash, or name and e-mail, sealed
    Privacy(Privacy),
    /// List people and where they stand
    People(People),
    /// Show one person, and what happened to them
    Person(OfPerson),
    /// Show what a page tells a person who has to be trained
    Onboarding(OfPerson),
    /// Put a person back, so that they have to earn compliance again
    Reset(Reset),
    /// Write the completion certificate of a person to a file
    Certificate(CertificateOf),
    /// Erase a person, or everybody of a connection; the evidence stays
    Erase(Erase),
    /// Name the connection that provides a client's security-awareness training, or show it
    Provider(ProviderOf),
    /// Pass a connection over at the daily sync
    Pause(OfConnection),
    /// Sync a paused connection daily again
    Resume(OfConnection),
    /// Remove a connection and its credential; its runs and its evidence stay
    Disconnect(Disconnect),
    /// Move the runs that a deployed stack's queue put aside back to its workers
    Redrive(Redrive),
    /// Run scheduler, queue, worker and HTTP on this machine
    Serve(Serve),
}

#[derive(Debug, Subcommand)]
pub enum Collect {
    /// Endpoint and incident evidence, with HUNTRESS_API_KEY and HUNTRESS_API_SECRET
    Edr(CollectEdr),
    /// Training signals, with HUNTRESS_SAT_CLIENT_ID, HUNTRESS_SAT_CLIENT_SECRET and, if there are several accounts, HUNTRESS_SAT_ACCOUNT_ID
    Sat(CollectSat),
    /// Training of each person in the assignments that count, with the same variables; prints learner ids
    Training(CollectTraining),
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

#[derive(Debug, Args)]
pub struct CollectEdr {
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

#[derive(Debug, Args)]
pub struct CollectSat {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// Requests a minute that we allow ourselves instead of the vendor's 200 a minute and 1,500 an hour; 0 for no limiter of our own
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<u32>,
    #[command(flatten)]
    pub rules: TrainingRules,
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

/// Where the stored life of connections is.
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// Folder of the data
    #[arg(long, value_name = "DIR", default_value = "huntress-evidence-data")]
    pub data: PathBuf,
    /// Look after a deployed stack instead: TABLE_NAME, SECRET_PREFIX or CREDENTIAL_KEY_ID, PEOPLE_KEY_ID and CERTIFICATE_BUCKET_URL name what is its own, AWS_REGION and AWS's credentials come from the environment, too
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// The company that runs the connector
    #[arg(long, value_name = "ID", default_value = "local")]
    pub company: CompanyId,
}

#[derive(Debug, Args)]
pub struct Setup {
    /// The product
    pub product: ProductName,
}

/// A product, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProductName {
    /// The endpoint API
    Edr,
    /// The training API
    Sat,
}

#[derive(Debug, Args)]
pub struct OfClient {
    /// The client
    pub client: ClientId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Map {
    /// The connection
    pub connection: ConnectionId,
    #[command(flatten)]
    pub mapping: MappingArguments,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Listing {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct OfConnection {
    /// The connection
    pub connection: ConnectionId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Sync {
    /// The connection
    pub connection: ConnectionId,
    /// Only say what it will ask of Huntress and how long it will take, going by the last run; nothing is asked or stored
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Redrive {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Look at no more than so many messages
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,
    /// The deployed stack whose TABLE_NAME, QUEUE_URL and DEAD_LETTERS_URL the environment names, with AWS_REGION and AWS's credentials
    #[arg(long)]
    pub aws: bool,
    /// Only messages of this company
    #[arg(long, value_name = "ID")]
    pub company: Option<CompanyId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Metrics {
    /// A connection, for its company's own evidence, or a client
    #[arg(value_name = "CONNECTION|CLIENT")]
    pub subject: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct History {
    /// The metric, e.g. agents_online_percentage
    pub metric: String,
    /// The client; the company's own evidence when none is given
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// From this instant on; a year ago when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// Up to this instant; now when it is not given
    #[arg(long, value_name = "T", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Loopback address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Runs that are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Minutes that the runs of the daily tick are spread over
    #[arg(long, value_name = "MINUTES", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=720))]
    pub jitter_minutes: u16,
    /// Seconds that runs may still take when the process is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub grace_seconds: u32,
    #[command(flatten)]
    pub place: StorageArgs,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    common::domain::time::parse(text)
        .ok_or_else(|| "expected a time with a zone, as in 2026-03-22T12:00:00Z".to_owned())
}

//! The commands about the training of people.

use super::{CollectionArguments, StorageArgs};
use clap::{Args, ValueEnum};
use common::domain::id::{ClientId, ConnectionId};
use common::domain::sat::Caps;
use common::domain::sat::id::SatId;
use common::domain::sat::people::PersonStatus;
use common::domain::sat::person::{MAX_RECERTIFY_DAYS, PrivacyMode};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CollectTraining {
    #[command(flatten)]
    pub collection: CollectionArguments,
    /// An assignment that counts: in progress, completed or draft; can be repeated
    #[arg(long = "assignment", value_name = "ID", required = true, num_args = 1.., value_parser = assignment)]
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

fn assignment(text: &str) -> Result<SatId, String> {
    SatId::parse(text).map_err(|error| error.to_string())
}

#[derive(Debug, Args)]
pub struct Pick {
    /// The connection
    pub connection: ConnectionId,
    /// The assignments that count from now on: in progress, completed or draft
    #[arg(value_name = "ASSIGNMENT", value_parser = assignment)]
    pub assignments: Vec<SatId>,
    /// Nothing counts any more; who is known stays known
    #[arg(long, conflicts_with = "assignments")]
    pub none: bool,
    /// A compliant person must certify again after so many days; 0 for never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_RECERTIFY_DAYS)))]
    pub recertify_after_days: Option<u32>,
    /// Read at most so many activity records of an assignment, for the signals too
    #[arg(long, value_name = "N")]
    pub max_activity: Option<u64>,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

/// What is kept of people, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Nothing but counts
    Aggregate,
    /// A keyed hash of the learner's id
    Pseudonymous,
    /// The hash, and name, e-mail and certificates, sealed
    Full,
}

impl From<ModeName> for PrivacyMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Aggregate => Self::Aggregate,
            ModeName::Pseudonymous => Self::Pseudonymous,
            ModeName::Full => Self::Full,
        }
    }
}

#[derive(Debug, Args)]
pub struct Privacy {
    /// The connection
    pub connection: ConnectionId,
    /// What is kept of people
    pub mode: ModeName,
    /// Erase for good what a mode that keeps less does not keep
    #[arg(long)]
    pub erase: bool,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

/// A status, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum StatusName {
    /// Done with everything that they are enrolled in
    Compliant,
    /// Not done with something
    #[value(alias = "not-compliant")]
    NotCompliant,
    /// Enrolled in nothing that counts
    #[value(alias = "not-enrolled")]
    NotEnrolled,
    /// It cannot be said
    Unknown,
}

impl From<StatusName> for PersonStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Compliant => Self::Compliant,
            StatusName::NotCompliant => Self::NotCompliant,
            StatusName::NotEnrolled => Self::NotEnrolled,
            StatusName::Unknown => Self::Unknown,
        }
    }
}

#[derive(Debug, Args)]
pub struct People {
    /// The connection
    pub connection: ConnectionId,
    /// Only people of this status
    #[arg(long, value_name = "STATUS")]
    pub status: Option<StatusName>,
    /// Open names and e-mail addresses, in the privacy mode full; that is kept, with the reason
    #[arg(long, requires = "reason")]
    pub names: bool,
    /// Why names are opened
    #[arg(long, value_name = "TEXT", requires = "names")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub who: Actor,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

/// Actor does what is kept.
#[derive(Debug, Args)]
pub struct Actor {
    /// Actor you are, as it is kept; your user name when it is not given
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
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
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Reset {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    pub person: String,
    /// Why, kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub who: Actor,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct CertificateOf {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    pub person: String,
    /// The file to write; it must not be there yet
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Of this assignment; the newest certificate when none is given
    #[arg(long, value_name = "ID", value_parser = assignment)]
    pub assignment: Option<SatId>,
    /// Why it is opened, kept for good
    #[arg(long, value_name = "TEXT", default_value = "exported by the command certificate")]
    pub reason: String,
    #[command(flatten)]
    pub who: Actor,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Erase {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    #[arg(required_unless_present = "everybody")]
    pub person: Option<String>,
    /// Everybody of the connection, with the key of what was sealed
    #[arg(long, conflicts_with = "person")]
    pub everybody: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct ProviderOf {
    /// The client
    pub client: ClientId,
    /// The connection that provides the client's security-awareness training; the present one is shown when none is given
    pub connection: Option<ConnectionId>,
    /// No connection does any more
    #[arg(long, conflicts_with = "connection")]
    pub none: bool,
    #[command(flatten)]
    pub who: Actor,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

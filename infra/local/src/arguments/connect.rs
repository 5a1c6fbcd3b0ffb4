//! The commands that save connections and their credentials.

use super::{Actor, Rules, StorageArgs, TrainingRules};
use clap::{Args, Subcommand, ValueEnum};
use common::domain::id::{ClientId, ConnectionId};
use common::domain::sat::id::SatId;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Connect {
    /// The endpoint API; key and secret from HUNTRESS_API_KEY and HUNTRESS_API_SECRET, or asked for
    Edr(ConnectEdr),
    /// The training API; client id and secret from HUNTRESS_SAT_CLIENT_ID and HUNTRESS_SAT_CLIENT_SECRET, or asked for
    Sat(ConnectSat),
}

#[derive(Debug, Args)]
pub struct ConnectEdr {
    /// Id of the connection
    #[arg(long, value_name = "ID", default_value = "edr")]
    pub id: ConnectionId,
    #[command(flatten)]
    pub mapping: MappingArguments,
    #[command(flatten)]
    pub rules: Rules,
    /// Give a connection that is there a new key; its other settings stay
    #[arg(
        long,
        conflicts_with_all = ["client", "map", "map_file", "ignore", "online_within_hours", "missing_after_days"]
    )]
    pub replace_key: bool,
    /// Save without testing the key first
    #[arg(long)]
    pub no_test: bool,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct ConnectSat {
    /// Id of the connection
    #[arg(long, value_name = "ID", default_value = "sat")]
    pub id: ConnectionId,
    /// The client whose training it is; the company's id when none is given
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// The account to measure; found by itself when the API client sees only one
    #[arg(long, value_name = "ID", value_parser = account)]
    pub account: Option<SatId>,
    #[command(flatten)]
    pub rules: TrainingRules,
    /// Give a connection that is there a new API client; its other settings stay
    #[arg(long)]
    pub replace_key: bool,
    /// Save without testing the API client first
    #[arg(long)]
    pub no_test: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

#[derive(Debug, Args)]
pub struct Disconnect {
    /// The connection
    pub connection: ConnectionId,
    #[command(flatten)]
    pub who: Actor,
    /// Print the connection as it was, as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
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

/// Where a deployed stack keeps credentials, as its parameter `Secrets` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretsName {
    /// In Secrets Manager, below SECRET_PREFIX
    Manager,
    /// In the table TABLE_NAME, sealed under the key CREDENTIAL_KEY_ID
    Sealed,
}

#[derive(Debug, Args)]
pub struct CopyCredentials {
    /// Where they are copied to, from the other place; SECRET_PREFIX, TABLE_NAME and CREDENTIAL_KEY_ID name both
    pub to: SecretsName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StorageArgs,
}

fn account(text: &str) -> Result<SatId, String> {
    SatId::parse(text).map_err(|error| error.to_string())
}

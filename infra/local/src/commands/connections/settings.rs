//! `settings`: changes limits and caps of a connection.

use super::said;
use crate::arguments::{ActorArgs, StorageArgs, end_or_never};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use clap::Args;
use common::app::connections::{ClientLimits, ExpiryChange, SettingsChange};
use common::app::stack::Stack;
use common::domain::id::{ClientId, ConnectionId};

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// An agent is online up to so many hours after its last call
    #[arg(long, value_name = "HOURS")]
    pub online_within_hours: Option<u32>,
    /// An agent is missing so many days after its last call
    #[arg(long, value_name = "DAYS")]
    pub missing_after_days: Option<u32>,
    /// Read at most so many assignments
    #[arg(long, value_name = "N")]
    pub max_assignments: Option<u64>,
    /// Read at most so many activity records of an assignment
    #[arg(long, value_name = "N")]
    pub max_activity: Option<u64>,
    /// Read at most so many phishing campaigns
    #[arg(long, value_name = "N")]
    pub max_campaigns: Option<u64>,
    /// Whether the training covers the tenant's privacy policies and procedures
    #[arg(long, value_name = "BOOL")]
    pub training_covers_privacy_policies: Option<bool>,
    /// Give this client limits of agent age of its own: --online-within-hours and --missing-after-days are for it alone then
    #[arg(long, value_name = "ID", conflicts_with_all = ["max_assignments", "max_activity", "max_campaigns", "training_covers_privacy_policies"])]
    pub client: Option<ClientId>,
    /// Give the client of --client the limits of all others again
    #[arg(long, requires = "client", conflicts_with_all = ["online_within_hours", "missing_after_days"])]
    pub as_others: bool,
    /// When the credential ends, as a day or a time with a zone; `never` where no end is known
    #[arg(long, value_name = "T", value_parser = end_or_never)]
    pub expires_at: Option<ExpiryChange>,
    /// The credential is good for so many days from when it was saved
    #[arg(long, value_name = "DAYS")]
    pub credential_valid_days: Option<u16>,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let own = ClientLimits {
        online_within_hours: options.online_within_hours,
        missing_after_days: options.missing_after_days,
    };
    if options.client.is_some() && !options.as_others && own == ClientLimits::default() {
        return Err(CliError::usage(
            "--client needs a limit: --online-within-hours, --missing-after-days or --as-others",
        ));
    }
    let limits = if options.client.is_some() { ClientLimits::default() } else { own };
    let own = (!options.as_others).then_some(own);
    let change = SettingsChange {
        online_within_hours: limits.online_within_hours,
        missing_after_days: limits.missing_after_days,
        clients: options.client.map(|client| (client, own)).into_iter().collect(),
        max_assignments: options.max_assignments,
        max_activity: options.max_activity,
        max_campaigns: options.max_campaigns,
        training_covers_privacy_policies: options.training_covers_privacy_policies,
        expires_at: options.expires_at,
        valid_days: options.credential_valid_days,
    };
    let (stack, _) = open(&options.storage).await?;
    let (company, id) = (&options.storage.company, &options.connection);
    let Ok(connections) = stack.parts.connections();
    let changed = connections.change_settings(company, id, change, None, &by(&options.actor)).await;
    let changed = changed.map_err(|error| faults::of_connection(error, id))?;
    stack.close().await;
    said(changed, options.json, "has the new settings from the next sync on")
}

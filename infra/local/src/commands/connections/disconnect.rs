//! `disconnect`: removes a connection and its credential.

use super::said;
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use clap::Args;
use common::app::connections::ConnectionError;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print the connection as it was, as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let (company, id) = (&options.storage.company, &options.connection);
    let Ok(connections) = stack.parts.connections();
    let removed = connections.disconnect(company, id, None, &by(&options.actor)).await.map_err(|error| match error {
        ConnectionError::Secret(error) => CliError::other(format!("the credential of {id} cannot be removed: {error}")),
        ConnectionError::KeepsPeople => CliError::other(format!(
            "{id} keeps people, who would be left behind; erase them first: huntress-evidence erase {id} --everybody"
        )),
        error => faults::of_connection(error, id),
    })?;
    stack.close().await;
    said(removed, options.json, "and its credential are removed; its runs and its evidence stay")
}

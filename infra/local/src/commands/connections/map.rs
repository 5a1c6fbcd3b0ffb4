//! `map`: changes which client each organization's evidence belongs to.

use super::{mapping, said};
use crate::arguments::{MappingArguments, StorageArgs};
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use clap::Args;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    #[command(flatten)]
    pub mapping: MappingArguments,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let mapping = mapping::read(&options.mapping, &options.storage.company)?;
    let (stack, _) = open(&options.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let mapped = connections.map(&options.storage.company, &options.connection, mapping, None, &somebody()).await;
    let mapped = mapped.map_err(|error| faults::of_connection(error, &options.connection))?;
    stack.close().await;
    said(mapped, options.json, "mapped; the next sync divides the evidence so")
}

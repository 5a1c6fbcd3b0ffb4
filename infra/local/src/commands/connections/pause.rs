//! `pause`: passes a connection over at the daily sync.

use super::said;
use crate::arguments::OfConnection;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use common::app::stack::Stack;

pub async fn run(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let changed = connections.pause(&options.storage.company, &options.connection, &somebody()).await;
    let changed = changed.map_err(|error| faults::of_connection(error, &options.connection))?;
    stack.close().await;
    said(changed, options.json, "paused")
}

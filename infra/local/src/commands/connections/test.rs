//! `test`: permission by permission.

use crate::arguments::OfConnection;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use crate::render;
use common::app::stack::Stack;
use common::domain::text::line;

pub async fn run(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let tested = connections.test_as(&options.storage.company, &options.connection, &somebody()).await;
    let report = tested.map_err(|error| faults::stored(error, &options.connection))?;
    stack.close().await;
    if options.json {
        render::json(&report)?;
    } else {
        let mut table = render::table(&["permission", "granted", "why not"]);
        for permission in &report.permissions {
            let why = permission.failure.as_ref().map_or(String::new(), |failure| line(&failure.message));
            table.add_row([permission.permission.as_str(), if permission.granted { "yes" } else { "no" }, &why]);
        }
        render::text(&format!("{table}\n"))?;
    }
    // The first permission that is missing ends the command.
    match report.permissions.into_iter().find_map(|permission| permission.failure) {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

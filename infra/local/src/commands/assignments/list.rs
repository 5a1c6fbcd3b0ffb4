//! `assignments`: those that can be selected.

use crate::arguments::OfConnection;
use crate::commands::{faults, open};
use crate::outcome::CliError;
use crate::render;
use common::api::views::AssignmentList;
use common::app::stack::Stack;

pub async fn run(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(connections) = stack.parts.connections();
    let listed = connections.assignments(&options.storage.company, &options.connection).await;
    let listed = listed.map_err(|error| faults::of_people(error, &options.connection))?;
    stack.close().await;
    if options.json {
        return render::json(&AssignmentList::from(listed));
    }
    render::text(&render::assignments(&listed.assignments, &listed.missing))
}

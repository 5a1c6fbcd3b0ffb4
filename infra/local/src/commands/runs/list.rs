//! `runs`: those of a connection, newest first.

use crate::arguments::OfConnection;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::RunList;
use common::app::stack::Stack;
use common::domain::text::line;

pub async fn run(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let (company, id) = (&options.storage.company, &options.connection);
    let (Ok(connections), Ok(planner)) = (stack.parts.connections(), stack.parts.planner());
    connections.get(company, id).await.map_err(|error| faults::stored(error, id))?;
    let runs = planner.runs(company, id, 50).await.map_err(|error| faults::stored(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&RunList::from(runs));
    }
    let mut table = render::table(&["run", "trigger", "status", "as of", "ended", "requests", "bundles", "failure"]);
    for run in &runs {
        table.add_row([
            run.id.to_string(),
            run.trigger.to_string(),
            run.status.to_string(),
            render::time_or_dash(run.as_of),
            render::time_or_dash(run.finished_at),
            run.api_calls.to_string(),
            run.bundles.to_string(),
            run.failure.as_ref().map_or(String::new(), |failure| line(&failure.message)),
        ]);
    }
    render::text(&format!("{table}\n"))
}

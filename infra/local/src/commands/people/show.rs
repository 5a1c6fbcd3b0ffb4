//! `person`: one of them, and what happened to them.

use crate::arguments::OfPerson;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::api::views::PersonHistory;
use common::app::stack::Stack;

pub async fn run(options: OfPerson) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let (company, id) = (&options.storage.company, &options.connection);
    let record = service.person(company, id, &options.person).await.map_err(|error| faults::of_people(error, id))?;
    let events = service.events(company, id, &record.person).await.map_err(|error| faults::of_people(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&PersonHistory::of(record, events));
    }
    render::text(&render::person(&record, &events))
}

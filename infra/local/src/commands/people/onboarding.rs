//! `onboarding`: what a page tells a person who has to be trained.

use crate::arguments::OfPerson;
use crate::commands::{faults, open_to_read};
use crate::outcome::CliError;
use crate::render;
use common::app::stack::Stack;

pub async fn run(options: OfPerson) -> Result<(), CliError> {
    let (stack, _) = open_to_read(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let prompt = service.onboarding(&options.storage.company, &options.connection, &options.person).await;
    let prompt = prompt.map_err(|error| faults::of_people(error, &options.connection))?;
    stack.close().await;
    if options.json {
        return render::json(&prompt);
    }
    render::text(&render::onboarding(&prompt))
}

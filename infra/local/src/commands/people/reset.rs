//! `reset`: puts a person back.

use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::PersonAnswer;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    pub person: String,
    /// Why, kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let (company, id) = (&options.storage.company, &options.connection);
    let reset = service.reset(company, id, &options.person, &by(&options.actor), &options.reason).await;
    let record = reset.map_err(|error| faults::of_people(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&PersonAnswer { person: record.into() });
    }
    render::text(&format!("{} is unknown until the next sync evaluates them by the source\n", record.person))
}

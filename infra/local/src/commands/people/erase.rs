//! `erase`: a person, or everybody of a connection.

use super::close;
use crate::arguments::StorageArgs;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// The person: the id that `people` shows, or the learner's id in Huntress
    #[arg(required_unless_present = "everybody")]
    pub person: Option<String>,
    /// Everybody of the connection, with the key of what was sealed
    #[arg(long, conflicts_with = "person")]
    pub everybody: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let (company, id) = (&options.storage.company, &options.connection);
    let erased = match &options.person {
        Some(person) => service.erase_person(company, id, person, &somebody()).await,
        None => service.erase_everybody(company, id, &somebody()).await,
    };
    erased.map_err(|error| faults::of_people(error, id))?;
    let connection = stack.parts.store.connection(company, id).await.map_err(|error| faults::stored(error, id))?;
    close(stack, true).await?;
    let whom = if options.everybody { "everybody of the connection is" } else { "the person is" };
    let next = match connection {
        Some(connection) if connection.people.is_on() => {
            "; whoever Huntress still lists is found again by the next sync, as somebody new"
        }
        _ => "",
    };
    render::text(&format!("{whom} erased, and the data file is compacted; the evidence stays{next}\n"))
}

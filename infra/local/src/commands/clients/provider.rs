//! `provider`: the connection that provides a client's training.

use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::api::views::ProviderAnswer;
use common::app::people::PeopleError;
use common::app::stack::Stack;
use common::domain::id::{ClientId, ConnectionId};

#[derive(Debug, Args)]
pub struct Options {
    /// The client
    pub client: ClientId,
    /// The connection that provides the client's security-awareness training; the present one is shown when none is given
    pub connection: Option<ConnectionId>,
    /// No connection does any more
    #[arg(long, conflicts_with = "connection")]
    pub none: bool,
    #[command(flatten)]
    pub actor: ActorArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// The table cannot be used.
fn unusable(error: PeopleError) -> CliError {
    match error {
        PeopleError::Store(error) => faults::unusable(&error),
        error => CliError::other(format!("the data file cannot be used: {error}")),
    }
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let (company, client) = (&options.storage.company, &options.client);
    let provider = match &options.connection {
        Some(id) => {
            let named = service.name_provider(company, client, id, &by(&options.actor)).await;
            Some(named.map_err(|error| faults::of_people(error, id))?)
        }
        None if options.none => {
            service.forget_provider(company, client, &by(&options.actor)).await.map_err(unusable)?;
            None
        }
        None => service.provider(company, client).await.map_err(unusable)?,
    };
    stack.close().await;
    if options.json {
        return render::json(&ProviderAnswer { client: client.clone(), provider });
    }
    render::text(&match provider {
        Some(provider) => format!(
            "the security-awareness training of {client} is provided by the connection {}, since {}\n",
            provider.connection,
            render::time(provider.since)
        ),
        None => format!("no connection is named as the provider of the security-awareness training of {client}\n"),
    })
}

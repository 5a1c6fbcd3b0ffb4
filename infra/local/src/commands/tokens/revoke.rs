//! `token revoke`: a token is good for nothing from now on.

use super::{Place, path, place, refused};
use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::by;
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::app::stack::Stack;
use common::domain::id::TokenName;

#[derive(Debug, Args)]
pub struct Options {
    /// The token
    pub name: TokenName,
    #[command(flatten)]
    pub actor: ActorArgs,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    match place(&options.storage).await? {
        Place::Serving(serving) => serving.delete(&format!("{}/{}", path(&options.storage), options.name)).await?,
        Place::Folder(stack) => {
            let Ok(tokens) = stack.parts.tokens();
            let revoked = tokens.revoke(&options.storage.company, &options.name, &by(&options.actor)).await;
            stack.close().await;
            revoked.map_err(refused)?;
        }
    }
    render::text(&format!("the token {} is good for nothing any more\n", options.name))
}

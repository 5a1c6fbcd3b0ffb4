//! Access tokens of this machine. While `serve` has the data folder, they go over its HTTP interface.

mod add;
mod list;
mod revoke;

use super::huntress;
use crate::arguments::StorageArgs;
use crate::outcome::CliError;
use crate::serving::Serving;
use crate::stack::{LocalStack, LocalStackError};
use clap::Subcommand;
use common::app::tokens::TokenError;
use common::clock::SystemClock;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; it is shown this once
    Add(add::Options),
    /// List the tokens: what each may do, until when, and when it was last used
    List(list::Options),
    /// Revoke a token
    Revoke(revoke::Options),
}

pub async fn run(command: Token) -> Result<(), CliError> {
    match command {
        Token::Add(options) => add::run(options).await,
        Token::List(options) => list::run(options).await,
        Token::Revoke(options) => revoke::run(options).await,
    }
}

/// Where the tokens are.
enum Place {
    Folder(Box<LocalStack>),
    Serving(Serving),
}

async fn place(storage: &StorageArgs) -> Result<Place, CliError> {
    if storage.aws {
        return Err(CliError::usage(
            "a deployed stack has no tokens of its own: they are the issuer's; see docs/access.md",
        ));
    }
    match LocalStack::open(&storage.data, huntress(Arc::new(SystemClock))?).await {
        Ok((stack, _)) => Ok(Place::Folder(Box::new(stack))),
        Err(error @ LocalStackError::InUse(_)) => {
            Serving::of(&storage.data).map(Place::Serving).ok_or_else(|| CliError::other(error.to_string()))
        }
        Err(error) => Err(CliError::other(error.to_string())),
    }
}

fn path(storage: &StorageArgs) -> String {
    format!("/v1/companies/{}/tokens", storage.company)
}

fn refused(error: TokenError) -> CliError {
    match error {
        TokenError::Store(error) => super::faults::unusable(&error),
        TokenError::Invalid(_) | TokenError::Exists(_) => CliError::usage(error.to_string()),
        error => CliError::other(error.to_string()),
    }
}

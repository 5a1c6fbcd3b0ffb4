//! `copy-credentials`: from where a deployed stack keeps credentials to where it is to keep them.

use crate::arguments::StorageArgs;
use crate::aws::Desk;
use crate::outcome::CliError;
use crate::render;
use clap::{Args, ValueEnum};
use common::aws::secrets::{Binding, SecretError};
use common::domain::text::counted;
use serde::Serialize;

/// Where a deployed stack keeps credentials, as its parameter `Secrets` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SecretsName {
    /// In Secrets Manager, below SECRET_PREFIX
    Manager,
    /// In the table TABLE_NAME, sealed under the key CREDENTIAL_KEY_ID
    Sealed,
}

#[derive(Debug, Args)]
pub struct Options {
    /// Where they are copied to, from the other place; SECRET_PREFIX, TABLE_NAME and CREDENTIAL_KEY_ID name both
    pub to: SecretsName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Connections by what became of their credentials.
#[derive(Serialize)]
struct Copied<'a> {
    copied: Vec<&'a str>,
    missing: Vec<&'a str>,
}

/// Copies each credential and reads the copy. What was there before stays, so that the stack finds its credentials before and after it is changed.
pub async fn run(options: Options) -> Result<(), CliError> {
    if !options.storage.aws {
        return Err(CliError::usage("copy-credentials is for a deployed stack; add --aws"));
    }
    let desk = Desk::find().await?;
    let aws = desk.aws();
    let (managed, sealed) = (aws.managed()?, aws.sealed()?);
    let (from, to) = match options.to {
        SecretsName::Manager => (sealed, managed),
        SecretsName::Sealed => (managed, sealed),
    };
    let company = &options.storage.company;
    let connections = aws.table()?.connections(company).await;
    let connections = connections.map_err(|error| CliError::other(format!("the table cannot be used: {error}")))?;
    let (mut copied, mut missing) = (Vec::new(), Vec::new());
    for connection in &connections {
        let id = &connection.id;
        let fault = |error: SecretError| {
            CliError::other(format!(
                "the credential of {id} cannot be copied: {error}; those before it are, and it is safe to repeat"
            ))
        };
        let binding = Binding { company, connection: id, product: connection.product };
        match from.get(binding).await {
            Ok(credential) => {
                to.put(binding, &credential).await.map_err(fault)?;
                to.get(binding).await.map_err(fault)?;
                copied.push(id.as_str());
            }
            Err(SecretError::Missing) => missing.push(id.as_str()),
            Err(error) => return Err(fault(error)),
        }
    }
    if options.json {
        return render::json(&Copied { copied, missing });
    }
    let left = match missing.as_slice() {
        [] => String::new(),
        ids => format!("; these have none to copy: {}", ids.join(", ")),
    };
    render::text(&format!("{} copied{left}\n", counted(copied.len(), "credential", "credentials")))
}

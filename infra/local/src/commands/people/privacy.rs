//! `privacy`: says what is kept of people.

use super::close;
use crate::arguments::StorageArgs;
use crate::commands::connections::said;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use clap::{Args, ValueEnum};
use common::app::people::{PeopleError, PrivacyChange};
use common::app::stack::Stack;
use common::domain::id::ConnectionId;
use common::domain::people::person::PrivacyMode;

/// What is kept of people, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Nothing but counts
    Aggregate,
    /// A keyed hash of the learner's id
    Pseudonymous,
    /// The hash, and name, e-mail and certificates, sealed
    Full,
}

impl From<ModeName> for PrivacyMode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Aggregate => Self::Aggregate,
            ModeName::Pseudonymous => Self::Pseudonymous,
            ModeName::Full => Self::Full,
        }
    }
}

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// What is kept of people
    pub mode: ModeName,
    /// Erase for good what a mode that keeps less does not keep
    #[arg(long)]
    pub erase: bool,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(service) = stack.parts.people();
    let mode = PrivacyMode::from(options.mode);
    let (company, id) = (&options.storage.company, &options.connection);
    let change = PrivacyChange { mode, erases: options.erase, if_revision: None };
    let set = service.set_mode(company, id, change, &somebody()).await;
    let connection = set.map_err(|error| match error {
        PeopleError::Refused(line) => CliError::usage(format!("{line} with --erase")),
        error => faults::of_people(error, &options.connection),
    })?;
    close(stack, options.erase).await?;
    let next = match connection.people.is_on() {
        true => "".to_owned(),
        false if mode == PrivacyMode::Aggregate => "; nobody is tracked".to_owned(),
        false => format!(
            "; nobody is tracked before assignments are selected: huntress-evidence assignments {}",
            connection.id
        ),
    };
    said(connection, options.json, &format!("is in the privacy mode {mode}{next}"))
}

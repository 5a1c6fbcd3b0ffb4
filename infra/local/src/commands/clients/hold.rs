//! `hold`: evidence that is not to end, whatever the retention says.

use crate::arguments::{ActorArgs, StorageArgs};
use crate::commands::{by, faults, open};
use crate::outcome::CliError;
use crate::render;
use clap::{Args, Subcommand};
use common::app::holds::{HoldError, Holds};
use common::clock::SystemClock;
use common::domain::hold::Hold;
use common::domain::id::ClientId;
use common::settings::environment;
use common::store::StoreError;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Keep evidence for as long as the hold is there
    Place(Change),
    /// Let evidence end again as EVIDENCE_RETENTION_DAYS says
    Release(Change),
    /// List the holds
    List(List),
}

#[derive(Debug, Args)]
pub struct Change {
    /// The client whose evidence it is about; everything of the company when none is given
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// Why, as the audit log keeps it
    #[arg(long)]
    pub reason: String,
    #[command(flatten)]
    pub actor: ActorArgs,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

#[derive(Serialize)]
struct Listed {
    holds: Vec<Hold>,
}

fn fault(error: HoldError) -> CliError {
    match error {
        HoldError::NotHeld => CliError::usage(format!("{error}; hold list shows what is held")),
        HoldError::Store(error @ StoreError::UnknownClient(_)) => CliError::usage(faults::unknown_client(&error)),
        HoldError::Store(error) => {
            CliError::other(format!("not everything was looked through: {error}; repeat the command"))
        }
    }
}

/// Whoever does not say when evidence of a deployed stack ends would release it to stay for ever.
fn check_retention(command: &HoldCommand) -> Result<(), CliError> {
    match command {
        HoldCommand::Release(it) if it.storage.aws && environment("EVIDENCE_RETENTION_DAYS").is_none() => {
            Err(CliError::usage(
                "EVIDENCE_RETENTION_DAYS is not set, so it is not known when what is released ends; set it to the stack's output EvidenceRetentionDays",
            ))
        }
        _ => Ok(()),
    }
}

pub async fn run(command: HoldCommand) -> Result<(), CliError> {
    check_retention(&command)?;
    let storage = match &command {
        HoldCommand::Place(it) | HoldCommand::Release(it) => &it.storage,
        HoldCommand::List(it) => &it.storage,
    };
    let (stack, _) = open(storage).await?;
    let holds = Holds { store: stack.parts.store.clone(), clock: Arc::new(SystemClock) };
    let company = &storage.company;
    let said = match &command {
        HoldCommand::Place(it) => {
            let placed = holds.place(company, it.client.as_ref(), &it.reason, &by(&it.actor)).await;
            placed.map(|records| format!("held; {records} records would have ended, and do not now\n"))
        }
        HoldCommand::Release(it) => {
            let released = holds.release(company, it.client.as_ref(), &it.reason, &by(&it.actor)).await;
            released.map(|records| format!("released; {records} records end as the retention says\n"))
        }
        HoldCommand::List(it) => {
            let listed = holds.list(company).await.map(|holds| Listed { holds });
            match listed {
                Ok(listed) if it.json => {
                    stack.close().await;
                    return render::json(&listed);
                }
                listed => listed.map(|listed| table(&listed.holds)),
            }
        }
    };
    stack.close().await;
    render::text(&said.map_err(fault)?)
}

fn table(holds: &[Hold]) -> String {
    if holds.is_empty() {
        return "nothing is held\n".to_owned();
    }
    let mut table = render::table(&["held", "since", "by", "reason"]);
    for hold in holds {
        let held = hold.client.as_ref().map_or("everything".to_owned(), ToString::to_string);
        table.add_row([held, render::time(hold.since), hold.by.clone(), hold.reason.clone()]);
    }
    format!("{table}\n")
}

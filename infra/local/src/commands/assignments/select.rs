//! `select`: selects the assignments that count.

use crate::arguments::{StorageArgs, sat_id};
use crate::commands::connections::said;
use crate::commands::{faults, open, somebody};
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::app::assignments::Choice;
use common::app::stack::Stack;
use common::domain::id::ConnectionId;
use common::domain::people::person::{MAX_RECERTIFY_DAYS, PrivacyMode};
use common::domain::people::selection::SelectedAssignments;
use common::domain::sat::id::SatId;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// The assignments that count from now on: in progress, completed or draft
    #[arg(value_name = "ASSIGNMENT", value_parser = sat_id)]
    pub assignments: Vec<SatId>,
    /// Nothing counts any more; who is known stays known
    #[arg(long, conflicts_with = "assignments")]
    pub none: bool,
    /// A compliant person must certify again after so many days; 0 for never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_RECERTIFY_DAYS)))]
    pub recertify_after_days: Option<u32>,
    /// Read at most so many activity records of an assignment, for the signals too
    #[arg(long, value_name = "N")]
    pub max_activity: Option<u64>,
    /// Print the connection as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let selected = match (options.assignments.is_empty(), options.none) {
        (false, _) => Some(options.assignments.into_iter().collect()),
        (true, true) => Some(SelectedAssignments::new()),
        (true, false) if options.recertify_after_days.is_some() || options.max_activity.is_some() => None,
        (true, false) => {
            return Err(CliError::usage(format!(
                "name the assignments, or say --none; see: huntress-evidence assignments {}",
                options.connection
            )));
        }
    };
    let recertify_after_days = options.recertify_after_days.map(|days| Some(days).filter(|days| *days > 0));
    let (stack, _) = open(&options.storage).await?;
    let choice = Choice { selected, recertify_after_days, max_activity: options.max_activity };
    let Ok(connections) = stack.parts.connections();
    let saved =
        connections.select_assignments(&options.storage.company, &options.connection, choice, None, &somebody()).await;
    let connection = saved.map_err(|error| faults::of_people(error, &options.connection))?;
    stack.close().await;
    let people = &connection.people;
    let next = match people.mode {
        _ if people.selected.is_empty() => "tracks nobody".to_owned(),
        PrivacyMode::Aggregate => format!(
            "has selected {}; nobody is tracked in the privacy mode aggregate: choose pseudonymous or full with huntress-evidence privacy {}",
            render::ids(&people.selected),
            connection.id
        ),
        mode => format!(
            "tracks people in {}, in the privacy mode {mode}, from the next sync on",
            render::ids(&people.selected)
        ),
    };
    said(connection, options.json, &next)
}

//! `redrive`: messages from the dead-letter queue back to the workers.

use crate::aws::Desk;
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::app::runs::redrive::{RedriveAction, Redriven, Redriver, Wanted};
use common::domain::id::CompanyId;
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Options {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Look at no more than so many messages
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,
    /// The deployed stack whose TABLE_NAME, QUEUE_URL and DEAD_LETTERS_URL the environment names; region and credentials are found as AWS's own tools find them
    #[arg(long)]
    pub aws: bool,
    /// Only messages of this company
    #[arg(long, value_name = "ID")]
    pub company: Option<CompanyId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    moved: usize,
    dropped: usize,
    left: usize,
    messages: &'a [Redriven],
}

pub async fn run(options: Options) -> Result<(), CliError> {
    if !options.aws {
        return Err(CliError::usage(
            "there are no dead letters on one machine: a run that could not be worked on stands in the table, and serve sends it again; --aws looks after a deployed stack",
        ));
    }
    let desk = Desk::find().await?;
    let aws = desk.aws();
    let redriver = Redriver { store: aws.table()?, dead_letters: aws.dead_letters()?, queue: aws.run_queue()? };
    let wanted = Wanted { company: options.company, most: options.max as usize, dry_run: options.dry_run };
    let mut all: Vec<Redriven> = Vec::new();
    let outcome = redriver.redrive(&wanted, |redriven| all.extend_from_slice(redriven)).await;
    // What was done is said also where the rest failed.
    let count = |done| all.iter().filter(|it| it.done == done).count();
    let (moved, dropped, left) =
        (count(RedriveAction::Moved), count(RedriveAction::Dropped), count(RedriveAction::Left));
    if options.json {
        render::json(&Report { dry_run: options.dry_run, moved, dropped, left, messages: &all })?;
    } else {
        render::text(&table(&all))?;
        let would = if options.dry_run { "would be " } else { "" };
        render::text(&format!(
            "{moved} {would}moved to the workers, {dropped} {would}dropped because their runs have ended, {left} left because they name no known run\n"
        ))?;
    }
    outcome.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        CliError::other(format!("not all messages were dealt with: {error}{cause}; begin again after five minutes"))
    })
}

fn table(all: &[Redriven]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut table = render::table(&["message", "sent", "company", "connection", "run", "status", "done"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for it in all {
        table.add_row([
            it.message_id.clone(),
            or_dash(it.sent_at.map(render::time)),
            or_dash(it.company.as_ref().map(ToString::to_string)),
            or_dash(it.connection.as_ref().map(ToString::to_string)),
            or_dash(it.run.as_ref().map(ToString::to_string)),
            or_dash(it.status.map(|status| status.to_string())),
            match it.done {
                RedriveAction::Moved => "moved",
                RedriveAction::Dropped => "dropped",
                RedriveAction::Left => "left",
            }
            .to_owned(),
        ]);
    }
    format!("{table}\n")
}

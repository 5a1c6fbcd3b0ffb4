//! `window`: what there is for each day and connection of a client, or why there is nothing.

use crate::arguments::{StorageArgs, instant};
use crate::commands::{decisions::day, faults, open};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use common::app::evidence::WindowError;
use common::app::stack::Stack;
use common::domain::calendar::DayRange;
use common::domain::id::ClientId;
use common::domain::window::{AuditWindow, WindowRow};
use common::pack::csv::Table;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Options {
    /// The client
    pub client: ClientId,
    /// The first day, in the schedule's zone
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: NaiveDate,
    /// The last day
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: NaiveDate,
    /// As it stood at this instant
    #[arg(long, value_name = "T", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long, conflicts_with = "html")]
    pub json: bool,
    /// Write the rows to a CSV file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write a page that prints
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let days = DayRange { from: options.from, to: options.to };
    let window = evidence.window(&options.storage.company, &options.client, days, options.as_of).await;
    let window = window.map_err(|error| match error {
        WindowError::Days(error) => CliError::usage(error.to_string()),
        WindowError::Evidence(error) => faults::of_evidence(error),
    })?;
    stack.close().await;
    let mut written = Vec::new();
    let files = [(options.csv, csv(&window)), (options.html, html(&options.client, &window).into_bytes())];
    for (file, content) in files {
        let Some(file) = file else { continue };
        std::fs::write(&file, content).map_err(|error| CliError::other(format!("{}: {error}", file.display())))?;
        written.push(format!("wrote {}\n", file.display()));
    }
    if options.json {
        return render::json(&window);
    }
    if !written.is_empty() {
        return render::text(&written.concat());
    }
    render::text(&(table(&window) + &totals(&window)))
}

/// The cells of a row, as they stand in every form.
fn cells(row: &WindowRow) -> [String; 9] {
    let word = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let failure = row.failure.as_ref();
    [
        row.day.to_string(),
        row.connection.to_string(),
        row.product.to_string(),
        row.as_of.map(render::time).unwrap_or_default(),
        row.run.as_ref().map(ToString::to_string).unwrap_or_default(),
        word(row.outcome.map(|outcome| outcome.as_str())),
        word(row.reason.map(|reason| reason.as_str())),
        word(failure.map(|failure| failure.code.as_str())),
        word(failure.and_then(|failure| failure.request.as_deref())),
    ]
}

const HEADER: [&str; 9] =
    ["day", "connection", "product", "as_of", "run", "outcome", "reason", "failure_code", "failure_request"];

fn csv(window: &AuditWindow) -> Vec<u8> {
    let mut table = Table::new(&HEADER);
    window.rows.iter().for_each(|row| table.row(&cells(row)));
    table.into_bytes()
}

fn html(client: &ClientId, window: &AuditWindow) -> String {
    let escape =
        |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let cell = |tag: &str, text: &str| format!("<{tag}>{}</{tag}>", escape(text));
    let head: String = HEADER.iter().map(|name| cell("th", name)).collect();
    let rows: String = window
        .rows
        .iter()
        .map(|row| format!("<tr>{}</tr>\n", cells(row).iter().map(|text| cell("td", text)).collect::<String>()))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>body{{font:14px sans-serif}}\
         table{{border-collapse:collapse}}td,th{{border:1px solid #999;padding:2px 6px;text-align:left}}</style>\n\
         <h1>{title}</h1>\n<p>{}</p>\n<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>\n</html>\n",
        escape(&totals(window)).replace('\n', "<br>"),
        title = escape(&format!("Evidence of {client}, {} to {}", window.from, window.to)),
    )
}

fn table(window: &AuditWindow) -> String {
    let mut table = render::table(&["day", "connection", "evidence of", "outcome", "without evidence because"]);
    for row in &window.rows {
        let because = row.reason.map_or_else(String::new, |reason| match &row.failure {
            Some(failure) => {
                let request = failure.request.as_ref().map(|request| format!(" ({request})")).unwrap_or_default();
                format!("{}: {}{request}", reason.meaning(), failure.code)
            }
            None => reason.meaning().to_owned(),
        });
        table.add_row([
            row.day.to_string(),
            row.connection.to_string(),
            row.as_of.map(render::time).unwrap_or_default(),
            row.outcome.map(|outcome| outcome.to_string()).unwrap_or_default(),
            because,
        ]);
    }
    format!("{table}\n")
}

fn totals(window: &AuditWindow) -> String {
    let totals = &window.totals;
    let covered = totals.covered.iter().map(|(connection, days)| format!("{connection} {days}"));
    let outcomes = totals.outcomes.iter().map(|(outcome, days)| format!("{outcome} {days}"));
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    format!(
        "{} days ({}) · with evidence: {} · outcomes: {} · longest gap {} days · {} days under an exception · policies: {} · {} days from before the log\n",
        totals.days,
        window.zone,
        list(covered.collect()),
        list(outcomes.collect()),
        totals.longest_gap_days,
        totals.exception_days,
        list(totals.policies.clone()),
        totals.unlogged_days,
    )
}

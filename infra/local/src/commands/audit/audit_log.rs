//! `audit-log`: who did what, oldest first.

use crate::arguments::{StorageArgs, instant};
use crate::commands::{faults, open};
use crate::outcome::CliError;
use crate::render;
use chrono::{DateTime, Utc};
use clap::Args;
use common::api::views::AuditList;
use common::app::evidence::AuditPage;
use common::app::stack::Stack;
use common::domain::id::ClientId;
use common::domain::time::Window;
use common::pack::csv::Table;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

#[derive(Debug, Args)]
pub struct Options {
    /// Only what is about this client, or done to a connection of it
    #[arg(long, value_name = "ID")]
    pub client: Option<ClientId>,
    /// From this instant on
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// Up to this instant
    #[arg(long, value_name = "T", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print a table as CSV (RFC 4180)
    #[arg(long)]
    pub csv: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Events that are asked for at once.
const PAGE: usize = 1_000;

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let Ok(evidence) = stack.parts.evidence();
    let span = Window { start: options.from.unwrap_or(Window::ALL.start), end: options.to.unwrap_or(Window::ALL.end) };
    let clients: Option<BTreeSet<ClientId>> = options.client.map(|client| [client].into());
    let mut all = AuditPage { events: Vec::new(), next_after: None };
    loop {
        let (company, after) = (&options.storage.company, all.next_after.take());
        let page = evidence.audit_log(company, clients.as_ref(), span, after.as_deref(), PAGE).await;
        let page = page.map_err(|error| faults::unusable(&error))?;
        all.events.extend(page.events);
        all.next_after = page.next_after;
        if all.next_after.is_none() {
            break;
        }
    }
    stack.close().await;
    if options.json {
        return render::json(&AuditList::from(all));
    }
    if options.csv {
        let bytes = csv(&AuditList::from(all));
        let written = std::io::stdout().lock().write_all(&bytes);
        return written.map_err(|error| CliError::other(format!("stdout cannot be written: {error}")));
    }
    let mut table = render::table(&["at", "who", "what", "to", "why"]);
    for event in &all.events {
        table.add_row([
            render::time(event.at),
            event.actor.clone(),
            event.action.to_string(),
            event.subject.clone(),
            event.reason.clone().unwrap_or_default(),
        ]);
    }
    render::text(&format!("{table}\n"))
}

const COLUMNS: [&str; 11] =
    ["at", "company", "actor", "actor_kind", "action", "subject", "connection", "client", "before", "after", "reason"];

fn csv(list: &AuditList) -> Vec<u8> {
    let mut table = Table::new(&COLUMNS);
    for event in &list.items {
        let event = serde_json::to_value(event).unwrap_or_default();
        table.row(&COLUMNS.map(|name| match event.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }));
    }
    table.into_bytes()
}

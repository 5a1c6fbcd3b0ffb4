//! `log`: what the evidence log of a connection has, and its checkpoint.

use super::evidence_log;
use crate::arguments::StorageArgs;
use crate::commands::open;
use crate::outcome::CliError;
use crate::render;
use clap::Args;
use common::app::log::{LogError, LogState};
use common::domain::id::ConnectionId;
use common::domain::log::LogId;
use common::domain::log::statement::{Event, Leaf, Statement};
use common::domain::text::counted;
use common::store::StoreError;
use serde::Serialize;

/// Arguments of `log`.
#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    connection: ConnectionId,
    /// Sign the log as it is now, and print the signed checkpoint alone
    #[arg(long)]
    checkpoint: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "checkpoint")]
    json: bool,
    #[command(flatten)]
    storage: StorageArgs,
}

#[derive(Serialize)]
struct LogView {
    size: u64,
    root: String,
    entries: Vec<Statement>,
    checkpoint: Option<String>,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    let (stack, _) = open(&options.storage).await?;
    let (company, connection) = (&options.storage.company, &options.connection);
    let id = LogId::of_connection(company, connection);
    let state = LogState::read(&stack.parts.store, &id).await;
    // What does not agree with itself is not signed.
    let signed = if options.checkpoint && state.is_ok() {
        evidence_log(&options.storage, &stack)?.sign(&id).await
    } else {
        Ok(None)
    };
    stack.close().await;
    let state = state.map_err(|error: StoreError| CliError::other(error.to_string()))?;
    let signed = signed.map_err(|error: LogError| CliError::other(error.to_string()))?;
    if state.head.size == 0 {
        return Err(CliError::other(format!(
            "the log of {connection} is empty: it begins with the first run that ends; see: huntress-evidence connections"
        )));
    }
    if let Some(signed) = signed {
        return render::text(&signed.note);
    }
    show(&options, state)
}

fn show(options: &Options, state: LogState) -> Result<(), CliError> {
    let entries: Result<Vec<Statement>, _> =
        state.leaves.iter().map(|leaf| Statement::parse(leaf.as_bytes())).collect();
    let entries = entries.map_err(|error| CliError::other(format!("a leaf of the log cannot be read: {error}")))?;
    let (size, root) = (state.head.size, state.head.root.to_string());
    if options.json {
        return render::json(&LogView { size, root, entries, checkpoint: state.checkpoint.map(|it| it.note) });
    }
    let mut table = render::table(&["leaf", "ended at", "what", "run"]);
    for (index, entry) in entries.iter().enumerate() {
        let what = match &entry.event {
            Event::Evidence(leaf) => format!("evidence, {}", counted(leaf.bundles, "bundle", "bundles")),
            Event::Failure(leaf) => format!("failure, {}", leaf.code),
            Event::Disconnected { .. } => "disconnected".to_owned(),
            Event::Reconnected { .. } => "reconnected".to_owned(),
        };
        let run = entry.run_id().map(ToString::to_string).unwrap_or_default();
        table.add_row([index.to_string(), entry.ended_at().to_rfc3339(), what, run]);
    }
    let signed = state.checkpoint.map_or("never signed".to_owned(), |it| format!("last signed at size {}", it.size));
    render::text(&format!("{table}\nsize {size}, root {root}; {signed}\n"))
}

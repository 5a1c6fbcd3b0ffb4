//! `sync`: a run in this process, or what it would ask.

use super::forecast;
use crate::arguments::StorageArgs;
use crate::commands::{faults, open, refuse_deployed, somebody};
use crate::outcome::{CliError, note};
use crate::stack::{LocalStack, OWNER};
use crate::{progress, render};
use chrono::TimeDelta;
use clap::Args;
use common::api::views::RunView;
use common::app::collection::worker::{Processed, WorkError};
use common::app::stack::Stack;
use common::aws::queue::RunMessage;
use common::domain::connection::Connection;
use common::domain::id::ConnectionId;
use common::domain::product::Product;
use common::domain::run::Run;
use common::domain::text::counted;
use std::sync::Arc;

#[derive(Debug, Args)]
pub struct Options {
    /// The connection
    pub connection: ConnectionId,
    /// Only say what it will ask of Huntress and how long it will take, going by the last run; nothing is asked or stored
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// How long a sync by hand may take.
const SYNC_TIME: TimeDelta = TimeDelta::hours(2);

pub async fn run(options: Options) -> Result<(), CliError> {
    if options.dry_run {
        return forecast::run(&options).await;
    }
    refuse_deployed(&options.storage, "sync")?;
    // The receiving end stays open: this process is the worker of the run that it asks for.
    let (stack, _queue) = open(&options.storage).await?;
    let (company, id) = (&options.storage.company, &options.connection);
    let Ok(planner) = stack.parts.planner();
    let asked =
        planner.sync_now_as(company, id, None, &somebody()).await.map_err(|error| faults::of_plan(error, id))?;
    let message = RunMessage { company: company.clone(), connection: id.clone(), run: asked.run.id.clone() };
    let run = work(&stack, &message).await?;
    let connection = stack.parts.store.connection(company, id).await.map_err(|error| faults::stored(error, id))?;
    let now = stack.parts.huntress.clock.now();
    stack.close().await;
    let run = run.ok_or_else(|| faults::no_connection(id))?;
    let expiry = connection.as_ref().and_then(|connection| connection.credential_term.expiry(now));
    if let Some(warning) = expiry.and_then(|expiry| expiry.warning(now)) {
        note(&format!("the credential of {id} {warning}; how to: huntress-evidence setup {id}"));
    }
    if let Some(failure) = run.failure {
        return Err(failure.into());
    }
    if options.json {
        return render::json(&RunView::from(run));
    }
    render::text(&format!(
        "run {} {}: {}, {}; see: {}\n",
        run.id,
        run.status,
        counted(run.api_calls, "request", "requests"),
        counted(run.bundles, "bundle", "bundles"),
        next_command(connection.as_ref())
    ))
}

/// The command that shows what a sync of this connection has brought.
fn next_command(connection: Option<&Connection>) -> String {
    match connection {
        Some(connection) if connection.product == Product::Sat => {
            let client = connection.mapping.clients().into_iter().next().map_or_else(String::new, ToString::to_string);
            format!("huntress-evidence signals {client}")
        }
        Some(connection) => format!("huntress-evidence metrics {}", connection.id),
        None => "huntress-evidence connections".to_owned(),
    }
}

/// Does a run in this process and gives its record.
async fn work(stack: &LocalStack, message: &RunMessage) -> Result<Option<Run>, CliError> {
    let Ok(worker) = stack.parts.worker();
    let connection = stack.parts.store.connection(&message.company, &message.connection).await;
    let connection = connection.map_err(|error| faults::stored(error, &message.connection))?;
    let limiter = stack.parts.limiters.of(&connection.ok_or_else(|| faults::no_connection(&message.connection))?);
    loop {
        let progress = Arc::default();
        let display = progress::show(&progress, &limiter, &stack.parts.huntress.clock);
        let processed = worker.process(message, OWNER, stack.parts.huntress.clock.now() + SYNC_TIME, progress).await;
        drop(display);
        match processed {
            // It goes on from its checkpoint, here or, should this process end, wherever it is taken up.
            Ok(Processed::Waiting { until }) => {
                tracing::info!(%until, "waiting for the request limit");
                let _shown = progress::waiting(until);
                stack.parts.huntress.clock.sleep_until(until).await;
            }
            Ok(_) => break,
            Err(WorkError::Store(error)) => return Err(faults::stored(error, &message.connection)),
            Err(error) => {
                return Err(CliError::other(format!("{error}; the run is kept, and goes on with the next sync")));
            }
        }
    }
    stack
        .parts
        .store
        .run(&message.company, &message.connection, &message.run)
        .await
        .map_err(|error| faults::stored(error, &message.connection))
}

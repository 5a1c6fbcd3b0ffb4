//! The stored life of a connection.

use super::{by, mapping, open};
use crate::arguments::{Disconnect, Listing, Map, OfConnection, StorageArgs, Sync};
use crate::outcome::CliError;
use crate::{progress, render};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::worker::{Processed, WorkError};
use common::app::connections::disconnect::{DisconnectError, disconnect as disconnected};
use common::aws::queue::RunMessage;
use common::domain::connection::Connection;
use common::domain::id::ConnectionId;
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::Run;
use common::domain::schedule::next_daily;
use common::huntress::connection_test::TestReport;
use common::store::{ConnectionChange, Scheduling, StoreError};
use huntress_evidence::stack::{LocalStack, OWNER};
use std::sync::Arc;

/// How long a sync by hand may take.
const SYNC_TIME: TimeDelta = TimeDelta::hours(2);

/// A fault of the table, with what it was about.
pub fn stored(error: StoreError, connection: &ConnectionId) -> CliError {
    match error {
        StoreError::NotFound { record: "connection" } => no_connection(connection),
        error => CliError::other(format!("the data file cannot be used: {error}")),
    }
}

pub(super) fn no_connection(connection: &ConnectionId) -> CliError {
    CliError::other(format!("there is no connection {connection}; see huntress-evidence connections"))
}

/// The first permission that is missing ends the command.
pub(super) fn refuse_failed(report: TestReport) -> Result<(), CliError> {
    match report.permissions.into_iter().find_map(|permission| permission.failure) {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

pub async fn map(options: Map) -> Result<(), CliError> {
    let mapping = mapping::read(&options.mapping, &options.place.company)?;
    let mapped = ConnectionChange { mapping: Some(mapping), ..Default::default() };
    let mapped = change(&options.place, &options.connection, mapped).await?;
    said(&mapped, options.json, "mapped; the next sync divides the evidence so")
}

pub async fn pause(options: OfConnection) -> Result<(), CliError> {
    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..Default::default() };
    let paused = change(&options.place, &options.connection, pause).await?;
    said(&paused, options.json, "paused")
}

pub async fn resume(options: OfConnection) -> Result<(), CliError> {
    let now = common::clock::Clock::now(&common::clock::SystemClock);
    let resume = Scheduling::Resume { next_run_at: next_daily(now) };
    let resume = ConnectionChange { scheduling: Some(resume), ..Default::default() };
    let resumed = change(&options.place, &options.connection, resume).await?;
    said(&resumed, options.json, "is synced daily again")
}

pub async fn disconnect(options: Disconnect) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let (by, now) = (by(&options.who), common::clock::Clock::now(&common::clock::SystemClock));
    let removed = disconnected(&stack.store, &stack.credentials, company, id, (&by, now)).await;
    let removed = removed.map_err(|error| match error {
        DisconnectError::Store(error) => stored(error, id),
        DisconnectError::Secret(error) => CliError::other(format!("the credential of {id} cannot be removed: {error}")),
        DisconnectError::KeepsPeople => CliError::other(format!(
            "{id} keeps people, who would be left behind; erase them first: huntress-evidence erase {id} --everybody"
        )),
    })?;
    stack.close().await;
    said(&removed, options.json, "and its credential are removed; its runs and its evidence stay")
}

async fn change(
    place: &StorageArgs,
    connection: &ConnectionId,
    change: ConnectionChange,
) -> Result<Connection, CliError> {
    let (stack, _) = open(place).await?;
    let changed = stack.store.change_connection(&place.company, connection, change).await;
    let changed = changed.map_err(|error| stored(error, connection))?;
    stack.close().await;
    Ok(changed)
}

/// The connection as JSON, or what became of it in words.
pub(super) fn said(connection: &Connection, json: bool, what: &str) -> Result<(), CliError> {
    if json {
        return render::json(&serde_json::json!({ "connection": connection }));
    }
    render::text(&format!("connection {} {what}\n", connection.id))
}

pub async fn list(options: Listing) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let connections = stack.store.connections(&options.place.company).await;
    let connections = connections.map_err(|error| CliError::other(format!("the data file cannot be used: {error}")))?;
    stack.close().await;
    if options.json {
        return render::json(&serde_json::json!({ "connections": connections }));
    }
    if connections.is_empty() {
        return render::text("no connections yet; begin with: huntress-evidence connect edr\n");
    }
    let mut table =
        render::table(&["connection", "product", "status", "clients", "last attempt", "last success", "next run"]);
    for connection in &connections {
        let clients = match &connection.mapping {
            Mapping::OneClient { client } => client.to_string(),
            mapping @ Mapping::ByOrganization { .. } => format!("{} clients", mapping.clients().len()),
        };
        let next = if connection.paused { "paused".to_owned() } else { time(connection.next_run_at) };
        table.add_row([
            connection.id.to_string(),
            connection.product.to_string(),
            connection.status.to_string(),
            clients,
            time(connection.last_attempt_at),
            time(connection.last_success_at),
            next,
        ]);
    }
    render::text(&format!("{table}\n"))
}

fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(|| "-".to_owned(), render::time)
}

pub async fn test(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let tested = stack.tester().test(&options.place.company, &options.connection).await;
    let report = tested.map_err(|error| stored(error, &options.connection))?;
    stack.close().await;
    if options.json {
        render::json(&report)?;
    } else {
        let mut table = render::table(&["permission", "granted", "why not"]);
        for permission in &report.permissions {
            let why = permission.failure.as_ref().map_or(String::new(), |failure| failure.message.clone());
            table.add_row([permission.permission.as_str(), if permission.granted { "yes" } else { "no" }, &why]);
        }
        render::text(&format!("{table}\n"))?;
    }
    refuse_failed(report)
}

pub async fn sync(options: Sync) -> Result<(), CliError> {
    super::refuse_deployed(&options.place, "sync")?;
    // The receiving end stays open: this process is the worker of the run that it asks for.
    let (stack, _queue) = open(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let asked = stack.planner().sync_now(company, id, None).await.map_err(|error| match error {
        common::app::runs::plan::PlanError::Store(error) => stored(error, id),
        error @ common::app::runs::plan::PlanError::Queue(_) => CliError::other(error.to_string()),
    })?;
    let message = RunMessage { company: company.clone(), connection: id.clone(), run: asked.run.id.clone() };
    let run = work(&stack, &message).await?;
    let connection = stack.store.connection(company, id).await.map_err(|error| stored(error, id))?;
    stack.close().await;
    let run = run.ok_or_else(|| no_connection(id))?;
    if let Some(failure) = run.failure {
        return Err(failure.into());
    }
    if options.json {
        return render::json(&run);
    }
    render::text(&format!(
        "run {} {}: {} requests, {} bundles; see: {}\n",
        run.id,
        run.status,
        run.api_calls,
        run.bundles,
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
    let worker = stack.worker();
    let connection = stack.store.connection(&message.company, &message.connection).await;
    let connection = connection.map_err(|error| stored(error, &message.connection))?;
    let budget = stack.budgets.of(&connection.ok_or_else(|| no_connection(&message.connection))?);
    loop {
        let progress = Arc::default();
        let display = progress::show(&progress, &budget, &stack.huntress.clock);
        let processed = worker.process(message, OWNER, stack.huntress.clock.now() + SYNC_TIME, progress).await;
        drop(display);
        match processed {
            // It goes on from its checkpoint, here or, should this process end, wherever it is taken up.
            Ok(Processed::Waiting { until }) => {
                tracing::info!(%until, "waiting for the request limit");
                let _shown = progress::waiting(until);
                stack.huntress.clock.sleep_until(until).await;
            }
            Ok(_) => break,
            Err(WorkError::Store(error)) => return Err(stored(error, &message.connection)),
            Err(error @ WorkError::Queue(_)) => return Err(CliError::other(error.to_string())),
        }
    }
    stack
        .store
        .run(&message.company, &message.connection, &message.run)
        .await
        .map_err(|error| stored(error, &message.connection))
}

pub async fn runs(options: OfConnection) -> Result<(), CliError> {
    let (stack, _) = open(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    stack.store.connection(company, id).await.map_err(|error| stored(error, id))?.ok_or_else(|| no_connection(id))?;
    let runs = stack.store.runs(company, id, 50).await.map_err(|error| stored(error, id))?;
    stack.close().await;
    if options.json {
        return render::json(&serde_json::json!({ "runs": runs }));
    }
    let mut table = render::table(&["run", "trigger", "status", "as of", "ended", "requests", "bundles", "failure"]);
    for run in &runs {
        table.add_row([
            run.id.to_string(),
            run.trigger.to_string(),
            run.status.to_string(),
            time(run.as_of),
            time(run.finished_at),
            run.api_calls.to_string(),
            run.bundles.to_string(),
            run.failure.as_ref().map_or(String::new(), |failure| failure.message.clone()),
        ]);
    }
    render::text(&format!("{table}\n"))
}

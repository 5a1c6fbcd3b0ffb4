//! The stored life of a connection.

use super::{collect, mapping, open};
use crate::arguments::{ConnectEdr, Listing, Map, OfConnection, Place};
use crate::outcome::Fault;
use crate::{progress, render};
use chrono::{DateTime, TimeDelta, Utc};
use common::domain::connection::{Connection, ConnectionStatus, Product};
use common::domain::edr::EdrSettings;
use common::domain::id::ConnectionId;
use common::domain::mapping::Mapping;
use common::domain::run::Run;
use common::domain::schedule::next_daily;
use common::huntress::edr::{EdrCredential, TestReport};
use common::huntress::limits::Budget;
use common::queue::RunMessage;
use common::secrets::{Binding, Credential};
use common::settings::environment;
use common::store::{ConnectionChange, Scheduling, StoreError};
use common::sync::test::TEST_TIME;
use huntress_evidence::stack::{OWNER, Stack};
use secrecy::SecretString;
use std::io::IsTerminal;
use std::sync::Arc;

/// How long a sync by hand may take.
const SYNC_TIME: TimeDelta = TimeDelta::hours(2);

/// A fault of the table, with what it was about.
pub fn stored(error: StoreError, connection: &ConnectionId) -> Fault {
    match error {
        StoreError::NotFound { record: "connection" } => no_connection(connection),
        error => Fault::other(format!("the data file cannot be used: {error}")),
    }
}

fn no_connection(connection: &ConnectionId) -> Fault {
    Fault::other(format!("there is no connection {connection}; see huntress-evidence connections"))
}

/// A secret from the environment, or from a prompt that does not show it.
fn secret(variable: &'static str, question: &str) -> Result<SecretString, Fault> {
    if let Some(value) = environment(variable) {
        return Ok(value.into());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Fault::usage(format!(
            "the environment variable {variable} is not set, and there is no terminal to ask on; set HUNTRESS_API_KEY and HUNTRESS_API_SECRET"
        )));
    }
    let typed = rpassword::prompt_password(format!("{question}: "))
        .map_err(|error| Fault::other(format!("the prompt failed: {error}")))?;
    if typed.trim().is_empty() {
        Err(Fault::usage(format!("no {question} was given")))
    } else {
        Ok(typed.trim().to_owned().into())
    }
}

pub async fn connect(options: ConnectEdr) -> Result<(), Fault> {
    let settings = collect::settings(&options.rules)?;
    let mapping = mapping::read(&options.mapping, &options.place.company)?;
    let (stack, _) = open(&options.place).await?;
    let company = &options.place.company;
    let known = stack.store.connection(company, &options.id).await.map_err(|error| stored(error, &options.id))?;
    match (&known, options.replace_key) {
        (Some(_), false) => {
            return Err(Fault::usage(format!(
                "there is a connection {} already; give it a new key with --replace-key, or choose another --id",
                options.id
            )));
        }
        (None, true) => return Err(no_connection(&options.id)),
        _ => {}
    }
    let credential = EdrCredential {
        key: secret("HUNTRESS_API_KEY", "API key")?,
        secret: secret("HUNTRESS_API_SECRET", "API secret")?,
    };
    if !options.no_test {
        let now = stack.huntress.clock.now();
        let report = stack.huntress.test_edr(&credential, Arc::new(Budget::per_minute(60)), now + TEST_TIME).await;
        refuse_failed(report)?;
    }
    let binding = Binding { company, connection: &options.id, product: Product::Edr };
    let put = stack.credentials.put(binding, &Credential::Edr(credential)).await;
    put.map_err(|error| Fault::other(format!("the credential cannot be saved: {error}")))?;
    let saved = match known {
        Some(known) => known,
        None => {
            let new = new_connection(&options, settings, mapping, stack.huntress.instant());
            stack.store.add_connection(&new).await.map_err(|error| stored(error, &options.id))?;
            new
        }
    };
    stack.close().await;
    let tested = if options.no_test { "saved without a test" } else { "tested and saved" };
    said(&saved, options.json, &format!("{tested}; next: huntress-evidence sync {}", options.id))
}

fn new_connection(options: &ConnectEdr, edr: EdrSettings, mapping: Mapping, now: DateTime<Utc>) -> Connection {
    Connection {
        company: options.place.company.clone(),
        id: options.id.clone(),
        product: Product::Edr,
        edr,
        mapping,
        paused: false,
        status: ConnectionStatus::New,
        created_at: now,
        last_attempt_at: None,
        last_success_at: None,
        next_run_at: Some(next_daily(now)),
        last_failure: None,
        last_test: None,
    }
}

/// The first permission that is missing ends the command.
fn refuse_failed(report: TestReport) -> Result<(), Fault> {
    match report.permissions.into_iter().find_map(|permission| permission.failure) {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

pub async fn map(options: Map) -> Result<(), Fault> {
    let mapping = mapping::read(&options.mapping, &options.place.company)?;
    let mapped = ConnectionChange { mapping: Some(mapping), ..Default::default() };
    let mapped = change(&options.place, &options.connection, mapped).await?;
    said(&mapped, options.json, "mapped; the next sync divides the evidence so")
}

pub async fn pause(options: OfConnection) -> Result<(), Fault> {
    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..Default::default() };
    let paused = change(&options.place, &options.connection, pause).await?;
    said(&paused, options.json, "paused")
}

pub async fn resume(options: OfConnection) -> Result<(), Fault> {
    let now = common::clock::Clock::now(&common::clock::SystemClock);
    let resume = Scheduling::Resume { next_run_at: next_daily(now) };
    let resume = ConnectionChange { scheduling: Some(resume), ..Default::default() };
    let resumed = change(&options.place, &options.connection, resume).await?;
    said(&resumed, options.json, "is synced daily again")
}

async fn change(place: &Place, connection: &ConnectionId, change: ConnectionChange) -> Result<Connection, Fault> {
    let (stack, _) = open(place).await?;
    let changed = stack.store.change_connection(&place.company, connection, change).await;
    let changed = changed.map_err(|error| stored(error, connection))?;
    stack.close().await;
    Ok(changed)
}

/// The connection as JSON, or what became of it in words.
fn said(connection: &Connection, json: bool, what: &str) -> Result<(), Fault> {
    if json {
        return render::json(&serde_json::json!({ "connection": connection }));
    }
    render::text(&format!("connection {} {what}\n", connection.id))
}

pub async fn list(options: Listing) -> Result<(), Fault> {
    let (stack, _) = open(&options.place).await?;
    let connections = stack.store.connections(&options.place.company).await;
    let connections = connections.map_err(|error| Fault::other(format!("the data file cannot be used: {error}")))?;
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

pub async fn test(options: OfConnection) -> Result<(), Fault> {
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

pub async fn sync(options: OfConnection) -> Result<(), Fault> {
    // The receiving end stays open: this process is the worker of the run that it asks for.
    let (stack, _queue) = open(&options.place).await?;
    let (company, id) = (&options.place.company, &options.connection);
    let asked = stack.planner().sync_now(company, id, None).await.map_err(|error| match error {
        common::sync::plan::PlanError::Store(error) => stored(error, id),
        error @ common::sync::plan::PlanError::Queue(_) => Fault::other(error.to_string()),
    })?;
    let message = RunMessage { company: company.clone(), connection: id.clone(), run: asked.run.id.clone() };
    let run = work(&stack, &message).await?;
    stack.close().await;
    let run = run.ok_or_else(|| no_connection(id))?;
    if let Some(failure) = run.failure {
        return Err(failure.into());
    }
    if options.json {
        return render::json(&run);
    }
    render::text(&format!(
        "run {} {}: {} requests, {} bundles; see: huntress-evidence metrics {id}\n",
        run.id, run.status, run.api_calls, run.bundles
    ))
}

/// Does a run in this process and gives its record.
async fn work(stack: &Stack, message: &RunMessage) -> Result<Option<Run>, Fault> {
    let worker = stack.worker();
    let budget = stack.budgets.of(&message.company, &message.connection);
    let progress = Arc::default();
    let display = progress::show(&progress, &budget, &stack.huntress.clock);
    let processed = worker.process(message, OWNER, stack.huntress.clock.now() + SYNC_TIME, progress).await;
    drop(display);
    processed.map_err(|error| stored(error, &message.connection))?;
    stack
        .store
        .run(&message.company, &message.connection, &message.run)
        .await
        .map_err(|error| stored(error, &message.connection))
}

pub async fn runs(options: OfConnection) -> Result<(), Fault> {
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

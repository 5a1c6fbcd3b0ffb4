//! `serve`: scheduler, queue, worker and HTTP on one machine.

mod console;
mod token;

use super::{faults, open, refuse_deployed};
use crate::arguments::StorageArgs;
use crate::demo::{COMPANY, Demo};
use crate::outcome::CliError;
use crate::serving::Serving;
use crate::stack::LocalStack;
use crate::{checkpoints, dispatcher, scheduler};
use axum::Router;
use axum::middleware::from_fn_with_state;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use common::api::{Once, host, once, routes as table};
use common::app::packs::PackService;
use common::app::runs::plan::{PlanError, Planner};
use common::app::stack::Stack;
use common::aws::queue::{Queued, RunMessage};
use common::domain::id::CompanyId;
use common::domain::schedule::{DEFAULT_EXPRESSION, DEFAULT_ZONE, Schedule};
use common::store::StoreError;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use token::{LocalCaller, identify};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Args)]
pub struct Options {
    /// Loopback address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Runs that are worked on at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Minutes that the runs of the daily tick are spread over
    #[arg(long, value_name = "MINUTES", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=720))]
    pub jitter_minutes: u16,
    /// When connections are collected: cron(minutes hours day-of-month month day-of-week year), one of the two days as ?, or e.g. rate(12 hours)
    #[arg(long, value_name = "EXPRESSION", default_value = DEFAULT_EXPRESSION)]
    pub schedule: String,
    /// Time zone of the schedule, as the IANA database names it
    #[arg(long, value_name = "ZONE", default_value = DEFAULT_ZONE)]
    pub zone: String,
    /// Seconds after the end of a run in which another one cannot be asked for over HTTP
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub sync_cool_down: u32,
    /// Days that a pack which was asked for over HTTP can be fetched; it can be made again
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub pack_retention_days: u16,
    /// Seconds that runs may still take when the process is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub grace_seconds: u32,
    /// Serve the demonstration: a simulated account with ninety days of history, which is gone afterwards
    #[arg(long, conflicts_with_all = ["data", "aws", "company", "schedule", "zone"])]
    pub demo: bool,
    /// Open the console in the browser of this machine
    #[arg(long)]
    pub open: bool,
    #[command(flatten)]
    pub storage: StorageArgs,
}

pub async fn run(options: Options) -> Result<(), CliError> {
    if !options.demo {
        return serve(options, None).await;
    }
    let failed = |error| CliError::other(format!("the demonstration failed: {error}"));
    crate::render::text("making the ninety days of the demonstration takes some seconds\n")?;
    let demo = Demo::start().await.map_err(failed)?;
    let company = CompanyId::parse(COMPANY).map_err(|error| CliError::other(error.to_string()))?;
    let (world, stack) = demo.split();
    let storage = StorageArgs { data: world.data().to_owned(), company, aws: false };
    serve(Options { storage, ..options }, Some(stack)).await?;
    world.end().await;
    Ok(())
}

async fn serve(options: Options, opened: Option<(LocalStack, UnboundedReceiver<Queued>)>) -> Result<(), CliError> {
    refuse_deployed(&options.storage, "serve")?;
    if !options.listen.ip().is_loopback() {
        return Err(CliError::usage("--listen must be a loopback address: there is no TLS here; put a proxy in front"));
    }
    let schedule =
        Schedule::parse(&options.schedule, &options.zone).map_err(|error| CliError::usage(error.to_string()))?;
    let (mut stack, queue) = match opened {
        Some(opened) => opened,
        None => open(&options.storage).await?,
    };
    stack.follow(schedule).await.map_err(|error| faults::unusable(&error))?;
    let token = token::of_folder(&options.storage.data)
        .map_err(|error| CliError::other(format!("the API token cannot be kept: {error}")))?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        CliError::other(format!(
            "{}: {error}; listen elsewhere with --listen, e.g. --listen 127.0.0.1:0",
            options.listen
        ))
    })?;
    let log = super::audit::evidence_log(&options.storage, &stack)?;
    let packs = super::audit::packs(&options.storage, &stack)?;
    let shelf = Arc::clone(&packs.shelf);
    let address = listener.local_addr().map_err(|error| CliError::other(error.to_string()))?;
    let address_file = Serving::announce(&options.storage.data, address)
        .map_err(|error| CliError::other(format!("the data folder cannot be written to: {error}")))?;
    stack.parts.oauth = super::oauth(Some(address), true)?;
    let stop = CancellationToken::new();
    let stack = Arc::new(stack);
    recover(&stack, &options.storage.company).await?;

    let Ok(tokens) = stack.parts.tokens();
    let company = options.storage.company.clone();
    let caller = LocalCaller { token: token.into(), company, tokens: Arc::new(tokens) };
    let console = console::console(&stack, super::audit::packs(&options.storage, &stack)?, address, caller.clone())?;
    let link = console::login_link(&console, &caller)?;
    let api = routes(&stack, packs, TimeDelta::seconds(options.sync_cool_down.into()));
    let keyed = Once { store: stack.parts.store.clone(), clock: Arc::clone(&stack.parts.huntress.clock) };
    let api = api.layer(from_fn_with_state(keyed, once)).layer(from_fn_with_state(caller, identify));
    let routes = console::beside(api, console.router());
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let http = tokio::spawn(served.into_future());
    let runs = TaskTracker::new();
    let dispatcher =
        dispatcher::run(Arc::clone(&stack), queue, usize::from(options.workers), runs.clone(), stop.clone());
    let dispatcher = tokio::spawn(dispatcher);
    let Ok(planner) = stack.parts.planner();
    let planner = Planner { jitter: TimeDelta::minutes(options.jitter_minutes.into()), ..planner };
    let scheduler = tokio::spawn(scheduler::run(planner, stop.clone()));
    let kept = checkpoints::Packs { shelf, kept: TimeDelta::days(options.pack_retention_days.into()) };
    let checkpoints = tokio::spawn(checkpoints::run(log, kept, options.storage.company.clone(), stop.clone()));
    tracing::info!(%address, company = %options.storage.company, "listening");
    crate::render::text(&format!(
        "listening on http://{address} · token in {}\nconsole: {link} (works once, within 5 minutes)\n",
        options.storage.data.join("api-token").display()
    ))?;
    if options.open && !console::open(&link) {
        crate::render::text("no browser could be started here; open the link above\n")?;
    }

    asked_to_stop().await;
    tracing::info!("stopping");
    stop.cancel();
    runs.close();
    // What is not done by then is taken up at the next start: it stands in the table.
    let grace = Duration::from_secs(u64::from(options.grace_seconds));
    // It may be gone with the folder.
    drop(std::fs::remove_file(address_file));
    drop(
        tokio::time::timeout(grace, async { tokio::join!(http, dispatcher, scheduler, checkpoints, runs.wait()) })
            .await,
    );
    if let Some(stack) = Arc::into_inner(stack) {
        // What was erased over HTTP leaves the data file's free pages now.
        if let Err(error) = stack.close_and_compact().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the data file was not compacted");
        }
    }
    Ok(())
}

/// The routes of all functions, in one process.
fn routes(stack: &LocalStack, packs: PackService, cool_down: TimeDelta) -> Router {
    let parts = &stack.parts;
    let (Ok(connections), Ok(planner)) = (parts.connections(), parts.planner());
    let (Ok(people), Ok(evidence), Ok(tokens)) = (parts.people(), parts.evidence(), parts.tokens());
    let Ok(decisions) = parts.decisions();
    let connections = Arc::new(connections);
    host(
        table::CONNECTION_TEST
            .router(Arc::clone(&connections))
            .merge(table::CONNECTIONS_API.router(connections))
            .merge(table::DECISIONS_API.router(Arc::new(decisions)))
            .merge(table::ON_DEMAND_SYNC.router(Arc::new(Planner { cool_down, ..planner })))
            .merge(table::PEOPLE_API.router(Arc::new(people)))
            .merge(table::EVIDENCE_API.router(Arc::new(evidence)))
            .merge(table::PACKS_API.router(Arc::new(packs)))
            .merge(table::TOKENS.router(Arc::new(tokens))),
    )
}

/// SIGTERM, or Ctrl-C.
async fn asked_to_stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::error!(%error, "no SIGTERM here; stop with Ctrl-C");
            drop(tokio::signal::ctrl_c().await);
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Puts the runs that an earlier process left back into the queue.
async fn recover(stack: &LocalStack, company: &CompanyId) -> Result<(), CliError> {
    let fault = |error: StoreError| faults::unusable(&error);
    let Ok(planner) = stack.parts.planner();
    // What has been lying for a day is not gone on with.
    planner.reconcile().await.map_err(|error| match error {
        PlanError::Store(error) => fault(error),
        error @ (PlanError::Queue(_) | PlanError::CoolingDown { .. }) => CliError::other(error.to_string()),
    })?;
    // Everything that is scheduled at all is due by then.
    let scheduled = stack.parts.store.due(DateTime::<Utc>::MAX_UTC).await.map_err(fault)?;
    let mut connections: BTreeSet<_> = scheduled.into_iter().map(|due| (due.company, due.connection)).collect();
    // A paused connection is not scheduled, but can have been synced on demand.
    let own = stack.parts.store.connections(company).await.map_err(fault)?;
    connections.extend(own.into_iter().map(|connection| (connection.company, connection.id)));
    for (company, connection) in connections {
        let active = stack.parts.store.active_run(&company, &connection).await.map_err(fault)?;
        let Some(active) = active else { continue };
        tracing::info!(%company, %connection, run = %active.run_id, "taking up a run");
        let message = RunMessage { company, connection, run: active.run_id };
        stack.send(&[Queued::now(message)]).await.map_err(|error| CliError::other(error.to_string()))?;
    }
    Ok(())
}

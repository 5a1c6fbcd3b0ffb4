//! `serve`: scheduler, queue, worker and HTTP on one machine.

use super::open;
use crate::arguments::Serve;
use crate::outcome::CliError;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use common::api::{Caller, Problem};
use common::app::runs::plan::{PlanError, Planner};
use common::aws::queue::{Queued, RunMessage};
use common::domain::id::CompanyId;
use huntress_evidence::stack::LocalStack;
use huntress_evidence::{dispatcher, scheduler};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub async fn run(options: Serve) -> Result<(), CliError> {
    super::refuse_deployed(&options.place, "serve")?;
    if !options.listen.ip().is_loopback() {
        return Err(CliError::usage("--listen must be a loopback address: there is no TLS here; put a proxy in front"));
    }
    let (stack, queue) = open(&options.place).await?;
    let token = token(&options.place.data)
        .map_err(|error| CliError::other(format!("the API token cannot be kept: {error}")))?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        CliError::other(format!(
            "{}: {error}; listen elsewhere with --listen, e.g. --listen 127.0.0.1:0",
            options.listen
        ))
    })?;
    let address = listener.local_addr().map_err(|error| CliError::other(error.to_string()))?;
    let stop = CancellationToken::new();
    let stack = Arc::new(stack);
    recover(&stack, &options.place.company).await?;

    let caller = LocalCaller { token: token.into(), company: options.place.company.clone() };
    let routes = on_demand_sync::router(Arc::new(stack.planner()))
        .merge(connection_test::router(Arc::new(stack.tester())))
        .merge(connection_test::assignments::router(Arc::new(stack.picker())))
        .merge(people_api::router(Arc::new(stack.desk())))
        .fallback(async || Problem::not_found("route"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(caller, identify));
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let http = tokio::spawn(served.into_future());
    let runs = TaskTracker::new();
    let dispatcher =
        dispatcher::run(Arc::clone(&stack), queue, usize::from(options.workers), runs.clone(), stop.clone());
    let dispatcher = tokio::spawn(dispatcher);
    let planner = Planner { jitter: TimeDelta::minutes(options.jitter_minutes.into()), ..stack.planner() };
    let scheduler = tokio::spawn(scheduler::run(planner, stop.clone()));
    tracing::info!(%address, company = %options.place.company, "listening");
    crate::render::text(&format!(
        "listening on http://{address} · token in {}\n",
        options.place.data.join("api-token").display()
    ))?;

    asked_to_stop().await;
    tracing::info!("stopping");
    stop.cancel();
    runs.close();
    // What is not done by then is taken up at the next start: it stands in the table.
    let grace = Duration::from_secs(u64::from(options.grace_seconds));
    drop(tokio::time::timeout(grace, async { tokio::join!(http, dispatcher, scheduler, runs.wait()) }).await);
    if let Some(stack) = Arc::into_inner(stack) {
        // What was erased over HTTP leaves the data file's free pages now.
        if let Err(error) = stack.close_and_compact().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the data file was not compacted");
        }
    }
    Ok(())
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
    let fault = |error: common::store::StoreError| CliError::other(format!("the data file cannot be used: {error}"));
    // What has been lying for a day is not gone on with.
    stack.planner().reconcile().await.map_err(|error| match error {
        PlanError::Store(error) => fault(error),
        error @ PlanError::Queue(_) => CliError::other(error.to_string()),
    })?;
    // Everything that is scheduled at all is due by then.
    let scheduled = stack.store.due(DateTime::<Utc>::MAX_UTC).await.map_err(fault)?;
    let mut connections: BTreeSet<_> = scheduled.into_iter().map(|due| (due.company, due.connection)).collect();
    // A paused connection is not scheduled, but can have been synced on demand.
    let own = stack.store.connections(company).await.map_err(fault)?;
    connections.extend(own.into_iter().map(|connection| (connection.company, connection.id)));
    for (company, connection) in connections {
        let active = stack.store.active_run(&company, &connection).await.map_err(fault)?;
        let Some(active) = active else { continue };
        tracing::info!(%company, %connection, run = %active.run_id, "taking up a run");
        let message = RunMessage { company, connection, run: active.run_id };
        stack.send(&[Queued::now(message)]).await.map_err(|error| CliError::other(error.to_string()))?;
    }
    Ok(())
}

/// The caller of this machine: who can read the token file.
#[derive(Clone)]
struct LocalCaller {
    token: Arc<str>,
    company: CompanyId,
}

async fn identify(State(local): State<LocalCaller>, mut request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let known = given.is_some_and(|given| {
        aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), local.token.as_bytes()).is_ok()
    });
    if known {
        request.extensions_mut().insert(Caller { company: local.company, subject: "local".to_owned() });
    }
    next.run(request).await
}

/// The token of the HTTP interface, made on first use and readable by its owner alone.
fn token(data: &Path) -> std::io::Result<String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("api-token");
    match std::fs::read_to_string(&path) {
        Ok(token) if token.trim().len() >= 32 => return Ok(token.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path)?.write_all(token.as_bytes())?;
    Ok(token)
}

//! `serve`: scheduler, queue, worker and HTTP on one machine.

use super::open;
use crate::arguments::Serve;
use crate::outcome::Fault;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use common::api::{Caller, Problem};
use common::domain::id::CompanyId;
use common::domain::schedule::{last_daily, next_daily};
use common::queue::{Queued, RunMessage};
use common::sync::work::Worker;
use common::telemetry::Telemetry;
use huntress_evidence::stack::{Stack, deliver, event};
use scheduled_sync::Tick;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a run may take here; nobody pays for waiting.
const RUN_TIME: TimeDelta = TimeDelta::hours(6);

/// A message whose run could not be brought to an end comes back after this.
const REDELIVERY: TimeDelta = TimeDelta::seconds(30);

pub async fn run(options: Serve) -> Result<(), Fault> {
    super::refuse_deployed(&options.place, "serve")?;
    if !options.listen.ip().is_loopback() {
        return Err(Fault::usage("--listen must be a loopback address: there is no TLS here; put a proxy in front"));
    }
    let (stack, queue) = open(&options.place).await?;
    let token =
        token(&options.place.data).map_err(|error| Fault::other(format!("the API token cannot be kept: {error}")))?;
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        Fault::other(format!("{}: {error}; listen elsewhere with --listen, e.g. --listen 127.0.0.1:0", options.listen))
    })?;
    let address = listener.local_addr().map_err(|error| Fault::other(error.to_string()))?;
    let stop = CancellationToken::new();
    let stack = Arc::new(stack);
    recover(&stack, &options.place.company).await?;

    let caller = LocalCaller { token: token.into(), company: options.place.company.clone() };
    let routes = on_demand_sync::router(Arc::new(stack.planner()))
        .merge(connection_test::router(Arc::new(stack.tester())))
        .fallback(async || Problem::not_found("route"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(caller, identify));
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let http = tokio::spawn(served.into_future());
    let runs = TaskTracker::new();
    let pump = tokio::spawn(pump(Arc::clone(&stack), queue, usize::from(options.workers), runs.clone(), stop.clone()));
    let scheduler = tokio::spawn(schedule(Arc::clone(&stack), stop.clone()));
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
    drop(tokio::time::timeout(grace, async { tokio::join!(http, pump, scheduler, runs.wait()) }).await);
    if let Some(stack) = Arc::into_inner(stack) {
        stack.close().await;
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
async fn recover(stack: &Stack, company: &CompanyId) -> Result<(), Fault> {
    let fault = |error: common::store::StoreError| Fault::other(format!("the data file cannot be used: {error}"));
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
        stack.send(&[message]).await.map_err(|error| Fault::other(error.to_string()))?;
    }
    Ok(())
}

/// Takes messages from the queue and works on so many at a time.
async fn pump(
    stack: Arc<Stack>,
    mut queue: UnboundedReceiver<Queued>,
    workers: usize,
    runs: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(workers));
    let at_work: AtWork = Arc::default();
    loop {
        let message = tokio::select! {
            () = stop.cancelled() => return,
            message = queue.recv() => message,
        };
        let Some(Queued { message, delay }) = message else { return };
        if delay > TimeDelta::zero() {
            let (stack, stop) = (Arc::clone(&stack), stop.clone());
            runs.spawn(async move {
                let due = stack.huntress.clock.now() + delay;
                tokio::select! {
                    // It stands in the table, and is taken up at the next start.
                    () = stop.cancelled() => {}
                    () = stack.huntress.clock.sleep_until(due) => drop(stack.send(&[message]).await),
                }
            });
            continue;
        }
        // All workers here have one name, so the lease does not tell them apart: a second message of a run would take it from the first.
        if !begin(&at_work, &message) {
            continue;
        }
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let worker: Worker = stack.worker();
        let stack = Arc::clone(&stack);
        let (stop, at_work) = (stop.clone(), Arc::clone(&at_work));
        runs.spawn(async move {
            let done = deliver(&worker, &message, RUN_TIME).await;
            drop(place);
            end(&at_work, &message);
            if !done {
                let again = stack.huntress.clock.now() + REDELIVERY;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = stack.huntress.clock.sleep_until(again) => drop(stack.send(&[message]).await),
                }
            }
        });
    }
}

/// The runs that this process is at, or has a worker wanted for.
type AtWork = Arc<Mutex<HashSet<RunMessage>>>;

/// False if the run is among them already.
fn begin(at_work: &AtWork, message: &RunMessage) -> bool {
    at_work.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone())
}

fn end(at_work: &AtWork, message: &RunMessage) {
    at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(message);
}

/// Plans the tick that was missed while nothing ran here, and then every one that comes.
async fn schedule(stack: Arc<Stack>, stop: CancellationToken) {
    let planner = stack.planner();
    let mut tick = last_daily(stack.huntress.clock.now());
    loop {
        let deadline = stack.huntress.clock.now() + TimeDelta::minutes(1);
        match scheduled_sync::handle(&planner, &Telemetry::none(), event(Tick { scheduled_at: tick }, deadline)).await {
            Ok(_) => tick = next_daily(tick),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, %tick, "the tick could not be planned; it is tried again")
            }
        }
        // In short steps, so that a machine that slept or changed its clock is not late by more than one of them.
        loop {
            let now = stack.huntress.clock.now();
            let step = now + TimeDelta::seconds(20);
            tokio::select! {
                () = stop.cancelled() => return,
                () = stack.huntress.clock.sleep_until(tick.clamp(now, step)) => {}
            }
            if stack.huntress.clock.now() >= tick {
                break;
            }
        }
    }
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

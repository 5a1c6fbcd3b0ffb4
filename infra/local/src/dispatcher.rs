//! The queue of one machine: who gets a message, and how often.

use crate::stack::{LocalStack, deliver};
use chrono::TimeDelta;
use common::app::stack::Stack;
use common::aws::queue::{MOST_DELIVERIES, Queued, RunMessage, returns_after};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a run may take here; nobody pays for waiting.
const RUN_TIME: TimeDelta = TimeDelta::hours(6);

/// Takes messages from the queue and works on so many at a time.
pub async fn run(
    stack: Arc<LocalStack>,
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
        let Some(queued) = message else { return };
        let Queued { message, delay, returned } = queued;
        if delay > TimeDelta::zero() {
            let queued = Queued { message, delay: TimeDelta::zero(), returned };
            runs.spawn(send_after(delay, queued, Arc::clone(&stack), stop.clone()));
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
        let Ok(worker) = stack.parts.worker();
        let stack = Arc::clone(&stack);
        let (stop, at_work) = (stop.clone(), Arc::clone(&at_work));
        runs.spawn(async move {
            let done = deliver(&worker, &message, RUN_TIME).await;
            drop(place);
            end(&at_work, &message);
            if done {
                return;
            }
            // As in the deployed queue. There are no dead letters here: the run stands in the table, where it is found again.
            if returned + 1 == MOST_DELIVERIES {
                tracing::error!(company = %message.company, connection = %message.connection, run = %message.run, "the run could not be worked on {MOST_DELIVERIES} times; it is left until runs without an end are looked after");
                return;
            }
            let queued = Queued { message, delay: TimeDelta::zero(), returned: returned + 1 };
            send_after(returns_after(returned + 1), queued, stack, stop).await;
        });
    }
}

/// Sends a message after a while.
async fn send_after(delay: TimeDelta, queued: Queued, stack: Arc<LocalStack>, stop: CancellationToken) {
    let due = stack.parts.huntress.clock.now() + delay;
    tokio::select! {
        // It stands in the table, and is taken up at the next start.
        () = stop.cancelled() => {}
        () = stack.parts.huntress.clock.sleep_until(due) => drop(stack.send(&[queued]).await),
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

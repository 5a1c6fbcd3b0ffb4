//! The queue of one machine, with messages that no worker can deal with.

use acceptance::clock::SteppingClock;
use acceptance::engine::{Engine, TABLE};
use chrono::TimeDelta;
use common::app::collection::collect::Huntress;
use common::aws::queue::{MOST_DELIVERIES, Queued, RunMessage};
use common::clock::Clock;
use common::domain::id::RunId;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::Store;
use huntress_evidence::dispatcher;
use huntress_evidence::stack::LocalStack;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Delivered as often as by the deployed queue, with its waits, and then left to whoever looks after runs without an end; with one worker, so that each would block the others.
#[tokio::test]
async fn a_message_that_cannot_be_dealt_with_comes_again_later_each_time_and_blocks_no_other() {
    let folder = TempDir::new().unwrap();
    let clock = SteppingClock::at(super::tick());
    let origins = Origins::read(&|_| None).unwrap();
    let huntress =
        Huntress { http: http_client(Timeouts::default()).unwrap(), clock: Arc::new(clock.clone()), origins };
    let (mut stack, queue) = LocalStack::open(folder.path(), huntress).await.unwrap();
    // A table that is not there: every taking of a run fails.
    let engine = Engine::memory().await;
    let (client, counted) = engine.client_counting();
    stack.parts.store = Store::new(client, TABLE);
    let message = |number: u32| RunMessage {
        company: super::company(),
        connection: super::connection(&format!("edr-{number}")),
        run: RunId::parse(format!("run-{number}")).unwrap(),
    };
    stack.send(&(0..3).map(message).map(Queued::now).collect::<Vec<_>>()).await.unwrap();
    let (stop, runs) = (CancellationToken::new(), TaskTracker::new());
    let pumping = tokio::spawn(dispatcher::run(Arc::new(stack), queue, 1, runs.clone(), stop.clone()));
    let mut asked = 0;
    let most = 3 * u64::from(MOST_DELIVERIES);
    while asked < most {
        tokio::task::yield_now().await;
        asked += counted.take().get("GetItem").copied().unwrap_or(0);
    }
    // Nothing comes again, while others are answered.
    for _ in 0..50 {
        engine.client().list_tables().send().await.unwrap();
    }
    assert_eq!((asked, counted.take()), (most, [].into()));
    stop.cancel();
    pumping.await.unwrap();
    runs.close();
    runs.wait().await;
    assert!(clock.now() >= super::tick() + TimeDelta::hours(2));
}

//! Many connections of many companies at once.

use crate::{acme, connection, request};
use acceptance::engine::{Engine, TABLE};
use acceptance::many::Many;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::app::runs::plan::Planned;
use common::domain::connection::ConnectionStatus;
use common::domain::failure::FailureCode;
use common::domain::run::RunStatus;
use common::store::{Store, StoreError};
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_connections_are_planned_run_and_committed_with_nothing_lost() {
    let connections = 120;
    let mut many = Many::with(connections).await;
    assert_eq!(many.plan().await, Planned { due: connections, new: connections, joined: 0, passed_over: 0 });
    let counts = many.counted.take();
    assert_eq!((counts["Query"], counts["TransactWriteItems"]), (16, 6));
    assert_eq!(counts.get("GetItem"), None);
    // And a tick that is repeated while the first messages are still in the queue.
    assert_eq!(many.plan().await.joined, connections);
    drop(many.counted.take());

    let worked = many.work(50).await;
    assert_eq!(worked.len(), 2 * connections, "every message was delivered");
    let done = worked.iter().filter(|it| matches!(it.processed, Processed::Succeeded { bundles: 2 }));
    assert_eq!(done.count(), connections);
    // The other message of each finds it done, or under way.
    let idle = worked.iter().filter(|it| matches!(it.processed, Processed::AlreadyFinished | Processed::Busy));
    assert_eq!(idle.count(), connections);
    let named: BTreeSet<_> = worked.iter().map(|it| (&it.message.company, &it.message.connection)).collect();
    assert_eq!(named.len(), connections);
    assert_eq!(many.simulator.requests().len(), 3 * connections, "each list once");
    many.assert_nothing_is_lost().await;
    // Everybody is done until the next tick; the one that came does nothing any more.
    let before = many.planner.clock.now() - TimeDelta::hours(1);
    assert_eq!(many.planner.tick(before).await.unwrap(), Planned::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_the_table_will_never_take_ends_its_run_with_a_code() {
    let mut many = Many::refused(1, "COMMIT#").await;
    many.plan().await;
    let worked = many.work(1).await;
    let Processed::Failed(failure) = &worked[0].processed else { panic!("{:?}", worked[0].processed) };
    assert_eq!(failure.code, FailureCode::NotStored);
    let message = &worked[0].message;
    let run = many.store.run(&message.company, &message.connection, &message.run).await.unwrap().unwrap();
    assert_eq!((run.status, run.failure.as_ref()), (RunStatus::Failed, Some(failure)));
    let connection = many.store.connection(&message.company, &message.connection).await.unwrap().unwrap();
    assert_eq!((connection.status, connection.last_failure.as_ref()), (ConnectionStatus::Error, Some(failure)));
    // The next one is a run of its own.
    assert_eq!(many.store.active_run(&message.company, &message.connection).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_table_refuses_is_told_from_what_it_has_no_capacity_for() {
    let engine = Engine::memory().await;
    engine.store().await;
    let store = Store::new(engine.client_refused("CONNECTION"), TABLE);
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    let refused = store.request_run(request(1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
    drop(engine);
    let unavailable = store.connections(&acme()).await.unwrap_err();
    assert!(matches!(unavailable, StoreError::Unavailable { .. }), "{unavailable:?}");
}

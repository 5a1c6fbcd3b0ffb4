//! Many connections of many companies at once.

use acceptance::many::Many;
use common::app::collection::worker::Processed;
use common::app::runs::plan::Planned;
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
    // Everybody is done until tomorrow.
    assert_eq!(many.plan().await, Planned::default());
}

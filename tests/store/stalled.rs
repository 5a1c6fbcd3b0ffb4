//! Runs that nobody is at: sent again, and ended in the end, but never under the hands of a worker.

use crate::*;
use acceptance::clock::SteppingClock;
use acceptance::engine::{Engine, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::app::runs::plan::Planner;
use common::app::runs::reconcile::Reconciled;
use common::aws::queue::{Queue, Queued, RunMessage};
use common::clock::Clock;
use common::domain::connection::ConnectionStatus;
use common::domain::run::RunStatus;
use common::domain::schedule::Schedule;
use common::store::StoreError;
use std::sync::Arc;
use tokio::sync::mpsc::{self, UnboundedReceiver};

struct World {
    clock: SteppingClock,
    store: Store,
    planner: Planner,
    messages: UnboundedReceiver<Queued>,
    engine: Engine,
}

impl World {
    async fn new() -> Self {
        let engine = Engine::memory().await;
        let store = engine.store().await;
        store.add_connection(&connection(&acme(), "main")).await.unwrap();
        let clock = SteppingClock::at(tick());
        let (sender, messages) = mpsc::unbounded_channel();
        let planner = Planner {
            store: store.clone(),
            queue: Arc::new(Queue::InProcess(sender)),
            clock: Arc::new(clock.clone()),
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            cool_down: chrono::TimeDelta::zero(),
        };
        Self { clock, store, planner, messages, engine }
    }

    /// What is done about the runs when it is so many minutes after the tick, and the runs whose messages were sent for that.
    async fn reconciled(&mut self, minutes: i64) -> (Reconciled, Vec<RunId>) {
        self.clock.sleep_until(later(minutes)).await;
        let reconciled = self.planner.reconcile().await.unwrap();
        let messages = std::iter::from_fn(|| self.messages.try_recv().ok()).map(|Queued { message, delay, .. }| {
            let RunMessage { company, connection, run } = message;
            assert_eq!((company, connection, delay), (acme(), main_connection(), TimeDelta::zero()));
            run
        });
        (reconciled, messages.collect())
    }
}

fn left() -> (Reconciled, Vec<RunId>) {
    (Reconciled { stalled: 1, resent: 0, abandoned: 0 }, vec![])
}

fn resent() -> (Reconciled, Vec<RunId>) {
    (Reconciled { stalled: 1, resent: 1, abandoned: 0 }, vec![run_id(1)])
}

fn abandoned() -> (Reconciled, Vec<RunId>) {
    (Reconciled { stalled: 1, resent: 0, abandoned: 1 }, vec![])
}

fn nothing() -> (Reconciled, Vec<RunId>) {
    (Reconciled::default(), vec![])
}

#[tokio::test]
async fn a_run_whose_message_is_lost_is_sent_again_hour_by_hour_and_ends_within_a_day() {
    let mut world = World::new().await;
    assert_eq!(world.reconciled(0).await, nothing());
    world.store.request_run(request(1)).await.unwrap();
    assert_eq!(world.reconciled(59).await, nothing());
    for minutes in [61, 122, 183] {
        assert_eq!(world.reconciled(minutes).await, resent());
        assert_eq!(world.reconciled(minutes + 60).await, left());
    }
    // No worker died of it: perhaps there are too few. It may still be done.
    assert_eq!(world.reconciled(23 * 60).await, left());
    assert_eq!(run(&world.store, 1).await.status, RunStatus::Queued);

    assert_eq!(world.reconciled(23 * 60 + 1).await, abandoned());
    let ended = run(&world.store, 1).await;
    assert_eq!((ended.status, ended.as_of, ended.finished_at), (RunStatus::Failed, None, Some(later(23 * 60 + 1))));
    assert_eq!(ended.failure.unwrap().code, FailureCode::Abandoned);
    let connection = stored_connection(&world.store).await;
    assert_eq!((connection.status, connection.last_attempt_at), (ConnectionStatus::Error, None));
    assert_eq!(connection.next_run_at, Some(Schedule::default().next_after(later(23 * 60 + 1))));
    assert_eq!(world.store.due(tick()).await.unwrap().len(), 1, "it stays due");
    assert_eq!(world.reconciled(3_000).await, nothing());
    // The next tick makes a run of its own, and the old message finds the old one over.
    assert!(world.store.request_run(request(2)).await.unwrap().new);
    assert!(matches!(take(&world.store, 1, "late", later(3_000)).await, LeaseOutcome::Finished(_)));
}

#[tokio::test]
async fn a_run_that_workers_die_of_is_given_up_and_the_last_evidence_stays() {
    let mut world = World::new().await;
    let good = started(&world.store, 1, later(-1_440)).await;
    world.store.commit(&good, ended(later(-1_439)), bundles(1, "good")).await.unwrap();
    world.store.request_run(request(2)).await.unwrap();
    for (attempt, minutes) in [0, 80, 160, 240].into_iter().enumerate() {
        // It dies at once; its lease is over after 15 minutes, and the message comes an hour after that.
        leased(&world.store, 2, &format!("worker {attempt}"), later(minutes)).await;
        assert_eq!(world.reconciled(minutes + 75).await, left());
        if minutes < 240 {
            let (reconciled, messages) = world.reconciled(minutes + 76).await;
            assert_eq!((reconciled.resent, messages), (1, vec![run_id(2)]));
        }
    }
    assert_eq!(world.reconciled(240 + 76).await, abandoned());
    let ended = run(&world.store, 2).await;
    assert_eq!((ended.status, ended.as_of), (RunStatus::Failed, Some(tick())));
    assert!(ended.failure.unwrap().message.contains("3 times"));
    assert_eq!(bodies(&latest(&world.store, &client("client-0")).await), ["good"]);
    assert_eq!(stored_connection(&world.store).await.last_success_at, Some(later(-1_439)));
}

#[tokio::test]
async fn a_run_in_parts_counts_anew_with_each_part() {
    let mut world = World::new().await;
    world.store.request_run(request(1)).await.unwrap();
    for part in 0..6 {
        let now = later(part * 200);
        leased(&world.store, 1, "dies", now).await;
        let (reconciled, _) = world.reconciled(part * 200 + 76).await;
        assert_eq!(reconciled.resent, 1, "part {part}");
        let lease = leased(&world.store, 1, "gets on", later(part * 200 + 77)).await;
        let suspension = common::store::Suspension {
            state: b"so far",
            continue_at: later(part * 200 + 190),
            api_calls: 1,
            now: later(part * 200 + 78),
        };
        world.store.suspend(&lease, suspension).await.unwrap();
        // Whoever waits is waited for.
        assert_eq!(world.reconciled(part * 200 + 189).await, left());
    }
    assert_eq!(run(&world.store, 1).await.status, RunStatus::Waiting);
}

#[tokio::test]
async fn a_worker_is_never_cut() {
    let mut world = World::new().await;
    world.store.request_run(request(1)).await.unwrap();
    let day = 24 * 60;
    let lease = leased(&world.store, 1, "slow", later(day)).await;
    // As old as it is, somebody is at it.
    assert_eq!(world.reconciled(day + 14).await, left());
    world.store.commit(&lease, ended(later(day + 14)), bundles(1, "slow")).await.unwrap();
    assert_eq!(run(&world.store, 1).await.status, RunStatus::Succeeded);
}

/// What a worker does between the reading of a run and its being given up.
#[tokio::test]
async fn what_a_worker_does_in_between_counts() {
    let store_with_dead_worker = async || {
        let world = World::new().await;
        world.store.request_run(request(1)).await.unwrap();
        let lease = leased(&world.store, 1, "thought dead", tick()).await;
        (world, lease)
    };
    let now = later(24 * 60 + 1);
    // It renews its lease.
    let (world, lease) = store_with_dead_worker().await;
    let found = world.store.stalled(&acme(), &main_connection()).await.unwrap().unwrap();
    world.store.renew(&lease, now, LEASE).await.unwrap();
    assert_eq!(world.store.seize(&found, "reconciler", now).await.unwrap(), None);
    assert!(!world.store.note_resent(&found, now).await.unwrap());
    world.store.commit(&lease, ended(now), bundles(1, "alive")).await.unwrap();
    // Another takes the run.
    let (world, _) = store_with_dead_worker().await;
    let found = world.store.stalled(&acme(), &main_connection()).await.unwrap().unwrap();
    let other = leased(&world.store, 1, "other", now).await;
    assert_eq!(world.store.seize(&found, "reconciler", now).await.unwrap(), None);
    world.store.commit(&other, ended(now), bundles(1, "alive")).await.unwrap();
    // It commits.
    let (world, lease) = store_with_dead_worker().await;
    let found = world.store.stalled(&acme(), &main_connection()).await.unwrap().unwrap();
    world.store.commit(&lease, ended(now), bundles(1, "alive")).await.unwrap();
    assert_eq!(world.store.seize(&found, "reconciler", now).await.unwrap(), None);
    assert!(!world.store.note_resent(&found, now).await.unwrap());
    assert_eq!(bodies(&latest(&world.store, &client("client-0")).await), ["alive"]);
    // It is too late: the run is seized, and what it writes is refused.
    let (world, lease) = store_with_dead_worker().await;
    let found = world.store.stalled(&acme(), &main_connection()).await.unwrap().unwrap();
    let seized = world.store.seize(&found, "reconciler", now).await.unwrap().unwrap();
    assert!(matches!(take(&world.store, 1, "other", now).await, LeaseOutcome::Held { .. }));
    for late in [
        world.store.commit(&lease, ended(now), bundles(1, "late")).await,
        world.store.fail(&lease, failed(now, FailureCode::TimedOut)).await,
        world.store.renew(&lease, now, LEASE).await.map(drop),
    ] {
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    }
    world.store.fail(&seized, failed(now, FailureCode::Abandoned)).await.unwrap();
    assert_eq!(run(&world.store, 1).await.failure.unwrap().code, FailureCode::Abandoned);
    assert_eq!(latest(&world.store, &client("client-0")).await, []);
}

#[tokio::test]
async fn a_commit_and_a_giving_up_at_the_same_moment_end_in_one_of_the_two() {
    for round in 0..20 {
        let world = World::new().await;
        world.store.request_run(request(1)).await.unwrap();
        let lease = leased(&world.store, 1, "worker", tick()).await;
        world.clock.sleep_until(later(24 * 60)).await;
        let store = world.store.clone();
        let committing =
            tokio::spawn(async move { store.commit(&lease, ended(later(24 * 60)), bundles(1, "in time")).await });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let reconciled = world.planner.reconcile().await.unwrap();
        let committed = committing.await.unwrap();
        let ended = run(&world.store, 1).await;
        let evidence = latest(&world.store, &client("client-0")).await;
        match committed {
            Ok(()) => {
                assert_eq!((ended.status, reconciled.abandoned, evidence.len()), (RunStatus::Succeeded, 0, 1));
                assert_eq!(ended.failure, None);
            }
            Err(StoreError::LeaseLost) => {
                assert_eq!((ended.status, reconciled.abandoned, evidence.len()), (RunStatus::Failed, 1, 0));
                assert_eq!(ended.failure.unwrap().code, FailureCode::Abandoned);
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(world.store.active_run(&acme(), &main_connection()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn who_gives_a_run_up_and_dies_leaves_it_to_the_next() {
    let mut world = World::new().await;
    world.store.request_run(request(1)).await.unwrap();
    let found = world.store.stalled(&acme(), &main_connection()).await.unwrap().unwrap();
    let day = 24 * 60;
    assert!(world.store.seize(&found, "reconciler", later(day)).await.unwrap().is_some());
    assert_eq!(world.reconciled(day).await, left());
    assert_eq!(world.reconciled(day + 1).await, abandoned());
}

#[tokio::test]
async fn runs_are_found_without_looking_at_those_that_ended_and_one_damaged_record_hides_no_other() {
    let mut world = World::new().await;
    for number in 0..30_u32 {
        let id = ConnectionId::parse(format!("edr-{number}")).unwrap();
        world.store.add_connection(&connection(&acme(), id.as_str())).await.unwrap();
        let asked = RunRequest { connection: id.clone(), ..request(number) };
        world.store.request_run(asked).await.unwrap();
        if number >= 3 {
            let taken = world.store.take(&acme(), &id, &run_id(number), "worker", tick(), LEASE).await.unwrap();
            let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
            world.store.commit(&lease, ended(later(1)), vec![]).await.unwrap();
        }
    }
    let (client, counted) = world.engine.client_counting();
    for store in [Store::new(client.clone(), TABLE), Store::new(client, TABLE).with_page_size(1)] {
        let mut found = store.active_since(later(60)).await.unwrap();
        found.sort();
        let ids: Vec<_> = found.iter().map(|key| key.connection.as_str()).collect();
        assert_eq!(ids, ["edr-0", "edr-1", "edr-2"]);
    }
    assert!(!counted.take().contains_key("Scan"));
    // One becomes unreadable.
    let key = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
    let pk = format!("CONNECTION#{}#edr-1", acme());
    let update = world.engine.client().update_item().table_name(TABLE);
    update
        .set_key(Some([key("pk", &pk), key("sk", "ACTIVE")].into()))
        .update_expression("SET #token = :none")
        .expression_attribute_names("#token", "token")
        .expression_attribute_values(":none", AttributeValue::S("none".to_owned()))
        .send()
        .await
        .unwrap();
    world.clock.sleep_until(later(61)).await;
    let reconciled = world.planner.reconcile().await.unwrap();
    assert_eq!(reconciled, Reconciled { stalled: 2, resent: 2, abandoned: 0 });
    let mut sent: Vec<_> =
        std::iter::from_fn(|| world.messages.try_recv().ok()).map(|queued| queued.message.connection).collect();
    sent.sort();
    assert_eq!(sent.iter().map(ConnectionId::as_str).collect::<Vec<_>>(), ["edr-0", "edr-2"]);
}

//! The tick over many connections: one run for each that is due, in few requests, spread over the window.

use crate::*;
use acceptance::clock::SteppingClock;
use acceptance::engine::{Counted, Engine, SENDS, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::app::runs::freshness::{Freshness, freshness};
use common::app::runs::plan::{Planned, Planner};
use common::aws::queue::{Queue, Queued};
use common::clock::Clock;
use common::domain::run::RunStatus;
use common::domain::schedule::{Schedule, jitter};
use common::store::{ConnectionChange, Scheduling};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc::{self, UnboundedReceiver};

struct World {
    clock: SteppingClock,
    /// What the preparations use.
    store: Store,
    planner: Planner,
    counted: Counted,
    messages: UnboundedReceiver<Queued>,
    engine: Engine,
}

impl World {
    /// With so many connections that are due at the tick, of three companies.
    async fn with(connections: usize) -> Self {
        let engine = Engine::memory().await;
        let store = engine.store().await;
        for number in 0..connections {
            store.add_connection(&connection(&company(number), &id(number))).await.unwrap();
        }
        let (client, counted) = engine.client_counting();
        let clock = SteppingClock::at(tick());
        let (sender, messages) = mpsc::unbounded_channel();
        let planner = Planner {
            store: Store::new(client, TABLE),
            queue: Arc::new(Queue::InProcess(sender)),
            clock: Arc::new(clock.clone()),
            jitter: TimeDelta::zero(),
            schedule: Default::default(),
            cool_down: chrono::TimeDelta::zero(),
        };
        Self { clock, store, planner, counted, messages, engine }
    }

    async fn tick(&self, at: DateTime<Utc>) -> Planned {
        self.planner.tick(at).await.unwrap()
    }

    fn sent(&mut self) -> Vec<Queued> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
    }

    async fn runs(&self, number: usize) -> Vec<Run> {
        self.store.runs(&company(number), &connection_id(number), 10).await.unwrap()
    }
}

fn company(number: usize) -> CompanyId {
    CompanyId::parse(format!("msp-{}", number % 3)).unwrap()
}

fn id(number: usize) -> String {
    format!("edr-{number}")
}

fn connection_id(number: usize) -> ConnectionId {
    ConnectionId::parse(id(number)).unwrap()
}

fn planned(due: usize, new: usize, joined: usize) -> Planned {
    Planned { due, new, joined, passed_over: 0 }
}

fn reads(counted: &Counted) -> u64 {
    let counts = counted.take();
    ["Query", "GetItem", "BatchGetItem", "Scan"].iter().filter_map(|operation| counts.get(*operation)).sum()
}

#[tokio::test]
async fn a_thousand_connections_are_planned_with_less_than_thirty_reads() {
    let mut world = World::with(1_000).await;
    assert_eq!(world.tick(tick()).await, planned(1_000, 1_000, 0));
    let counts = world.counted.take();
    assert_eq!(counts.get("write RUN"), Some(&1_000));
    // One query for each shard, one record of the tick, and 20 runs in a transaction.
    let requests = counts.iter().filter(|(what, _)| !what.starts_with("write "));
    let requests: Vec<_> = requests.map(|(what, count)| (what.as_str(), *count)).collect();
    assert_eq!(requests, [("PutItem", 1), ("Query", 16), ("TransactWriteItems", 50)]);
    let sent: BTreeSet<_> =
        world.sent().into_iter().map(|queued| (queued.message.company, queued.message.connection)).collect();
    assert_eq!(sent.len(), 1_000);

    assert_eq!(
        freshness(&world.planner.store, tick()).await.unwrap(),
        Freshness { scheduled: 1_000, stale: 0, refused: 0, expiring: 0 }
    );
    assert_eq!(reads(&world.counted), 16 + 10);

    // The tick again finds every run, and says so to the queue, which may not have heard it.
    assert_eq!(world.tick(tick()).await, planned(1_000, 0, 1_000));
    assert_eq!(world.sent().len(), 1_000);
    assert_eq!(world.runs(0).await.len(), 1);
    assert_eq!(world.runs(999).await.len(), 1);
}

#[tokio::test]
async fn who_does_not_fit_is_dealt_with_alone_and_leaves_the_others_their_runs() {
    let mut world = World::with(50).await;
    let of = |number: usize| (company(number), connection_id(number));
    // One has a run, one is paused behind the back of the index, one is gone, and one cannot be read.
    let there = RunRequest { company: company(3), connection: connection_id(3), ..request(3) };
    world.store.request_run(there).await.unwrap();
    let index = |number: usize| {
        let (pk, sk) = (format!("COMPANY#{}", company(number)), format!("CONNECTION#{}", id(number)));
        let key = [("pk".to_owned(), AttributeValue::S(pk)), ("sk".to_owned(), AttributeValue::S(sk))];
        world.engine.client().update_item().table_name(TABLE).set_key(Some(key.into()))
    };
    let paused =
        index(7).update_expression("SET paused = :yes").expression_attribute_values(":yes", AttributeValue::Bool(true));
    paused.send().await.unwrap();
    let later_release = index(11).update_expression("SET schema_version = :n");
    later_release.expression_attribute_values(":n", AttributeValue::N("99".to_owned())).send().await.unwrap();
    let gone = index(13).update_expression("REMOVE schema_version, #id").expression_attribute_names("#id", "id");
    gone.send().await.unwrap();

    let outcome = world.tick(tick()).await;
    assert_eq!(outcome, Planned { due: 50, new: 46, joined: 1, passed_over: 2 });
    let sent: BTreeSet<_> =
        world.sent().into_iter().map(|queued| (queued.message.company, queued.message.connection)).collect();
    assert_eq!(sent.len(), 47);
    for number in [7, 11, 13] {
        assert!(!sent.contains(&of(number)));
        assert_eq!(world.runs(number).await, []);
    }
    for number in [0, 3, 8, 12, 49] {
        assert!(sent.contains(&of(number)));
        assert_eq!(world.runs(number).await.len(), 1, "{number}");
    }
    // Those that cannot be read have no fresh evidence.
    let fresh = freshness(&world.planner.store, tick()).await.unwrap();
    assert_eq!(fresh, Freshness { scheduled: 50, stale: 2, refused: 0, expiring: 0 });
}

#[tokio::test]
async fn a_tick_whose_answers_are_lost_knows_its_own_runs() {
    let mut world = World::with(30).await;
    // The first transaction gives up unheard; each of its connections is asked for alone then.
    world.planner.store = Store::new(world.engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
    assert_eq!(world.tick(tick()).await, planned(30, 30, 0));
    assert_eq!(world.sent().len(), 30);
    for number in 0..30 {
        assert_eq!(world.runs(number).await.len(), 1);
    }
}

#[tokio::test]
async fn runs_of_a_tick_begin_spread_over_the_window() {
    let mut world = World::with(60).await;
    let window = TimeDelta::minutes(40);
    world.planner.jitter = window;
    world.clock.sleep_until(later(3)).await;
    assert_eq!(world.tick(tick()).await, planned(60, 60, 0));
    let mut delays = BTreeSet::new();
    let sent = world.sent();
    for Queued { message, delay, .. } in &sent {
        assert_eq!(*delay, jitter(&message.company, &message.connection, window));
        delays.insert(*delay);
        let take = async |at| {
            world.store.take(&message.company, &message.connection, &message.run, "worker", at, LEASE).await.unwrap()
        };
        let start = later(3) + *delay;
        let queued = world.store.run(&message.company, &message.connection, &message.run).await.unwrap().unwrap();
        assert_eq!((queued.status, queued.waiting_until), (RunStatus::Queued, Some(start)));
        // A queue that cannot keep a message back for so long delivers it early.
        assert_eq!(take(start - TimeDelta::seconds(2)).await, LeaseOutcome::NotDue { until: start });
        let LeaseOutcome::Acquired { run, lease } = take(start).await else { panic!("not taken") };
        assert_eq!((run.as_of, run.waiting_until), (Some(start), None));
        world.store.fail(&lease, failed(start, FailureCode::Unavailable)).await.unwrap();
    }
    assert!(delays.len() > 50 && delays.last().unwrap() > &TimeDelta::minutes(30), "{delays:?}");
    assert!(delays.first().unwrap() < &TimeDelta::minutes(10), "{delays:?}");

    // On the next day each has the same place.
    let tomorrow = Schedule::default().next_after(tick());
    world.clock.sleep_until(tomorrow).await;
    world.tick(tomorrow).await;
    let place = |sent: &[Queued]| -> BTreeSet<_> {
        sent.iter().map(|it| (it.message.company.clone(), it.message.connection.clone(), it.delay)).collect()
    };
    assert_eq!(place(&world.sent()), place(&sent));
}

#[tokio::test]
async fn who_asks_for_a_run_that_waits_for_its_turn_has_it_at_once() {
    let mut world = World::with(1).await;
    world.planner.jitter = TimeDelta::hours(12);
    world.tick(tick()).await;
    let delayed = world.sent().remove(0);
    assert!(delayed.delay > TimeDelta::minutes(1));

    let asked = world.planner.sync_now(&company(0), &connection_id(0), None).await.unwrap();
    assert!(asked.joined);
    assert_eq!((&asked.run.id, asked.run.waiting_until), (&delayed.message.run, None));
    assert_eq!(world.sent(), [Queued::now(delayed.message.clone())]);
    let take = async || {
        let run = &delayed.message.run;
        world.store.take(&company(0), &connection_id(0), run, "worker", later(1), LEASE).await.unwrap()
    };
    let LeaseOutcome::Acquired { lease, .. } = take().await else { panic!("not taken") };
    assert_eq!(lease.as_of(), later(1));
    world.store.commit(&lease, ended(later(1)), vec![]).await.unwrap();
    // The message of the tick finds it done.
    assert!(matches!(take().await, LeaseOutcome::Finished(_)));
    // But who waits for the vendor's limit is not hurried.
    let asked = world.planner.sync_now(&company(0), &connection_id(0), None).await.unwrap();
    let taken = world.store.take(&company(0), &connection_id(0), &asked.run.id, "worker", later(2), LEASE).await;
    let LeaseOutcome::Acquired { lease, .. } = taken.unwrap() else { panic!("not taken") };
    let suspension = common::store::Suspension { state: b"", continue_at: later(50), api_calls: 1, now: later(2) };
    world.store.suspend(&lease, suspension).await.unwrap();
    world.sent();
    let joined = world.planner.sync_now(&company(0), &connection_id(0), Some("key".to_owned())).await.unwrap();
    assert_eq!((joined.run.waiting_until, world.sent()), (Some(later(50)), vec![]));
}

#[tokio::test]
async fn days_that_were_missed_are_made_up_for_once() {
    let mut world = World::with(3).await;
    // Nobody ticked for three days; the clocks went forward in between.
    let mut tick = tick();
    for _ in 0..3 {
        tick = Schedule::default().next_after(tick);
    }
    world.clock.sleep_until(tick).await;
    assert_eq!(world.tick(tick).await, planned(3, 3, 0));
    for Queued { message, .. } in world.sent() {
        let taken = world.store.take(&message.company, &message.connection, &message.run, "w", tick, LEASE).await;
        let LeaseOutcome::Acquired { lease, .. } = taken.unwrap() else { panic!("not taken") };
        let ended = RunSuccess { next_run_at: Some(Schedule::default().next_after(tick)), ..ended(tick) };
        world.store.commit(&lease, ended, vec![]).await.unwrap();
    }
    // A trigger that was kept back for a day, and comes now, finds nothing due.
    for missed in [tick, tick - TimeDelta::days(1), tick - TimeDelta::days(2)] {
        assert_eq!(world.tick(missed).await, planned(0, 0, 0));
    }
    for number in 0..3 {
        assert_eq!(world.runs(number).await.len(), 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_passed_over_for_24_hours_and_a_paused_one_for_good() {
    let mut world = World::with(2).await;
    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..ConnectionChange::default() };
    world.store.change_connection(&company(1), &connection_id(1), pause).await.unwrap();
    assert_eq!(world.tick(tick()).await, planned(1, 1, 0));
    let message = world.sent().remove(0).message;
    let refused_at = later(3);
    let taken = world.store.take(&message.company, &message.connection, &message.run, "w", refused_at, LEASE).await;
    let LeaseOutcome::Acquired { lease, .. } = taken.unwrap() else { panic!("not taken") };
    world.store.fail(&lease, failed(refused_at, FailureCode::AuthFailed)).await.unwrap();
    // 07:00 of the next day is three minutes too early.
    let (next, after_next) = (
        Schedule::default().next_after(tick()),
        Schedule::default().next_after(Schedule::default().next_after(tick())),
    );
    assert!(next < refused_at + TimeDelta::hours(24));
    assert_eq!(world.tick(next).await, planned(0, 0, 0));
    assert_eq!(world.tick(after_next).await, planned(1, 1, 0));
    // A person is not made to wait; a success brings the daily tick back.
    assert_eq!(world.runs(1).await, []);
}

use crate::*;
use acceptance::engine::{Engine, SENDS, TABLE};
use common::domain::run::RunStatus;
use common::store::{ConnectionChange, MESSAGE_LOST_AFTER, REQUEST_KEPT, Scheduling, StoreError};

async fn prepared(engine: &Engine) -> Store {
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    store
}

fn keyed(number: u32, key: &str) -> RunRequest {
    RunRequest { request_key: Some(key.to_owned()), ..request(number) }
}

#[tokio::test]
async fn a_request_queues_a_run() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let requested = store.request_run(request(1)).await.unwrap();
    assert!(requested.new && requested.needs_message);
    assert_eq!(requested.run.status, RunStatus::Queued);
    assert_eq!(run(&store, 1).await, requested.run);
    let active = store.active_run(&acme(), &main_connection()).await.unwrap().unwrap();
    assert_eq!((active.run_id, active.token), (run_id(1), 0));
    // On demand does not move the daily tick.
    assert_eq!(stored_connection(&store).await.next_run_at, Some(tick()));
}

#[tokio::test]
async fn one_request_key_makes_one_run() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    // Any text, however long or odd.
    let key = format!("ARN#/~ \u{1F512}\n{}", "x".repeat(5_000));
    assert!(store.request_run(keyed(1, &key)).await.unwrap().new);
    let again = store.request_run(keyed(2, &key)).await.unwrap();
    assert_eq!((again.run.id, again.new), (run_id(1), false));
    assert!(again.needs_message, "who repeats a request may have died before sending");

    // Also when the run is over, and while another one is there.
    let lease = leased(&store, 1, "worker", tick()).await;
    store.commit(&lease, ended(later(1)), vec![]).await.unwrap();
    assert!(store.request_run(keyed(3, "another")).await.unwrap().new);
    let again = store.request_run(keyed(4, &key)).await.unwrap();
    assert_eq!((again.run.id, again.new, again.needs_message), (run_id(1), false, false));
    assert_eq!(again.run.status, RunStatus::Succeeded);

    // A key is forgotten after a week.
    let much_later = RunRequest { now: tick() + REQUEST_KEPT, ..keyed(5, &key) };
    assert_eq!(store.request_run(much_later).await.unwrap().run.id, run_id(3));
}

#[tokio::test]
async fn a_second_request_joins_the_run_that_is_there() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    store.request_run(request(1)).await.unwrap();
    let joined = store.request_run(keyed(2, "second")).await.unwrap();
    assert_eq!((joined.run.id, joined.new, joined.needs_message), (run_id(1), false, false));
    assert_eq!(store.runs(&acme(), &main_connection(), 10).await.unwrap().len(), 1);

    // The key of who joined points to that run for good.
    let lease = leased(&store, 1, "worker", tick()).await;
    store.fail(&lease, failed(later(1), FailureCode::Unavailable)).await.unwrap();
    assert_eq!(store.request_run(keyed(3, "second")).await.unwrap().run.id, run_id(1));
    assert!(store.request_run(request(4)).await.unwrap().new);
}

#[tokio::test]
async fn joining_heals_a_lost_message_and_a_dead_worker() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let joining = |now| RunRequest { now, ..request(2) };
    store.request_run(request(1)).await.unwrap();
    let waited = tick() + MESSAGE_LOST_AFTER;
    assert!(!store.request_run(joining(waited)).await.unwrap().needs_message);
    let longer = waited + TimeDelta::seconds(1);
    assert!(store.request_run(joining(longer)).await.unwrap().needs_message);

    let lease = leased(&store, 1, "worker", longer).await;
    let alive = lease.until() - TimeDelta::seconds(1);
    assert!(!store.request_run(joining(alive)).await.unwrap().needs_message);
    assert!(store.request_run(joining(lease.until())).await.unwrap().needs_message);
}

#[tokio::test]
async fn the_tick_moves_on_with_the_request() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let tomorrow = tick() + TimeDelta::days(1);
    let scheduled = RunRequest { trigger: Trigger::Schedule, next_run_at: Some(tomorrow), ..keyed(1, "tick") };
    assert!(store.request_run(scheduled.clone()).await.unwrap().new);
    assert_eq!(stored_connection(&store).await.next_run_at, Some(tomorrow));
    assert_eq!(store.due(tick()).await.unwrap(), []);
    assert_eq!(store.due(tomorrow).await.unwrap().len(), 1);

    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..ConnectionChange::default() };
    store.change_connection(&acme(), &main_connection(), pause).await.unwrap();
    let paused = RunRequest { request_key: Some("next tick".to_owned()), ..scheduled };
    let refused = store.request_run(paused).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.due(later(1_000_000)).await.unwrap(), []);
    // A person may still ask.
    assert_eq!(store.request_run(request(3)).await.unwrap().run.id, run_id(1));
}

#[tokio::test]
async fn there_is_no_run_without_a_connection() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let refused = store.request_run(request(1)).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert_eq!(store.runs(&acme(), &main_connection(), 10).await.unwrap(), []);
    assert_eq!(store.active_run(&acme(), &main_connection()).await.unwrap(), None);
}

#[tokio::test]
async fn a_request_recognises_its_own_run_after_a_lost_answer() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let deaf = Store::new(engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
    let unheard = deaf.request_run(request(1)).await;
    assert!(matches!(unheard, Err(StoreError::Unavailable { .. })), "{unheard:?}");
    let repeated = store.request_run(request(1)).await.unwrap();
    assert_eq!(repeated.run.id, run_id(1));
    assert!(repeated.new && repeated.needs_message);

    let deaf = Store::new(engine.client_losing(1, "TransactWriteItems"), TABLE);
    let lease = leased(&store, 1, "worker", tick()).await;
    store.commit(&lease, ended(later(1)), vec![]).await.unwrap();
    let requested = deaf.request_run(keyed(2, "key")).await.unwrap();
    assert!(requested.new && requested.needs_message);
}

#[tokio::test]
async fn many_at_once_make_one_run() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let asking: Vec<_> = (1..=20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.request_run(keyed(number, &format!("key {number}"))).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|answer| answer.new).count(), 1);
    assert!(answers.iter().all(|answer| answer.run.id == answers[0].run.id));
    assert_eq!(store.runs(&acme(), &main_connection(), 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    for number in 1..=5 {
        let lease = started(&store, number, later(number.into())).await;
        store.commit(&lease, ended(later(number.into())), vec![]).await.unwrap();
    }
    for store in [store.clone(), store.with_page_size(1)] {
        let newest = store.runs(&acme(), &main_connection(), 3).await.unwrap();
        let ids: Vec<_> = newest.into_iter().map(|run| run.id).collect();
        assert_eq!(ids, [run_id(5), run_id(4), run_id(3)]);
        assert_eq!(store.runs(&acme(), &main_connection(), 0).await.unwrap(), []);
        assert_eq!(store.runs(&acme(), &main_connection(), 9).await.unwrap().len(), 5);
    }
}

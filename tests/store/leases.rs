use crate::*;
use acceptance::engine::{Engine, SENDS, TABLE};
use common::domain::run::RunStatus;
use common::store::StoreError;

async fn queued(engine: &Engine) -> Store {
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    store.request_run(request(1)).await.unwrap();
    store
}

#[tokio::test]
async fn a_lease_of_a_clock_that_was_ahead_holds_nobody_off() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    let ahead = tick() + TimeDelta::days(200);
    // Asked for and begun by it.
    started(&store, 1, ahead).await;
    let taken = leased(&store, 1, "other", tick()).await;
    assert_eq!((taken.as_of(), taken.token()), (ahead, 2));
    store.fail(&taken, failed(tick(), FailureCode::ClockWrong)).await.unwrap();
    // So few minutes are still more than clocks differ by.
    started(&store, 3, tick() + TimeDelta::minutes(6)).await;
    let taken = leased(&store, 3, "other", tick()).await;
    store.fail(&taken, failed(tick(), FailureCode::ClockWrong)).await.unwrap();
    // Begun by the right one, and gone on with by it.
    let first = started(&store, 2, tick()).await;
    store.renew(&first, ahead, LEASE).await.unwrap();
    assert_eq!(leased(&store, 2, "other", later(1)).await.as_of(), tick());
    // A few minutes are no reason.
    let third = leased(&store, 2, "third", later(20)).await;
    assert!(matches!(take(&store, 2, "fourth", later(16)).await, LeaseOutcome::Held { .. }), "{third:?}");
}

#[tokio::test]
async fn taking_a_run_starts_it() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let now = later(1) + TimeDelta::microseconds(1_234_567);
    let LeaseOutcome::Acquired { lease, run: taken } = take(&store, 1, "worker", now).await else {
        panic!("not leased");
    };
    // Whole milliseconds, as in the keys.
    assert_eq!(lease.as_of(), later(1) + TimeDelta::milliseconds(1_234));
    assert_eq!((lease.token(), lease.until()), (1, now + LEASE));
    assert_eq!(taken.status, RunStatus::Running);
    assert_eq!(taken.as_of, Some(lease.as_of()));
    assert_eq!(run(&store, 1).await, taken);
    assert_eq!(stored_connection(&store).await.last_attempt_at, Some(lease.as_of()));
}

#[tokio::test]
async fn a_continuation_keeps_the_instant_of_the_first_start() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let first = leased(&store, 1, "first", later(1)).await;
    let second = leased(&store, 1, "second", later(100)).await;
    assert_eq!(second.as_of(), first.as_of());
    assert_eq!(run(&store, 1).await.as_of, Some(later(1)));
    assert_eq!(stored_connection(&store).await.last_attempt_at, Some(later(1)));
}

#[tokio::test]
async fn one_worker_at_a_time() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let first = leased(&store, 1, "first", later(0)).await;
    let until = first.until();
    assert_eq!(take(&store, 1, "second", later(14)).await, LeaseOutcome::Held { until });
    // The same worker may, after an answer that it did not hear.
    let again = leased(&store, 1, "first", later(1)).await;
    assert_eq!(again.token(), 2);

    let renewed = store.renew(&again, later(10), LEASE).await.unwrap();
    assert_eq!(renewed.until(), later(25));
    assert_eq!(take(&store, 1, "second", later(24)).await, LeaseOutcome::Held { until: later(25) });
    assert_eq!(leased(&store, 1, "second", later(25)).await.token(), 3);
    for lost in [&first, &again, &renewed] {
        let renewed = store.renew(lost, later(26), LEASE).await;
        assert!(matches!(renewed, Err(StoreError::LeaseLost)), "{renewed:?}");
    }
}

#[tokio::test]
async fn many_workers_at_once_get_one_lease() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let taking: Vec<_> = (0..20)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { take(&store, 1, &format!("worker {number}"), tick()).await })
        })
        .collect();
    let mut leases = 0;
    for taken in taking {
        match taken.await.unwrap() {
            LeaseOutcome::Acquired { lease, .. } => {
                leases += 1;
                assert_eq!(lease.token(), 1);
            }
            LeaseOutcome::Held { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(leases, 1);
}

#[tokio::test]
async fn a_run_that_is_over_cannot_be_taken() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let lease = leased(&store, 1, "worker", tick()).await;
    store.commit(&lease, ended(later(1)), vec![]).await.unwrap();
    store.request_run(request(2)).await.unwrap();
    let LeaseOutcome::Finished(over) = take(&store, 1, "worker", later(2)).await else {
        panic!("taken");
    };
    assert_eq!(over.status, RunStatus::Succeeded);

    let absent = run_id(9);
    let taken = store.take(&acme(), &main_connection(), &absent, "worker", tick(), LEASE).await;
    assert!(matches!(taken, Err(StoreError::NotFound { .. })), "{taken:?}");
}

#[tokio::test]
async fn taking_survives_lost_answers() {
    let engine = Engine::memory().await;
    let store = queued(&engine).await;
    let deaf = Store::new(engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
    let (company, connection, run) = (acme(), main_connection(), run_id(1));
    let unheard = deaf.take(&company, &connection, &run, "worker", tick(), LEASE).await;
    assert!(matches!(unheard, Err(StoreError::Unavailable { .. })), "{unheard:?}");
    let lease = leased(&store, 1, "worker", later(1)).await;
    assert_eq!((lease.token(), lease.as_of()), (2, tick()));
    store.commit(&lease, ended(later(2)), vec![]).await.unwrap();
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_is_refused() {
    for number in [3, 300] {
        let engine = Engine::memory().await;
        let store = queued(&engine).await;
        let slow = leased(&store, 1, "slow", tick()).await;
        // It got as far as writing evidence, for a client that the other worker does not know too.
        let mut of_slow = bundles(number, "slow");
        of_slow.push(bundle(client("slow-only"), "slow"));
        store.stage(&slow, &of_slow).await.unwrap();
        let quick = leased(&store, 1, "quick", slow.until()).await;

        let refused = store.commit(&slow, ended(later(16)), of_slow.clone()).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        let refused = store.fail(&slow, failed(later(16), FailureCode::TimedOut)).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        assert_eq!(run(&store, 1).await.status, RunStatus::Running);
        assert_eq!(latest(&store, &client("client-0")).await, []);

        store.commit(&quick, ended(later(17)), bundles(number, "quick")).await.unwrap();
        // And it is still writing when the other one is done.
        store.stage(&slow, &of_slow).await.unwrap();
        let refused = store.commit(&slow, ended(later(18)), of_slow).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        let refused = store.fail(&slow, failed(later(18), FailureCode::TimedOut)).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");

        assert_eq!(bodies(&latest(&store, &client("client-0")).await), ["quick"]);
        assert_eq!(bodies(&history(&store, &client("client-0")).await), ["quick"]);
        assert_eq!(latest(&store, &client("slow-only")).await, []);
        assert_eq!(history(&store, &client("slow-only")).await, []);
        assert_eq!(run(&store, 1).await.status, RunStatus::Succeeded);
        assert_eq!(stored_connection(&store).await.status, ConnectionStatus::Ok);
    }
}

use crate::*;
use acceptance::engine::{Engine, SENDS, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::domain::connection::AUTH_BACKOFF;
use common::domain::run::RunStatus;
use common::store::{BODY_LIMIT, ConnectionChange, Scheduling, StoreError, Suspension};

async fn prepared(engine: &Engine) -> Store {
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    store
}

/// How many pieces of evidence the table holds, visible or not.
async fn pieces(engine: &Engine) -> usize {
    let mut items = engine.client().scan().table_name(TABLE).into_paginator().items().send();
    let mut pieces = 0;
    while let Some(item) = items.try_next().await.unwrap() {
        pieces += usize::from(item.get("pk").unwrap().as_s().unwrap().starts_with("EVIDENCE#"));
    }
    pieces
}

#[tokio::test]
async fn a_commit_ends_the_run_and_shows_all_its_evidence() {
    for number in [1, 25, 26, 300] {
        let engine = Engine::memory().await;
        let store = prepared(&engine).await;
        let lease = started(&store, 1, tick()).await;
        let tomorrow = tick() + TimeDelta::days(1);
        let outcome = RunSuccess { next_run_at: Some(tomorrow), ..ended(later(3)) };
        store.commit(&lease, outcome.clone(), bundles(number, "{}")).await.unwrap();

        assert_eq!(pieces(&engine).await, number);
        for number in (0..number).step_by(29).chain([number - 1]) {
            let owner = client(&format!("client-{number}"));
            let visible = latest(&store, &owner).await;
            assert_eq!(bodies(&visible), ["{}"], "{owner:?}");
            assert_eq!(history(&store, &owner).await, visible);
        }
        let piece = latest(&store, &client("client-0")).await.remove(0);
        assert_eq!((piece.as_of, piece.committed_at), (tick(), later(3)));
        assert_eq!((piece.run_id, piece.connection), (run_id(1), main_connection()));
        assert_eq!(piece.sha256, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");

        let run = run(&store, 1).await;
        assert_eq!((run.status, run.bundles), (RunStatus::Succeeded, number as u64));
        assert_eq!((run.finished_at, run.api_calls), (Some(later(3)), 6));
        assert_eq!(run.records, outcome.records);
        let connection = stored_connection(&store).await;
        assert_eq!(connection.status, ConnectionStatus::Ok);
        assert_eq!((connection.last_success_at, connection.next_run_at), (Some(later(3)), Some(tomorrow)));
        assert_eq!(store.active_run(&acme(), &main_connection()).await.unwrap(), None);
        assert_eq!(store.due(later(3)).await.unwrap(), []);
        // At whatever tick is the next one.
        assert_eq!(store.due(later(4)).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn few_but_large_bundles_are_committed_too() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let body = "x".repeat(300_000);
    let number = 4_000_000 / body.len() + 10;
    store.commit(&lease, ended(later(1)), bundles(number, &body)).await.unwrap();
    let last = client(&format!("client-{}", number - 1));
    assert_eq!(bodies(&latest(&store, &last).await), [body.as_str()]);
}

/// A bundle of several records, whose pieces end in the middle of a character unless somebody looks.
fn large() -> String {
    format!("x{}", "ä€😀".repeat(170_000))
}

#[tokio::test]
async fn a_bundle_that_is_larger_than_a_record_is_kept_in_pieces_and_read_whole() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await.with_page_size(1);
    let body = large();
    assert!(body.len() > 3 * BODY_LIMIT);
    let exact = "y".repeat(BODY_LIMIT);
    let lease = started(&store, 1, tick()).await;
    let evidence =
        vec![bundle(client("large"), &*body), bundle(client("small"), "{}"), bundle(client("exact"), &*exact)];
    store.commit(&lease, ended(later(1)), evidence).await.unwrap();
    assert_eq!(pieces(&engine).await, 4 + 2);
    for (name, body) in [("large", &body), ("small", &"{}".to_owned()), ("exact", &exact)] {
        let visible = latest(&store, &client(name)).await;
        assert!(bodies(&visible) == [body.as_str()], "{name}");
        assert_eq!(history(&store, &client(name)).await, visible);
    }
    assert_eq!(run(&store, 1).await.bundles, 3);
}

#[tokio::test]
async fn pieces_without_their_commit_are_not_there_and_pieces_that_are_gone_are_missed() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let owner = client("client-0");
    let first = started(&store, 1, tick()).await;
    store.commit(&first, ended(later(1)), bundles(1, "good")).await.unwrap();
    let second = started(&store, 2, later(2)).await;
    store.stage(&second, &bundles(1, &large())).await.unwrap();
    assert_eq!(bodies(&latest(&store, &owner).await), ["good"]);
    assert_eq!(bodies(&history(&store, &owner).await), ["good"]);
    store.commit(&second, ended(later(3)), bundles(1, &large())).await.unwrap();
    assert!(bodies(&latest(&store, &owner).await) == [large().as_str()]);

    let key = format!("huntress-edr#main#2026-03-22T11:02:00.000Z#{}#1#000002", run_id(2));
    let delete = engine.client().delete_item().table_name(TABLE);
    delete
        .key("pk", AttributeValue::S("EVIDENCE#msp-acme#CLIENT#client-0#PIECES".to_owned()))
        .key("sk", AttributeValue::S(key))
        .condition_expression("attribute_exists(body)")
        .send()
        .await
        .unwrap();
    let refused = store.latest(&acme(), &owner).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_repeated_commit_changes_nothing() {
    for number in [2, 200] {
        let engine = Engine::memory().await;
        let store = prepared(&engine).await;
        let lease = started(&store, 1, tick()).await;
        // The first one is carried out, and no answer arrives.
        let deaf = Store::new(engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
        let unheard = deaf.commit(&lease, ended(later(1)), bundles(number, "first")).await;
        assert!(matches!(unheard, Err(StoreError::Unavailable { .. })), "{unheard:?}");
        let before = (run(&store, 1).await, stored_connection(&store).await);
        assert_eq!(before.0.status, RunStatus::Succeeded);

        // A later run is there by now.
        store.request_run(request(2)).await.unwrap();
        store.commit(&lease, ended(later(2)), bundles(number, "second")).await.unwrap();
        assert_eq!((run(&store, 1).await, stored_connection(&store).await), before);
        assert_eq!(bodies(&history(&store, &client("client-1")).await), ["first"]);
        let active = store.active_run(&acme(), &main_connection()).await.unwrap().unwrap();
        assert_eq!(active.run_id, run_id(2));
        // What has succeeded does not fail afterwards.
        let refused = store.fail(&lease, failed(later(3), FailureCode::Storage)).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
        assert_eq!((run(&store, 1).await, stored_connection(&store).await), before);
    }
}

#[tokio::test]
async fn a_repeated_failure_changes_nothing() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let deaf = Store::new(engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
    let unheard = deaf.fail(&lease, failed(later(1), FailureCode::Unavailable)).await;
    assert!(matches!(unheard, Err(StoreError::Unavailable { .. })), "{unheard:?}");
    let before = (run(&store, 1).await, stored_connection(&store).await);
    assert_eq!(before.0.status, RunStatus::Failed);
    store.fail(&lease, failed(later(2), FailureCode::Unavailable)).await.unwrap();
    assert_eq!((run(&store, 1).await, stored_connection(&store).await), before);
    // What has failed does not succeed afterwards.
    let refused = store.commit(&lease, ended(later(3)), bundles(1, "late")).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    assert_eq!(latest(&store, &client("client-0")).await, []);
}

#[tokio::test]
async fn a_repeated_suspension_changes_nothing() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let suspension = Suspension { state: b"so far", continue_at: later(5), api_calls: 1, now: later(1) };
    let deaf = Store::new(engine.client_losing(SENDS, "TransactWriteItems"), TABLE);
    let unheard = deaf.suspend(&lease, suspension).await;
    assert!(matches!(unheard, Err(StoreError::Unavailable { .. })), "{unheard:?}");
    let before = store.active_run(&acme(), &main_connection()).await.unwrap();
    store.suspend(&lease, suspension).await.unwrap();
    assert_eq!(store.active_run(&acme(), &main_connection()).await.unwrap(), before);
    // Who goes on finds it, and then it is too late for the one before.
    let next = leased(&store, 1, "another worker", later(5)).await;
    assert_eq!(store.checkpoint(&next).await.unwrap().as_deref(), Some(&b"so far"[..]));
    let late = store.suspend(&lease, suspension).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
    assert_eq!(store.checkpoint(&next).await.unwrap().as_deref(), Some(&b"so far"[..]));
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_evidence() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(1, "good")).await.unwrap();
    let good = latest(&store, &client("client-0")).await;

    let lease = started(&store, 2, later(10)).await;
    let failure = failed(later(11), FailureCode::Unavailable);
    store.fail(&lease, failure.clone()).await.unwrap();
    assert_eq!(latest(&store, &client("client-0")).await, good);
    let run = run(&store, 2).await;
    assert_eq!((run.status, run.bundles), (RunStatus::Failed, 0));
    assert_eq!((run.finished_at, run.api_calls), (Some(later(11)), 2));
    assert_eq!(run.failure, Some(failure.failure.clone()));
    let connection = stored_connection(&store).await;
    assert_eq!(connection.status, ConnectionStatus::Error);
    assert_eq!(connection.last_success_at, Some(later(1)));
    assert_eq!(connection.last_attempt_at, Some(later(10)));
    assert_eq!(connection.last_failure, Some(failure.failure));
    // The next tick tries again.
    assert_eq!(connection.next_run_at, Some(tick()));
    assert!(store.request_run(request(3)).await.unwrap().new);
}

#[tokio::test]
async fn an_auth_failure_waits_a_day_and_a_success_clears_it() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let failure = failed(later(5), FailureCode::AuthFailed);
    store.fail(&lease, failure).await.unwrap();
    assert_eq!(run(&store, 1).await.status, RunStatus::AuthFailed);
    let connection = stored_connection(&store).await;
    assert_eq!(connection.status, ConnectionStatus::AuthFailed);
    let again_at = later(5) + AUTH_BACKOFF;
    assert_eq!(connection.next_run_at, Some(again_at));
    assert_eq!(store.due(again_at - TimeDelta::milliseconds(1)).await.unwrap(), []);
    assert_eq!(store.due(again_at).await.unwrap().len(), 1);

    // On demand at once.
    let lease = started(&store, 2, later(6)).await;
    let tomorrow = tick() + TimeDelta::days(1);
    let outcome = RunSuccess { next_run_at: Some(tomorrow), ..ended(later(7)) };
    store.commit(&lease, outcome, vec![]).await.unwrap();
    let connection = stored_connection(&store).await;
    assert_eq!((connection.status, connection.last_failure), (ConnectionStatus::Ok, None));
    assert_eq!(connection.next_run_at, Some(tomorrow));
    assert_eq!(store.due(tomorrow).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_auth_failure_never_brings_the_next_run_forward() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let far = tick() + TimeDelta::days(3);
    let change =
        ConnectionChange { scheduling: Some(Scheduling::Resume { next_run_at: far }), ..ConnectionChange::default() };
    store.change_connection(&acme(), &main_connection(), change).await.unwrap();
    let lease = started(&store, 1, tick()).await;
    store.fail(&lease, failed(later(5), FailureCode::AuthFailed)).await.unwrap();
    assert_eq!(stored_connection(&store).await.next_run_at, Some(far));
}

#[tokio::test]
async fn a_connection_paused_during_its_run_stays_paused() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    for (number, fails) in [(1, true), (2, false)] {
        let lease = started(&store, number, tick()).await;
        let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..ConnectionChange::default() };
        store.change_connection(&acme(), &main_connection(), pause).await.unwrap();
        if fails {
            let failure = failed(later(1), FailureCode::AuthFailed);
            store.fail(&lease, failure).await.unwrap();
        } else {
            let outcome = RunSuccess { next_run_at: Some(later(9)), ..ended(later(1)) };
            store.commit(&lease, outcome, vec![]).await.unwrap();
        }
        let connection = stored_connection(&store).await;
        assert_eq!((connection.paused, connection.next_run_at), (true, None));
        assert_eq!(store.due(later(1_000_000)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_connection_removed_during_its_run_does_not_come_back() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let committing = started(&store, 1, tick()).await;
    store.remove_connection(&acme(), &main_connection(), later(1)).await.unwrap();
    store.commit(&committing, ended(later(1)), bundles(1, "last")).await.unwrap();
    assert_eq!(store.connections(&acme()).await.unwrap(), []);
    assert_eq!(bodies(&latest(&store, &client("client-0")).await), ["last"]);

    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    store.request_run(request(2)).await.unwrap();
    store.remove_connection(&acme(), &main_connection(), later(1)).await.unwrap();
    let failing = leased(&store, 2, "worker", later(2)).await;
    let failure = failed(later(3), FailureCode::CredentialMissing);
    store.fail(&failing, failure).await.unwrap();
    assert_eq!(store.connections(&acme()).await.unwrap(), []);
    assert_eq!(run(&store, 2).await.status, RunStatus::Failed);
}

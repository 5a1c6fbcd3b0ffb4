use crate::*;
use acceptance::engine::{Engine, TABLE};
use common::domain::connection::TestOutcome;
use common::domain::sat::id::SatId;
use common::store::{ConnectionChange, Scheduling, StoreError};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_connection_is_read_as_it_was_added() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let added = connection(&acme(), "main");
    store.add_connection(&added).await.unwrap();
    assert_eq!(stored_connection(&store).await, added);
    assert_eq!(store.connections(&acme()).await.unwrap(), [added]);

    let again = store.add_connection(&connection(&acme(), "main")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");

    store.remove_connection(&acme(), &main_connection(), later(1)).await.unwrap();
    assert_eq!(store.connection(&acme(), &main_connection()).await.unwrap(), None);
    assert_eq!(store.due(tick()).await.unwrap(), []);
}

#[tokio::test]
async fn adding_survives_a_lost_answer() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let deaf = Store::new(engine.client_losing(1, "PutItem"), TABLE);
    // The client repeats the request, and the table refuses the repetition because of the first one.
    deaf.add_connection(&connection(&acme(), "main")).await.unwrap();
    assert_eq!(store.connections(&acme()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_company_sees_its_own_connections_only() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let (acme, other) = (acme(), CompanyId::parse("msp-acme-2").unwrap());
    store.add_connection(&connection(&acme, "main")).await.unwrap();
    store.add_connection(&connection(&other, "second")).await.unwrap();
    assert_eq!(store.connections(&acme).await.unwrap(), [connection(&acme, "main")]);
    assert_eq!(store.connections(&other).await.unwrap(), [connection(&other, "second")]);
    assert_eq!(store.connection(&other, &main_connection()).await.unwrap(), None);

    let change = store.change_connection(&other, &main_connection(), ConnectionChange::default()).await;
    assert!(matches!(change, Err(StoreError::NotFound { .. })), "{change:?}");
}

#[tokio::test]
async fn a_change_touches_nothing_else() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    let mut expected = connection(&acme(), "main");
    store.add_connection(&expected).await.unwrap();
    let lease = started(&store, 1, tick()).await;
    store.fail(&lease, failed(later(1), FailureCode::Unavailable)).await.unwrap();
    expected.status = ConnectionStatus::Error;
    expected.last_attempt_at = Some(tick());
    expected.last_failure = Some(failed(later(1), FailureCode::Unavailable).failure);

    expected.mapping = Mapping::OneClient { client: ClientId::parse("client-one").unwrap() };
    let change = ConnectionChange { mapping: Some(expected.mapping.clone()), ..ConnectionChange::default() };
    let changed = store.change_connection(&acme(), &main_connection(), change).await;
    assert_eq!(changed.unwrap(), expected);

    let outcome = TestOutcome { tested_at: later(2), passed: true };
    store.record_test(&acme(), &main_connection(), &outcome, None, None).await.unwrap();
    expected.last_test = Some(outcome.clone());
    assert_eq!(stored_connection(&store).await, expected);
    let account = SatId::parse("5121").unwrap();
    store.record_test(&acme(), &main_connection(), &outcome, Some(account.clone()), None).await.unwrap();
    expected.account_id = Some(account);
    assert_eq!(stored_connection(&store).await, expected);

    // Neither brings a connection into being.
    let absent = ConnectionId::parse("absent").unwrap();
    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..ConnectionChange::default() };
    let paused = store.change_connection(&acme(), &absent, pause).await;
    assert!(matches!(paused, Err(StoreError::NotFound { .. })), "{paused:?}");
    let tested = store.record_test(&acme(), &absent, &outcome, None, None).await;
    assert!(matches!(tested, Err(StoreError::NotFound { .. })), "{tested:?}");
    assert_eq!(store.connections(&acme()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_paused_connection_is_not_in_the_index() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    let born_paused = Connection { paused: true, ..connection(&acme(), "second") };
    store.add_connection(&born_paused).await.unwrap();

    assert_eq!(store.due(tick() - TimeDelta::milliseconds(1)).await.unwrap(), []);
    let due = store.due(tick()).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((&due[0].company, &due[0].connection, due[0].due_at), (&acme(), &main_connection(), tick()));

    let set = |scheduling| ConnectionChange { scheduling: Some(scheduling), ..ConnectionChange::default() };
    let paused = store.change_connection(&acme(), &main_connection(), set(Scheduling::Pause)).await.unwrap();
    assert!(paused.paused);
    assert_eq!(paused.next_run_at, None);
    assert_eq!(store.due(later(1_000_000)).await.unwrap(), []);

    let resume = Scheduling::Resume { next_run_at: later(5) };
    let resumed = store.change_connection(&acme(), &main_connection(), set(resume)).await.unwrap();
    assert!(!resumed.paused);
    assert_eq!(resumed.next_run_at, Some(later(5)));
    assert_eq!(store.due(later(4)).await.unwrap(), []);
    assert_eq!(store.due(later(5)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn all_of_many_connections_are_found_over_many_pages() {
    let engine = Engine::memory().await;
    let store = engine.store().await.with_page_size(3);
    for number in 0..200 {
        let company = CompanyId::parse(format!("company-{}", number % 2)).unwrap();
        let added = connection(&company, &format!("connection-{number}"));
        store.add_connection(&added).await.unwrap();
    }
    let due = store.due(tick()).await.unwrap();
    let distinct: BTreeSet<_> = due.iter().map(|due| (&due.company, &due.connection)).collect();
    assert_eq!((due.len(), distinct.len()), (200, 200));
    let company = CompanyId::parse("company-1").unwrap();
    let listed = store.connections(&company).await.unwrap();
    assert_eq!(listed.len(), 100);
    assert!(listed.iter().all(|connection| connection.company == company));
}

#[tokio::test]
async fn a_table_in_a_file_outlives_its_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.db");
    let engine = Engine::file(&path).await;
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    drop(store);
    engine.stop().await;

    let engine = Engine::file(&path).await;
    // Creating it again changes nothing.
    let store = engine.store().await;
    assert_eq!(stored_connection(&store).await, connection(&acme(), "main"));
    assert_eq!(store.due(tick()).await.unwrap().len(), 1);
}

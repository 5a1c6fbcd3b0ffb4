//! Records of a later release, and records that are not whole: named, and left as they are.

use crate::*;
use acceptance::engine::{Engine, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::domain::connection::TestOutcome;
use common::domain::time::Window;
use common::store::{ConnectionChange, SCHEMA_VERSION, Scheduling, StoreError};
use std::collections::HashMap;
use std::fmt::Debug;

type Item = HashMap<String, AttributeValue>;

async fn all(engine: &Engine) -> Vec<Item> {
    let answer = engine.client().scan().table_name(TABLE).send().await.unwrap();
    answer.items.unwrap_or_default()
}

/// All but the evidence that no commit makes visible, which a refused commit leaves behind.
async fn seen(engine: &Engine) -> Vec<Item> {
    let items = all(engine).await;
    let begins = |item: &Item, name: &str, begin: &str| item[name].as_s().unwrap().starts_with(begin);
    let committed: Vec<_> =
        items.iter().filter(|it| begins(it, "sk", "COMMIT#")).map(|it| it["run_id"].clone()).collect();
    let visible = |it: &Item| !begins(it, "pk", "EVIDENCE#") || committed.contains(&it["run_id"]);
    items.into_iter().filter(visible).collect()
}

/// Changes the one record whose sort key begins so.
async fn alter(engine: &Engine, begin: &str, name: &str, value: AttributeValue) {
    let mut found: Vec<_> = all(engine)
        .await
        .into_iter()
        .filter(|item| item.get("sk").unwrap().as_s().unwrap().starts_with(begin))
        .collect();
    assert_eq!(found.len(), 1, "{begin}");
    let mut item = found.remove(0);
    item.insert(name.to_owned(), value);
    let put = engine.client().put_item().table_name(TABLE).set_item(Some(item));
    put.send().await.unwrap();
}

fn corrupt<T: Debug>(answer: Result<T, StoreError>, kind: &str) {
    match answer {
        Err(StoreError::Corrupt { record, .. }) => assert_eq!(record, kind),
        other => panic!("{kind}: {other:?}"),
    }
}

/// A table with a record of each kind: one run committed, one running.
async fn full(engine: &Engine) -> (Store, Lease) {
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(1, "{}")).await.unwrap();
    let keyed = RunRequest { request_key: Some("key".to_owned()), ..request(2) };
    store.request_run(keyed).await.unwrap();
    let lease = leased(&store, 2, "worker", later(2)).await;
    (store, lease)
}

fn unknown() -> AttributeValue {
    AttributeValue::N((SCHEMA_VERSION + 1).to_string())
}

#[tokio::test]
async fn a_connection_of_a_later_release_is_left_alone() {
    let engine = Engine::memory().await;
    let (store, lease) = full(&engine).await;
    alter(&engine, "CONNECTION#", "schema_version", unknown()).await;
    let before = seen(&engine).await;
    let (acme, main) = (acme(), main_connection());
    corrupt(store.connection(&acme, &main).await, "connection");
    corrupt(store.connections(&acme).await, "connection");
    let pause = ConnectionChange { scheduling: Some(Scheduling::Pause), ..ConnectionChange::default() };
    corrupt(store.change_connection(&acme, &main, pause).await, "connection");
    let outcome = TestOutcome { tested_at: tick(), passed: true };
    corrupt(store.record_test(&acme, &main, &outcome, None, None).await, "connection");
    corrupt(store.request_run(request(3)).await, "connection");
    corrupt(store.commit(&lease, ended(later(3)), bundles(1, "{}")).await, "connection");
    corrupt(store.fail(&lease, failed(later(3), FailureCode::Storage)).await, "connection");
    let added = store.add_connection(&connection(&acme, "main")).await;
    assert!(matches!(added, Err(StoreError::Conflict { .. })), "{added:?}");
    assert_eq!(seen(&engine).await, before);
}

#[tokio::test]
async fn runs_and_leases_of_a_later_release_are_left_alone() {
    let engine = Engine::memory().await;
    let (store, lease) = full(&engine).await;
    alter(&engine, "ACTIVE", "schema_version", unknown()).await;
    let before = seen(&engine).await;
    let (acme, main) = (acme(), main_connection());
    corrupt(store.active_run(&acme, &main).await, "active run");
    corrupt(store.request_run(request(3)).await, "active run");
    corrupt(store.renew(&lease, later(3), LEASE).await, "active run");
    let taken = store.take(&acme, &main, &run_id(2), "worker", later(3), LEASE).await;
    corrupt(taken, "active run");
    corrupt(store.commit(&lease, ended(later(3)), bundles(1, "{}")).await, "active run");
    corrupt(store.commit(&lease, ended(later(3)), bundles(99, "{}")).await, "active run");
    let failure = failed(later(3), FailureCode::Storage);
    corrupt(store.fail(&lease, failure).await, "active run");
    assert_eq!(seen(&engine).await, before);

    let engine = Engine::memory().await;
    let (store, lease) = full(&engine).await;
    alter(&engine, "RUN#run-0002", "schema_version", unknown()).await;
    let before = seen(&engine).await;
    corrupt(store.run(&acme, &main, &run_id(2)).await, "run");
    corrupt(store.runs(&acme, &main, 5).await, "run");
    corrupt(store.commit(&lease, ended(later(3)), bundles(1, "{}")).await, "run");
    let failure = failed(later(3), FailureCode::Storage);
    corrupt(store.fail(&lease, failure).await, "run");
    assert_eq!(seen(&engine).await, before);

    let engine = Engine::memory().await;
    let (store, _) = full(&engine).await;
    alter(&engine, "REQUEST#", "schema_version", unknown()).await;
    let before = seen(&engine).await;
    let keyed = RunRequest { request_key: Some("key".to_owned()), ..request(3) };
    corrupt(store.request_run(keyed).await, "request key");
    assert_eq!(seen(&engine).await, before);
}

#[tokio::test]
async fn evidence_of_a_later_release_is_not_shown() {
    for (begin, kind) in [("huntress-edr#", "piece of evidence"), ("COMMIT#", "commit")] {
        let engine = Engine::memory().await;
        let (store, _) = full(&engine).await;
        alter(&engine, begin, "schema_version", unknown()).await;
        let owner = client("client-0");
        corrupt(store.latest(&acme(), &owner).await, kind);
        let history = store.history(&acme(), &owner, Product::Edr, Window { start: tick(), end: tick() }).await;
        corrupt(history, kind);
    }
}

#[tokio::test]
async fn an_error_names_the_kind_of_record_and_no_value() {
    let engine = Engine::memory().await;
    let (store, _) = full(&engine).await;
    let secret = AttributeValue::S("marker".to_owned());
    alter(&engine, "CONNECTION#", "status", secret).await;
    let error = store.connection(&acme(), &main_connection()).await.unwrap_err();
    assert_eq!(error.to_string(), "a stored connection cannot be used: an attribute is not what it has to be");
    assert!(!format!("{error:?}").contains("marker"), "{error:?}");
}

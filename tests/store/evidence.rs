use crate::*;
use acceptance::engine::{Engine, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::domain::run::RunStatus;
use common::domain::time::Window;
use common::store::StoreError;

async fn prepared(engine: &Engine) -> Store {
    let store = engine.store().await;
    store.add_connection(&connection(&acme(), "main")).await.unwrap();
    store
}

#[tokio::test]
async fn evidence_without_a_commit_is_not_there() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let first = started(&store, 1, tick()).await;
    store.commit(&first, ended(later(1)), bundles(120, "good")).await.unwrap();

    // The worker dies between writing and committing, in each of several runs.
    for number in 2..=4 {
        let lease = started(&store, number, later(i64::from(number) * 10)).await;
        store.stage(&lease, &bundles(120, "unfinished")).await.unwrap();
        for owner in [client("client-0"), client("client-119")] {
            assert_eq!(bodies(&latest(&store, &owner).await), ["good"]);
            assert_eq!(bodies(&history(&store, &owner).await), ["good"]);
        }
        store.fail(&lease, failed(later(i64::from(number) * 10), FailureCode::TimedOut)).await.unwrap();
    }
    assert_eq!(bodies(&latest(&store, &client("client-0")).await), ["good"]);
    assert_eq!(run(&store, 4).await.status, RunStatus::Failed);
}

#[tokio::test]
async fn history_is_oldest_first_between_two_instants() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await.with_page_size(2);
    for number in 1..=7_u32 {
        let lease = started(&store, number, later(number.into())).await;
        let evidence =
            vec![bundle(client("one"), number.to_string()), bundle(EvidenceOwner::Company, format!("all {number}"))];
        store.commit(&lease, ended(later(number.into())), evidence).await.unwrap();
    }
    let one = client("one");
    assert_eq!(bodies(&latest(&store, &one).await), ["7"]);
    assert_eq!(bodies(&history(&store, &one).await), ["1", "2", "3", "4", "5", "6", "7"]);
    let between = |start, end| {
        let (store, one) = (&store, &one);
        async move { store.history(&acme(), one, Product::Edr, Window { start, end }).await.unwrap() }
    };
    assert_eq!(bodies(&between(later(2), later(4)).await), ["2", "3", "4"]);
    let tiny = TimeDelta::nanoseconds(1);
    assert_eq!(bodies(&between(later(2) + tiny, later(4) - tiny).await), ["3"]);
    assert_eq!(between(later(4), later(2)).await, []);
    assert_eq!(bodies(&latest(&store, &EvidenceOwner::Company).await), ["all 7"]);
    let sat = store.history(&acme(), &one, Product::Sat, Window { start: later(0), end: later(9) }).await;
    assert_eq!(sat.unwrap(), []);
}

#[tokio::test]
async fn each_product_and_connection_has_its_own_latest() {
    let engine = Engine::memory().await;
    let store = engine.store().await;
    // Names of which one begins with another; keys must not mix them.
    for (number, name) in [(1, "a"), (2, "a-b"), (3, "a.b"), (4, "a0")] {
        let added = connection(&acme(), name);
        store.add_connection(&added).await.unwrap();
        let asked = RunRequest { connection: added.id.clone(), ..request(number) };
        store.request_run(asked).await.unwrap();
        let taken = store.take(&acme(), &added.id, &run_id(number), "worker", later(number.into()), LEASE).await;
        let LeaseOutcome::Acquired { lease, .. } = taken.unwrap() else {
            panic!("not leased");
        };
        let sat = EvidenceRecord { product: Product::Sat, ..bundle(client("one"), format!("sat {name}")) };
        let evidence = vec![bundle(client("one"), format!("edr {name}")), sat];
        store.commit(&lease, ended(later(9)), evidence).await.unwrap();
    }
    // Evidence of a removed connection stays.
    let removed = ConnectionId::parse("a-b").unwrap();
    store.remove_connection(&acme(), &removed, later(1)).await.unwrap();
    assert_eq!(
        bodies(&latest(&store, &client("one")).await),
        ["edr a", "edr a-b", "edr a.b", "edr a0", "sat a", "sat a-b", "sat a.b", "sat a0"]
    );
    assert_eq!(bodies(&history(&store, &client("one")).await), ["edr a", "edr a-b", "edr a.b", "edr a0"]);
}

#[tokio::test]
async fn evidence_is_its_owners_alone() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let evidence = vec![bundle(client("one"), "one"), bundle(EvidenceOwner::Company, "all")];
    store.commit(&lease, ended(later(1)), evidence).await.unwrap();
    let other = CompanyId::parse("msp-acm").unwrap();
    for owner in [client("one"), EvidenceOwner::Company, client("COMPANY"), client("on")] {
        assert_eq!(store.latest(&other, &owner).await.unwrap(), []);
    }
    assert_eq!(latest(&store, &client("COMPANY")).await, []);
    assert_eq!(latest(&store, &client("on")).await, []);
    assert_eq!(bodies(&latest(&store, &EvidenceOwner::Company).await), ["all"]);
}

#[tokio::test]
async fn damaged_evidence_is_an_error() {
    let engine = Engine::memory().await;
    let store = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    let body = r#"{"agents_online":"80"}"#;
    store.commit(&lease, ended(later(1)), bundles(1, body)).await.unwrap();
    let owner = client("client-0");
    assert_eq!(bodies(&latest(&store, &owner).await), [body]);

    let key = format!("huntress-edr#main#2026-03-22T11:00:00.000Z#{}#1", run_id(1));
    engine
        .client()
        .update_item()
        .table_name(TABLE)
        .key("pk", AttributeValue::S("EVIDENCE#msp-acme#CLIENT#client-0".to_owned()))
        .key("sk", AttributeValue::S(key))
        .update_expression("SET body = :body")
        .condition_expression("attribute_exists(body)")
        .expression_attribute_values(":body", AttributeValue::S(body.replace("80", "81")))
        .send()
        .await
        .unwrap();
    let refused = store.latest(&acme(), &owner).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
    assert!(!refused.to_string().contains("81"), "{refused}");
    let refused =
        store.history(&acme(), &owner, Product::Edr, Window { start: tick(), end: tick() }).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
}

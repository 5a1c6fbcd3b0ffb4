//! Records of earlier releases, kept as they were written: this release reads them all, and goes on with them.
//!
//! `samples/v1.json` is a table in the notation of DynamoDB's own API. When the schema gets a new version, its samples are added and these stay,
//! for as long as the release reads them.

use crate::*;
use acceptance::engine::{Engine, TABLE};
use aws_sdk_dynamodb::types::AttributeValue;
use common::domain::id::ConnectionKey;
use common::domain::run::RunStatus;
use common::store::SCHEMA_VERSION;
use serde_json::Value;
use std::collections::HashMap;

/// The oldest version that this release reads.
const OLDEST: u32 = 1;

fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(item(value)),
        other => panic!("{other}"),
    }
}

fn item(value: &Value) -> HashMap<String, AttributeValue> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// A table as a release of that version left it.
async fn left_by(version: u32, engine: &Engine) -> Store {
    let store = engine.store().await;
    let path = format!("{}/store/samples/v{version}.json", env!("CARGO_MANIFEST_DIR"));
    let samples: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for sample in &samples {
        assert_eq!(sample.pointer("/schema_version/N").unwrap(), &version.to_string());
        engine.client().put_item().table_name(TABLE).set_item(Some(item(sample))).send().await.unwrap();
    }
    store
}

#[tokio::test]
async fn every_version_that_is_read_is_read_whole_and_gone_on_with() {
    for version in OLDEST..=SCHEMA_VERSION {
        let engine = Engine::memory().await;
        let store = left_by(version, &engine).await;

        let connection = stored_connection(&store).await;
        assert_eq!(connection.last_success_at, Some(later(1)));
        assert_eq!(connection.next_run_at, Some(tick()));
        assert_eq!(store.due(tick()).await.unwrap().len(), 1);
        let statuses: Vec<_> =
            store.runs(&acme(), &main_connection(), 10).await.unwrap().into_iter().map(|run| run.status).collect();
        assert_eq!(statuses, [RunStatus::Running, RunStatus::AuthFailed, RunStatus::Succeeded]);
        assert_eq!(bodies(&latest(&store, &client("client-0")).await), [r#"{"metrics":[]}"#]);
        assert_eq!(bodies(&history(&store, &EvidenceOwner::Company).await), [r#"{"metrics":[1]}"#]);

        // What was beside the connections is read there, and written apart from them.
        assert_eq!(store.hash_key(&acme()).await.unwrap().as_deref(), Some("d3JhcHBlZA=="));
        let provider = async || store.provider(&acme(), &ClientId::parse("client-0").unwrap()).await.unwrap();
        let named = provider().await.unwrap();
        assert_eq!((named.connection.as_str(), named.by.as_str()), ("main", "operator-7"));
        store.forget_provider(&acme(), &named.client, tick(), "operator-8", None).await.unwrap();
        assert_eq!(provider().await, None);
        store.name_provider(&acme(), named.clone(), None).await.unwrap();
        assert_eq!(provider().await, Some(named));

        // The request key leads to its run, whose worker is dead; another takes it, and commits.
        let keyed = RunRequest { request_key: Some("key".to_owned()), now: later(60), ..request(9) };
        assert_eq!(store.request_run(keyed).await.unwrap().run.id, run_id(3));
        let lease = leased(&store, 3, "worker of the new release", later(60)).await;
        assert_eq!(lease.as_of(), later(4), "the run goes on at the instant of its first start");
        // From then on it is found among the runs that have not ended, which the first release kept no index of.
        assert_eq!(
            store.active_since(later(60)).await.unwrap(),
            [ConnectionKey { company: acme(), connection: main_connection() }]
        );
        store.commit(&lease, ended(later(61)), bundles(1, "{}")).await.unwrap();
        assert_eq!(store.active_since(later(10_000)).await.unwrap(), []);
        assert_eq!(bodies(&latest(&store, &client("client-0")).await), ["{}"]);
        assert_eq!(run(&store, 3).await.status, RunStatus::Succeeded);
    }
}

//! Bundles of every version stay readable, and facts have the form of their schema.

use acceptance::edr::{Scene, as_of};
use common::domain::edr::EdrSettings;
use common::domain::edr::facts::EdrFacts;
use common::domain::edr::metrics::{EdrRules, extended_metrics, metrics};
use common::domain::evidence::{EdrBundle, Metric, SchemaVersion};
use common::domain::facts::SCHEMA;
use serde_json::{Value, json};
use simulator::{Account, AccountSpec, Shape};

const V1: &str = include_str!("../samples/bundles/edr-v1.json");
const V2: &str = include_str!("../samples/bundles/edr-v2.json");

/// Reads a sample, and checks that writing it gives the same again.
fn read(text: &str) -> EdrBundle {
    let bundle: EdrBundle = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&bundle).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    bundle
}

#[test]
fn a_bundle_of_the_first_version_is_read_and_stays_one() {
    let bundle = read(V1);
    assert_eq!(bundle.schema_version, SchemaVersion::V1);
    assert!(bundle.facts.is_none() && bundle.findings.is_none() && bundle.verdicts.is_none());
    assert!(bundle.metadata.completeness.is_empty());
    assert_eq!(bundle.metric("agents_total").unwrap().metric_value.as_deref(), Some("30"));
    assert_eq!(bundle.metric("incidents_opened_30d"), None);
}

#[test]
fn a_bundle_of_the_second_version_is_read_and_its_numbers_come_from_its_facts() {
    let bundle = read(V2);
    assert_eq!(bundle.schema_version, SchemaVersion::V2);
    let rules = EdrRules::from(EdrSettings::default());
    let facts = bundle.facts.as_ref().unwrap();
    let numbers = |values: Vec<_>| values.into_iter().map(Metric::from).collect::<Vec<_>>();
    assert_eq!(numbers(metrics(facts, rules)), bundle.metrics);
    assert_eq!(numbers(extended_metrics(facts, rules)), bundle.extended_metrics);
    assert!(bundle.findings.is_some() && bundle.verdicts.is_some());
    // What version 1 said of the same account is the same in version 2.
    let first = read(V1);
    assert_eq!(bundle.metrics, first.metrics);
    assert_eq!(bundle.extended_metrics[..first.extended_metrics.len()], first.extended_metrics);
}

#[test]
fn a_bundle_of_a_version_to_come_is_refused_with_what_to_do() {
    let mut bundle: Value = serde_json::from_str(V2).unwrap();
    bundle["schema_version"] = json!(3);
    let error = serde_json::from_value::<EdrBundle>(bundle).unwrap_err().to_string();
    assert!(error.contains("version 3") && error.contains("use a newer one"), "{error}");
}

#[tokio::test]
async fn facts_have_the_form_of_their_schema() {
    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let shapes = [Shape::Vendor, Shape::Platform];
    let spec = |shape| AccountSpec { seed: 7, shape, organizations: 9, agents: 140, incidents: 60, as_of: as_of() };
    let mut accounts: Vec<_> = shapes.into_iter().map(|shape| spec(shape).generate()).collect();
    accounts.extend([Account::worked_example(as_of()), Account::from_records(vec![], vec![], vec![])]);
    for account in accounts {
        let facts = serde_json::to_value(Scene::of(account).collect().await.bundle().facts.unwrap()).unwrap();
        schema.validate(&facts).unwrap_or_else(|error| panic!("{error} in {facts}"));
        for (pointer, wrong) in [
            ("", json!([])),
            ("/agents", json!({"host": "LT-1"})),
            ("/agents", json!({"hours": "A-B"})),
            ("/organizations/total", json!(-1)),
            ("/incidents", json!({"by_severity": {"grave": {"states": [0, 0, 0, 0]}}})),
        ] {
            let mut changed = facts.clone();
            *changed.pointer_mut(pointer).unwrap() = wrong.clone();
            assert!(!schema.is_valid(&changed), "{pointer} {wrong}");
            assert!(serde_json::from_value::<EdrFacts>(changed).is_err(), "{pointer} {wrong}");
        }
    }
}

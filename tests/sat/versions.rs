//! Bundles of every version stay readable, and facts have the form of their schema.

use common::domain::evidence::SchemaVersion;
use common::domain::facts::SCHEMA;
use common::domain::policy::{InForce, evaluate};
use common::domain::product::Product;
use common::domain::sat::bundle::SatBundle;
use common::domain::sat::facts::SatFacts;
use common::domain::sat::measures::{SatRules, measures};
use common::domain::sat::signal::SignalValues;
use common::domain::sat::{coverage, phishing};
use serde_json::{Value, json};

const V1: &str = include_str!("../samples/bundles/sat-v1.json");
const V2: &str = include_str!("../samples/bundles/sat-v2.json");

/// Reads a sample, and checks that writing it gives the same again.
fn read(text: &str) -> SatBundle {
    let bundle: SatBundle = serde_json::from_str(text).unwrap();
    let mut written = serde_json::to_value(&bundle).unwrap();
    if bundle.schema_version == SchemaVersion::V1 {
        // An account tells its organization since version 2.
        written["metadata"]["account"].as_object_mut().unwrap().remove("io_org_id");
    }
    assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
    bundle
}

#[test]
fn a_bundle_of_the_first_version_is_read_and_stays_one() {
    let bundle = read(V1);
    assert_eq!(bundle.schema_version, SchemaVersion::V1);
    assert!(bundle.facts.is_none() && bundle.verdicts.is_none() && bundle.metadata.completeness.is_empty());
    assert_eq!(bundle.signals.len(), 2);
}

#[test]
fn a_bundle_of_the_second_version_is_read_and_all_it_says_comes_from_its_facts() {
    let bundle = read(V2);
    let facts = bundle.facts.as_ref().unwrap();
    let coverage = coverage::assess(&facts.learners, coverage::WINDOW_DAYS);
    let phishing = phishing::assess(&facts.campaigns, phishing::WINDOW_DAYS);
    let values = [SignalValues::Coverage(coverage.values()), SignalValues::Phishing(phishing.values())];
    assert_eq!(bundle.signals.iter().map(|signal| signal.values.clone()).collect::<Vec<_>>(), values);
    let statuses: Vec<_> = bundle.signals.iter().map(|signal| (signal.status, signal.reason)).collect();
    assert_eq!(statuses, [(coverage.status, coverage.reason), (phishing.status, phishing.reason)]);
    let verdicts = evaluate(&InForce::default(), Product::Sat, &measures(facts, SatRules::default()), None);
    assert_eq!(bundle.verdicts, Some(verdicts));
    // What version 1 said of the same account is the same in version 2.
    assert_eq!(read(V1).signals.iter().map(|signal| signal.values.clone()).collect::<Vec<_>>(), values);
}

#[test]
fn facts_have_the_form_of_their_schema() {
    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let facts = serde_json::to_value(read(V2).facts.unwrap()).unwrap();
    schema.validate(&facts).unwrap();
    for (pointer, wrong) in [
        ("/learners/active/total", json!("5")),
        ("/learners", json!({"active": {"total": 1}, "name": "Jane"})),
        ("/campaigns", json!({"completed": [[1, 2, 3]]})),
        ("/campaigns", json!({"title": "Invoice"})),
    ] {
        let mut changed = facts.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong.clone();
        assert!(!schema.is_valid(&changed), "{pointer} {wrong}");
        assert!(serde_json::from_value::<SatFacts>(changed).is_err(), "{pointer} {wrong}");
    }
}

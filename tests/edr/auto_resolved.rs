//! Incidents resolved without manual work.

use crate::records::incidents;
use acceptance::edr::Scene;
use common::domain::evidence::Reason;
use common::domain::quality::QualityCode::RemediationsIncomplete;
use serde_json::{Value, json};

fn closed(mut fields: Value) -> Value {
    fields["status"] = json!("closed");
    fields
}

/// How many of incidents with these fields, all closed, were resolved automatically.
async fn automatic(fields: impl IntoIterator<Item = Value>) -> Option<String> {
    Scene::of(incidents(fields.into_iter().map(closed))).collect().await.value("incidents_auto_resolved")
}

fn done() -> Value {
    json!({"id": 1, "type": "assisted", "action": "Delete File", "status": "completed", "approved_by": null})
}

fn done_but(key: &str, value: Value) -> Value {
    let mut item = done();
    item[key] = value;
    item
}

fn envelope(items: Value) -> Value {
    let count = items.as_array().map_or(0, Vec::len);
    json!({"remediations": {"total_count": count, "has_more": false, "items": items}})
}

#[tokio::test]
async fn a_resolver_named_as_a_machine_counts() {
    for field in ["resolution_source", "resolved_by"] {
        for word in
            ["auto", "AUTOMATED", "auto_remediation", "Huntress Automation", "the system", "SYSTEM", "by-autopilot"]
        {
            assert_eq!(automatic([json!({field: word})]).await.as_deref(), Some("1"), "{field} {word}");
        }
        for word in ["analyst", "manual", "J. Systemson", "semiautomatic", "systems", "", "soc@huntress.example"] {
            assert_eq!(automatic([json!({field: word})]).await.as_deref(), Some("0"), "{field} {word}");
        }
        for odd in [json!(7), json!({"name": "system"}), json!(true)] {
            assert_eq!(automatic([json!({field: odd})]).await.as_deref(), Some("0"), "{field} {odd}");
        }
    }
    assert_eq!(
        automatic([json!({"resolution_source": "analyst", "resolved_by": "system"})]).await.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn remediations_count_when_all_were_completed_and_none_by_hand() {
    for (items, expected) in [
        (json!([done()]), "1"),
        (json!([done(), done_but("type", json!("containment"))]), "1"),
        (json!([done_but("status", json!("Completed")), done_but("type", json!(null))]), "1"),
        (json!([]), "0"),
        (json!(null), "0"),
        (json!("none"), "0"),
        (json!([done(), done_but("type", json!("Manual"))]), "0"),
        (json!([done(), done_but("status", json!("failed"))]), "0"),
        (json!([done(), done_but("status", json!(null))]), "0"),
        (json!([done(), done_but("approved_by", json!({"id": 5, "name": "J Smith"}))]), "0"),
        (json!([done(), 7]), "0"),
    ] {
        assert_eq!(automatic([envelope(items.clone())]).await.as_deref(), Some(expected), "{items}");
    }
}

#[tokio::test]
async fn remediations_are_read_in_every_shape() {
    for (remediations, expected) in [
        (json!([done()]), "1"),
        (done(), "1"),
        (json!({"items": [done()]}), "1"),
        (json!({"items": [done()], "has_more": null}), "1"),
        (json!({"items": [done()], "has_more": "false"}), "1"),
        (json!([]), "0"),
        (json!({}), "0"),
        (json!([done(), done_but("type", json!("manual"))]), "0"),
        (done_but("approved_by", json!(5)), "0"),
        (json!("done"), "0"),
        (json!(1), "0"),
    ] {
        assert_eq!(
            automatic([json!({"remediations": remediations})]).await.as_deref(),
            Some(expected),
            "{remediations}"
        );
    }
}

#[tokio::test]
async fn a_cut_off_list_of_remediations_does_not_count_and_is_reported() {
    for has_more in [json!(true), json!("true"), json!(1), json!("perhaps")] {
        let cut_off = closed(json!({"remediations": {"total_count": 11, "has_more": has_more, "items": [done()]}}));
        let outcome = Scene::of(incidents([cut_off, closed(envelope(json!([done()])))])).collect().await;
        outcome.assert_values(&[("incidents_auto_resolved", "1")]);
        outcome.assert_quality(&[(RemediationsIncomplete, 1)]);
    }
}

#[tokio::test]
async fn who_resolved_it_wins_over_the_remediations() {
    let mut by_person = envelope(json!([done()]));
    by_person["resolved_by"] = json!("J. Smith");
    let mut by_machine = envelope(json!([done_but("type", json!("manual"))]));
    by_machine["resolution_source"] = json!("automated");
    let mut unsaid = envelope(json!([done()]));
    unsaid["resolved_by"] = json!(null);
    let outcome = Scene::of(incidents([by_person, by_machine, unsaid].map(closed))).collect().await;
    outcome.assert_values(&[("incidents_auto_resolved", "2")]);
    assert_eq!(
        outcome.bundle().metadata.derivation["auto_resolved"]["derived_from"],
        json!({"resolver_words": 2, "remediations": 1})
    );
}

#[tokio::test]
async fn only_resolved_incidents_count() {
    let automated =
        |status: &str| json!({"status": status, "resolution_source": "automated", "remediations": [done()]});
    let all = ["sent", "in_progress", "dismissed", "paused", "deleting", "resolved"].map(automated);
    Scene::of(incidents(all)).collect().await.assert_values(&[("incidents_auto_resolved", "1")]);
}

#[tokio::test]
async fn it_is_null_when_no_resolved_incident_says_anything_and_a_number_when_one_does() {
    let silent = || closed(json!({"resolution_source": null, "remediations": null}));
    let open = json!({"status": "sent", "remediations": [done()]});
    let outcome = Scene::of(incidents([silent(), silent(), open])).collect().await;
    outcome.assert_null("incidents_auto_resolved", Reason::NotProvidedBySource);
    let outcome = Scene::of(incidents([silent(), closed(json!({"resolved_by": "analyst"}))])).collect().await;
    outcome.assert_values(&[("incidents_auto_resolved", "0")]);
}

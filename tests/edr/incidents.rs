//! The state of incidents, and how long they took.

use crate::records::{ago, hours_ago, incidents, timestamp};
use acceptance::edr::{Scene, as_of};
use chrono::TimeDelta;
use common::domain::evidence::Reason;
use common::domain::quality::QualityCode::{
    FutureTimestamp, MalformedTimestamp, NegativeDuration, UnknownIncidentStatus, UnknownSeverity,
};
use serde_json::{Value, json};

/// Hours after the first of March.
fn at(hours: i64) -> String {
    timestamp(as_of() - TimeDelta::days(21) + TimeDelta::hours(hours))
}

#[tokio::test]
async fn every_status_word_has_its_class_in_any_spelling() {
    let words = [
        "open",
        "sent",
        "SENT",
        "in_progress",
        "In Progress",
        "investigating",
        "auto-remediating",
        "AUTO_REMEDIATING",
        "resolved",
        "closed",
        "Closed",
        "dismissed",
        "partner_dismissed",
        "Partner Dismissed",
        "deleting",
        "Draft",
    ];
    let outcome = Scene::of(incidents(words.map(|word| json!({"status": word})))).collect().await;
    outcome.assert_values(&[
        ("incidents_total", "14"),
        ("incidents_open", "3"),
        ("incidents_in_progress", "5"),
        ("incidents_resolved", "3"),
        ("incidents_dismissed", "3"),
        ("incidents_unknown_status", "0"),
        ("incidents_low", "14"),
    ]);
    outcome.assert_quality(&[]);
}

#[tokio::test]
async fn an_unknown_status_counts_as_open_and_is_reported() {
    let outcome = Scene::of(incidents([
        json!({"status": "paused"}),
        json!({"status": null}),
        json!({}),
        json!({"status": 7}),
        json!({"status": "sent"}),
    ]));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[("incidents_total", "5"), ("incidents_open", "5"), ("incidents_unknown_status", "4")]);
    outcome.assert_quality(&[(UnknownIncidentStatus, 4)]);
    assert!(outcome.bundle().metadata.data_quality[0].detail.ends_with("(paused)"));
}

#[tokio::test]
async fn severities_count_in_any_state_but_for_what_is_left_out() {
    let all = ["sent", "in_progress", "closed", "dismissed", "deleting"];
    let each = ["critical", "HIGH", " Low ", "medium"]
        .into_iter()
        .flat_map(|severity| all.map(|status| json!({"status": status, "severity": severity})));
    let outcome = Scene::of(incidents(each.chain([json!({"status": "sent", "severity": null})]))).collect().await;
    outcome.assert_values(&[
        ("incidents_total", "17"),
        ("incidents_critical", "4"),
        ("incidents_high", "4"),
        ("incidents_low", "4"),
    ]);
    outcome.assert_quality(&[(UnknownSeverity, 5)]);
    assert!(outcome.bundle().metadata.data_quality[0].detail.ends_with("(medium)"));
}

#[tokio::test]
async fn the_time_to_resolve_runs_from_the_best_start_to_the_best_end() {
    let resolved = |fields: Value| {
        let mut fields = fields;
        fields["status"] = json!("resolved");
        fields
    };
    let all = [
        // 1 h: detected and resolved win over all others.
        json!({"detected_at": at(10), "sent_at": at(1), "created_at": at(0), "resolved_at": at(11), "closed_at": at(50)}),
        // 2 h: sent, closed.
        json!({"sent_at": at(10), "created_at": at(0), "closed_at": at(12)}),
        // 4 h: created, resolved.
        json!({"created_at": at(10), "resolved_at": at(14), "closed_at": at(11)}),
        // 9 h: null is absent.
        json!({"detected_at": null, "sent_at": at(0), "resolved_at": null, "closed_at": at(9)}),
        // In no mean: no start, no end, neither.
        json!({"closed_at": at(9)}),
        json!({"sent_at": at(9)}),
        json!({}),
    ];
    let outcome = Scene::of(incidents(all.map(resolved))).collect().await;
    outcome.assert_values(&[
        ("incidents_resolved", "7"),
        ("mean_time_to_resolve_hours", "4.0"),
        ("median_time_to_resolve_hours", "2.0"),
        ("p90_time_to_resolve_hours", "9.0"),
    ]);
    assert_eq!(
        outcome.bundle().metadata.derivation["time_to_resolve"],
        json!({
            "measured": 4,
            "start": {"detected_at": 1, "sent_at": 2, "created_at": 1},
            "end": {"resolved_at": 2, "closed_at": 2},
        })
    );
    outcome.assert_quality(&[]);
}

#[tokio::test]
async fn dismissed_and_unfinished_incidents_are_in_no_mean() {
    let long =
        |status: &str| json!({"status": status, "created_at": at(0), "detected_at": at(100), "resolved_at": at(400)});
    let short = json!({"status": "closed", "created_at": at(0), "detected_at": at(1), "resolved_at": at(3)});
    let outcome = Scene::of(incidents([
        long("dismissed"),
        long("sent"),
        long("in_progress"),
        long("paused"),
        long("draft"),
        short,
    ]));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[
        ("mean_time_to_detect_hours", "1.0"),
        ("mean_time_to_resolve_hours", "2.0"),
        ("median_time_to_resolve_hours", "2.0"),
    ]);
}

#[tokio::test]
async fn the_time_to_detect_needs_creation_detection_and_an_end() {
    let resolved = |created: Value, detected: Value, closed: Value| json!({"status": "closed", "created_at": created, "detected_at": detected, "sent_at": at(20), "closed_at": closed});
    let outcome = Scene::of(incidents([
        resolved(json!(at(0)), json!(at(6)), json!(at(30))),
        resolved(json!(at(0)), json!(at(3)), json!(at(30))),
        resolved(json!(at(0)), json!(at(15)), json!(null)),
        resolved(json!(null), json!(at(15)), json!(at(30))),
        resolved(json!(at(0)), json!(null), json!(at(30))),
    ]));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[("mean_time_to_detect_hours", "4.5")]);
    assert_eq!(outcome.bundle().metadata.derivation["time_to_detect"], json!({"measured": 2}));
}

#[tokio::test]
async fn an_end_before_its_start_and_a_detection_before_creation_are_left_out_and_reported() {
    let outcome = Scene::of(incidents([
        json!({"status": "closed", "sent_at": at(10), "closed_at": at(9)}),
        json!({"status": "closed", "sent_at": at(10), "closed_at": at(10)}),
        json!({"status": "closed", "created_at": at(5), "detected_at": at(4), "closed_at": at(8)}),
    ]));
    let outcome = outcome.collect().await;
    // None of 0 h and 4 h; the first is left out.
    outcome.assert_values(&[("mean_time_to_resolve_hours", "2.0")]);
    outcome.assert_null("mean_time_to_detect_hours", Reason::NothingToMeasure);
    outcome.assert_quality(&[(NegativeDuration, 2)]);
}

#[tokio::test]
async fn a_time_that_cannot_be_read_gives_way_to_the_next_and_is_reported() {
    let outcome = Scene::of(incidents([
        json!({"status": "closed", "detected_at": "soon", "sent_at": at(0), "resolved_at": 17, "closed_at": at(4)}),
        json!({"status": "closed", "sent_at": "never", "closed_at": at(4)}),
        json!({"status": "sent", "sent_at": "2026-13-01T00:00:00Z", "created_at": hours_ago(30)}),
    ]));
    let outcome = outcome.collect().await;
    outcome.assert_values(&[
        ("mean_time_to_resolve_hours", "4.0"),
        ("oldest_open_incident_age_hours", "30.0"),
        ("incidents_total", "3"),
    ]);
    outcome.assert_quality(&[(MalformedTimestamp, 4)]);
}

#[tokio::test]
async fn a_time_in_the_future_is_reported() {
    let future = |minutes: i64| json!({"status": "sent", "sent_at": ago(TimeDelta::minutes(-minutes))});
    let outcome = Scene::of(incidents([future(5), future(6)])).collect().await;
    outcome.assert_quality(&[(FutureTimestamp, 1)]);
    // The one within the tolerance has no age yet, and a negative one is none.
    outcome.assert_values(&[("oldest_open_incident_age_hours", "0.0")]);
    let resolved = json!({"status": "closed", "sent_at": hours_ago(2), "closed_at": hours_ago(-2)});
    Scene::of(incidents([resolved])).collect().await.assert_quality(&[(FutureTimestamp, 1)]);
}

#[tokio::test]
async fn the_oldest_open_incident_counts_from_its_start_whether_open_or_in_progress() {
    let outcome = Scene::of(incidents([
        json!({"status": "sent", "sent_at": hours_ago(10)}),
        json!({"status": "investigating", "detected_at": hours_ago(41), "sent_at": hours_ago(50)}),
        json!({"status": "closed", "sent_at": hours_ago(900), "closed_at": hours_ago(800)}),
        json!({"status": "dismissed", "sent_at": hours_ago(900)}),
        json!({"status": "draft", "sent_at": hours_ago(900)}),
        json!({"status": "sent"}),
    ]));
    outcome.collect().await.assert_values(&[("oldest_open_incident_age_hours", "41.0")]);
}

#[tokio::test]
async fn means_are_exact_and_rounded_once_half_away_from_zero() {
    // 3 minutes are half a tenth of an hour; a second less is not.
    let lasting = |seconds: i64| {
        let start = as_of() - TimeDelta::days(1);
        json!({"status": "closed", "sent_at": timestamp(start), "closed_at": timestamp(start + TimeDelta::seconds(seconds))})
    };
    for (seconds, expected) in [
        (vec![180], "0.1"),
        (vec![179], "0.0"),
        (vec![180, 179], "0.0"),
        (vec![180, 181, 179], "0.1"),
        (vec![3600, 3600, 3601], "1.0"),
    ] {
        let outcome = Scene::of(incidents(seconds.iter().map(|it| lasting(*it)))).collect().await;
        outcome.assert_values(&[("mean_time_to_resolve_hours", expected)]);
    }
}

#[tokio::test]
async fn without_resolved_incidents_there_is_nothing_to_measure() {
    let outcome =
        Scene::of(incidents([json!({"status": "sent", "sent_at": hours_ago(3)}), json!({"status": "dismissed"})]));
    let outcome = outcome.collect().await;
    for key in [
        "mean_time_to_detect_hours",
        "mean_time_to_resolve_hours",
        "median_time_to_resolve_hours",
        "p90_time_to_resolve_hours",
    ] {
        outcome.assert_null(key, Reason::NothingToMeasure);
    }
    outcome.assert_values(&[("incidents_auto_resolved", "0")]);
}

#[tokio::test]
async fn without_the_two_fields_the_time_to_detect_is_not_provided_by_the_source() {
    let vendors = json!({"status": "closed", "sent_at": at(0), "closed_at": at(4), "created_at": null});
    let outcome = Scene::of(incidents([vendors.clone()])).collect().await;
    outcome.assert_null("mean_time_to_detect_hours", Reason::NotProvidedBySource);
    outcome.assert_values(&[("mean_time_to_resolve_hours", "4.0")]);
    // An open incident that has them says nothing of the resolved ones.
    let open = json!({"status": "sent", "created_at": at(0), "detected_at": at(1)});
    let outcome = Scene::of(incidents([vendors, open])).collect().await;
    outcome.assert_null("mean_time_to_detect_hours", Reason::NotProvidedBySource);
}

#[tokio::test]
async fn with_nothing_at_all_every_quotient_is_null_and_every_count_zero() {
    let outcome = Scene::of(simulator::Account::from_records(vec![], vec![], vec![])).collect().await;
    for key in [
        "agents_online_percentage",
        "average_agents_per_org",
        "organization_coverage_pct",
        "mean_time_to_detect_hours",
        "mean_time_to_resolve_hours",
        "agents_edr_installed_pct",
        "oldest_open_incident_age_hours",
    ] {
        outcome.assert_null(key, Reason::NothingToMeasure);
    }
    for key in [
        "agents_total",
        "agents_online",
        "incidents_total",
        "organizations_total",
        "organizations_with_agents",
        "incidents_auto_resolved",
    ] {
        outcome.assert_values(&[(key, "0")]);
    }
    outcome.assert_quality(&[]);
}

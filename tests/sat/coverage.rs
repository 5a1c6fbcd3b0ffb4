//! Workforce coverage: its thresholds, its window, and who counts.

use crate::records::{activity, assignment, before, lately, learner, one_learner, serve, timestamp, workforce};
use acceptance::edr::as_of;
use acceptance::sat::{SatOutcome, SatScene};
use chrono::TimeDelta;
use common::domain::evidence::Reason;
use common::domain::quality::QualityCode;
use common::domain::sat::signal::SignalKey;
use common::domain::sat::status::Status;
use serde_json::json;
use simulator::{LearnerIdAs, SatRecords};

async fn of(records: SatRecords) -> SatOutcome {
    SatScene::of(serve(records)).collect().await
}

#[tokio::test]
async fn the_thresholds_are_exactly_90_and_70_percent_and_never_the_rounded_value() {
    let cases = [
        (10, 10, Status::Pass, "100.0"),
        (10, 9, Status::Pass, "90.0"),
        (2000, 1800, Status::Pass, "90.0"),
        (2000, 1799, Status::Warning, "90.0"),
        (10, 8, Status::Warning, "80.0"),
        (2000, 1400, Status::Warning, "70.0"),
        (2000, 1399, Status::Fail, "70.0"),
        (10, 0, Status::Fail, "0.0"),
    ];
    for (active, trained, status, shown) in cases {
        let outcome = of(workforce(active, trained)).await;
        let (said, reason, values) = outcome.coverage();
        assert_eq!(
            (said, reason, values.coverage_pct.as_deref()),
            (status, None, Some(shown)),
            "{trained} of {active}"
        );
        let counts = (values.distinct_trained_learners, values.active_learners, values.departed_trained_learners);
        assert_eq!(counts, (trained as u64, active as u64, 0));
        assert_eq!(outcome.quality(), []);
    }
}

#[tokio::test]
async fn a_completion_counts_from_365_days_ago_to_the_evaluation_both_to_the_second() {
    let year = TimeDelta::days(365);
    let second = TimeDelta::seconds(1);
    let cases = [
        (before(year + second), 0),
        (before(year), 1),
        (before(year - second), 1),
        (before(TimeDelta::zero()), 1),
        (before(-second), 0),
        // The same instants as another zone writes them.
        ("2025-03-22T07:00:00-05:00".to_owned(), 1),
        ("2025-03-22T06:59:59-05:00".to_owned(), 0),
    ];
    for (completed_at, trained) in cases {
        let outcome = of(one_learner(vec![activity("r", "L0", Some(&completed_at))])).await;
        assert_eq!(outcome.coverage().2.distinct_trained_learners, trained, "{completed_at}");
        assert_eq!(outcome.quality(), [], "{completed_at}");
        let signal = outcome.signal(SignalKey::WorkforceCoverage);
        assert_eq!(signal.window_days, 365);
        let window = serde_json::to_value(signal.metadata.window).unwrap();
        assert_eq!(window, json!({"start": "2025-03-22T12:00:00Z", "end": "2026-03-22T12:00:00Z"}));
    }
}

#[tokio::test]
async fn a_completion_more_than_5_minutes_after_its_reading_is_reported() {
    let reported = async |seconds| {
        let at = timestamp(as_of() + TimeDelta::seconds(seconds));
        let outcome = of(one_learner(vec![activity("r", "L0", Some(&at))])).await;
        assert_eq!(outcome.coverage().2.distinct_trained_learners, 0);
        outcome.quality()
    };
    assert_eq!(reported(300).await, []);
    assert_eq!(reported(301).await, [(QualityCode::FutureTimestamp, 1)]);
}

#[tokio::test]
async fn a_learner_in_three_assignments_counts_once() {
    let mut records = workforce(2, 0);
    for (n, status) in ["completed", "in-progress", "completed"].into_iter().enumerate() {
        let id = format!("as{n}");
        records.assignments.push(assignment(&id, status));
        records.learner_activity.insert(id, vec![activity(&format!("r{n}"), "L1", Some(&lately()))]);
    }
    let (status, _, values) = of(records).await.coverage();
    assert_eq!(
        (status, values.distinct_trained_learners, values.coverage_pct.as_deref()),
        (Status::Fail, 1, Some("50.0"))
    );
}

#[tokio::test]
async fn of_several_rows_of_a_learner_one_completion_within_the_window_is_enough() {
    let long_ago = before(TimeDelta::days(800));
    let rows = |completed: Option<&str>| {
        vec![activity("r1", "L0", Some(&long_ago)), activity("r2", "L0", None), activity("r3", "L0", completed)]
    };
    assert_eq!(of(one_learner(rows(None))).await.coverage().2.distinct_trained_learners, 0);
    let outcome = of(one_learner(rows(Some(&lately())))).await;
    assert_eq!(outcome.coverage().2.distinct_trained_learners, 1);
    assert_eq!(outcome.bundle().metadata.records_read.learner_activity, 3);
}

#[tokio::test]
async fn the_learner_is_found_wherever_the_row_carries_the_id() {
    for place in [LearnerIdAs::Attribute, LearnerIdAs::Relationship, LearnerIdAs::RelationshipArray] {
        let scene = SatScene::of(serve(workforce(10, 9))).simulator(move |it| it.learner_id_as(place));
        let (status, _, values) = scene.collect().await.coverage();
        assert_eq!((status, values.distinct_trained_learners), (Status::Pass, 9), "{place:?}");
    }
}

#[tokio::test]
async fn without_a_workforce_there_is_a_warning_and_no_rate() {
    let mut records = workforce(1, 0);
    records.learners = vec![learner("L0", "inactive")];
    for records in [crate::records::empty(), records] {
        let (status, reason, values) = of(records).await.coverage();
        assert_eq!((status, reason), (Status::Warning, Some(Reason::NoWorkforce)));
        assert_eq!((values.coverage_pct, values.active_learners), (None, 0));
    }
}

/// Ten active learners, `active` of them trained, and `departed` trained ones who left: every other one listed as inactive, the rest not at all.
fn with_departed(active: usize, departed: usize) -> SatRecords {
    let mut records = workforce(10, active);
    records.assignments.push(assignment("gone", "completed"));
    let rows = (0..departed).map(|n| activity(&format!("g{n}"), &format!("D{n}"), Some(&lately()))).collect();
    records.learner_activity.insert("gone".to_owned(), rows);
    records.learners.extend((0..departed).step_by(2).map(|n| learner(&format!("D{n}"), "inactive")));
    records
}

#[tokio::test]
async fn departed_learners_never_lift_the_status() {
    let inflated = Some(Reason::InflatedByDepartedLearners);
    let cases = [
        // active, departed, status, reason, shown
        (9, 1, Status::Pass, None, "100.0"),
        (8, 1, Status::Warning, inflated, "90.0"),
        (7, 1, Status::Warning, None, "80.0"),
        (6, 1, Status::Fail, inflated, "70.0"),
        (6, 4, Status::Fail, inflated, "100.0"),
        (9, 3, Status::Pass, None, "100.0"),
        (5, 1, Status::Fail, None, "60.0"),
    ];
    for (active, departed, status, reason, shown) in cases {
        let outcome = of(with_departed(active, departed)).await;
        let (said, why, values) = outcome.coverage();
        let case = format!("{active} active and {departed} departed");
        assert_eq!((said, why, values.coverage_pct.as_deref()), (status, reason, Some(shown)), "{case}");
        let counts = (values.distinct_trained_learners, values.departed_trained_learners);
        assert_eq!(counts, ((active + departed) as u64, departed as u64), "{case}");
        assert_eq!(outcome.quality(), [(QualityCode::DepartedLearners, departed as u64)]);
    }
}

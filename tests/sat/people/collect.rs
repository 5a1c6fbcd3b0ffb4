//! `collect training`: one collection of people over real HTTP, with nothing stored.

use acceptance::clock::SteppingClock;
use acceptance::edr::as_of;
use acceptance::people::Workforce;
use acceptance::sat::huntress_at;
use chrono::TimeDelta;
use common::app::collection::collect::Job;
use common::domain::controls::ControlMap;
use common::domain::evidence::Tenant;
use common::domain::failure::{Failure, FailureCode};
use common::domain::people::person::PeopleSummary;
use common::domain::people::report::{TrainingReport, report_of};
use common::domain::people::selection::SelectedAssignments;
use common::domain::people::status::PersonStatus;
use common::domain::product::Product;
use common::domain::quality::QualityCode;
use common::domain::sat::id::SatId;
use common::domain::sat::{Caps, SatSettings};
use common::huntress::rate_limit::RateLimiter;
use common::huntress::retry::WaitPolicy;
use common::huntress::sat::SatCredential;
use simulator::{Fault, FaultKind, List, Request, SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::sync::Arc;

pub fn selected(ids: &[&str]) -> SelectedAssignments {
    ids.iter().map(|id| SatId::parse(*id).unwrap()).collect()
}

async fn collect_with(
    workforce: &Workforce,
    ids: &[&str],
    caps: Caps,
    faults: Vec<Fault>,
) -> (Result<TrainingReport, Failure>, Vec<Request>) {
    let clock = SteppingClock::at(as_of());
    let simulator = Simulator::sat_only(workforce.account()).clock(clock.for_simulator()).faults(faults);
    let simulator = simulator.start().await.unwrap();
    let huntress = huntress_at(&simulator, &clock);
    let credential = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
    let job = Job {
        as_of: as_of(),
        as_of_given: false,
        run: None,
        limiter: Arc::new(RateLimiter::of(Product::Sat)),
        wait_policy: WaitPolicy::until(as_of() + TimeDelta::hours(1)),
        progress: Arc::default(),
    };
    let settings = SatSettings::new(caps, false).unwrap();
    let collected = huntress.collect_training(&credential, settings, &selected(ids), None, job).await;
    let tenant = Tenant { company_id: None, client_id: None };
    (collected.map(|collection| report_of(&collection, tenant, ControlMap::current())), simulator.requests())
}

async fn collect(workforce: &Workforce, ids: &[&str]) -> TrainingReport {
    collect_with(workforce, ids, Caps::default(), Vec::new()).await.0.unwrap()
}

fn statuses(report: &TrainingReport) -> Vec<(&str, PersonStatus)> {
    report.people.iter().map(|person| (person.learner_id.as_str(), person.status)).collect()
}

use PersonStatus::{Compliant, NotCompliant, NotEnrolled, Unknown};

#[tokio::test]
async fn the_four_person_example() {
    let report = collect(&Workforce::four_people(), &["A", "B"]).await;
    let expected =
        [("person-1", Compliant), ("person-2", NotCompliant), ("person-3", Compliant), ("person-4", NotCompliant)];
    assert_eq!(statuses(&report), expected);
    let done: Vec<_> = report.people.iter().map(|it| (it.completed.clone(), it.missing.clone())).collect();
    assert_eq!(done[0], (selected(&["A", "B"]), selected(&[])));
    assert_eq!(done[1], (selected(&["A"]), selected(&["B"])));
    assert_eq!(done[2], (selected(&["A"]), selected(&[])));
    assert_eq!(done[3], (selected(&[]), selected(&["B"])));
    assert_eq!(report.summary, PeopleSummary { compliant: 2, not_compliant: 2, not_enrolled: 0, unknown: 0 });
    assert_eq!(report.metadata.data_quality, []);
    assert!(report.metadata.controls.iter().any(|control| control.framework.contains("HIPAA")));
}

#[tokio::test]
async fn an_assignment_that_is_not_picked_is_not_even_read() {
    let (report, requests) = collect_with(&Workforce::four_people(), &["A", "B"], Caps::default(), Vec::new()).await;
    assert!(report.is_ok());
    let of_assignments = |list| requests.iter().filter(move |it| it.list == Some(list)).map(|it| it.path.clone());
    for list in [List::AssignmentLearners, List::LearnerActivity] {
        let mut paths: Vec<String> = of_assignments(list).collect();
        paths.sort();
        assert_eq!(paths, [list.path_of("A"), list.path_of("B")]);
    }
}

#[tokio::test]
async fn nobody_is_compliant_by_vacuity_and_the_inactive_are_left_out() {
    let workforce = Workforce::four_people()
        .assignment("D", "draft")
        .learner("idle", "active")
        .learner("left", "inactive")
        .enrolled("A", "left")
        .completed("A", "left")
        .enrolled("A", "unlisted");
    let report = collect(&workforce, &["A", "D"]).await;
    let expected = [
        ("idle", NotEnrolled),
        ("person-1", Compliant),
        ("person-2", Compliant),
        ("person-3", Compliant),
        ("person-4", NotEnrolled),
        ("unlisted", NotCompliant),
    ];
    assert_eq!(statuses(&report), expected);
    let quality: Vec<_> = report.metadata.data_quality.iter().map(|it| (it.code, it.count)).collect();
    assert_eq!(quality, [(QualityCode::InactivePeople, 1)]);
}

#[tokio::test]
async fn every_row_must_be_completed_and_not_after_the_evaluation() {
    let later = (as_of() + TimeDelta::seconds(1)).to_rfc3339();
    let workforce = Workforce::new()
        .assignment("A", "in-progress")
        .enrolled("A", "done-now")
        .row("A", "done-now", Some(&as_of().to_rfc3339()))
        .enrolled("A", "done-later")
        .row("A", "done-later", Some(&later))
        .enrolled("A", "half")
        .completed("A", "half")
        .row("A", "half", None)
        .enrolled("A", "odd")
        .row("A", "odd", Some("soon"))
        .enrolled("A", "idle");
    let report = collect(&workforce, &["A"]).await;
    let expected = [
        ("done-later", NotCompliant),
        ("done-now", Compliant),
        ("half", NotCompliant),
        ("idle", NotCompliant),
        ("odd", Unknown),
    ];
    assert_eq!(statuses(&report), expected);
}

#[tokio::test]
async fn a_cut_list_leaves_open_whom_the_rest_would_decide() {
    let caps = Caps { activity_per_assignment: 3, ..Caps::default() };
    let mut workforce = Workforce::new().assignment("A", "in-progress").assignment("B", "in-progress");
    for person in ["p1", "p2"] {
        workforce = workforce.enrolled("A", person).completed("A", person).enrolled("B", person);
    }
    workforce = workforce.row("A", "p1", None).completed("A", "p2").completed("B", "p2");
    let (report, _) = collect_with(&workforce, &["A", "B"], caps, Vec::new()).await;
    let report = report.unwrap();
    assert_eq!(statuses(&report), [("p1", NotCompliant), ("p2", Unknown)]);
    assert!(report.metadata.truncated);
    assert_eq!(report.summary.unknown, 1);
}

#[tokio::test]
async fn an_assignment_that_cannot_be_selected_is_refused_with_those_that_can() {
    let workforce =
        Workforce::four_people().assignment("D", "draft").assignment("E", "canceled").assignment("F", "deleted");
    for bad in ["E", "F", "Z"] {
        let (refused, requests) = collect_with(&workforce, &["A", bad], Caps::default(), Vec::new()).await;
        let failure = refused.unwrap_err();
        assert_eq!(failure.code, FailureCode::NotFound);
        let good = "those that can are A (in progress), B (completed), C (in progress), D (draft)";
        assert!(failure.message.contains(bad) && failure.message.contains(good), "{failure}");
        assert!(requests.iter().all(|it| it.list != Some(List::AssignmentLearners)));
    }
}

#[tokio::test]
async fn a_list_that_fails_leaves_nothing_to_be_said() {
    for (list, kind, code) in [
        (List::AssignmentLearners, FaultKind::Status(404), FailureCode::Refused),
        (List::AssignmentLearners, FaultKind::MissingKey, FailureCode::Malformed),
        (List::LearnerActivity, FaultKind::Forbidden, FailureCode::MissingScopes),
        (List::Learners, FaultKind::Status(500), FailureCode::Unavailable),
    ] {
        let faults = vec![Fault::always(Some(list), kind)];
        let (failed, _) = collect_with(&Workforce::four_people(), &["A", "B"], Caps::default(), faults).await;
        assert_eq!(failed.unwrap_err().code, code, "{list:?}");
    }
}

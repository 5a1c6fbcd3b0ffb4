//! People from run to run: who sticks, who changes, what is written and what is read.

use super::collect::selected;
use super::world::World;
use acceptance::edr::as_of;
use acceptance::people::Workforce;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::domain::failure::FailureCode;
use common::domain::people::person::{PeopleSummary, PrivacyMode};
use common::domain::people::status::PersonStatus::{Compliant, NotCompliant, NotEnrolled, Unknown};
use common::domain::quality::QualityCode;
use simulator::{Fault, FaultKind, List};

const PEOPLE: [&str; 4] = ["person-1", "person-2", "person-3", "person-4"];

async fn pseudonymous(workforce: &Workforce, ids: &[&str]) -> World {
    let mut world = World::new(workforce, PrivacyMode::Pseudonymous, ids).await;
    assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
    world
}

#[tokio::test]
async fn the_four_person_example_is_kept_and_counted() {
    let world = pseudonymous(&Workforce::four_people(), &["A", "B"]).await;
    let expected = [Some(Compliant), Some(NotCompliant), Some(Compliant), Some(NotCompliant)];
    assert_eq!(world.statuses(PEOPLE).await, expected);
    let one = world.person("person-1").await.unwrap().state;
    assert_eq!((one.completed, one.missing, one.compliance.since), (selected(&["A", "B"]), selected(&[]), as_of()));
    let three = world.person("person-3").await.unwrap().state;
    assert_eq!((three.completed, three.not_enrolled_in), (selected(&["A"]), selected(&["B"])));
    assert_eq!(world.history("person-2").await, ["> not_compliant"]);
    let people = world.bundle().await.people.unwrap();
    assert_eq!(people.summary, PeopleSummary { compliant: 2, not_compliant: 2, not_enrolled: 0, unknown: 0 });
    assert!(!people.controls.is_empty());
}

#[tokio::test]
async fn without_opting_in_nobody_is_kept_and_no_list_is_read() {
    for (mode, ids) in [(PrivacyMode::Aggregate, &["A", "B"][..]), (PrivacyMode::Full, &[])] {
        let mut world = World::new(&Workforce::four_people(), mode, ids).await;
        assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
        assert_eq!(world.store.people(&world.company, &world.id).await.unwrap(), []);
        assert_eq!(world.store.hash_key(&world.company).await.unwrap(), None);
        assert_eq!(world.asked(List::AssignmentLearners), 0);
        assert_eq!(world.bundle().await.people, None);
    }
}

#[tokio::test]
async fn compliance_sticks_against_a_source_that_withdraws_it() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    let before = world.person("person-1").await;
    world.night(&four.clone().withdrawn("A", "person-1").withdrawn("B", "person-1")).await;
    world.night(&four.clone().row("A", "person-1", None)).await;
    assert_eq!(world.person("person-1").await, before);
    assert_eq!(world.history("person-1").await, ["> compliant"]);
}

#[tokio::test]
async fn who_is_reset_is_evaluated_again_and_earns_it_again() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    world.wait(TimeDelta::hours(1)).await;
    world.reset("person-1", "changed roles").await;
    assert_eq!(world.statuses(["person-1"]).await, [Some(Unknown)]);
    world.night(&four.clone().withdrawn("B", "person-1")).await;
    assert_eq!(world.statuses(["person-1"]).await, [Some(NotCompliant)]);
    world.night(&four).await;
    let (status, since) = world.status("person-1").await.unwrap();
    assert_eq!(status, Compliant);
    assert!(since > as_of() + TimeDelta::days(1), "it counts anew");
    let history = [
        "> compliant",
        "compliant reset by auditor: changed roles",
        "unknown > not_compliant",
        "not_compliant > compliant",
    ];
    assert_eq!(world.history("person-1").await, history);
    let reset = world.person("person-1").await.unwrap().state.reset.unwrap();
    assert_eq!((reset.by.as_str(), reset.reason.as_str()), ("auditor", "changed roles"));
}

#[tokio::test]
async fn certification_ends_by_time_and_not_before() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    world.configure(|people| people.recertify_after_days = Some(10)).await;
    world.wait(TimeDelta::days(8)).await;
    let withdrawn = four.clone().withdrawn("A", "person-3");
    world.night(&withdrawn).await;
    assert_eq!(world.statuses(["person-1", "person-3"]).await, [Some(Compliant), Some(Compliant)]);
    world.night(&withdrawn).await;
    assert_eq!(world.statuses(["person-1", "person-3"]).await, [Some(Compliant), Some(NotCompliant)]);
    assert!(
        world.status("person-1").await.unwrap().1 > as_of() + TimeDelta::days(9),
        "found again, it counts from then"
    );
    assert_eq!(world.history("person-1").await, ["> compliant", "compliant > compliant"]);
}

#[tokio::test]
async fn a_certification_that_ended_is_not_shown_as_one_though_no_run_has_come() {
    let world = pseudonymous(&Workforce::four_people(), &["A", "B"]).await;
    world.configure(|people| people.recertify_after_days = Some(10)).await;
    let clock = std::sync::Arc::new(world.clock.clone());
    let service = common::app::people::PeopleService {
        store: world.store.clone(),
        keyring: world.keyring.clone(),
        clock,
        pages: None,
    };
    let counts = async || service.people(&world.company, &world.id, None).await.unwrap().1;
    assert_eq!(counts().await, PeopleSummary { compliant: 2, not_compliant: 2, not_enrolled: 0, unknown: 0 });
    world.wait(TimeDelta::days(10)).await;
    assert_eq!(counts().await, PeopleSummary { compliant: 0, not_compliant: 2, not_enrolled: 0, unknown: 2 });
    let person = service.person(&world.company, &world.id, "person-1").await.unwrap();
    assert_eq!(
        (person.state.compliance.status, person.state.compliance.since),
        (Unknown, as_of() + TimeDelta::days(10))
    );
    let compliant = service.page(&world.company, &world.id, Some(Compliant), None, 10).await.unwrap();
    assert_eq!(compliant, (Vec::new(), None));
}

#[tokio::test]
async fn a_certification_that_ended_counts_for_none_of_who_is_in_no_list_any_more() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    world.configure(|people| people.recertify_after_days = Some(10)).await;
    world.wait(TimeDelta::days(10)).await;
    let nobody = Workforce::new().assignment("A", "completed").assignment("B", "completed").learner("other", "active");
    world.night(&nobody).await;
    let summary = world.bundle().await.people.unwrap().summary;
    assert_eq!(summary, PeopleSummary { compliant: 0, not_compliant: 2, not_enrolled: 1, unknown: 2 });
}

#[tokio::test]
async fn a_vanished_pick_is_reported_and_changes_nobody_until_the_choice_is_changed() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    let gone = four.clone().without_assignment("B");
    world.night(&gone).await;
    let expected = [Some(Compliant), Some(NotCompliant), Some(Compliant), Some(NotCompliant)];
    assert_eq!(world.statuses(PEOPLE).await, expected);
    world.night(&gone).await;
    assert_eq!(world.statuses(PEOPLE).await, expected);
    let bundle = world.bundle().await;
    assert_eq!(bundle.people.unwrap().missing_assignments, selected(&["B"]));
    assert!(bundle.metadata.data_quality.iter().any(|it| it.code == QualityCode::SelectedAssignmentMissing));
    world.configure(|people| people.selected = selected(&["A"])).await;
    world.night(&gone).await;
    assert_eq!(world.statuses(PEOPLE).await, [Some(Compliant), Some(Compliant), Some(Compliant), Some(NotEnrolled)]);
}

#[tokio::test]
async fn a_selected_assignment_that_was_never_seen_turns_nobody_compliant() {
    let world = pseudonymous(&Workforce::four_people().without_assignment("B"), &["A", "B"]).await;
    let expected = [Some(Unknown), Some(Unknown), Some(Unknown), Some(Unknown)];
    assert_eq!(world.statuses(PEOPLE).await, expected);
}

#[tokio::test]
async fn a_truncated_list_changes_nobody_whom_it_would_decide() {
    let four = Workforce::four_people().learner("idle", "active");
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    assert_eq!(world.statuses(["idle"]).await, [Some(NotEnrolled)]);
    // The activity of A has five rows. Those that are read would make person-2 unknown and, for certain, idle not compliant.
    world.cap(4).await;
    let later = four.clone().completed("B", "person-2").completed("B", "person-4");
    let later = later.enrolled("A", "idle").row("A", "idle", None).completed("A", "person-1");
    world.night(&later).await;
    assert_eq!(world.statuses(PEOPLE).await, [Some(Compliant), Some(NotCompliant), Some(Compliant), Some(Compliant)]);
    assert_eq!(world.statuses(["idle"]).await, [Some(NotEnrolled)]);
    assert_eq!(world.history("idle").await, ["> not_enrolled"]);
    assert!(world.bundle().await.people.unwrap().truncated);
    world.cap(1000).await;
    world.night(&later).await;
    assert_eq!(world.statuses(PEOPLE).await, [Some(Compliant); 4]);
    assert_eq!(world.statuses(["idle"]).await, [Some(NotCompliant)]);
}

#[tokio::test]
async fn a_list_that_fails_changes_nobody_and_leaves_no_evidence() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    let (before, evidence) = (world.store.people(&world.company, &world.id).await.unwrap(), world.bundle().await);
    world.simulator.set_sat(four.clone().completed("B", "person-2").account());
    world.wait(TimeDelta::days(1)).await;
    world.simulator.set_faults(vec![Fault::always(Some(List::AssignmentLearners), FaultKind::MissingKey)]);
    let Processed::Failed(failure) = world.sync().await else { panic!("a failure was expected") };
    assert_eq!(failure.code, FailureCode::Malformed);
    assert_eq!(world.store.people(&world.company, &world.id).await.unwrap(), before);
    assert_eq!(world.bundle().await, evidence);
}

#[tokio::test]
async fn absence_is_no_departure_and_the_inactive_are_left_out() {
    let four = Workforce::four_people();
    let mut world = pseudonymous(&four, &["A", "B"]).await;
    let gone = Workforce::new().assignment("A", "completed").assignment("B", "completed").learner("someone", "active");
    world.night(&gone).await;
    let expected = [Some(Compliant), Some(NotCompliant), Some(Compliant), Some(NotCompliant)];
    assert_eq!(world.statuses(PEOPLE).await, expected, "who is in no list is not evaluated by it");
    let left = four.clone().without_learner("person-2").learner("person-2", "inactive");
    let left = left.without_learner("person-1").learner("person-1", "inactive");
    world.night(&left).await;
    assert_eq!(world.statuses(PEOPLE).await, expected);
    let summary = world.bundle().await.people.unwrap().summary;
    assert_eq!(summary, PeopleSummary { compliant: 1, not_compliant: 1, not_enrolled: 1, unknown: 0 });
    world.night(&four).await;
    assert!(!world.person("person-1").await.unwrap().state.inactive);
    assert_eq!(world.bundle().await.people.unwrap().summary.compliant, 2);
}

#[tokio::test]
async fn only_changed_rows_are_written_and_only_needed_lists_are_read() {
    let four =
        Workforce::four_people().assignment("D", "completed").enrolled("D", "person-1").completed("D", "person-1");
    let mut world = pseudonymous(&four, &["A", "B", "D"]).await;
    assert_eq!((world.asked(List::AssignmentLearners), world.asked(List::Certificate)), (3, 0));
    // The signals read the activity of all four assignments, and people are evaluated by the same pages.
    assert_eq!(world.asked(List::LearnerActivity), 4);
    let row = |people: &[common::store::PersonRecord]| people.to_vec();
    let before = row(&world.store.people(&world.company, &world.id).await.unwrap());
    world.night(&four).await;
    assert_eq!(row(&world.store.people(&world.company, &world.id).await.unwrap()), before);
    assert_eq!((world.asked(List::AssignmentLearners), world.asked(List::LearnerActivity)), (3, 4));
    let done = four.clone().completed("B", "person-2").completed("B", "person-4");
    world.night(&done).await;
    assert_eq!(world.statuses(PEOPLE).await, [Some(Compliant); 4]);
    world.night(&done).await;
    assert_eq!(
        (world.asked(List::AssignmentLearners), world.asked(List::LearnerActivity)),
        (0, 4),
        "everybody is done"
    );
    world.night(&done.clone().learner("new", "active").enrolled("A", "new")).await;
    assert_eq!(world.statuses(["new"]).await, [Some(NotCompliant)]);
    assert_eq!((world.asked(List::AssignmentLearners), world.asked(List::LearnerActivity)), (3, 4));
}

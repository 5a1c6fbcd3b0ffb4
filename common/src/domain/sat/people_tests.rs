use super::*;
use crate::domain::time::parse;

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

fn day(number: i64) -> DateTime<Utc> {
    at("2026-01-01T12:00:00Z") + TimeDelta::days(number)
}

fn enrolled(completion: Completion) -> PickFacts {
    PickFacts::Listed { enrollment: Enrollment::Enrolled, completion }
}

fn beside(enrollment: Enrollment) -> PickFacts {
    PickFacts::Listed { enrollment, completion: Completion::Incomplete }
}

const DONE: Completion = Completion::Complete;
const OPEN: Completion = Completion::Incomplete;

fn standing(status: PersonStatus, since: DateTime<Utc>) -> ComplianceStatus {
    ComplianceStatus { status, since }
}

#[test]
fn four_people() {
    // A and B are picked, C is not and so is in nobody's facts.
    let none = beside(Enrollment::NotEnrolled);
    assert_eq!(status(&[enrolled(DONE), enrolled(DONE)]), PersonStatus::Compliant);
    assert_eq!(status(&[enrolled(DONE), enrolled(OPEN)]), PersonStatus::NotCompliant);
    assert_eq!(status(&[enrolled(DONE), none]), PersonStatus::Compliant);
    assert_eq!(status(&[none, enrolled(OPEN)]), PersonStatus::NotCompliant);
}

#[test]
fn nobody_is_compliant_by_vacuity() {
    assert_eq!(status(&[]), PersonStatus::NotEnrolled);
    assert_eq!(status(&[beside(Enrollment::NotEnrolled)]), PersonStatus::NotEnrolled);
    let gone = PickFacts::Gone { was_open: Some(false) };
    assert_eq!(status(&[gone]), PersonStatus::NotEnrolled);
}

#[test]
fn what_was_cut_off_is_unknown_unless_what_was_read_decides() {
    let unknown = enrolled(Completion::Unknown);
    assert_eq!(status(&[enrolled(DONE), unknown]), PersonStatus::Unknown);
    assert_eq!(status(&[enrolled(DONE), beside(Enrollment::Unknown)]), PersonStatus::Unknown);
    assert_eq!(status(&[enrolled(OPEN), unknown]), PersonStatus::NotCompliant);
    assert_eq!(Enrollment::of(false, true), Enrollment::Unknown);
    assert_eq!(Enrollment::of(true, true), Enrollment::Enrolled);
}

#[test]
fn a_vanished_assignment_turns_nobody_compliant() {
    let gone = |was_open| PickFacts::Gone { was_open };
    assert_eq!(status(&[enrolled(DONE), gone(Some(true))]), PersonStatus::NotCompliant);
    assert_eq!(status(&[enrolled(DONE), gone(Some(false))]), PersonStatus::Compliant);
    assert_eq!(status(&[enrolled(DONE), gone(None)]), PersonStatus::Unknown);
}

#[test]
fn every_row_must_be_completed_and_not_after_the_evaluation() {
    let evaluated = |stamps: &[RawTimestamp<'_>]| {
        let mut rows = Rows::default();
        stamps.iter().for_each(|stamp| rows.add(*stamp, at("2026-03-22T12:00:00Z")));
        rows.completion(false)
    };
    let (done, later) = (RawTimestamp::Text("2026-03-22T12:00:00Z"), RawTimestamp::Text("2026-03-22T12:00:01Z"));
    assert_eq!(evaluated(&[done, done]), Completion::Complete);
    assert_eq!(evaluated(&[done, later]), Completion::Incomplete);
    assert_eq!(evaluated(&[done, RawTimestamp::NotText]), Completion::Unknown);
    assert_eq!(evaluated(&[RawTimestamp::Absent, RawTimestamp::NotText]), Completion::Incomplete);
}

#[test]
fn people_are_the_enrolled_and_the_active() {
    use LearnerState::{Active, Inactive, Unknown};
    assert_eq!(inclusion(Some(Active), false), Inclusion::Included);
    assert_eq!(inclusion(Some(Inactive), true), Inclusion::LeftOut);
    assert_eq!(inclusion(Some(Inactive), false), Inclusion::Nobody);
    assert_eq!(inclusion(None, true), Inclusion::Included);
    assert_eq!(inclusion(Some(Unknown), true), Inclusion::Included);
}

#[test]
fn compliance_sticks_against_a_source_that_withdraws_it() {
    let held = standing(PersonStatus::Compliant, day(0));
    for observed in [PersonStatus::NotCompliant, PersonStatus::NotEnrolled, PersonStatus::Unknown] {
        assert_eq!(next(Some(held), observed, day(5_000), None), held);
    }
}

#[test]
fn certification_ends_by_time_to_the_second() {
    let held = standing(PersonStatus::Compliant, day(0));
    let just_before = day(365) - TimeDelta::seconds(1);
    assert!(held.is_settled(just_before, Some(365)));
    assert!(!held.is_settled(day(365), Some(365)));
    let lost = next(Some(held), PersonStatus::NotCompliant, day(365), Some(365));
    assert_eq!(lost, standing(PersonStatus::NotCompliant, day(365)));
    let again = next(Some(held), PersonStatus::Compliant, day(365), Some(365));
    assert_eq!(again.since, day(365));
    assert!(again.is_newly_compliant(Some(held)));
    assert!(!held.is_newly_compliant(Some(held)));
}

#[test]
fn a_cut_list_changes_nobody() {
    for status in [PersonStatus::NotCompliant, PersonStatus::NotEnrolled] {
        let known = standing(status, day(0));
        assert_eq!(next(Some(known), PersonStatus::Unknown, day(1), None), known);
    }
    assert_eq!(next(None, PersonStatus::Unknown, day(1), None).status, PersonStatus::Unknown);
}

#[test]
fn a_status_keeps_its_date_while_it_lasts() {
    let open = standing(PersonStatus::NotCompliant, day(0));
    assert_eq!(next(Some(open), PersonStatus::NotCompliant, day(9), None), open);
    let done = next(Some(open), PersonStatus::Compliant, day(9), None);
    assert_eq!(done, standing(PersonStatus::Compliant, day(9)));
    assert!(done.is_newly_compliant(Some(open)));
}

#[test]
fn who_is_reset_earns_it_again() {
    let reset = Reset { by: "auditor".to_owned(), at: day(10), reason: "new role".to_owned() };
    let back = after_reset(&reset);
    assert_eq!(back.status, PersonStatus::Unknown);
    assert!(!back.is_settled(day(11), None));
    let earned = next(Some(back), PersonStatus::Compliant, day(11), None);
    assert!(earned.is_newly_compliant(Some(back)));
}

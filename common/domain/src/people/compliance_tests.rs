use super::*;
use crate::time::parse;

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

fn day(number: i64) -> DateTime<Utc> {
    at("2026-01-01T12:00:00Z") + TimeDelta::days(number)
}

fn enrolled(completion: Completion) -> SelectedFacts {
    SelectedFacts::Listed { enrollment: Enrollment::Enrolled, completion }
}

fn beside(enrollment: Enrollment) -> SelectedFacts {
    SelectedFacts::Listed { enrollment, completion: Completion::Incomplete }
}

const DONE: Completion = Completion::Complete;
const OPEN: Completion = Completion::Incomplete;

fn compliance(status: PersonStatus, since: DateTime<Utc>) -> ComplianceStatus {
    ComplianceStatus { status, since }
}

#[test]
fn four_people() {
    // A and B are selected, C is not and so is in nobody's facts.
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
    let gone = SelectedFacts::Gone { was_open: Some(false) };
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
    let gone = |was_open| SelectedFacts::Gone { was_open };
    assert_eq!(status(&[enrolled(DONE), gone(Some(true))]), PersonStatus::NotCompliant);
    assert_eq!(status(&[enrolled(DONE), gone(Some(false))]), PersonStatus::Compliant);
    assert_eq!(status(&[enrolled(DONE), gone(None)]), PersonStatus::Unknown);
}

#[test]
fn every_row_must_be_completed_and_not_after_the_evaluation() {
    let evaluated = |timestamps: &[RawTimestamp<'_>]| {
        let mut rows = Rows::default();
        timestamps.iter().for_each(|timestamp| rows.add(*timestamp, at("2026-03-22T12:00:00Z")));
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
    let held = compliance(PersonStatus::Compliant, day(0));
    for observed in [PersonStatus::NotCompliant, PersonStatus::NotEnrolled, PersonStatus::Unknown] {
        assert_eq!(next(Some(held), observed, day(5_000), None), held);
    }
}

#[test]
fn certification_ends_by_time_to_the_second() {
    let held = compliance(PersonStatus::Compliant, day(0));
    let just_before = day(365) - TimeDelta::seconds(1);
    assert!(held.is_settled(just_before, Some(365)));
    assert!(!held.is_settled(day(365), Some(365)));
    let lost = next(Some(held), PersonStatus::NotCompliant, day(365), Some(365));
    assert_eq!(lost, compliance(PersonStatus::NotCompliant, day(365)));
    let again = next(Some(held), PersonStatus::Compliant, day(365), Some(365));
    assert_eq!(again.since, day(365));
}

#[test]
fn a_cut_list_changes_nobody() {
    for status in [PersonStatus::NotCompliant, PersonStatus::NotEnrolled] {
        let known = compliance(status, day(0));
        assert_eq!(next(Some(known), PersonStatus::Unknown, day(1), None), known);
    }
    assert_eq!(next(None, PersonStatus::Unknown, day(1), None).status, PersonStatus::Unknown);
}

#[test]
fn a_status_keeps_its_date_while_it_lasts() {
    let open = compliance(PersonStatus::NotCompliant, day(0));
    assert_eq!(next(Some(open), PersonStatus::NotCompliant, day(9), None), open);
    let done = next(Some(open), PersonStatus::Compliant, day(9), None);
    assert_eq!(done, compliance(PersonStatus::Compliant, day(9)));
}

#[test]
fn who_is_reset_earns_it_again() {
    let reset = Reset { by: "auditor".to_owned(), at: day(10), reason: "new role".to_owned() };
    let back = after_reset(&reset);
    assert_eq!(back.status, PersonStatus::Unknown);
    assert!(!back.is_settled(day(11), None));
    let earned = next(Some(back), PersonStatus::Compliant, day(11), None);
    assert_eq!(earned, compliance(PersonStatus::Compliant, day(11)));
}

const RULE: RunRule = RunRule { as_of: DateTime::UNIX_EPOCH, recertify_after_days: None, is_first: false };

/// What the lists say of somebody and the assignment A.
fn in_a(facts: SelectedFacts, cut: bool) -> Option<Vec<SelectedAssignment>> {
    Some(vec![SelectedAssignment { id: SatId::parse("A").unwrap(), facts, cut }])
}

fn listed(learner: Option<LearnerState>, enrolled: bool) -> ListedPerson {
    ListedPerson { learner, enrolled }
}

#[test]
fn a_run_leaves_the_settled_the_inactive_and_whom_no_list_decides_as_they_are() {
    let here = listed(Some(LearnerState::Active), true);
    let rule = |number| RunRule { as_of: day(number), ..RULE };
    assert_eq!(rule(0).after_run(None, listed(Some(LearnerState::Inactive), true), || panic!("not needed")), None);
    assert_eq!(rule(0).after_run(None, listed(None, false), || panic!("not needed")), None);
    assert_eq!(rule(0).after_run(None, here, || None), None, "the lists were not read");
    let open = rule(0).after_run(None, here, || in_a(enrolled(OPEN), false)).unwrap();
    assert_eq!((open.compliance, open.missing.len()), (compliance(PersonStatus::NotCompliant, day(0)), 1));
    let cut = rule(1).after_run(Some(&open), here, || in_a(enrolled(Completion::Unknown), true)).unwrap();
    assert_eq!(cut, open);
    let left = rule(1).after_run(Some(&open), listed(Some(LearnerState::Inactive), true), || None).unwrap();
    assert_eq!(left, PersonState { inactive: true, ..open.clone() });
    let back = rule(2).after_run(Some(&left), here, || in_a(enrolled(DONE), false)).unwrap();
    assert_eq!((back.compliance, back.inactive), (compliance(PersonStatus::Compliant, day(2)), false));
    assert_eq!(rule(3).after_run(Some(&back), here, || panic!("settled")).unwrap(), back);
    // A vanished assignment: who was open in it stays so, who was not seen in it was not, and before the first run nobody knows.
    let id = SatId::parse("A").unwrap();
    assert_eq!(rule(1).was_open(Some(&open), &id), Some(true));
    assert_eq!(
        (rule(1).was_open(None, &id), RunRule { is_first: true, ..RULE }.was_open(None, &id)),
        (Some(false), None)
    );
}

#[test]
fn each_compliance_earns_its_own_certificates_and_who_lost_it_is_owed_none() {
    let here = listed(Some(LearnerState::Active), true);
    let rule = RunRule { as_of: day(0), ..RULE };
    let mut person = rule.after_run(None, here, || in_a(enrolled(DONE), false)).unwrap();
    owe_certificates(&mut person);
    owe_certificates(&mut person);
    let earned = |person: &PersonState| person.certificates.iter().map(|it| it.earned_at).collect::<Vec<_>>();
    assert_eq!(earned(&person), [day(0)]);
    person.certificates[0].outcome =
        CertificateOutcome::NoneAvailable { asked_at: day(0), answer: "status 404".to_owned() };
    person.compliance.since = day(400);
    owe_certificates(&mut person);
    assert_eq!(earned(&person), [day(0), day(400)]);
    person.compliance.status = PersonStatus::NotCompliant;
    owe_certificates(&mut person);
    assert_eq!(earned(&person), [day(0)], "what was asked stays known");
}

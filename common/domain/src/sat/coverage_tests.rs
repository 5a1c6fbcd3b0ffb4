use super::*;
use crate::id::RecordKey;
use crate::sat::activity::ActivityFacts;
use crate::sat::assignment::AssignmentFacts;
use crate::time::{RawTimestamp, parse};
use proptest::prelude::*;

const DONE: &str = "2026-01-10T08:00:00Z";

fn as_of() -> DateTime<Utc> {
    parse("2026-03-22T12:00:00Z").unwrap()
}

fn learner(number: u64) -> Option<LearnerKey> {
    LearnerKey::of("run", &format!("L{number}"))
}

fn activity(rows: &[(u64, &str)], cap: u64) -> ActivityTally {
    let mut tally = ActivityTally::new(Window::of_days(WINDOW_DAYS, as_of()), cap);
    for (row, (who, completed_at)) in rows.iter().enumerate() {
        let facts = ActivityFacts {
            id: RecordKey::from_text(&format!("la{row}")),
            learner: learner(*who),
            completed_at: RawTimestamp::Text(completed_at),
        };
        tally.add(&facts, as_of());
    }
    tally
}

fn listed(tally: &mut CoverageTally, numbers: std::ops::Range<u64>, status: &str) {
    for number in numbers {
        tally.add_learner(&LearnerFacts { learner: learner(number), status: Some(status) });
    }
}

fn trained(tally: &mut CoverageTally, numbers: std::ops::Range<u64>) {
    let rows: Vec<_> = numbers.map(|number| (number, DONE)).collect();
    tally.join(activity(&rows, 1_000)).unwrap();
}

fn assessed(tally: &CoverageTally, assignments: &AssignmentTally) -> Coverage {
    assess(&tally.facts(assignments), WINDOW_DAYS)
}

fn assignments() -> AssignmentTally {
    AssignmentTally::new(5_000)
}

/// `active` learners and `inactive` ones after them, the first `trained_active` of either trained.
fn workforce(active: u64, trained_active: u64, inactive: u64) -> CoverageTally {
    let mut tally = CoverageTally::new(as_of());
    tally.claim_active_learners(Some(active));
    listed(&mut tally, 0..active, "active");
    listed(&mut tally, active..active + inactive, "inactive");
    trained(&mut tally, 0..trained_active);
    trained(&mut tally, active..active + inactive);
    tally
}

#[test]
fn a_learner_in_three_assignments_counts_once() {
    let mut tally = workforce(10, 0, 0);
    for _ in 0..3 {
        trained(&mut tally, 0..9);
    }
    let coverage = assessed(&tally, &assignments());
    assert_eq!((coverage.trained, coverage.status), (9, Status::Pass));
    assert_eq!(coverage.shown().as_deref(), Some("90.0"));
    assert_eq!(coverage.reason, None);
}

#[test]
fn thresholds_are_exact() {
    let status = |trained| assessed(&workforce(1_000, trained, 0), &assignments()).status;
    assert_eq!([899, 900].map(status), [Status::Warning, Status::Pass]);
    assert_eq!([699, 700].map(status), [Status::Fail, Status::Warning]);
}

#[test]
fn learners_who_left_do_not_lift_the_status() {
    // 92 of 100 with those who left, 85 without.
    let coverage = assessed(&workforce(100, 85, 7), &assignments());
    assert_eq!(coverage.shown().as_deref(), Some("92.0"));
    assert_eq!(coverage.shown_without_departed().as_deref(), Some("85.0"));
    assert_eq!(
        (coverage.status, coverage.reason, coverage.departed),
        (Status::Warning, Some(Reason::InflatedByDepartedLearners), 7)
    );
    // In the same band they change nothing but are told.
    let coverage = assessed(&workforce(100, 91, 7), &assignments());
    assert_eq!((coverage.status, coverage.reason, coverage.departed), (Status::Pass, None, 7));
}

#[test]
fn the_shown_rate_ends_at_one_hundred() {
    let coverage = assessed(&workforce(10, 10, 5), &assignments());
    assert_eq!((coverage.trained, coverage.shown().as_deref()), (15, Some("100.0")));
    assert_eq!(coverage.status, Status::Pass);
}

#[test]
fn a_learner_absent_from_the_list_has_left() {
    let mut tally = workforce(10, 9, 0);
    trained(&mut tally, 500..501);
    assert_eq!(assessed(&tally, &assignments()).departed, 1);
}

#[test]
fn without_the_accounts_count_the_list_is_counted() {
    let mut tally = workforce(10, 9, 3);
    tally.claim_active_learners(None);
    let coverage = assessed(&tally, &assignments());
    assert_eq!((coverage.active, coverage.source), (10, WorkforceSource::LearnerList));
    assert_eq!(coverage.status, Status::Pass);
}

#[test]
fn without_a_workforce_there_is_a_warning_and_no_rate() {
    for tally in [workforce(0, 0, 4), CoverageTally::new(as_of())] {
        let coverage = assessed(&tally, &assignments());
        assert_eq!((coverage.status, coverage.reason), (Status::Warning, Some(Reason::NoWorkforce)));
        assert_eq!(coverage.shown(), None);
    }
}

#[test]
fn a_cut_list_can_only_confirm_a_pass() {
    let cut = |trained: u64| {
        let mut tally = workforce(10, 0, 0);
        let rows: Vec<_> = (0..trained + 1).map(|number| (number, DONE)).collect();
        tally.join(activity(&rows, trained)).unwrap();
        assert_eq!(tally.activity_cut().unwrap().lists, 1);
        assessed(&tally, &assignments())
    };
    let passing = cut(9);
    assert_eq!((passing.status, passing.reason), (Status::Pass, Some(Reason::Truncated)));
    let other = cut(8);
    assert_eq!((other.status, other.reason), (Status::Inconclusive, Some(Reason::Truncated)));
    assert_eq!(other.shown().as_deref(), Some("80.0"));
}

#[test]
fn an_activity_list_of_exactly_the_cap_is_not_cut() {
    let mut tally = workforce(10, 0, 0);
    let rows: Vec<_> = (0..8).map(|number| (number, DONE)).collect();
    tally.join(activity(&rows, 8)).unwrap();
    assert_eq!(tally.activity_cut(), None);
    assert_eq!(assessed(&tally, &assignments()).status, Status::Warning);
}

#[test]
fn a_cut_list_of_assignments_cuts_the_coverage() {
    let mut assignments = AssignmentTally::new(1);
    for id in ["a", "b"] {
        let facts = AssignmentFacts { id: Some(id), status: Some("draft") };
        assignments.add(&facts).unwrap();
    }
    let coverage = assessed(&workforce(10, 8, 0), &assignments);
    assert_eq!((coverage.status, coverage.reason), (Status::Inconclusive, Some(Reason::Truncated)));
}

#[test]
fn what_cannot_be_read_decides_nothing_where_it_makes_no_difference() {
    let with_unreadable = |trained_active| {
        let mut tally = workforce(10, trained_active, 0);
        tally.join(activity(&[(9, "soon")], 10)).unwrap();
        assessed(&tally, &assignments())
    };
    let open = with_unreadable(8);
    assert_eq!((open.status, open.reason), (Status::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!(open.trained, 8);
    assert_eq!(with_unreadable(9).status, Status::Pass);
    assert_eq!((with_unreadable(5).status, with_unreadable(5).reason), (Status::Fail, None));
}

#[test]
fn a_readable_completion_of_the_same_learner_settles_an_unreadable_one() {
    let mut tally = workforce(10, 8, 0);
    tally.join(activity(&[(7, "soon")], 10)).unwrap();
    assert_eq!(assessed(&tally, &assignments()).status, Status::Warning);
}

#[test]
fn learners_of_unknown_status_are_neither_active_nor_gone() {
    let mut tally = CoverageTally::new(as_of());
    tally.claim_active_learners(Some(10));
    listed(&mut tally, 0..9, "active");
    listed(&mut tally, 9..10, "on_leave");
    trained(&mut tally, 0..8);
    trained(&mut tally, 9..10);
    let coverage = assessed(&tally, &assignments());
    assert_eq!((coverage.status, coverage.departed), (Status::Inconclusive, 0));
    assert_eq!(tally.quality.count(QualityCode::UnknownLearnerStatus), 1);
    trained(&mut tally, 8..9);
    assert_eq!(assessed(&tally, &assignments()).status, Status::Pass);
    // As a fallback the list alone: 9 of 9 active, or 9 of 10.
    tally.claim_active_learners(None);
    assert_eq!(assessed(&tally, &assignments()).status, Status::Pass);
}

#[test]
fn a_trained_learner_of_unknown_status_is_in_both_numbers_or_in_none() {
    let mut tally = workforce(10, 6, 0);
    tally.claim_active_learners(None);
    listed(&mut tally, 10..11, "on_leave");
    trained(&mut tally, 10..11);
    // 6 of 10 or 7 of 11, never 7 of 10.
    assert_eq!(assessed(&tally, &assignments()).status, Status::Fail);
}

#[test]
fn an_assignment_of_unknown_status_makes_the_coverage_a_lower_bound() {
    let mut assignments = assignments();
    let facts = AssignmentFacts { id: Some("a"), status: Some("archived") };
    assignments.add(&facts).unwrap();
    let (low, high) = (assessed(&workforce(10, 6, 0), &assignments), assessed(&workforce(10, 9, 0), &assignments));
    assert_eq!((low.status, low.reason), (Status::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!((high.status, high.reason), (Status::Pass, None));
}

#[test]
fn lists_that_contradict_themselves_give_no_evidence() {
    let mut tally = CoverageTally::new(as_of());
    tally.claim_active_learners(Some(5));
    assert_eq!(tally.check(), Err(Inconsistent::LearnersMissing { claimed: 5 }));
    tally.add_learner(&LearnerFacts::default());
    assert!(matches!(tally.check(), Err(Inconsistent::NoIds { records: 1, .. })));
    listed(&mut tally, 0..1, "active");
    assert_eq!(tally.check(), Ok(()));
}

#[test]
fn a_tally_survives_a_checkpoint() {
    let tally = workforce(10, 9, 2);
    let restored: CoverageTally = postcard::from_bytes(&postcard::to_allocvec(&tally).unwrap()).unwrap();
    assert_eq!(assessed(&restored, &assignments()), assessed(&tally, &assignments()));
}

/// The definition itself, with sets.
fn plainly(rows: &[(u64, &str)], states: &[&str]) -> (u64, u64) {
    let trained: BTreeSet<u64> = rows.iter().filter(|(_, at)| *at == DONE).map(|(who, _)| *who).collect();
    let gone = |who: &&u64| states.get(**who as usize).is_none_or(|state| *state != "active");
    (trained.len() as u64, trained.iter().filter(gone).count() as u64)
}

proptest! {
    #[test]
    fn order_pages_and_duplicates_do_not_matter(
        rows in proptest::collection::vec((0_u64..30, prop_oneof![Just(DONE), Just("2024-01-01T00:00:00Z")]), 0..80),
        states in proptest::collection::vec(prop_oneof![Just("active"), Just("inactive")], 1..30),
        page in 1_usize..20,
        claimed in proptest::option::of(0_u64..40),
    ) {
        let evaluated = |pages: Vec<Vec<(u64, &str)>>, turned: bool, twice: bool| {
            let mut tally = CoverageTally::new(as_of());
            tally.claim_active_learners(claimed);
            let mut people: Vec<_> = states.iter().enumerate().collect();
            if turned {
                people.reverse();
            }
            for _ in 0..=u8::from(twice) {
                for (number, state) in &people {
                    tally.add_learner(&LearnerFacts { learner: learner(*number as u64), status: Some(state) });
                }
            }
            for rows in pages {
                tally.join(activity(&rows, 1_000)).unwrap();
            }
            assessed(&tally, &assignments())
        };
        let whole = evaluated(vec![rows.clone()], false, false);
        let mut turned = rows.clone();
        turned.reverse();
        turned.extend(rows.iter().copied());
        let parts = evaluated(turned.chunks(page).map(<[_]>::to_vec).collect(), true, true);
        prop_assert_eq!(whole, parts);
        prop_assert_eq!((whole.trained, whole.departed), plainly(&rows, &states));
        prop_assert!(whole.departed <= whole.trained);
        // A status is never better than the rate alone gives.
        if let Some(raw) = band(whole.trained, whole.active) {
            prop_assert!(whole.status >= raw);
        }
    }

    /// Whatever the unknown turns out to be, a given status is the one that it would give.
    #[test]
    fn a_given_status_holds_for_every_reading_of_the_unknown(
        people in proptest::collection::vec(
            (
                prop_oneof![4 => Just("active"), 1 => Just("inactive"), 1 => Just("on_leave")],
                prop_oneof![6 => Just(Some(DONE)), 1 => Just(Some("soon")), 1 => Just(None)],
                any::<bool>(),
                any::<bool>(),
            ),
            1..12,
        ),
        claimed in any::<bool>(),
    ) {
        let evaluated = |people: Vec<(&str, Option<&str>)>, claimed: Option<u64>| {
            let mut tally = CoverageTally::new(as_of());
            tally.claim_active_learners(claimed);
            let mut rows = Vec::new();
            for (number, (state, completed_at)) in (0..).zip(people) {
                tally.add_learner(&LearnerFacts { learner: learner(number), status: Some(state) });
                rows.extend(completed_at.map(|completed_at| (number, completed_at)));
            }
            tally.join(activity(&rows, 1_000)).unwrap();
            assessed(&tally, &assignments())
        };
        let truth: Vec<_> = people.iter().map(|(state, completed_at, active, trained)| {
            let state = if *state == "on_leave" { if *active { "active" } else { "inactive" } } else { state };
            let completed_at = if *completed_at == Some("soon") { trained.then_some(DONE) } else { *completed_at };
            (state, completed_at)
        }).collect();
        // The account's own count is right, where it gives one.
        let active = truth.iter().filter(|(state, _)| *state == "active").count() as u64;
        let claimed = claimed.then_some(active);
        let given = evaluated(people.iter().map(|(state, completed_at, ..)| (*state, *completed_at)).collect(), claimed);
        if given.status != Status::Inconclusive {
            prop_assert_eq!(evaluated(truth, claimed).status, given.status);
        }
    }
}

//! Everybody that the lists name, and what they say of each selected assignment: the facts that statuses are made of.

use super::compliance::{
    Completion, Enrollment, Inclusion, ListedPerson, Rows, SelectedAssignment, SelectedFacts, inclusion,
};
use super::selection::{AssignmentBook, Place, SelectedAssignments};
use crate::id::RecordKey;
use crate::quality::{Quality, QualityCode};
use crate::sat::MAX_CAP;
use crate::sat::coverage::{LearnerState, learner_state};
use crate::sat::id::SatId;
use crate::sat::list::{Capped, Inconsistent, SatList};
use crate::seen::SeenIds;
use crate::time::{ParsedTimestamp, RawTimestamp, is_future};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A learner's id as the source writes it. It is held in memory, and sealed between the parts of a run; a log shows nothing of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LearnerId(String);

impl LearnerId {
    /// An id; `None` for a blank one, which is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The id itself: for the person's hash, for a request about them, and for an operator who asked for it with a credential of their own.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LearnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LearnerId")
    }
}

/// A learner's name and address, while a run lasts.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// First and last name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

/// One person, as the lists know them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Listed {
    state: Option<LearnerState>,
    profile: Profile,
    cells: Vec<Cell>,
}

impl Listed {
    /// Name and address, as far as they were read.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the rule needs to know of them besides the selected assignments.
    #[must_use]
    pub fn person(&self) -> ListedPerson {
        ListedPerson { learner: self.state, enrolled: self.is_enrolled() }
    }

    /// Whether the account's list calls them inactive.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.state == Some(LearnerState::Inactive)
    }

    fn is_enrolled(&self) -> bool {
        self.cells.iter().any(|cell| cell.enrolled)
    }
}

/// A person and a selected assignment.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Cell {
    enrolled: bool,
    rows: Rows,
}

/// One selected assignment and its two lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Selected {
    id: SatId,
    /// Gone until the account's list is read.
    place: Place,
    learners: Capped,
    named: bool,
    activity: Capped,
    usable: bool,
    seen: SeenIds,
}

/// Everybody that the lists of one run name. It is serialized only to be sealed until the next part of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Roster {
    as_of: DateTime<Utc>,
    selected: Vec<Selected>,
    people: BTreeMap<LearnerId, Listed>,
    learners_read: u64,
    quality: Quality,
}

impl Roster {
    /// Nobody yet. `cap` is that of the activity records of one assignment; who is enrolled is read to the end.
    #[must_use]
    pub fn new(as_of: DateTime<Utc>, selected: &SelectedAssignments, cap: u64) -> Self {
        let new = |id: &SatId| Selected {
            id: id.clone(),
            place: Place::Gone,
            learners: Capped::at(MAX_CAP),
            named: false,
            activity: Capped::at(cap),
            usable: false,
            seen: SeenIds::default(),
        };
        let selected = selected.iter().map(new).collect();
        Self { as_of, selected, people: BTreeMap::new(), learners_read: 0, quality: Quality::default() }
    }

    /// The same, with the place of each selected assignment in the account's list.
    #[must_use]
    pub fn placed(mut self, book: &AssignmentBook) -> Self {
        self.place(book);
        self
    }

    /// Finds the place of each selected assignment in the account's list, which is complete.
    pub fn place(&mut self, book: &AssignmentBook) {
        self.selected.iter_mut().for_each(|selected| selected.place = book.place(&selected.id));
    }

    /// The assignments that it is about.
    #[must_use]
    pub fn selected(&self) -> SelectedAssignments {
        self.selected.iter().map(|selected| selected.id.clone()).collect()
    }

    /// The selected assignments that the account lists, by their places in the roster.
    #[must_use]
    pub fn listed_assignments(&self) -> Vec<(usize, SatId)> {
        let listed = self.selected.iter().enumerate().filter(|(_, selected)| selected.place == Place::Listed);
        listed.map(|(index, selected)| (index, selected.id.clone())).collect()
    }

    /// The selected assignments that the account no longer lists.
    #[must_use]
    pub fn gone(&self) -> SelectedAssignments {
        self.selected
            .iter()
            .filter(|selected| selected.place == Place::Gone)
            .map(|selected| selected.id.clone())
            .collect()
    }

    fn person(&mut self, learner: LearnerId) -> &mut Listed {
        let assignments = self.selected.len();
        let new = || Listed { cells: vec![Cell::default(); assignments], ..Listed::default() };
        self.people.entry(learner).or_insert_with(new)
    }

    /// Adds a record of the account's list of learners; of two with one id the first counts.
    pub fn add_learner(&mut self, learner: Option<LearnerId>, status: Option<&str>, profile: Profile) {
        self.learners_read += 1;
        let Some(learner) = learner else {
            self.quality.note(QualityCode::RecordWithoutId);
            return;
        };
        let person = self.person(learner);
        if person.state.is_some() {
            self.quality.note(QualityCode::DuplicateRecord);
            return;
        }
        person.state = Some(learner_state(status));
        person.profile = profile;
    }

    /// Adds a record of the learners of a selected assignment; false once more of that list is not wanted. The name of who is in no other list is taken from it.
    pub fn enroll(&mut self, index: usize, learner: Option<LearnerId>, profile: Profile) -> bool {
        let Some(list) = self.selected.get_mut(index) else { return false };
        if !list.learners.admit() {
            return false;
        }
        let Some(learner) = learner else {
            self.quality.note(QualityCode::RecordWithoutId);
            return true;
        };
        list.named = true;
        let person = self.person(learner);
        if person.state.is_none() {
            person.profile = profile;
        }
        let again = person.cells.get_mut(index).is_some_and(|cell| std::mem::replace(&mut cell.enrolled, true));
        if again {
            self.quality.note(QualityCode::DuplicateRecord);
        }
        true
    }

    /// Adds a row of the activity of a selected assignment; false once more of that list is not wanted. Of two rows with one id the first counts.
    pub fn add_activity(
        &mut self,
        index: usize,
        id: Option<RecordKey>,
        learner: Option<LearnerId>,
        completed_at: RawTimestamp<'_>,
        observed_at: DateTime<Utc>,
    ) -> bool {
        let as_of = self.as_of;
        let Some(list) = self.selected.get_mut(index) else { return false };
        if !list.activity.admit() {
            return false;
        }
        let (Some(id), Some(learner)) = (id, learner) else {
            self.quality.note(QualityCode::RecordWithoutId);
            return true;
        };
        list.usable = true;
        if !list.seen.insert(id) {
            self.quality.note(QualityCode::DuplicateRecord);
            return true;
        }
        match completed_at.read() {
            ParsedTimestamp::At(at) if is_future(at, observed_at) => self.quality.note(QualityCode::FutureTimestamp),
            ParsedTimestamp::Unreadable => self.quality.note(QualityCode::MalformedTimestamp),
            ParsedTimestamp::At(_) | ParsedTimestamp::Absent => {}
        }
        if let Some(cell) = self.person(learner).cells.get_mut(index) {
            cell.rows.add(completed_at, as_of);
        }
        true
    }

    /// Checks the account's list of learners, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check_everybody(&self) -> Result<(), Inconsistent> {
        if self.learners_read > 0 && self.people.is_empty() {
            return Err(Inconsistent::NoIds { list: SatList::Learners, records: self.learners_read });
        }
        Ok(())
    }

    /// Checks a selected assignment's list of learners, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check_learners(&self, index: usize) -> Result<(), Inconsistent> {
        let list = self.selected.get(index).map(|selected| (selected.learners.read(), selected.named));
        match list {
            Some((records, false)) if records > 0 => Err(Inconsistent::NoIds { list: SatList::Learners, records }),
            _ => Ok(()),
        }
    }

    /// Checks a selected assignment's activity, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check_activity(&self, index: usize) -> Result<(), Inconsistent> {
        let list = self.selected.get(index).map(|selected| (selected.activity.read(), selected.usable));
        match list {
            Some((records, false)) if records > 0 => {
                Err(Inconsistent::NoIds { list: SatList::LearnerActivity, records })
            }
            _ => Ok(()),
        }
    }

    /// Whether anybody of `wanted` is enrolled in a selected assignment: then its activity has to be read.
    pub fn is_needed(&self, index: usize, wanted: impl Fn(&LearnerId, &Listed) -> bool) -> bool {
        let enrolled = |listed: &Listed| listed.cells.get(index).is_some_and(|cell| cell.enrolled);
        self.people.iter().any(|(learner, listed)| enrolled(listed) && wanted(learner, listed))
    }

    /// Whether a list that statuses are made of was cut at its cap.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.lists_cut() > 0
    }

    fn lists_cut(&self) -> u64 {
        let beyond = self.selected.iter().any(|selected| selected.place == Place::BeyondTheCap);
        let of_one =
            |selected: &Selected| u64::from(selected.learners.is_cut()) + u64::from(selected.activity.is_cut());
        u64::from(beyond) + self.selected.iter().map(of_one).sum::<u64>()
    }

    /// Everybody that a list names, whether they belong to the people or not.
    pub fn everybody(&self) -> impl Iterator<Item = (&LearnerId, &Listed)> {
        self.people.iter()
    }

    /// Whether somebody belongs to the people.
    #[must_use]
    pub fn inclusion(&self, listed: &Listed) -> Inclusion {
        inclusion(listed.state, listed.is_enrolled())
    }

    /// What the lists of the selected assignments say of somebody. `was_open` tells whether they were enrolled in a vanished one and not done when it was
    /// last seen.
    pub fn assignments_of(
        &self,
        listed: &Listed,
        was_open: impl Fn(&SatId) -> Option<bool>,
    ) -> Vec<SelectedAssignment> {
        let known = |(selected, cell): (&Selected, &Cell)| {
            let (facts, cut) = match selected.place {
                Place::Listed => {
                    let facts = SelectedFacts::Listed {
                        enrollment: Enrollment::of(cell.enrolled, selected.learners.is_cut()),
                        completion: cell.rows.completion(selected.activity.is_cut()),
                    };
                    (facts, selected.learners.is_cut() || (cell.enrolled && selected.activity.is_cut()))
                }
                Place::BeyondTheCap => {
                    let (enrollment, completion) = (Enrollment::Unknown, Completion::Unknown);
                    (SelectedFacts::Listed { enrollment, completion }, true)
                }
                Place::Gone => (SelectedFacts::Gone { was_open: was_open(&selected.id) }, false),
            };
            SelectedAssignment { id: selected.id.clone(), facts, cut }
        };
        self.selected.iter().zip(&listed.cells).map(known).collect()
    }

    /// What was odd about the lists, and who was left out.
    #[must_use]
    pub fn quality(&self) -> Quality {
        let mut quality = self.quality.clone();
        let left_out = self.people.values().filter(|listed| self.inclusion(listed) == Inclusion::LeftOut).count();
        quality.note_many(QualityCode::SelectedAssignmentMissing, self.gone().len() as u64);
        quality.note_many(QualityCode::InactivePeople, left_out as u64);
        quality.note_many(QualityCode::TruncatedList, self.lists_cut());
        quality
    }
}

#[cfg(test)]
mod tests {
    use super::super::compliance::evaluate;
    use super::super::selection::DescribedAssignment;
    use super::super::status::PersonStatus;
    use super::*;
    use crate::sat::assignment::AssignmentFacts;
    use crate::time::parse;
    use PersonStatus::{Compliant, NotCompliant, NotEnrolled, Unknown};

    fn at(text: &str) -> DateTime<Utc> {
        parse(text).unwrap()
    }

    fn learner(id: &str) -> Option<LearnerId> {
        LearnerId::new(id)
    }

    /// A roster of the selected assignments A and B, of which the account lists `listed`.
    fn roster(listed: &[&str], cap: u64) -> Roster {
        let mut book = AssignmentBook::new(100);
        for id in listed {
            let facts = AssignmentFacts { id: Some(id), status: Some("in-progress") };
            book.add(&DescribedAssignment { facts, ..Default::default() });
        }
        let selected = ["A", "B"].map(|id| SatId::parse(id).unwrap()).into();
        Roster::new(at("2026-03-22T12:00:00Z"), &selected, cap).placed(&book)
    }

    fn done(roster: &mut Roster, index: usize, who: &str) {
        let key = RecordKey::from_text(&format!("{index}-{who}"));
        let timestamp = RawTimestamp::Text("2026-03-01T12:00:00Z");
        roster.add_activity(index, key, learner(who), timestamp, at("2026-03-22T12:00:00Z"));
    }

    fn evaluated(roster: &Roster, was_open: Option<bool>) -> Vec<(String, PersonStatus)> {
        let included = roster.everybody().filter(|(_, listed)| roster.inclusion(listed) == Inclusion::Included);
        included
            .map(|(id, listed)| (id.expose().to_owned(), evaluate(roster.assignments_of(listed, |_| was_open)).status))
            .collect()
    }

    fn named(statuses: &[(&str, PersonStatus)]) -> Vec<(String, PersonStatus)> {
        statuses.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect()
    }

    #[test]
    fn four_people_and_who_is_in_nothing() {
        let mut roster = roster(&["A", "B"], 100);
        for (index, who) in [(0, "one"), (1, "one"), (0, "two"), (1, "two"), (0, "three"), (1, "four")] {
            assert!(roster.enroll(index, learner(who), Profile::default()));
        }
        roster.add_learner(learner("five"), Some("active"), Profile::default());
        for (index, who) in [(0, "one"), (1, "one"), (0, "two"), (0, "three")] {
            done(&mut roster, index, who);
        }
        let expected = [
            ("five", NotEnrolled),
            ("four", NotCompliant),
            ("one", Compliant),
            ("three", Compliant),
            ("two", NotCompliant),
        ];
        assert_eq!(evaluated(&roster, None), named(&expected));
        assert!(roster.quality().entries().is_empty());
    }

    #[test]
    fn rows_without_enrollment_make_nobody_a_person() {
        let mut roster = roster(&["A", "B"], 100);
        done(&mut roster, 0, "ghost");
        assert_eq!(evaluated(&roster, None), []);
    }

    #[test]
    fn the_inactive_are_left_out_and_counted_and_the_unlisted_are_not() {
        let mut roster = roster(&["A", "B"], 100);
        roster.add_learner(learner("left"), Some("inactive"), Profile::default());
        for who in ["left", "unlisted"] {
            roster.enroll(0, learner(who), Profile::default());
        }
        assert_eq!(evaluated(&roster, None), named(&[("unlisted", NotCompliant)]));
        assert_eq!(roster.quality().count(QualityCode::InactivePeople), 1);
    }

    #[test]
    fn a_cut_list_leaves_open_whom_it_would_decide_and_nobody_else() {
        let mut roster = roster(&["A", "B"], 1);
        for (index, who) in [(0, "one"), (0, "two"), (1, "three")] {
            assert!(roster.enroll(index, learner(who), Profile::default()));
        }
        done(&mut roster, 0, "one");
        done(&mut roster, 1, "three");
        assert_eq!(evaluated(&roster, None), named(&[("one", Compliant), ("three", Compliant), ("two", NotCompliant)]));
        done(&mut roster, 0, "two");
        assert_eq!(evaluated(&roster, None), named(&[("one", Unknown), ("three", Compliant), ("two", Unknown)]));
        let cut: Vec<bool> =
            roster.everybody().map(|(_, listed)| evaluate(roster.assignments_of(listed, |_| None)).truncated).collect();
        assert_eq!(cut, [true, false, true]);
        assert!(roster.is_truncated());
        assert_eq!(roster.quality().count(QualityCode::TruncatedList), 1);
    }

    #[test]
    fn a_vanished_assignment_is_reported_and_turns_nobody_compliant() {
        let mut roster = roster(&["A"], 100);
        roster.enroll(0, learner("one"), Profile::default());
        done(&mut roster, 0, "one");
        assert_eq!(roster.quality().count(QualityCode::SelectedAssignmentMissing), 1);
        assert_eq!(evaluated(&roster, Some(true)), named(&[("one", NotCompliant)]));
        assert_eq!(evaluated(&roster, Some(false)), named(&[("one", Compliant)]));
        assert_eq!(evaluated(&roster, None), named(&[("one", Unknown)]));
    }

    #[test]
    fn a_list_that_names_nobody_is_an_error() {
        let mut roster = roster(&["A", "B"], 100);
        assert!(roster.check_learners(0).is_ok() && roster.check_activity(0).is_ok());
        roster.enroll(0, None, Profile::default());
        roster.add_activity(0, None, None, RawTimestamp::Absent, at("2026-03-22T12:00:00Z"));
        assert!(roster.check_learners(0).is_err() && roster.check_activity(0).is_err());
        assert!(roster.check_learners(1).is_ok());
    }

    #[test]
    fn only_activity_of_ones_with_somebody_wanted_is_needed() {
        let mut roster = roster(&["A", "B"], 100);
        roster.enroll(0, learner("done"), Profile::default());
        roster.enroll(1, learner("open"), Profile::default());
        let wanted = |learner: &LearnerId, _: &Listed| learner.expose() == "open";
        assert!(!roster.is_needed(0, wanted) && roster.is_needed(1, wanted));
    }
}

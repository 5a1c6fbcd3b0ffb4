//! Which assignments a connection may select for the training of people, and what became of those that it selected.

use crate::quality::{Quality, QualityCode, normalized};
use crate::sat::assignment::{AssignmentFacts, AssignmentState, classify};
use crate::sat::id::SatId;
use crate::sat::list::{Capped, Inconsistent, SatList};
use crate::text;
use crate::time::{ParsedTimestamp, RawTimestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The assignments that count, by id; empty when nothing was selected.
pub type SelectedAssignments = BTreeSet<SatId>;

/// Selected assignments, at most: each costs requests of its own in every run.
pub const MAX_SELECTED: usize = 100;

/// What the source says of one assignment that may be selected.
#[derive(Debug, Clone, Copy, Default)]
pub struct DescribedAssignment<'a> {
    /// Id and status.
    pub facts: AssignmentFacts<'a>,
    /// Its name. It is shown to whoever selects, and never stored.
    pub name: Option<&'a str>,
    /// When it begins.
    pub starts_at: RawTimestamp<'a>,
    /// When it ends.
    pub ends_at: RawTimestamp<'a>,
}

/// An assignment that may be selected, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SelectableAssignment {
    /// Its id.
    pub id: SatId,
    /// Its name, if the source gives one.
    pub name: Option<String>,
    /// `in_progress`, `completed` or `draft`.
    pub status: AssignmentState,
    /// When it begins.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether the connection has selected it.
    #[serde(rename = "picked")]
    pub selected: bool,
}

/// Where a selected assignment is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The account lists it.
    Listed,
    /// The account, whose list was read to its end, does not, or calls it deleted.
    Gone,
    /// The list was cut before it came.
    BeyondTheCap,
}

/// A choice that names assignments which cannot be selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CannotSelect {
    /// The ids, each with why.
    pub bad: Vec<(SatId, &'static str)>,
    /// The ids that can be selected, each with its status.
    pub good: Vec<(SatId, AssignmentState)>,
}

/// Good ids named in one line, at most; the command `assignments` lists all.
const SHOWN: usize = 20;

impl fmt::Display for CannotSelect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad: Vec<String> = self.bad.iter().map(|(id, why)| format!("{id} ({why})")).collect();
        write!(f, "these assignments cannot be selected: {}; ", bad.join(", "))?;
        if self.good.is_empty() {
            return f.write_str("the account has none that can");
        }
        let good: Vec<String> =
            self.good.iter().take(SHOWN).map(|(id, state)| format!("{id} ({})", spoken(*state))).collect();
        let more = self.good.len() - good.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        write!(f, "those that can are {}{more}", good.join(", "))
    }
}

fn spoken(state: AssignmentState) -> &'static str {
    match state {
        AssignmentState::InProgress => "in progress",
        AssignmentState::Completed => "completed",
        AssignmentState::Draft => "draft",
        AssignmentState::NotHeld => "being sent out, or called off",
        AssignmentState::Unknown => "of a status that is not known",
    }
}

/// The assignments of an account, with what is shown of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AssignmentBook {
    capped: Capped,
    listed: BTreeMap<SatId, Listed>,
    unusable: u64,
    /// What was odd about the list.
    pub quality: Quality,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    state: AssignmentState,
    deleted: bool,
    name: Option<String>,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

impl AssignmentBook {
    /// An empty list that is read up to `cap`.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        Self { capped: Capped::at(cap), listed: BTreeMap::new(), unusable: 0, quality: Quality::default() }
    }

    /// Adds a listed assignment; of two with one id the first counts. One whose id does not belong in a path cannot be selected.
    pub fn add(&mut self, assignment: &DescribedAssignment<'_>) {
        if !self.capped.admit() {
            return;
        }
        let id = assignment.facts.id.unwrap_or_default().trim();
        if id.is_empty() {
            self.quality.note(QualityCode::RecordWithoutId);
            return;
        }
        let Ok(id) = SatId::parse(id) else {
            self.unusable += 1;
            return;
        };
        let word = normalized(assignment.facts.status.unwrap_or_default());
        let listed = Listed {
            state: classify(assignment.facts.status),
            deleted: word.as_ref() == "deleted",
            name: assignment.name.and_then(text::name),
            starts_at: instant(assignment.starts_at),
            ends_at: instant(assignment.ends_at),
        };
        match self.listed.entry(id) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(listed);
            }
            std::collections::btree_map::Entry::Occupied(_) => self.quality.note(QualityCode::DuplicateRecord),
        }
    }

    /// Checks the list, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids: it would turn every selected one into one that is gone.
    pub fn check(&self) -> Result<(), Inconsistent> {
        if self.capped.read() > 0 && self.listed.is_empty() && self.unusable == 0 {
            return Err(Inconsistent::NoIds { list: SatList::Assignments, records: self.capped.read() });
        }
        Ok(())
    }

    /// How far the list was read.
    #[must_use]
    pub fn capped(&self) -> Capped {
        self.capped
    }

    /// Those that can be selected, by id.
    #[must_use]
    pub fn selectable(&self, selected: &SelectedAssignments) -> Vec<SelectableAssignment> {
        let can_be = self.listed.iter().filter(|(_, listed)| listed.state.can_be_selected());
        can_be
            .map(|(id, listed)| SelectableAssignment {
                id: id.clone(),
                name: listed.name.clone(),
                status: listed.state,
                starts_at: listed.starts_at,
                ends_at: listed.ends_at,
                selected: selected.contains(id),
            })
            .collect()
    }

    /// Checks a choice: in progress, completed or draft, and listed. What was cut off cannot be checked, so it cannot be selected.
    ///
    /// ```
    /// use evidence_domain::{people::selection::*, sat::{assignment::AssignmentFacts, id::SatId}};
    /// let mut book = AssignmentBook::new(10);
    /// for (id, status) in [("a8Rt2", "in-progress"), ("b3", "canceled")] {
    ///     let facts = AssignmentFacts { id: Some(id), status: Some(status) };
    ///     book.add(&DescribedAssignment { facts, ..Default::default() });
    /// }
    /// let selected = |ids: &[&str]| -> SelectedAssignments { ids.iter().map(|id| SatId::parse(*id).unwrap()).collect() };
    /// assert!(book.check_selection(&selected(&["a8Rt2"])).is_ok());
    /// let refused = book.check_selection(&selected(&["a8Rt2", "b3", "zz"])).unwrap_err().to_string();
    /// assert_eq!(
    ///     refused,
    ///     "these assignments cannot be selected: b3 (being sent out, or called off), zz (not there); \
    ///      those that can are a8Rt2 (in progress)"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`CannotSelect`] names the bad ones, and those that can be selected.
    pub fn check_selection(&self, selected: &SelectedAssignments) -> Result<(), CannotSelect> {
        let why = |id: &SatId| match self.listed.get(id) {
            Some(listed) if listed.state.can_be_selected() => None,
            Some(listed) if listed.deleted => Some("deleted"),
            Some(listed) => Some(spoken(listed.state)),
            None if self.capped.is_cut() => Some("not among the assignments that were read, up to the cap"),
            None => Some("not there"),
        };
        let bad: Vec<_> = selected.iter().filter_map(|id| Some((id.clone(), why(id)?))).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let good = self.selectable(selected).into_iter().map(|assignment| (assignment.id, assignment.status)).collect();
        Err(CannotSelect { bad, good })
    }

    /// Where a selected assignment is now. One that changed its status since is still there, unless that says that it is deleted.
    #[must_use]
    pub fn place(&self, id: &SatId) -> Place {
        match self.listed.get(id) {
            Some(listed) if !listed.deleted => Place::Listed,
            Some(_) => Place::Gone,
            None if self.capped.is_cut() => Place::BeyondTheCap,
            None => Place::Gone,
        }
    }
}

fn instant(timestamp: RawTimestamp<'_>) -> Option<DateTime<Utc>> {
    match timestamp.read() {
        ParsedTimestamp::At(instant) => Some(instant),
        ParsedTimestamp::Absent | ParsedTimestamp::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(cap: u64, records: &[(&str, &str)]) -> AssignmentBook {
        let mut book = AssignmentBook::new(cap);
        for (id, status) in records {
            let facts = AssignmentFacts { id: Some(id), status: Some(status) };
            book.add(&DescribedAssignment { facts, ..Default::default() });
        }
        book
    }

    fn id(text: &str) -> SatId {
        SatId::parse(text).unwrap()
    }

    #[test]
    fn in_progress_completed_and_draft_can_be_picked_and_nothing_else() {
        let listed = [
            ("a", "in-progress"),
            ("b", "completed"),
            ("c", "Draft"),
            ("d", "staged"),
            ("e", "launching"),
            ("f", "canceled"),
            ("g", "deleted"),
            ("h", "paused"),
            ("../i", "completed"),
        ];
        let book = book(100, &listed);
        let selectable = book.selectable(&[id("b")].into());
        let shown: Vec<_> = selectable.iter().map(|it| (it.id.as_str(), it.selected)).collect();
        assert_eq!(shown, [("a", false), ("b", true), ("c", false)]);
        for bad in ["d", "e", "f", "g", "h", "i", "zz"] {
            let refused = book.check_selection(&[id("a"), id(bad)].into()).unwrap_err();
            assert_eq!(refused.bad.len(), 1, "{bad}");
            assert_eq!(refused.good.len(), 3);
        }
    }

    #[test]
    fn a_selected_one_is_gone_only_when_the_whole_list_says_so() {
        let listed = [("a", "canceled"), ("b", "deleted"), ("c", "draft")];
        assert_eq!(book(3, &listed).place(&id("a")), Place::Listed);
        assert_eq!(book(3, &listed).place(&id("b")), Place::Gone);
        assert_eq!(book(3, &listed).place(&id("z")), Place::Gone);
        assert_eq!(book(2, &listed).place(&id("z")), Place::BeyondTheCap);
        assert!(book(2, &listed).check_selection(&[id("c")].into()).is_err());
    }

    #[test]
    fn a_list_of_records_without_ids_is_an_error() {
        assert!(book(9, &[]).check().is_ok());
        assert!(book(9, &[("", "draft")]).check().is_err());
        assert!(book(9, &[("../i", "draft")]).check().is_ok());
    }
}

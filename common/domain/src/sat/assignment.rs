//! Which assignments hold completions.

use super::id::{InvalidSatId, SatId};
use super::list::{Capped, Inconsistent, SatList};
use crate::completeness::PagesRead;
use crate::id::RecordKey;
use crate::quality::{Quality, QualityCode, normalized};
use crate::seen::SeenIds;
use serde::{Deserialize, Serialize};

/// Where an assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// Being worked on.
    InProgress,
    /// Over.
    Completed,
    /// Not sent out yet.
    Draft,
    /// On its way out, or called off.
    NotHeld,
    /// A word that is not known, or none.
    Unknown,
}

/// The state that a status word means.
///
/// ```
/// use evidence_domain::sat::assignment::{AssignmentState, classify};
/// assert_eq!(classify(Some("In-Progress")), AssignmentState::InProgress);
/// assert!(classify(Some("completed")).holds_completions());
/// assert!(!classify(Some("launching")).holds_completions());
/// assert_eq!(classify(Some("archived")), AssignmentState::Unknown);
/// ```
#[must_use]
pub fn classify(status: Option<&str>) -> AssignmentState {
    match normalized(status.unwrap_or_default()).as_ref() {
        "in_progress" => AssignmentState::InProgress,
        "completed" => AssignmentState::Completed,
        "draft" => AssignmentState::Draft,
        "staged" | "launching" | "canceled" | "cancelled" => AssignmentState::NotHeld,
        _ => AssignmentState::Unknown,
    }
}

impl AssignmentState {
    /// Whether its activity is worth a request. An unknown one's is not: nobody can say whether its completions count, so the coverage that
    /// is measured without it is a lower bound, and is treated as one.
    #[must_use]
    pub fn holds_completions(self) -> bool {
        matches!(self, Self::InProgress | Self::Completed)
    }

    /// Whether a connection may select it for the training of people.
    #[must_use]
    pub fn can_be_selected(self) -> bool {
        matches!(self, Self::InProgress | Self::Completed | Self::Draft)
    }
}

/// What the source says of one assignment.
#[derive(Debug, Clone, Copy, Default)]
pub struct AssignmentFacts<'a> {
    /// Its id as the source writes it; a record without one is dropped.
    pub id: Option<&'a str>,
    /// Its status word.
    pub status: Option<&'a str>,
}

/// The list of assignments: which are to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AssignmentTally {
    capped: Capped,
    seen: SeenIds,
    to_read: Vec<SatId>,
    unknown: u64,
    pub(super) quality: Quality,
    /// The pages of the list.
    pub pages: PagesRead,
}

impl AssignmentTally {
    /// An empty list that is read up to `cap`.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        Self {
            capped: Capped::at(cap),
            seen: SeenIds::default(),
            to_read: Vec::new(),
            unknown: 0,
            quality: Quality::default(),
            pages: PagesRead::default(),
        }
    }

    /// Adds a listed assignment; of two with one id the first counts. Old ones are read too, since people finish late.
    ///
    /// # Errors
    /// [`InvalidSatId`] when its activity would have to be read and its id must not be put into a path; the run fails.
    pub fn add(&mut self, facts: &AssignmentFacts<'_>) -> Result<(), InvalidSatId> {
        if !self.capped.admit() {
            return Ok(());
        }
        let id = facts.id.unwrap_or_default().trim();
        let Some(key) = RecordKey::from_text(id) else {
            self.quality.note(QualityCode::RecordWithoutId);
            return Ok(());
        };
        if !self.seen.insert(key) {
            self.quality.note(QualityCode::DuplicateRecord);
            return Ok(());
        }
        match classify(facts.status) {
            state if state.holds_completions() => self.to_read.push(SatId::parse(id)?),
            AssignmentState::Unknown => {
                self.unknown += 1;
                let word = normalized(facts.status.unwrap_or_default());
                self.quality.note_word(QualityCode::UnknownAssignmentStatus, &word);
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the list, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check(&self) -> Result<(), Inconsistent> {
        if self.capped.read() > 0 && self.seen.is_empty() {
            return Err(Inconsistent::NoIds { list: SatList::Assignments, records: self.capped.read() });
        }
        Ok(())
    }

    /// The assignments whose activity is to be read, in the order of the list.
    #[must_use]
    pub fn to_read(&self) -> &[SatId] {
        &self.to_read
    }

    /// How far the list was read.
    #[must_use]
    pub fn capped(&self) -> Capped {
        self.capped
    }

    /// Assignments of which nobody can say whether they hold completions.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(cap: u64, records: &[(&str, &str)]) -> AssignmentTally {
        let mut tally = AssignmentTally::new(cap);
        for (id, status) in records {
            let facts = AssignmentFacts { id: Some(id), status: Some(status) };
            tally.add(&facts).unwrap();
        }
        tally
    }

    #[test]
    fn only_assignments_that_hold_completions_cost_a_request() {
        let listed = [
            ("a", "in-progress"),
            ("b", "COMPLETED"),
            ("c", "draft"),
            ("d", "staged"),
            ("e", "launching"),
            ("f", "canceled"),
            ("g", "paused"),
            ("a", "completed"),
        ];
        let tally = tally(100, &listed);
        let read: Vec<&str> = tally.to_read().iter().map(SatId::as_str).collect();
        assert_eq!(read, ["a", "b"]);
        assert_eq!(tally.unknown(), 1);
        assert_eq!(tally.quality.count(QualityCode::UnknownAssignmentStatus), 1);
        assert_eq!(tally.quality.count(QualityCode::DuplicateRecord), 1);
    }

    #[test]
    fn the_cap_counts_records_as_listed_before_any_filter() {
        let listed = [("a", "draft"), ("a", "draft"), ("b", "completed")];
        assert!(tally(2, &listed).to_read().is_empty());
        assert!(tally(2, &listed).capped().is_cut());
        assert!(!tally(3, &listed).capped().is_cut());
    }

    #[test]
    fn an_id_that_does_not_belong_in_a_path_is_refused_where_it_would_be_used() {
        let add = |status| AssignmentTally::new(9).add(&AssignmentFacts { id: Some("../users"), status: Some(status) });
        assert_eq!(add("completed"), Err(InvalidSatId));
        assert_eq!(add("draft"), Ok(()));
    }

    #[test]
    fn a_list_of_records_without_ids_is_an_error() {
        let mut tally = AssignmentTally::new(9);
        assert_eq!(tally.check(), Ok(()));
        tally.add(&AssignmentFacts::default()).unwrap();
        assert!(tally.check().is_err());
    }
}

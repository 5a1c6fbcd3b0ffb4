//! Completions of training in one assignment.

use super::id::LearnerKey;
use super::list::{Capped, Inconsistent, SatList};
use crate::completeness::PagesRead;
use crate::facts::ended::day_since;
use crate::id::RecordKey;
use crate::quality::{Quality, QualityCode};
use crate::seen::SeenIds;
use crate::time::{ParsedTimestamp, RawTimestamp, Window, is_future};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the source says of one learner's activity.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActivityFacts<'a> {
    /// The record's id; a record without one is dropped.
    pub id: Option<RecordKey>,
    /// Whose activity; a record that names nobody is dropped.
    pub learner: Option<LearnerKey>,
    /// When it was completed; absent while it is not.
    pub completed_at: RawTimestamp<'a>,
}

/// The activity of one assignment, apart from all others: it joins the coverage whole, so an assignment that is read again counts once.
///
/// Memory: 8 bytes a record and some 20 bytes a learner, until it has joined.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActivityTally {
    window: Window,
    capped: Capped,
    seen: SeenIds,
    usable: bool,
    /// The age of each learner's newest completion not after the evaluation, in [days](day_since).
    pub(super) newest: BTreeMap<LearnerKey, u32>,
    pub(super) unreadable: BTreeSet<LearnerKey>,
    pub(super) quality: Quality,
    /// The pages of the list.
    pub pages: PagesRead,
}

impl ActivityTally {
    /// Nothing read so far. `window` is the one of the coverage, `cap` that of one assignment.
    #[must_use]
    pub fn new(window: Window, cap: u64) -> Self {
        Self {
            window,
            capped: Capped::at(cap),
            seen: SeenIds::default(),
            usable: false,
            newest: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            quality: Quality::default(),
            pages: PagesRead::default(),
        }
    }

    /// Adds a record that was read at `observed_at`; of two with one id the first counts, and a learner counts once in any case.
    ///
    /// A completion counts by its age. One after `as_of` does not count, and is reported when it also lies more than 5 minutes after its reading. One that cannot be read leaves open whether the learner is trained.
    pub fn add(&mut self, facts: &ActivityFacts<'_>, observed_at: DateTime<Utc>) {
        if !self.capped.admit() {
            return;
        }
        let (Some(id), Some(learner)) = (facts.id, facts.learner) else {
            self.quality.note(QualityCode::RecordWithoutId);
            return;
        };
        self.usable = true;
        if !self.seen.insert(id) {
            self.quality.note(QualityCode::DuplicateRecord);
            return;
        }
        match facts.completed_at.read() {
            ParsedTimestamp::At(moment) if moment <= self.window.end => {
                let day = day_since(moment, self.window.end);
                self.newest.entry(learner).and_modify(|newest| *newest = day.min(*newest)).or_insert(day);
            }
            ParsedTimestamp::At(moment) if is_future(moment, observed_at) => {
                self.quality.note(QualityCode::FutureTimestamp)
            }
            ParsedTimestamp::At(_) | ParsedTimestamp::Absent => {}
            ParsedTimestamp::Unreadable => {
                self.quality.note(QualityCode::MalformedTimestamp);
                self.unreadable.insert(learner);
            }
        }
    }

    /// How far the list was read.
    #[must_use]
    pub fn capped(&self) -> Capped {
        self.capped
    }

    /// Checks the list, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check(&self) -> Result<(), Inconsistent> {
        if self.capped.read() > 0 && !self.usable {
            return Err(Inconsistent::NoIds { list: SatList::LearnerActivity, records: self.capped.read() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    fn at(text: &str) -> DateTime<Utc> {
        parse(text).unwrap()
    }

    fn after(completed_at: RawTimestamp<'_>) -> ActivityTally {
        let mut tally = ActivityTally::new(Window::of_days(365, at("2026-03-22T12:00:00Z")), 10);
        let facts =
            ActivityFacts { id: RecordKey::from_text("la1"), learner: LearnerKey::of("run", "L1"), completed_at };
        tally.add(&facts, at("2026-03-22T12:30:00Z"));
        tally
    }

    #[test]
    fn the_window_holds_to_the_second() {
        let cases = [
            ("2025-03-22T11:59:59Z", 0),
            ("2025-03-22T12:00:00Z", 1),
            ("2025-03-22T13:00:00+01:00", 1),
            ("2026-03-22T12:00:00Z", 1),
            ("2026-03-22T12:00:01Z", 0),
        ];
        for (completed_at, trained) in cases {
            let tally = after(RawTimestamp::Text(completed_at));
            let inside = tally.newest.values().filter(|day| (1..=366).contains(*day));
            assert_eq!(inside.count(), trained, "{completed_at}");
            assert!(tally.quality.entries().is_empty());
        }
    }

    #[test]
    fn a_completion_is_a_future_one_only_after_its_reading() {
        let reported = |text| after(RawTimestamp::Text(text)).quality.count(QualityCode::FutureTimestamp);
        assert_eq!(reported("2026-03-22T12:35:00Z"), 0);
        assert_eq!(reported("2026-03-22T12:35:01Z"), 1);
    }

    #[test]
    fn an_unreadable_completion_leaves_the_learner_open() {
        for timestamp in [RawTimestamp::Text("2026-02-30"), RawTimestamp::NotText] {
            let tally = after(timestamp);
            assert_eq!((tally.newest.len(), tally.unreadable.len()), (0, 1));
        }
        assert!(after(RawTimestamp::Absent).unreadable.is_empty());
    }

    #[test]
    fn a_list_that_names_nobody_is_an_error() {
        let mut tally = ActivityTally::new(Window::of_days(365, at("2026-03-22T12:00:00Z")), 10);
        assert_eq!(tally.check(), Ok(()));
        tally.add(&ActivityFacts { id: RecordKey::from_text("la1"), ..Default::default() }, at("2026-03-22T12:00:00Z"));
        assert!(tally.check().is_err());
        assert_eq!(tally.quality.count(QualityCode::RecordWithoutId), 1);
    }
}

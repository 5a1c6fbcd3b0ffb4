//! The training of single people: the status of one person, and how it lasts.

use super::coverage::LearnerState;
use crate::domain::time::{ParsedTimestamp, RawTimestamp};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a person completed the assignments that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonStatus {
    /// Enrolled in at least one of them, and done with every one that they are enrolled in.
    Compliant,
    /// Enrolled in one that is not completed.
    NotCompliant,
    /// Enrolled in none: never compliant for want of anything to do.
    NotEnrolled,
    /// The lists that would decide were cut off.
    Unknown,
}

impl fmt::Display for PersonStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compliant => "compliant",
            Self::NotCompliant => "not_compliant",
            Self::NotEnrolled => "not_enrolled",
            Self::Unknown => "unknown",
        })
    }
}

/// Whether a person is enrolled in an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrollment {
    /// The list of its learners names them.
    Enrolled,
    /// The list, read to its end, does not.
    NotEnrolled,
    /// The list does not, as far as it was read.
    Unknown,
}

impl Enrollment {
    /// From whether the assignment's learners name the person, and whether that list was cut off.
    #[must_use]
    pub fn of(listed: bool, cut: bool) -> Self {
        match (listed, cut) {
            (true, _) => Self::Enrolled,
            (false, false) => Self::NotEnrolled,
            (false, true) => Self::Unknown,
        }
    }
}

/// Whether an enrolled person is done with an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// They are.
    Complete,
    /// They are not.
    Incomplete,
    /// It cannot be said.
    Unknown,
}

/// The activity rows of one person in one assignment.
///
/// Complete: at least one row, and each was completed not after `as_of`.
///
/// ```
/// use common::domain::{sat::people::{Completion, Rows}, time::{RawTimestamp, parse}};
/// let as_of = parse("2026-03-22T12:00:00Z").unwrap();
/// let mut rows = Rows::default();
/// assert_eq!(rows.completion(false), Completion::Incomplete); // who has not started has no row
/// rows.add(RawTimestamp::Text("2026-03-01T00:00:00Z"), as_of);
/// assert_eq!(rows.completion(false), Completion::Complete);
/// assert_eq!(rows.completion(true), Completion::Unknown); // another row may lie beyond the cut
/// rows.add(RawTimestamp::Absent, as_of);
/// assert_eq!(rows.completion(true), Completion::Incomplete);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    complete: u32,
    incomplete: u32,
    unreadable: u32,
}

impl Rows {
    /// Adds a row. A completion that cannot be read leaves open whether there is one.
    pub fn add(&mut self, completed_at: RawTimestamp<'_>, as_of: DateTime<Utc>) {
        let count = match completed_at.read() {
            ParsedTimestamp::At(completed_at) if completed_at <= as_of => &mut self.complete,
            ParsedTimestamp::At(_) | ParsedTimestamp::Absent => &mut self.incomplete,
            ParsedTimestamp::Unreadable => &mut self.unreadable,
        };
        *count = count.saturating_add(1);
    }

    /// What the rows say; `cut` is whether the assignment's activity was read only in part.
    #[must_use]
    pub fn completion(self, cut: bool) -> Completion {
        if self.incomplete > 0 {
            Completion::Incomplete
        } else if cut || self.unreadable > 0 {
            Completion::Unknown
        } else if self.complete > 0 {
            Completion::Complete
        } else {
            Completion::Incomplete
        }
    }
}

/// What is known of a person and one picked assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickFacts {
    /// The account lists the assignment.
    Listed {
        /// Whether they are enrolled.
        enrollment: Enrollment,
        /// Whether they are done, if they are.
        completion: Completion,
    },
    /// The account no longer lists it. It is left out, but turns nobody compliant.
    Gone {
        /// Whether they were enrolled and not done when it was last seen; `None` if that is not known.
        was_open: Option<bool>,
    },
}

/// The status of a person.
///
/// What was read for certain decides first: one enrolled, incomplete assignment makes a person not compliant, whatever else was cut off.
///
/// ```
/// use common::domain::sat::people::*;
/// let enrolled = |completion| PickFacts::Listed { enrollment: Enrollment::Enrolled, completion };
/// let none = PickFacts::Listed { enrollment: Enrollment::NotEnrolled, completion: Completion::Incomplete };
/// // Picked are A and B. Both done; one of both done; only A, done; only B, not done.
/// let people = [
///     [enrolled(Completion::Complete), enrolled(Completion::Complete)],
///     [enrolled(Completion::Complete), enrolled(Completion::Incomplete)],
///     [enrolled(Completion::Complete), none],
///     [none, enrolled(Completion::Incomplete)],
/// ];
/// use PersonStatus::{Compliant, NotCompliant};
/// assert_eq!(people.map(|picks| status(&picks)), [Compliant, NotCompliant, Compliant, NotCompliant]);
/// assert_eq!(status(&[none, none]), PersonStatus::NotEnrolled);
/// ```
#[must_use]
pub fn status(picks: &[PickFacts]) -> PersonStatus {
    let (mut done, mut open, mut unknown) = (false, false, false);
    for pick in picks {
        match pick {
            PickFacts::Listed { enrollment: Enrollment::Enrolled, completion } => match completion {
                Completion::Complete => done = true,
                Completion::Incomplete => open = true,
                Completion::Unknown => unknown = true,
            },
            PickFacts::Listed { enrollment: Enrollment::NotEnrolled, .. } => {}
            PickFacts::Listed { enrollment: Enrollment::Unknown, .. } => unknown = true,
            PickFacts::Gone { was_open } => match was_open {
                Some(true) => open = true,
                Some(false) => {}
                None => unknown = true,
            },
        }
    }
    match (open, unknown, done) {
        (true, _, _) => PersonStatus::NotCompliant,
        (false, true, _) => PersonStatus::Unknown,
        (false, false, true) => PersonStatus::Compliant,
        (false, false, false) => PersonStatus::NotEnrolled,
    }
}

/// Whether somebody is one of the people whose training is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inclusion {
    /// They are.
    Included,
    /// They are enrolled, but the list of learners calls them inactive: left out and reported.
    LeftOut,
    /// They are neither enrolled nor active.
    Nobody,
}

/// Whether somebody is one of the people, from what the list of learners says (`None`: it does not name them) and whether any picked
/// assignment does. Absence from the list never means that they left.
#[must_use]
pub fn inclusion(state: Option<LearnerState>, enrolled: bool) -> Inclusion {
    match (state, enrolled) {
        (Some(LearnerState::Active), _) | (Some(LearnerState::Unknown) | None, true) => Inclusion::Included,
        (Some(LearnerState::Inactive), true) => Inclusion::LeftOut,
        (Some(LearnerState::Inactive | LearnerState::Unknown) | None, false) => Inclusion::Nobody,
    }
}

/// A person's status and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComplianceStatus {
    /// The status.
    pub status: PersonStatus,
    /// The `as_of` of the run that found it first.
    pub since: DateTime<Utc>,
}

impl ComplianceStatus {
    /// Whether the person is done: compliant, and not so long ago that they must certify again. Nothing at the source changes it, and no
    /// request is made for them.
    ///
    /// `recertify_after_days` ends it by time: at that age to the second it is over, and the person is evaluated by the source again.
    #[must_use]
    pub fn is_settled(self, as_of: DateTime<Utc>, recertify_after_days: Option<u32>) -> bool {
        let over = recertify_after_days
            .is_some_and(|days| as_of.signed_duration_since(self.since) >= TimeDelta::days(i64::from(days)));
        self.status == PersonStatus::Compliant && !over
    }

    /// The standing as it is shown at `now`: a certification that ended by time is none any more, also before a run has evaluated the person again.
    ///
    /// ```
    /// use common::domain::{sat::people::*, time::parse};
    /// let since = parse("2026-01-01T12:00:00Z").unwrap();
    /// let held = ComplianceStatus { status: PersonStatus::Compliant, since };
    /// assert_eq!(held.shown_at(parse("2026-01-11T11:59:59Z").unwrap(), Some(10)), held);
    /// let ended = parse("2026-01-11T12:00:00Z").unwrap();
    /// let unknown = ComplianceStatus { status: PersonStatus::Unknown, since: ended };
    /// assert_eq!(held.shown_at(parse("2026-06-01T00:00:00Z").unwrap(), Some(10)), unknown);
    /// ```
    #[must_use]
    pub fn shown_at(self, now: DateTime<Utc>, recertify_after_days: Option<u32>) -> Self {
        let Some(days) = recertify_after_days.filter(|_| self.status == PersonStatus::Compliant) else { return self };
        if self.is_settled(now, recertify_after_days) {
            return self;
        }
        let ended = self.since.checked_add_signed(TimeDelta::days(i64::from(days))).unwrap_or(now);
        Self { status: PersonStatus::Unknown, since: ended }
    }

    /// Whether this is news that fetches a certificate.
    #[must_use]
    pub fn is_newly_compliant(self, previous: Option<Self>) -> bool {
        self.status == PersonStatus::Compliant && previous != Some(self)
    }
}

/// The standing after a run that found `observed` at `as_of`.
///
/// A settled person keeps theirs. So does everybody of whom the run could not say anything: a list that was cut off changes nobody who was known
/// before. Otherwise the source decides; an unchanged status keeps its date, but a certification that ended by time and is found
/// again counts from now on.
#[must_use]
pub fn next(
    previous: Option<ComplianceStatus>,
    observed: PersonStatus,
    as_of: DateTime<Utc>,
    recertify_after_days: Option<u32>,
) -> ComplianceStatus {
    let found = ComplianceStatus { status: observed, since: as_of };
    let Some(previous) = previous else { return found };
    if previous.is_settled(as_of, recertify_after_days) {
        return previous;
    }
    if previous.status == PersonStatus::Compliant {
        // It ended by time. What cannot be said again is not compliant any more, but not refuted either.
        return found;
    }
    if observed == PersonStatus::Unknown || observed == previous.status {
        return previous;
    }
    found
}

/// Who put a person back, when and why; kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// The standing after a reset: unknown, until the next run evaluates the person by the source.
#[must_use]
pub fn after_reset(reset: &Reset) -> ComplianceStatus {
    ComplianceStatus { status: PersonStatus::Unknown, since: reset.at }
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;

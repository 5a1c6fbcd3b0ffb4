//! Who is compliant: the whole rule, from what the lists say of somebody to what is kept of them. Read it from the top:
//!
//! 1. Who belongs to the people: [`inclusion`].
//! 2. Where they stand in one selected assignment: [`Enrollment`], [`Rows`], [`SelectedFacts`].
//! 3. The status that follows from all of them: [`status`], [`evaluate`].
//! 4. How long a status lasts: [`ComplianceStatus::is_settled`], [`next`], [`after_reset`].
//! 5. What a run leaves of a person: [`RunRule`].
//! 6. Which certificates they are owed: [`owe_certificates`].

use super::person::{Certificate, CertificateOutcome, PersonState};
use super::selection::SelectedAssignments;
use super::status::{ComplianceStatus, PersonStatus, Reset};
use crate::sat::coverage::LearnerState;
use crate::sat::id::SatId;
use crate::time::{ParsedTimestamp, RawTimestamp};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Whether somebody is one of the people whose training is tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inclusion {
    /// They are.
    Included,
    /// They are enrolled, but the list of learners calls them inactive: left out and reported.
    LeftOut,
    /// They are neither enrolled nor active.
    Nobody,
}

/// Whether somebody is one of the people, from what the list of learners says (`None`: it does not name them) and whether any selected
/// assignment does. Absence from the list never means that they left.
#[must_use]
pub fn inclusion(state: Option<LearnerState>, enrolled: bool) -> Inclusion {
    match (state, enrolled) {
        (Some(LearnerState::Active), _) | (Some(LearnerState::Unknown) | None, true) => Inclusion::Included,
        (Some(LearnerState::Inactive), true) => Inclusion::LeftOut,
        (Some(LearnerState::Inactive | LearnerState::Unknown) | None, false) => Inclusion::Nobody,
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
/// use evidence_domain::{people::compliance::{Completion, Rows}, time::{RawTimestamp, parse}};
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

/// What is known of a person and one selected assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectedFacts {
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
/// use evidence_domain::people::{compliance::*, status::PersonStatus};
/// let enrolled = |completion| SelectedFacts::Listed { enrollment: Enrollment::Enrolled, completion };
/// let none = SelectedFacts::Listed { enrollment: Enrollment::NotEnrolled, completion: Completion::Incomplete };
/// // Selected are A and B. Both done; one of both done; only A, done; only B, not done.
/// let people = [
///     [enrolled(Completion::Complete), enrolled(Completion::Complete)],
///     [enrolled(Completion::Complete), enrolled(Completion::Incomplete)],
///     [enrolled(Completion::Complete), none],
///     [none, enrolled(Completion::Incomplete)],
/// ];
/// use PersonStatus::{Compliant, NotCompliant};
/// assert_eq!(people.map(|assignments| status(&assignments)), [Compliant, NotCompliant, Compliant, NotCompliant]);
/// assert_eq!(status(&[none, none]), PersonStatus::NotEnrolled);
/// ```
#[must_use]
pub fn status(assignments: &[SelectedFacts]) -> PersonStatus {
    let (mut done, mut open, mut unknown) = (false, false, false);
    for assignment in assignments {
        match assignment {
            SelectedFacts::Listed { enrollment: Enrollment::Enrolled, completion } => match completion {
                Completion::Complete => done = true,
                Completion::Incomplete => open = true,
                Completion::Unknown => unknown = true,
            },
            SelectedFacts::Listed { enrollment: Enrollment::NotEnrolled, .. } => {}
            SelectedFacts::Listed { enrollment: Enrollment::Unknown, .. } => unknown = true,
            SelectedFacts::Gone { was_open } => match was_open {
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

/// What the lists say of a person and one selected assignment, and whether one of those lists was cut off before it could decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedAssignment {
    /// The assignment.
    pub id: SatId,
    /// What is known.
    pub facts: SelectedFacts,
    /// Whether a list that decides was cut off at its cap.
    pub cut: bool,
}

/// The status of a person, and the assignments that it follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The status.
    pub status: PersonStatus,
    /// Enrolled and done.
    pub completed: SelectedAssignments,
    /// Enrolled and not done, those of a vanished assignment too.
    pub missing: SelectedAssignments,
    /// Not enrolled.
    pub not_enrolled_in: SelectedAssignments,
    /// Whether a list that was cut at its cap is among those that they were evaluated by.
    pub truncated: bool,
}

/// Evaluates a person by the selected assignments.
#[must_use]
pub fn evaluate(assignments: Vec<SelectedAssignment>) -> Evaluated {
    let facts: Vec<SelectedFacts> = assignments.iter().map(|assignment| assignment.facts).collect();
    let mut evaluated = Evaluated {
        status: status(&facts),
        completed: SelectedAssignments::new(),
        missing: SelectedAssignments::new(),
        not_enrolled_in: SelectedAssignments::new(),
        truncated: assignments.iter().any(|assignment| assignment.cut),
    };
    for SelectedAssignment { id, facts, .. } in assignments {
        let list = match facts {
            SelectedFacts::Listed { enrollment: Enrollment::Enrolled, completion: Completion::Complete } => {
                &mut evaluated.completed
            }
            SelectedFacts::Listed { enrollment: Enrollment::Enrolled, completion: Completion::Incomplete }
            | SelectedFacts::Gone { was_open: Some(true) } => &mut evaluated.missing,
            // A vanished one is left out, but not forgotten: it stays known that they were not open in it.
            SelectedFacts::Listed { enrollment: Enrollment::NotEnrolled, .. }
            | SelectedFacts::Gone { was_open: Some(false) } => &mut evaluated.not_enrolled_in,
            _ => continue,
        };
        list.insert(id);
    }
    evaluated
}

impl ComplianceStatus {
    /// Whether the person is settled: compliant, and not so long ago that they must certify again. Nothing at the source changes it, and no
    /// request is made for them.
    ///
    /// `recertify_after_days` ends it by time: at that age to the second it is over, and the person is evaluated by the source again.
    #[must_use]
    pub fn is_settled(self, as_of: DateTime<Utc>, recertify_after_days: Option<u32>) -> bool {
        let over = recertify_after_days
            .is_some_and(|days| as_of.signed_duration_since(self.since) >= TimeDelta::days(i64::from(days)));
        self.status == PersonStatus::Compliant && !over
    }

    /// The status as it is shown at `now`: a certification that ended by time is none any more, also before a run has evaluated the person again.
    ///
    /// ```
    /// use evidence_domain::{people::status::*, time::parse};
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
}

/// The status after a run that found `observed` at `as_of`.
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

/// The status after a reset: unknown, until the next run evaluates the person by the source.
#[must_use]
pub fn after_reset(reset: &Reset) -> ComplianceStatus {
    ComplianceStatus { status: PersonStatus::Unknown, since: reset.at }
}

/// The rule as one run applies it.
#[derive(Debug, Clone, Copy)]
pub struct RunRule {
    /// The instant of evaluation.
    pub as_of: DateTime<Utc>,
    /// After so many days a compliant person must certify again.
    pub recertify_after_days: Option<u32>,
    /// Whether nobody of the connection is known yet.
    pub is_first: bool,
}

/// What the lists of a run say of somebody.
#[derive(Debug, Clone, Copy)]
pub struct ListedPerson {
    /// What the account's list of learners says; `None` if it does not name them.
    pub learner: Option<LearnerState>,
    /// Whether a selected assignment lists them.
    pub enrolled: bool,
}

impl RunRule {
    /// Whether nothing at the source changes this status.
    #[must_use]
    pub fn is_settled(&self, status: ComplianceStatus) -> bool {
        status.is_settled(self.as_of, self.recertify_after_days)
    }

    /// Whether the source decides about a person: who is not settled, or not known.
    #[must_use]
    pub fn needs_evaluation(&self, known: Option<&PersonState>) -> bool {
        known.is_none_or(|state| !self.is_settled(state.compliance))
    }

    /// Whether a person was enrolled in a vanished assignment and not done with it when it was last seen; `None` if that is not known.
    ///
    /// Of an assignment that is gone nobody knows who was in it before people were tracked. Later, who was not seen in it was not.
    #[must_use]
    pub fn was_open(&self, known: Option<&PersonState>, assignment: &SatId) -> Option<bool> {
        match known {
            Some(state) => state.was_open(assignment),
            None if self.is_first => None,
            None => Some(false),
        }
    }

    /// What a person is after the run; `None` for who is not one of the people. `assignments` gives what the lists of the selected assignments say of
    /// them, and nothing where the run did not need to read those.
    #[must_use]
    pub fn after_run(
        &self,
        known: Option<&PersonState>,
        listed: ListedPerson,
        assignments: impl FnOnce() -> Option<Vec<SelectedAssignment>>,
    ) -> Option<PersonState> {
        if listed.learner == Some(LearnerState::Inactive) {
            // Left out, whatever they are; nothing else about them changes.
            return known.map(|state| PersonState { inactive: true, ..state.clone() });
        }
        let included = inclusion(listed.learner, listed.enrolled) == Inclusion::Included;
        let unchanged = |state: &PersonState| PersonState { inactive: state.inactive && !included, ..state.clone() };
        if !included || known.is_some_and(|state| self.is_settled(state.compliance)) {
            return known.map(unchanged);
        }
        let Some(assignments) = assignments() else { return known.map(unchanged) };
        let evaluated = evaluate(assignments);
        // A list that was cut off changes nobody who is known.
        let undecided = known.is_some() && evaluated.truncated;
        let observed = if undecided { PersonStatus::Unknown } else { evaluated.status };
        let compliance = next(known.map(|state| state.compliance), observed, self.as_of, self.recertify_after_days);
        match known {
            // Nothing was learned: what was known of them stays.
            Some(state) if observed == PersonStatus::Unknown => {
                Some(PersonState { compliance, inactive: false, ..state.clone() })
            }
            known => {
                let (certificates, reset) =
                    known.map(|state| (state.certificates.clone(), state.reset.clone())).unwrap_or_default();
                Some(PersonState {
                    compliance,
                    completed: evaluated.completed,
                    missing: evaluated.missing,
                    not_enrolled_in: evaluated.not_enrolled_in,
                    inactive: false,
                    reset,
                    certificates,
                })
            }
        }
    }
}

/// Notes which certificates a person is owed: one for each completed assignment of the compliance that holds. Who is not compliant is owed none.
pub fn owe_certificates(state: &mut PersonState) {
    if state.compliance.status != PersonStatus::Compliant {
        state.certificates.retain(|certificate| certificate.outcome != CertificateOutcome::Due);
        return;
    }
    let earned_at = state.compliance.since;
    for assignment in &state.completed {
        let has = |it: &Certificate| it.assignment == *assignment && it.earned_at == earned_at;
        if !state.certificates.iter().any(has) {
            let outcome = CertificateOutcome::Due;
            state.certificates.push(Certificate { assignment: assignment.clone(), earned_at, outcome });
        }
    }
}

#[cfg(test)]
#[path = "compliance_tests.rs"]
mod tests;

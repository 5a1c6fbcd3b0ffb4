//! The people who are tracked: how far their lists are read, and who is enrolled in the selected assignments.

use super::lists::Folds;
use super::page::Resource;
use super::reading::{Cursor, fold};
use super::records::{Activity, Descriptions, Learner, Names, Statuses, WithStatus};
use super::{Listing, Paused, SatClient, chosen, lock, read_each};
use crate::collection::{Instants, PartOutcome};
use crate::error::used_up;
use chrono::{DateTime, Utc};
use evidence_domain::failure::Failure;
use evidence_domain::people::roster::{LearnerId, Listed, Roster};
use evidence_domain::people::selection::{AssignmentBook, DescribedAssignment, SelectedAssignments};
use evidence_domain::sat::account::MeasuredAccount;
use evidence_domain::sat::assignment::AssignmentFacts;
use evidence_domain::sat::id::SatId;
use evidence_domain::sat::list::Inconsistent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How far the lists of people were read: enough to go on in another process. It names people, so it is serialized only to be sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeopleState {
    roster: Roster,
    /// Whether names and addresses are read.
    names: bool,
    /// The account's assignments, until their list is read and the roster knows the places of the selected ones.
    book: Option<AssignmentBook>,
    pub(super) assignments: Cursor,
    pub(super) learners: Cursor,
    /// Whether the lists of the selected assignments are needed, as soon as that was found.
    enrollments_needed: bool,
    /// Who is enrolled in the selected assignments, by their places in the roster.
    enrolled: BTreeMap<usize, Cursor>,
    /// How far those are. Where nobody is evaluated by an assignment, its list is not read.
    pub(super) progress: BTreeMap<usize, Cursor>,
}

/// What only those who know the people can tell: which lists decide about anybody.
pub trait PeopleNeeds: Sync {
    /// Whether the lists of the selected assignments have to be read at all, once the account's learners are.
    fn needs_enrollments(&self, roster: &Roster) -> bool;
    /// Whether somebody is evaluated by the activity of the assignments that they are enrolled in.
    fn needs_activity_of(&self, learner: &LearnerId, listed: &Listed) -> bool;
}

/// The people whom a collection tracks besides its signals.
#[derive(Clone, Copy)]
pub struct TrackedPeople<'p> {
    /// What was read of them.
    pub state: &'p Mutex<PeopleState>,
    /// What has to be.
    pub needs: &'p dyn PeopleNeeds,
}

impl PeopleState {
    /// Nothing read so far; `cap` is that of assignments.
    #[must_use]
    pub fn new(roster: Roster, cap: u64, names: bool) -> Self {
        Self { book: Some(AssignmentBook::new(cap)), ..Self::placed(roster, names) }
    }

    /// Nothing read but the assignments, in which the roster's selected ones have their places.
    fn placed(roster: Roster, names: bool) -> Self {
        Self {
            roster,
            names,
            book: None,
            assignments: Cursor::default(),
            learners: Cursor::default(),
            enrollments_needed: false,
            enrolled: BTreeMap::new(),
            progress: BTreeMap::new(),
        }
    }

    /// Whether it was begun for these selected assignments and these names, which may have been changed since.
    #[must_use]
    pub fn is_for(&self, selected: &SelectedAssignments, names: bool) -> bool {
        self.roster.selected() == *selected && self.names == names
    }

    /// Whether the lists of the selected assignments are needed; else nobody was evaluated by them.
    #[must_use]
    pub fn are_enrollments_needed(&self) -> bool {
        self.enrollments_needed
    }

    /// Everybody, as far as they are read.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(super) fn has_names(&self) -> bool {
        self.names
    }

    /// Adds an assignment of the account; false once more are not wanted.
    pub(super) fn add_assignment(&mut self, record: &WithStatus<'_>) -> bool {
        let Some(book) = &mut self.book else { return false };
        let id = record.id();
        let facts = AssignmentFacts { id: id.as_deref(), status: record.status() };
        book.add(&DescribedAssignment { facts, ..DescribedAssignment::default() });
        !book.capped().is_cut()
    }

    /// Finds the places of the selected assignments in the account's list, which is read.
    pub(super) fn place(&mut self) -> Result<(), Inconsistent> {
        if let Some(book) = self.book.take() {
            book.check()?;
            self.roster.place(&book);
        }
        Ok(())
    }

    /// Adds a learner of the account.
    pub(super) fn add_learner(&mut self, record: &impl Learner) {
        self.roster.add_learner(record.learner_id(), record.status_word(), record.profile());
    }

    /// Adds a row of the activity of a selected assignment; false once more are not wanted.
    pub(super) fn add_activity(&mut self, index: usize, record: &Activity<'_>, at: DateTime<Utc>) -> bool {
        self.roster.add_activity(index, record.record_key(), record.learner_id(), record.completed_at(), at)
    }
}

/// A pause fails who cannot go on later.
fn whole(paused: Paused) -> Result<(), Failure> {
    paused.map_or(Ok(()), |until| Err(used_up(until)))
}

/// Everybody in the list is evaluated.
struct All;

impl PeopleNeeds for All {
    fn needs_enrollments(&self, _: &Roster) -> bool {
        true
    }
    fn needs_activity_of(&self, _: &LearnerId, _: &Listed) -> bool {
        true
    }
}

impl SatClient<'_> {
    /// The account that is meant: `configured`, or the only one.
    ///
    /// # Errors
    /// The [`Failure`] of the list, or of the choice.
    pub async fn chosen_account(&self, configured: Option<&str>) -> Result<MeasuredAccount, Failure> {
        match self.accounts().await? {
            PartOutcome::Complete(listed) => chosen(&listed.accounts, configured),
            PartOutcome::Paused { until, .. } => Err(used_up(until)),
        }
    }

    /// The assignments of an account, up to `cap`, as they are shown to who selects some.
    ///
    /// # Errors
    /// The [`Failure`] of the list.
    pub async fn assignments(&self, account: &str, cap: u64, instants: Instants) -> Result<AssignmentBook, Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        let book = Mutex::new((AssignmentBook::new(cap), Cursor::default()));
        let to_book = fold::<Descriptions, _>(
            &book,
            |(_, cursor)| cursor,
            |(book, _), page, _| {
                page.records.iter().for_each(|record| book.add(&record.described(record.id().as_deref())));
                Ok(!book.capped().is_cut())
            },
        );
        let paused = self.read_list(&list, instants, [Some(&to_book as _)]).await?;
        drop(to_book);
        let (book, _) = book.into_inner().unwrap_or_else(PoisonError::into_inner);
        whole(list.checked(paused, || book.check())?)?;
        Ok(book)
    }

    /// Reads everybody that is enrolled in the listed assignments of `roster`, and how far they are, in one go and without names.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good.
    pub async fn read_roster(&self, account: &str, roster: Roster, instants: Instants) -> Result<Roster, Failure> {
        let state = Mutex::new(PeopleState::placed(roster, false));
        let folds = Folds { signals: None, people: Some(&state), instants };
        whole(self.read_learners(account, folds).await?)?;
        whole(self.read_selected(folds, Some(&All)).await?)?;
        Ok(state.into_inner().unwrap_or_else(PoisonError::into_inner).roster)
    }

    /// Reads who is enrolled in each selected assignment that the account lists.
    pub(super) async fn read_enrollments(
        &self,
        state: &Mutex<PeopleState>,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let selected = lock(state).roster.listed_assignments();
        let names = lock(state).names;
        read_each(selected, |(index, id)| async move {
            if names {
                self.read_enrollment::<Names>(index, &id, state, instants).await
            } else {
                self.read_enrollment::<Statuses>(index, &id, state, instants).await
            }
        })
        .await
    }

    async fn read_enrollment<R: Resource + 'static>(
        &self,
        index: usize,
        id: &SatId,
        state: &Mutex<PeopleState>,
        instants: Instants,
    ) -> Result<Paused, Failure>
    where
        for<'a> R::Of<'a>: Learner,
    {
        let path = format!("/api/v1/assignments/{id}/learners");
        let list = Listing { path: &path, noun: "learners of the assignment", scope: "learners:read" };
        let to_people = fold::<R, _>(
            state,
            move |state| state.enrolled.entry(index).or_default(),
            move |state, page, _| {
                let mut records = page.records.iter();
                Ok(records.all(|record| state.roster.enroll(index, record.learner_id(), record.profile())))
            },
        );
        let paused = self.read_list(&list, instants, [Some(&to_people as _)]).await?;
        list.checked(paused, || lock(state).roster.check_learners(index))
    }

    /// Finds whether the lists of the selected assignments are needed, and reads who is enrolled if they are.
    pub(super) async fn read_needed_enrollments(
        &self,
        state: &Mutex<PeopleState>,
        needs: &dyn PeopleNeeds,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        {
            let mut state = lock(state);
            // Whom those lists have named since does not change what an earlier part of the run found that it needs.
            state.enrollments_needed = state.enrollments_needed || needs.needs_enrollments(&state.roster);
            if !state.enrollments_needed {
                return Ok(None);
            }
        }
        self.read_enrollments(state, instants).await
    }

    /// The selected assignments whose activity people are evaluated by, by their places in the roster.
    pub(super) fn activity_needed(state: &Mutex<PeopleState>, needs: &dyn PeopleNeeds) -> BTreeMap<SatId, usize> {
        let state = lock(state);
        let selected = if state.enrollments_needed { state.roster.listed_assignments() } else { Vec::new() };
        let wanted = |learner: &LearnerId, listed: &Listed| needs.needs_activity_of(learner, listed);
        let needed = selected.into_iter().filter(|(index, _)| state.roster.is_needed(*index, wanted));
        needed.map(|(index, id)| (id, index)).collect()
    }
}

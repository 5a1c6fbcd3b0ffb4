//! The lists that statuses of people are made of: assignments as they are shown, learners, and the two lists of each pick.

use super::page::Resource;
use super::records::{Activities, Descriptions, Learner, Names, Statuses};
use super::{Cursor, Listing, Paused, SatClient, chosen, lock, read_each};
use crate::domain::failure::Failure;
use crate::domain::people::roster::{LearnerId, Roster};
use crate::domain::people::selection::{AssignmentBook, SelectedAssignments};
use crate::domain::sat::account::MeasuredAccount;
use crate::domain::sat::id::SatId;
use crate::huntress::collection::Instants;
use crate::huntress::error::used_up;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How far the lists of people were read: enough to go on in another process. It names people, so it is serialized only to be sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeopleState {
    roster: Roster,
    /// Whether names and addresses are read.
    names: bool,
    /// The account's assignments, until their list is read and the roster knows the places of its picks.
    book: Option<(AssignmentBook, Cursor)>,
    learners: Cursor,
    /// Of the picks that somebody was asked for.
    enrolled: BTreeMap<usize, Cursor>,
    progress: BTreeMap<usize, Cursor>,
}

impl PeopleState {
    /// Nothing read so far; `cap` is that of assignments.
    #[must_use]
    pub fn new(roster: Roster, cap: u64, names: bool) -> Self {
        Self { book: Some((AssignmentBook::new(cap), Cursor::default())), ..Self::placed(roster, names) }
    }

    /// Nothing read but the assignments, in which the roster's picks have their places.
    fn placed(roster: Roster, names: bool) -> Self {
        let learners = Cursor::default();
        Self { roster, names, book: None, learners, enrolled: BTreeMap::new(), progress: BTreeMap::new() }
    }

    /// Whether it was begun for these picks and these names, which may have been changed since.
    #[must_use]
    pub fn is_for(&self, picks: &SelectedAssignments, names: bool) -> bool {
        self.roster.picks() == *picks && self.names == names
    }

    /// Whether a list of a pick was asked for.
    #[must_use]
    pub fn are_picks_begun(&self) -> bool {
        !self.enrolled.is_empty()
    }

    /// Everybody, as far as they are read.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// How far the learners of the account, or of a pick, are read.
    fn cursor(&mut self, pick: Option<usize>) -> &mut Cursor {
        match pick {
            None => &mut self.learners,
            Some(pick) => self.enrolled.entry(pick).or_default(),
        }
    }

    /// Adds a learner of the account, or of a pick; false once more of that list is not wanted.
    fn add(&mut self, pick: Option<usize>, record: &impl Learner) -> bool {
        let (learner, profile) = (record.learner_id(), record.profile());
        match pick {
            None => self.roster.add_learner(learner, record.status_word(), profile),
            Some(pick) => return self.roster.enroll(pick, learner, profile),
        }
        true
    }
}

/// A pause fails who cannot go on later.
fn whole(paused: Paused) -> Result<(), Failure> {
    paused.map_or(Ok(()), |until| Err(used_up(until)))
}

impl SatClient<'_> {
    /// The account that is meant: `configured`, or the only one.
    ///
    /// # Errors
    /// The [`Failure`] of the list, or of the choice.
    pub async fn chosen_account(&self, configured: Option<&str>) -> Result<MeasuredAccount, Failure> {
        chosen(&self.accounts().await?.map_err(used_up)?.accounts, configured)
    }

    /// The assignments of an account, up to `cap`.
    ///
    /// # Errors
    /// The [`Failure`] of the list.
    pub async fn assignments(&self, account: &str, cap: u64, instants: Instants) -> Result<AssignmentBook, Failure> {
        let book = Mutex::new((AssignmentBook::new(cap), Cursor::default()));
        whole(self.read_assignments(account, &book, instants).await?)?;
        Ok(book.into_inner().unwrap_or_else(PoisonError::into_inner).0)
    }

    async fn read_assignments(
        &self,
        account: &str,
        book: &Mutex<(AssignmentBook, Cursor)>,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        let mut reading = self.reading::<Descriptions, _>(
            list.noun,
            instants,
            book,
            |(_, cursor)| cursor,
            |(book, _), page, _| {
                page.records.iter().for_each(|record| book.add(&record.described(record.id().as_deref())));
                Ok(!book.capped().is_cut())
            },
        );
        let paused = self.read_list(&list, &mut reading).await?;
        list.checked(paused, || lock(book).0.check())
    }

    /// Reads everybody that is enrolled in the listed picks of `roster`, and how far they are, in one go and without names.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good.
    pub async fn read_roster(&self, account: &str, roster: Roster, instants: Instants) -> Result<Roster, Failure> {
        let state = Mutex::new(PeopleState::placed(roster, false));
        whole(self.read_everybody(account, &state, instants).await?)?;
        whole(self.read_enrollments(&state, instants).await?)?;
        whole(self.read_progress(&state, |_| true, instants).await?)?;
        Ok(state.into_inner().unwrap_or_else(PoisonError::into_inner).roster)
    }

    /// Reads who is who: where the picks are, and the account's learners.
    ///
    /// # Errors
    /// The [`Failure`] of the list; the state is of no use then.
    pub async fn read_everybody(
        &self,
        account: &str,
        state: &Mutex<PeopleState>,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let book = lock(state).book.take();
        if let Some(book) = book {
            let book = Mutex::new(book);
            let paused = self.read_assignments(account, &book, instants).await?;
            let book = book.into_inner().unwrap_or_else(PoisonError::into_inner);
            let mut state = lock(state);
            if paused.is_some() {
                state.book = Some(book);
                return Ok(paused);
            }
            state.roster.place(&book.0);
        }
        let path = format!("/api/v1/accounts/{account}/learners");
        let list = Listing { path: &path, noun: "learners", scope: "learners:read" };
        let paused = self.read_people(&list, instants, state, None).await?;
        list.checked(paused, || lock(state).roster.check_everybody())
    }

    /// Reads who is enrolled in each listed pick.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; the state is of no use then.
    pub async fn read_enrollments(&self, state: &Mutex<PeopleState>, instants: Instants) -> Result<Paused, Failure> {
        let picks = lock(state).roster.listed_picks();
        read_each(picks, |(pick, id)| async move { self.read_enrollment(pick, &id, state, instants).await }).await
    }

    async fn read_enrollment(
        &self,
        pick: usize,
        id: &SatId,
        state: &Mutex<PeopleState>,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/assignments/{id}/learners");
        let list = Listing { path: &path, noun: "learners of the assignment", scope: "learners:read" };
        let paused = self.read_people(&list, instants, state, Some(pick)).await?;
        list.checked(paused, || lock(state).roster.check_learners(pick))
    }

    /// Reads the activity of the picks in which somebody of `wanted` is enrolled.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; the state is of no use then.
    pub async fn read_progress(
        &self,
        state: &Mutex<PeopleState>,
        wanted: impl Fn(&LearnerId) -> bool,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let mut picks = lock(state).roster.listed_picks();
        picks.retain(|(pick, _)| lock(state).roster.is_needed(*pick, &wanted));
        read_each(picks, |(pick, id)| async move { self.read_progress_of(pick, &id, state, instants).await }).await
    }

    async fn read_progress_of(
        &self,
        pick: usize,
        id: &SatId,
        state: &Mutex<PeopleState>,
        instants: Instants,
    ) -> Result<Paused, Failure> {
        let path = format!("/api/v1/assignments/{id}/learner-activity");
        let list = Listing { path: &path, noun: "learner activity", scope: "assignments:learner-activity" };
        let mut reading = self.reading::<Activities, _>(
            list.noun,
            instants,
            state,
            |state| state.progress.entry(pick).or_default(),
            |state, page, at| {
                Ok(page.records.iter().all(|record| {
                    let (id, learner) = (record.record_key(), record.learner_id());
                    state.roster.add_activity(pick, id, learner, record.completed_at(), at)
                }))
            },
        );
        let paused = self.read_list(&list, &mut reading).await?;
        list.checked(paused, || lock(state).roster.check_activity(pick))
    }

    /// Reads the learners of the account, or of a pick.
    async fn read_people(
        &self,
        list: &Listing<'_>,
        instants: Instants,
        state: &Mutex<PeopleState>,
        pick: Option<usize>,
    ) -> Result<Paused, Failure> {
        if lock(state).names {
            self.read_people_as::<Names>(list, instants, state, pick).await
        } else {
            self.read_people_as::<Statuses>(list, instants, state, pick).await
        }
    }

    async fn read_people_as<R: Resource>(
        &self,
        list: &Listing<'_>,
        instants: Instants,
        state: &Mutex<PeopleState>,
        pick: Option<usize>,
    ) -> Result<Paused, Failure>
    where
        for<'a> R::Of<'a>: Learner,
    {
        let mut reading = self.reading::<R, _>(
            list.noun,
            instants,
            state,
            |state| state.cursor(pick),
            |state, page, _| Ok(page.records.iter().all(|record| state.add(pick, record))),
        );
        self.read_list(list, &mut reading).await
    }
}

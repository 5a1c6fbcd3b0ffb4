//! The lists that signals and people share, each read once for both: the assignments, the learners, and the activity of an assignment.

use super::people::PeopleState;
use super::reading::{Cursor, Fold, anonymous_fold, fold};
use super::records::{Activities, Learner, Names, Statuses};
use super::{Listing, Paused, SatClient, SatState, inconsistent, lock, page::Resource};
use crate::collection::Instants;
use crate::error::BodyError;
use evidence_domain::failure::Failure;
use evidence_domain::sat::assignment::AssignmentFacts;
use evidence_domain::sat::id::SatId;
use std::sync::{Mutex, PoisonError};

/// What lists are folded into: the tallies of the signals, the people who are tracked, or both.
#[derive(Clone, Copy)]
pub(super) struct Folds<'s> {
    pub signals: Option<Signals<'s>>,
    pub people: Option<&'s Mutex<PeopleState>>,
    pub instants: Instants,
}

/// The tallies of the signals. `seed` makes the hashes of learners those of one run.
#[derive(Clone, Copy)]
pub(super) struct Signals<'s> {
    pub state: &'s Mutex<SatState>,
    pub seed: &'s str,
}

/// An assignment whose activity is read.
pub(super) struct ActivityOf {
    pub assignment: SatId,
    /// Whether the signals want it.
    pub for_signals: bool,
    /// Its place in the roster, if people are evaluated by it.
    pub index: Option<usize>,
}

impl SatClient<'_> {
    /// Reads the assignments of an account. Then it is known whose activity the signals read, and where the selected ones are.
    pub(super) async fn read_assignments(&self, account: &str, folds: Folds<'_>) -> Result<Paused, Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        let signals = folds.signals.map(|signals| {
            fold::<Statuses, _>(
                signals.state,
                |state| &mut state.assignments,
                |state, page, at| {
                    for record in &page.records {
                        let id = record.id();
                        let facts = AssignmentFacts { id: id.as_deref(), status: record.status() };
                        let unusable = "it has characters that do not belong in a path";
                        state.tally.assignments.add(&facts).map_err(|_| BodyError::shape("data.id", unusable))?;
                    }
                    state.tally.assignments.pages.add(&page.request(list.path), at, page.announced.total);
                    Ok(!state.tally.assignments.capped().is_cut())
                },
            )
        });
        let people = folds.people.map(|people| {
            fold::<Statuses, _>(
                people,
                |state| &mut state.assignments,
                |state, page, _| Ok(page.records.iter().all(|record| state.add_assignment(record))),
            )
        });
        let paused = self.read_list(&list, folds.instants, [dynamic(&signals), dynamic(&people)]).await?;
        list.checked(paused, || folds.people.map_or(Ok(()), |people| lock(people).place()))
    }

    /// Reads the learners of an account, with names and addresses only where people are kept with those.
    pub(super) async fn read_learners(&self, account: &str, folds: Folds<'_>) -> Result<Paused, Failure> {
        if folds.people.is_some_and(|people| lock(people).has_names()) {
            self.read_learners_as::<Names>(account, folds).await
        } else {
            self.read_learners_as::<Statuses>(account, folds).await
        }
    }

    async fn read_learners_as<R: Resource + 'static>(&self, account: &str, folds: Folds<'_>) -> Result<Paused, Failure>
    where
        for<'a> R::Of<'a>: Learner,
    {
        let path = format!("/api/v1/accounts/{account}/learners");
        let list = Listing { path: &path, noun: "learners", scope: "learners:read" };
        let signals = folds.signals.map(|Signals { state, seed }| {
            anonymous_fold::<R, _>(
                state,
                seed,
                |state| &mut state.learners,
                |state, page, at| {
                    page.records.iter().for_each(|record| state.tally.coverage.add_learner(&record.facts(seed)));
                    state.tally.coverage.learners_pages.add(&page.request(list.path), at, page.announced.total);
                    Ok(true)
                },
            )
        });
        let people = folds.people.map(|people| {
            fold::<R, _>(
                people,
                |state| &mut state.learners,
                |state, page, _| {
                    page.records.iter().for_each(|record| state.add_learner(record));
                    Ok(true)
                },
            )
        });
        let paused = self.read_list(&list, folds.instants, [dynamic(&signals), dynamic(&people)]).await?;
        list.checked(paused, || folds.people.map_or(Ok(()), |people| lock(people).roster().check_everybody()))
    }

    /// Reads the activity of an assignment.
    pub(super) async fn read_activity(&self, of: ActivityOf, folds: Folds<'_>) -> Result<Paused, Failure> {
        let ActivityOf { assignment, for_signals, index } = of;
        let path = format!("/api/v1/assignments/{assignment}/learner-activity");
        let list = Listing { path: &path, noun: "learner activity", scope: "assignments:learner-activity" };
        let signals = folds.signals.filter(|_| for_signals);
        // The rows of an assignment join the tally together, and only once all are read.
        let open = signals.map(|signals| {
            let mut state = lock(signals.state);
            let open = state.open_activity.remove(&assignment);
            Mutex::new(open.unwrap_or_else(|| (state.tally.activity(), Cursor::default())))
        });
        let to_signals = open.as_ref().zip(signals).map(|(open, Signals { seed, .. })| {
            fold::<Activities, _>(
                open,
                |(_, cursor)| cursor,
                move |(activity, _), page, at| {
                    page.records.iter().for_each(|record| activity.add(&record.facts(seed), at));
                    let request = page.request("/api/v1/assignments/{id}/learner-activity");
                    activity.pages.add(&request, at, page.announced.total);
                    Ok(!activity.capped().is_cut())
                },
            )
        });
        let people = folds.people.zip(index);
        let to_people = people.map(|(people, index)| {
            fold::<Activities, _>(
                people,
                move |state| state.progress.entry(index).or_default(),
                move |state, page, at| Ok(page.records.iter().all(|record| state.add_activity(index, record, at))),
            )
        });
        let paused = self.read_list(&list, folds.instants, [dynamic(&to_signals), dynamic(&to_people)]).await?;
        drop(to_signals);
        if let Some((signals, open)) = signals.zip(open) {
            let open = open.into_inner().unwrap_or_else(PoisonError::into_inner);
            let mut state = lock(signals.state);
            if paused.is_none() {
                state.activity_read.insert(assignment);
                state.tally.coverage.join(open.0).map_err(|error| inconsistent(&error).at(format!("GET {path}")))?;
            } else if open.1.is_begun() {
                state.open_activity.insert(assignment, open);
            }
        }
        let check = |(people, index): (&Mutex<PeopleState>, usize)| lock(people).roster().check_activity(index);
        list.checked(paused, || people.map_or(Ok(()), check))
    }
}

pub(super) fn dynamic<R: Resource + 'static>(fold: &Option<impl Fold<R>>) -> Option<&dyn Fold<R>> {
    fold.as_ref().map(|fold| fold as &dyn Fold<R>)
}

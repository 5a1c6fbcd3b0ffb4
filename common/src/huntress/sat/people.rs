//! The lists that statuses of people are made of: assignments as they are shown, learners, and the two lists of each pick.

use super::records::{Activities, Activity, Descriptions, Learner, Names, Statuses};
use super::{CONCURRENCY, Listing, SatClient, inconsistent};
use crate::domain::connection::Product;
use crate::domain::run::{Failure, FailureCode};
use crate::domain::sat::account::{AccountFacts, Chosen, choose};
use crate::domain::sat::id::SatId;
use crate::domain::sat::pick::AssignmentBook;
use crate::domain::sat::roster::{LearnerId, Profile, Roster};
use crate::huntress::edr::Instants;
use crate::huntress::error::BodyError;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::{Mutex, PoisonError};

impl SatClient<'_> {
    /// The account that is meant: `configured`, or the only one.
    ///
    /// # Errors
    /// The [`Failure`] of the list, or of the choice.
    pub async fn chosen_account(&self, configured: Option<&str>) -> Result<Chosen, Failure> {
        let accounts = self.accounts().await?.map_err(|until| {
            let failure = Failure::new(FailureCode::RateLimited, format!("the request limit is used up until {until}"));
            failure.at("GET /api/v1/accounts").about(Product::Sat)
        })?;
        let facts: Vec<AccountFacts<'_>> = accounts
            .iter()
            .map(|(id, name, kind)| AccountFacts { id: id.as_deref(), name: name.as_deref(), kind: kind.as_deref() })
            .collect();
        choose(&facts, configured).map_err(|error| Failure::from(error).at("GET /api/v1/accounts").about(Product::Sat))
    }

    /// The assignments of an account, up to `cap`.
    ///
    /// # Errors
    /// The [`Failure`] of the list.
    pub async fn assignments(&self, account: &str, cap: u64, instants: Instants) -> Result<AssignmentBook, Failure> {
        let path = format!("/api/v1/accounts/{account}/assignments");
        let list = Listing { path: &path, noun: "assignments", scope: "assignments:read" };
        let mut book = AssignmentBook::new(cap);
        self.read_whole::<Descriptions>(&list, instants, |page, _| {
            page.records.iter().for_each(|record| book.add(&record.described()));
            Ok(!book.capped().is_cut())
        })
        .await?;
        book.check().map_err(|error| inconsistent(&error).at(format!("GET {path}")))?;
        Ok(book)
    }

    /// Reads the account's learners into a roster; their names only if they are wanted.
    ///
    /// # Errors
    /// The [`Failure`] of the list.
    pub async fn read_everybody(
        &self,
        account: &str,
        roster: &mut Roster,
        names: bool,
        instants: Instants,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/accounts/{account}/learners");
        let list = Listing { path: &path, noun: "learners", scope: "learners:read" };
        self.read_people(&list, names, instants, |learner, status, profile| {
            roster.add_learner(learner, status, profile);
            true
        })
        .await?;
        roster.check_everybody().map_err(|error| inconsistent(&error).at(format!("GET {path}")))
    }

    /// Reads who is enrolled in each listed pick.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; the roster is of no use then.
    pub async fn read_enrollments(
        &self,
        roster: &Mutex<Roster>,
        names: bool,
        instants: Instants,
    ) -> Result<(), Failure> {
        let picks = lock(roster).listed_picks();
        stream::iter(picks)
            .map(|(pick, id)| async move { self.read_enrollment(pick, &id, roster, names, instants).await })
            .buffer_unordered(CONCURRENCY)
            .try_for_each(async |()| Ok(()))
            .await
    }

    async fn read_enrollment(
        &self,
        pick: usize,
        id: &SatId,
        roster: &Mutex<Roster>,
        names: bool,
        instants: Instants,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/assignments/{id}/learners");
        let list = Listing { path: &path, noun: "learners of the assignment", scope: "learners:read" };
        self.read_people(&list, names, instants, |learner, _, profile| lock(roster).enroll(pick, learner, profile))
            .await?;
        lock(roster).check_learners(pick).map_err(|error| inconsistent(&error).at(format!("GET {path}")))
    }

    /// Reads the activity of the picks in which somebody of `wanted` is enrolled.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good; the roster is of no use then.
    pub async fn read_progress(
        &self,
        roster: &Mutex<Roster>,
        wanted: impl Fn(&LearnerId) -> bool,
        instants: Instants,
    ) -> Result<(), Failure> {
        let mut picks = lock(roster).listed_picks();
        picks.retain(|(pick, _)| lock(roster).is_needed(*pick, &wanted));
        stream::iter(picks)
            .map(|(pick, id)| async move { self.read_progress_of(pick, &id, roster, instants).await })
            .buffer_unordered(CONCURRENCY)
            .try_for_each(async |()| Ok(()))
            .await
    }

    async fn read_progress_of(
        &self,
        pick: usize,
        id: &SatId,
        roster: &Mutex<Roster>,
        instants: Instants,
    ) -> Result<(), Failure> {
        let path = format!("/api/v1/assignments/{id}/learner-activity");
        let list = Listing { path: &path, noun: "learner activity", scope: "assignments:learner-activity" };
        self.read_whole::<Activities>(&list, instants, |page, at: DateTime<Utc>| {
            let mut roster = lock(roster);
            let mut add = |record: &Activity<'_>| {
                roster.add_activity(pick, record.record_key(), record.learner_id(), record.completed_at(), at)
            };
            Ok(page.records.iter().all(&mut add))
        })
        .await?;
        lock(roster).check_activity(pick).map_err(|error| inconsistent(&error).at(format!("GET {path}")))
    }

    /// Reads a list of learners until it or the interest of `add` ends.
    async fn read_people(
        &self,
        list: &Listing<'_>,
        names: bool,
        instants: Instants,
        mut add: impl FnMut(Option<LearnerId>, Option<&str>, Profile) -> bool + Send,
    ) -> Result<(), Failure> {
        fn all<L: Learner>(
            records: &[L],
            add: &mut impl FnMut(Option<LearnerId>, Option<&str>, Profile) -> bool,
        ) -> Result<bool, BodyError> {
            Ok(records.iter().all(|record| add(record.learner_id(), record.status_word(), record.profile())))
        }
        if names {
            self.read_whole::<Names>(list, instants, |page, _| all(&page.records, &mut add)).await
        } else {
            self.read_whole::<Statuses>(list, instants, |page, _| all(&page.records, &mut add)).await
        }
    }
}

fn lock(roster: &Mutex<Roster>) -> std::sync::MutexGuard<'_, Roster> {
    roster.lock().unwrap_or_else(PoisonError::into_inner)
}

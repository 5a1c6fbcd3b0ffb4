//! Tracking people from run to run: whoever is settled is left alone, everybody else is evaluated by the lists, and only what changed is written.

use super::certificates::{Asked, fetch};
use super::keyring::{ConnectionKeyring, KeyringError};
use super::update::PersonUpdate;
use crate::app::collection::worker::{AttemptError, WorkError, Worker, not_stored};
use crate::aws::secrets::wrapping::WrapError;
use crate::domain::connection::Connection;
use crate::domain::controls::{ControlMap, ControlOptions, Evidence};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::id::RunId;
use crate::domain::people::compliance::{Inclusion, RunRule, owe_certificates};
use crate::domain::people::person::{PeopleEvidence, PeopleSummary, PersonId, PersonState, PrivacyMode};
use crate::domain::people::roster::{LearnerId, Listed, Roster};
use crate::domain::people::status::PersonStatus;
use crate::domain::product::Product;
use crate::domain::quality::Quality;
use crate::huntress::sat::{PeopleNeeds, PeopleState, SatClient, TrackedPeople};
use crate::store::{Lease, PeopleWritten, PersonRecord, PersonWrite, StoreError, StoredPerson};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a run did about people.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    /// How many there are of each status now: for the evidence.
    pub evidence: PeopleEvidence,
    /// What was odd about the lists.
    pub quality: Quality,
    /// What was written.
    pub written: PeopleWritten,
}

/// The people of a connection while a run tracks them.
pub(in crate::app) struct Tracking<'a> {
    connection: &'a Connection,
    keyring: ConnectionKeyring<'a>,
    rule: RunRule,
    stored: HashMap<PersonId, StoredPerson>,
    lists: Mutex<PeopleState>,
}

impl Tracking<'_> {
    /// What the collection reads of them, beside the signals.
    pub fn people(&self) -> TrackedPeople<'_> {
        TrackedPeople { state: &self.lists, needs: self }
    }

    /// What was read of them so far, for the next part of the run. It names them, so it is sealed.
    ///
    /// # Errors
    /// The [`Failure`] of what cannot be sealed.
    pub fn seal(&self, run: &RunId) -> Result<Vec<u8>, AttemptError> {
        self.keyring.seal_lists(run, &lock(&self.lists)).map_err(|error| failed(error.into()))
    }

    fn visible(&self, person: &PersonId) -> Option<&PersonRecord> {
        self.stored.get(person)?.visible.as_ref()
    }

    fn known(&self, person: &PersonId) -> Option<&PersonState> {
        self.visible(person).map(|record| &record.state)
    }

    fn needs_evaluation(&self, person: &PersonId) -> bool {
        self.rule.needs_evaluation(self.known(person))
    }

    /// What a person is after this run; `None` for who is not one of the people.
    fn after_run(&self, lists: &PeopleState, listed: &Listed, person: &PersonId) -> Option<PersonState> {
        let known = self.known(person);
        let assignments = || lists.roster().assignments_of(listed, |id| self.rule.was_open(known, id));
        self.rule.after_run(known, listed.person(), || lists.are_enrollments_needed().then(assignments))
    }
}

impl PeopleNeeds for Tracking<'_> {
    /// Nothing of any assignment is needed while everybody who is known or active is settled.
    fn needs_enrollments(&self, roster: &Roster) -> bool {
        let hasher = &self.keyring.hasher;
        let listed: HashMap<PersonId, &Listed> =
            roster.everybody().map(|(learner, listed)| (hasher.person(learner), listed)).collect();
        let new = listed
            .iter()
            .any(|(person, listed)| roster.inclusion(listed) == Inclusion::Included && self.needs_evaluation(person));
        let visible = || self.stored.values().filter_map(|stored| stored.visible.as_ref());
        let known = visible().any(|record| {
            let calls_inactive = listed.get(&record.person).is_some_and(|listed| listed.is_inactive());
            !record.state.inactive && self.rule.needs_evaluation(Some(&record.state)) && !calls_inactive
        });
        // A certificate takes the learner's id, and who is not among the account's learners is named by the lists of assignments alone.
        let owed = |record: &PersonRecord| self.keyring.seals() && record.state.is_owed_a_certificate();
        let owed = visible().any(|record| owed(record) && !listed.contains_key(&record.person));
        // Nobody is known yet: then those who are enrolled and not active are to be found, too.
        new || known || owed || self.rule.is_first
    }

    fn needs_activity_of(&self, learner: &LearnerId, listed: &Listed) -> bool {
        !listed.is_inactive() && self.needs_evaluation(&self.keyring.hasher.person(learner))
    }
}

impl Worker {
    /// Begins to track the people of a connection, if it tracks any, or goes on from what an earlier part of the run left.
    ///
    /// # Errors
    /// What of our own does not answer, or the [`Failure`] of what does not open.
    pub(in crate::app) async fn begin_tracking<'a>(
        &'a self,
        lease: &Lease,
        connection: &'a Connection,
        as_of: DateTime<Utc>,
        kept: Option<&[u8]>,
    ) -> Result<Option<Tracking<'a>>, AttemptError> {
        if !connection.people.is_on() {
            return Ok(None);
        }
        let (company, id, mode) = (&connection.company, &connection.id, connection.people.mode);
        let keyring = self.keyring.for_connection(&self.store, company, id, mode).await.map_err(failed)?;
        let stored = self.store.stored_people(company, id).await.map_err(|error| failed(error.into()))?;
        // What a run left that never committed is nobody.
        let is_first = stored.values().all(|stored| stored.visible.is_none());
        let recertify_after_days = connection.people.recertify_after_days;
        let rule = RunRule { as_of, recertify_after_days, is_first };
        let lists = Mutex::new(begin(lease, connection, &keyring, as_of, kept));
        Ok(Some(Tracking { connection, keyring, rule, stored, lists }))
    }

    /// Brings the people up to date, whose lists are read. What is written is visible once the run is committed.
    ///
    /// # Errors
    /// What of our own does not answer, or the [`Failure`] of what does not open; then nobody has changed.
    pub(in crate::app) async fn finish_tracking(
        &self,
        lease: &Lease,
        client: &SatClient<'_>,
        tracking: Tracking<'_>,
    ) -> Result<Tracked, AttemptError> {
        let mut updates = {
            let lists = lock(&tracking.lists);
            updates(&tracking, &lists).map_err(failed)?
        };
        let keyring = &tracking.keyring;
        if keyring.seals() {
            let asked = Asked { client, clock: &*self.huntress.clock, documents: &self.keyring.documents, keyring };
            fetch(&asked, &mut updates).await;
        }
        self.write(lease, &tracking, updates).await
    }

    async fn write(
        &self,
        lease: &Lease,
        tracking: &Tracking<'_>,
        updates: Vec<PersonUpdate>,
    ) -> Result<Tracked, AttemptError> {
        let connection = tracking.connection;
        let settings = &connection.people;
        // Those whom this run looked at come last. A certification that ended by time counts for none, also of who is in no list any more.
        let known = tracking.stored.values().filter_map(|stored| stored.visible.as_ref());
        let looked_at = updates.iter().map(|update| &update.record);
        let days = settings.recertify_after_days;
        let after: HashMap<&PersonId, (PersonStatus, bool)> = known
            .chain(looked_at)
            .map(|PersonRecord { person, state, .. }| {
                (person, (state.compliance.shown_at(tracking.rule.as_of, days).status, state.inactive))
            })
            .collect();
        let mut summary = PeopleSummary::default();
        after.values().filter(|(_, inactive)| !inactive).for_each(|(status, _)| summary.count(*status));
        let map = ControlMap::current();
        let (missing_assignments, truncated, quality) = {
            let lists = lock(&tracking.lists);
            let roster = lists.roster();
            (roster.gone(), roster.is_truncated(), roster.quality())
        };
        let evidence = PeopleEvidence {
            summary,
            assignments: settings.selected.clone(),
            missing_assignments,
            truncated,
            recertify_after_days: settings.recertify_after_days,
            controls: map.controls_for(Evidence::PersonTraining, ControlOptions::default()),
            control_map_version: map.version().to_owned(),
        };
        let writes: Vec<PersonWrite> = updates.into_iter().filter_map(PersonUpdate::write).collect();
        let written = self
            .store
            .write_people(lease, &tracking.keyring.key_record, writes)
            .await
            .map_err(|error| failed(error.into()))?;
        tracing::info!(
            company = %connection.company, connection = %connection.id, rows = written.rows, events = written.events,
            left_alone = written.left_alone, "people written"
        );
        Ok(Tracked { evidence, quality, written })
    }
}

/// What an earlier part of the run has read, or nothing.
fn begin(
    lease: &Lease,
    connection: &Connection,
    keyring: &ConnectionKeyring<'_>,
    as_of: DateTime<Utc>,
    kept: Option<&[u8]>,
) -> PeopleState {
    let (selected, names) = (&connection.people.selected, keyring.seals());
    if let Some(sealed) = kept {
        match keyring.open_lists(lease.run(), sealed) {
            Ok(lists) if lists.is_for(selected, names) => return lists,
            _ => tracing::warn!(
                connection = %connection.id,
                "people, or what is kept of them, were changed while the run was waiting; their lists are read anew"
            ),
        }
    }
    let caps = connection.sat.caps();
    PeopleState::new(Roster::new(as_of, selected, caps.activity_per_assignment), caps.assignments, names)
}

fn lock(lists: &Mutex<PeopleState>) -> MutexGuard<'_, PeopleState> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody whom this run has something to say about.
fn updates(tracking: &Tracking<'_>, lists: &PeopleState) -> Result<Vec<PersonUpdate>, KeyringError> {
    let keyring = &tracking.keyring;
    let mut updates = Vec::new();
    for (learner, listed) in lists.roster().everybody() {
        let person = keyring.hasher.person(learner);
        let Some(mut state) = tracking.after_run(lists, listed, &person) else { continue };
        let previous = tracking.visible(&person);
        let settled = previous.is_some_and(|record| tracking.rule.is_settled(record.state.compliance));
        let known = previous.map(|record| &record.sealed);
        // Who is settled is not synced; only who was kept without a name before the mode asked for it gets one.
        let keep = settled && (!keyring.seals() || known.is_some_and(|known| known.tag.is_some()));
        let sealed = match known {
            Some(known) if keep || state.inactive => known.clone(),
            known => keyring.seal(&person, listed.profile(), known)?,
        };
        if tracking.connection.people.mode == PrivacyMode::Full && !state.inactive {
            owe_certificates(&mut state);
        }
        let read = tracking.stored.get(&person).cloned();
        updates.push(PersonUpdate { learner: learner.clone(), record: PersonRecord { person, state, sealed }, read });
    }
    Ok(updates)
}

/// What it means for a run that people cannot be kept.
fn failed(error: KeyringError) -> AttemptError {
    tracing::error!(error = &error as &dyn std::error::Error, "people cannot be kept");
    let failure = match &error {
        KeyringError::Store(StoreError::LeaseLost) => {
            Failure::new(FailureCode::LeaseLost, format!("people cannot be kept: {error}"))
        }
        KeyringError::Store(StoreError::Conflict { .. }) => {
            Failure::new(FailureCode::Storage, "people of this connection were erased while the run was under way")
        }
        KeyringError::Store(error @ StoreError::Refused { .. }) => not_stored(error),
        KeyringError::Wrap(WrapError::DoesNotOpen) => Failure::new(
            FailureCode::Storage,
            "the stored key of people does not open; restore the key that wrapped it, or erase the people",
        ),
        KeyringError::Store(StoreError::Unavailable { .. })
        | KeyringError::Wrap(WrapError::Unavailable(_))
        | KeyringError::Documents(_) => return AttemptError::Transient(WorkError::People(error)),
        _ => Failure::new(FailureCode::Storage, format!("people cannot be kept: {error}")),
    };
    AttemptError::Permanent(failure.about(Product::Sat))
}

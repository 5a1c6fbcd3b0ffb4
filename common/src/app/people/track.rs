//! Tracking people from run to run: whoever is settled is left alone, everybody else is evaluated by the lists, and only what changed is written.

use super::certificates::{Asked, fetch};
use super::keyring::{ConnectionKeyring, KeyringError};
use super::update::PersonUpdate;
use crate::app::collection::worker::{AttemptError, WorkError, Worker, not_stored};
use crate::aws::secrets::wrapping::WrapError;
use crate::domain::connection::Connection;
use crate::domain::controls::{ControlMap, ControlOptions, Evidence};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::people::compliance::{Inclusion, RunRule, owe_certificates};
use crate::domain::people::person::{
    PeopleEvidence, PeopleSettings, PeopleSummary, PersonId, PersonState, PrivacyMode,
};
use crate::domain::people::roster::{LearnerId, Listed, Roster};
use crate::domain::people::status::PersonStatus;
use crate::domain::product::Product;
use crate::domain::quality::Quality;
use crate::domain::sat::id::SatId;
use crate::huntress::collection::{Collected, Instants};
use crate::huntress::sat::{PeopleState, SatClient};
use crate::store::{Lease, PeopleWritten, PersonRecord, PersonWrite, StoreError, StoredPerson};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
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

/// The rule of one run, and whom it knows.
struct Tracking<'a> {
    settings: &'a PeopleSettings,
    rule: RunRule,
    stored: HashMap<PersonId, StoredPerson>,
}

impl Tracking<'_> {
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
    fn after_run(&self, roster: &Roster, listed: &Listed, person: &PersonId, lists_read: bool) -> Option<PersonState> {
        let known = self.known(person);
        let assignments = || roster.assignments_of(listed, |id| self.rule.was_open(known, id));
        self.rule.after_run(known, listed.person(), || lists_read.then(assignments))
    }
}

impl Worker {
    /// Brings the people of a connection up to date, if it tracks any. What is written is visible once the run is committed. `kept` is what an earlier
    /// part of the run left; what this part leaves when it has to pause is sealed.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good, or what of our own does not answer; then nobody has changed.
    pub(in crate::app) async fn track(
        &self,
        lease: &Lease,
        connection: &Connection,
        client: &SatClient<'_>,
        account: &SatId,
        as_of: DateTime<Utc>,
        kept: Option<&[u8]>,
    ) -> Result<Collected<Option<Tracked>, Vec<u8>>, AttemptError> {
        if !connection.people.is_on() {
            return Ok(Collected::Complete(None));
        }
        let (company, id, mode) = (&connection.company, &connection.id, connection.people.mode);
        let keeper = self.keyring.keeper(&self.store, company, id, mode).await.map_err(failed)?;
        let stored = self.store.stored_people(company, id).await.map_err(|error| failed(error.into()))?;
        // What a run left that never committed is nobody.
        let is_first = stored.values().all(|stored| stored.visible.is_none());
        let recertify_after_days = connection.people.recertify_after_days;
        let rule = RunRule { as_of, recertify_after_days, is_first };
        let tracking = Tracking { settings: &connection.people, rule, stored };
        let lists = Mutex::new(begin(lease, connection, &keeper, as_of, kept));
        let lists_read = match read(&tracking, client, account, &keeper, &lists).await? {
            Collected::Complete(lists_read) => lists_read,
            Collected::Paused { until, .. } => {
                let sealed = keeper.seal_lists(lease.run(), &lock(&lists)).map_err(|error| failed(error.into()))?;
                return Ok(Collected::Paused { state: Box::new(sealed), until });
            }
        };
        let lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
        let roster = lists.roster();
        let mut candidates = candidates(&tracking, roster, &keeper, lists_read).map_err(failed)?;
        if keeper.seals() {
            let asked =
                Asked { client, clock: &*self.huntress.clock, documents: &self.keyring.documents, keeper: &keeper };
            fetch(&asked, &mut candidates).await;
        }
        self.write(lease, connection, &tracking, roster, &keeper, candidates).await.map(Some).map(Collected::Complete)
    }

    async fn write(
        &self,
        lease: &Lease,
        connection: &Connection,
        tracking: &Tracking<'_>,
        roster: &Roster,
        keeper: &ConnectionKeyring<'_>,
        candidates: Vec<PersonUpdate>,
    ) -> Result<Tracked, AttemptError> {
        // Those whom this run looked at come last. A certification that ended by time counts for none, also of who is in no list any more.
        let known = tracking.stored.values().filter_map(|stored| stored.visible.as_ref());
        let looked_at = candidates.iter().map(|candidate| &candidate.record);
        let days = tracking.settings.recertify_after_days;
        let after: HashMap<&PersonId, (PersonStatus, bool)> = known
            .chain(looked_at)
            .map(|PersonRecord { person, state, .. }| {
                (person, (state.standing.shown_at(tracking.rule.as_of, days).status, state.inactive))
            })
            .collect();
        let mut summary = PeopleSummary::default();
        after.values().filter(|(_, inactive)| !inactive).for_each(|(status, _)| summary.count(*status));
        let map = ControlMap::current();
        let evidence = PeopleEvidence {
            summary,
            assignments: tracking.settings.picks.clone(),
            missing_assignments: roster.gone(),
            truncated: roster.is_truncated(),
            recertify_after_days: tracking.settings.recertify_after_days,
            controls: map.controls_for(Evidence::PersonTraining, ControlOptions::default()),
            control_map_version: map.version().to_owned(),
        };
        let writes: Vec<PersonWrite> = candidates.into_iter().filter_map(PersonUpdate::write).collect();
        let written =
            self.store.write_people(lease, &keeper.keeping, writes).await.map_err(|error| failed(error.into()))?;
        tracing::info!(
            company = %connection.company, connection = %connection.id, rows = written.rows, events = written.events,
            left_alone = written.left_alone, "people written"
        );
        Ok(Tracked { evidence, quality: roster.quality(), written })
    }
}

/// What an earlier part of the run has read, or nothing.
fn begin(
    lease: &Lease,
    connection: &Connection,
    keeper: &ConnectionKeyring<'_>,
    as_of: DateTime<Utc>,
    kept: Option<&[u8]>,
) -> PeopleState {
    let (picks, names) = (&connection.people.picks, keeper.seals());
    if let Some(sealed) = kept {
        match keeper.open_lists(lease.run(), sealed) {
            Ok(lists) if lists.is_for(picks, names) => return lists,
            _ => tracing::warn!(
                connection = %connection.id,
                "people, or what is kept of them, were changed while the run was waiting; their lists are read anew"
            ),
        }
    }
    let caps = connection.sat.caps();
    PeopleState::new(Roster::new(as_of, picks, caps.activity_per_assignment), caps.assignments, names)
}

/// Reads the lists that are needed: nothing of any assignment while everybody who is known or active is settled. Tells whether those were.
async fn read(
    tracking: &Tracking<'_>,
    client: &SatClient<'_>,
    account: &SatId,
    keeper: &ConnectionKeyring<'_>,
    lists: &Mutex<PeopleState>,
) -> Result<Collected<bool, ()>, Failure> {
    let instants = Instants { as_of: tracking.rule.as_of, observed_at: None };
    let paused = |until| Ok(Collected::Paused { state: Box::new(()), until });
    if let Some(until) = client.read_everybody(account.as_str(), lists, instants).await? {
        return paused(until);
    }
    let hasher = &keeper.hasher;
    let (inactive, lists_read) = {
        let lists = lock(lists);
        let roster = lists.roster();
        let inactive = |(learner, listed): (&LearnerId, &Listed)| listed.is_inactive().then(|| hasher.person(learner));
        let inactive: HashSet<PersonId> = roster.everybody().filter_map(inactive).collect();
        // Whom the picks' lists have named since does not change what an earlier part found that it needs.
        let lists_read = lists.are_picks_begun() || needs_lists(tracking, keeper, roster, &inactive);
        (inactive, lists_read)
    };
    if !lists_read {
        return Ok(Collected::Complete(false));
    }
    if let Some(until) = client.read_enrollments(lists, instants).await? {
        return paused(until);
    }
    let wanted = |learner: &LearnerId| {
        let person = hasher.person(learner);
        !inactive.contains(&person) && tracking.needs_evaluation(&person)
    };
    match client.read_progress(lists, wanted, instants).await? {
        Some(until) => paused(until),
        None => Ok(Collected::Complete(true)),
    }
}

/// Whether anybody is to be evaluated, or found, by the lists of assignments.
fn needs_lists(
    tracking: &Tracking<'_>,
    keeper: &ConnectionKeyring<'_>,
    roster: &Roster,
    inactive: &HashSet<PersonId>,
) -> bool {
    let hasher = &keeper.hasher;
    let new = roster.everybody().any(|(learner, listed)| {
        roster.inclusion(listed) == Inclusion::Included && tracking.needs_evaluation(&hasher.person(learner))
    });
    let known = tracking.stored.iter().any(|(person, stored)| {
        let open = |record: &PersonRecord| !record.state.inactive && !tracking.rule.is_settled(record.state.standing);
        stored.visible.as_ref().is_some_and(open) && !inactive.contains(person)
    });
    // A certificate takes the learner's id, and who is not among the account's learners is named by the lists of assignments alone.
    let owed = |record: &PersonRecord| keeper.seals() && record.state.is_owed_a_certificate();
    let listed: HashSet<PersonId> = roster.everybody().map(|(learner, _)| hasher.person(learner)).collect();
    let mut visible = tracking.stored.values().filter_map(|stored| stored.visible.as_ref());
    let owed = visible.any(|record| owed(record) && !listed.contains(&record.person));
    // Nobody is known yet: then those who are enrolled and not active are to be found, too.
    new || known || owed || tracking.rule.is_first
}

fn lock(lists: &Mutex<PeopleState>) -> MutexGuard<'_, PeopleState> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody whom this run has something to say about.
fn candidates(
    tracking: &Tracking<'_>,
    roster: &Roster,
    keeper: &ConnectionKeyring<'_>,
    lists_read: bool,
) -> Result<Vec<PersonUpdate>, KeyringError> {
    let mut candidates = Vec::new();
    for (learner, listed) in roster.everybody() {
        let person = keeper.hasher.person(learner);
        let Some(mut state) = tracking.after_run(roster, listed, &person, lists_read) else { continue };
        let previous = tracking.visible(&person);
        let settled = previous.is_some_and(|record| tracking.rule.is_settled(record.state.standing));
        let known = previous.map(|record| &record.sealed);
        // Who is settled is not synced; only who was kept without a name before the mode asked for it gets one.
        let keep = settled && (!keeper.seals() || known.is_some_and(|known| known.tag.is_some()));
        let sealed = match known {
            Some(known) if keep || state.inactive => known.clone(),
            known => keeper.seal(&person, listed.profile(), known)?,
        };
        if tracking.settings.mode == PrivacyMode::Full && !state.inactive {
            owe_certificates(&mut state);
        }
        let read = tracking.stored.get(&person).cloned();
        candidates.push(PersonUpdate {
            learner: learner.clone(),
            record: PersonRecord { person, state, sealed },
            read,
        });
    }
    Ok(candidates)
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

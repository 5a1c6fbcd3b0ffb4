//! Following people from run to run: whoever is settled is left alone, everybody else is evaluated by the lists, and only what changed is written.

use super::certificates::{Asked, fetch};
use super::keyring::{ConnectionKeyring, KeyringError};
use super::update::PersonUpdate;
use crate::app::collection::worker::Worker;
use crate::aws::secrets::wrapping::WrapError;
use crate::domain::connection::Connection;
use crate::domain::controls::{ControlMap, ControlOptions, Evidence};
use crate::domain::failure::{Failure, FailureCode};
use crate::domain::product::Product;
use crate::domain::quality::Quality;
use crate::domain::sat::id::SatId;
use crate::domain::sat::people::{ComplianceStatus, Inclusion, PersonStatus, next};
use crate::domain::sat::person::{
    Certificate, CertificateOutcome, PeopleEvidence, PeopleSettings, PeopleSummary, PersonId, PersonState, PrivacyMode,
};
use crate::domain::sat::roster::{LearnerId, Listed, Roster};
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

/// The rules of one run.
struct Rules<'a> {
    settings: &'a PeopleSettings,
    as_of: DateTime<Utc>,
    stored: HashMap<PersonId, StoredPerson>,
    /// Whether nobody is known yet; what a run left that never committed is nobody.
    is_first: bool,
}

impl Rules<'_> {
    fn visible(&self, person: &PersonId) -> Option<&PersonRecord> {
        self.stored.get(person)?.visible.as_ref()
    }

    fn is_settled(&self, standing: ComplianceStatus) -> bool {
        standing.is_settled(self.as_of, self.settings.recertify_after_days)
    }

    fn needs_judging(&self, person: &PersonId) -> bool {
        self.visible(person).is_none_or(|record| !self.is_settled(record.state.standing))
    }

    /// What a person is after this run; `None` leaves them as they are, or unknown to us.
    fn evaluate(&self, roster: &Roster, listed: &Listed, person: &PersonId, lists_read: bool) -> Option<PersonState> {
        let previous = self.visible(person).map(|record| &record.state);
        if roster.is_inactive(listed) {
            // Left out, whatever they are; nothing else about them changes.
            return previous.map(|state| PersonState { inactive: true, ..state.clone() });
        }
        let included = roster.inclusion(listed) == Inclusion::Included;
        if let Some(state) = previous
            && (self.is_settled(state.standing) || !included || !lists_read)
        {
            return Some(PersonState { inactive: state.inactive && !included, ..state.clone() });
        }
        if !included || !lists_read {
            return None;
        }
        // Of an assignment that is gone nobody knows who was in it before people were followed; later, who was not seen in it was not.
        let was_open = |id: &SatId| match previous {
            Some(state) => state.was_open(id),
            None if self.is_first => None,
            None => Some(false),
        };
        let evaluated = roster.evaluate(listed, was_open);
        let observed = match previous {
            // A list that was cut off changes nobody.
            Some(_) if evaluated.truncated => PersonStatus::Unknown,
            _ => evaluated.status,
        };
        let standing =
            next(previous.map(|state| state.standing), observed, self.as_of, self.settings.recertify_after_days);
        let (certificates, reset) =
            previous.map(|state| (state.certificates.clone(), state.reset.clone())).unwrap_or_default();
        let state = match previous {
            // Nothing was learned: what was known of them stays.
            Some(state) if observed == PersonStatus::Unknown => {
                PersonState { standing, inactive: false, ..state.clone() }
            }
            _ => PersonState {
                standing,
                completed: evaluated.completed,
                missing: evaluated.missing,
                not_enrolled_in: evaluated.not_enrolled_in,
                inactive: false,
                reset,
                certificates,
            },
        };
        Some(state)
    }
}

/// Asks for the certificates of who is compliant and has none for that, and for those that are still due.
fn want_certificates(state: &mut PersonState) {
    if state.standing.status != PersonStatus::Compliant {
        // Nobody is owed one any more.
        state.certificates.retain(|certificate| certificate.outcome != CertificateOutcome::Due);
        return;
    }
    let earned_at = state.standing.since;
    for assignment in &state.completed {
        let has = |it: &Certificate| it.assignment == *assignment && it.earned_at == earned_at;
        if !state.certificates.iter().any(has) {
            let outcome = CertificateOutcome::Due;
            state.certificates.push(Certificate { assignment: assignment.clone(), earned_at, outcome });
        }
    }
}

impl Worker {
    /// Brings the people of a connection up to date, if it follows any. What is written is visible once the run is committed. `kept` is what an earlier
    /// part of the run left; what this part leaves when it has to pause is sealed.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good, or of the store; then nobody has changed.
    pub(in crate::app) async fn track(
        &self,
        lease: &Lease,
        connection: &Connection,
        client: &SatClient<'_>,
        account: &SatId,
        as_of: DateTime<Utc>,
        kept: Option<&[u8]>,
    ) -> Result<Collected<Option<Tracked>, Vec<u8>>, Failure> {
        if !connection.people.is_on() {
            return Ok(Collected::Complete(None));
        }
        let (company, id, mode) = (&connection.company, &connection.id, connection.people.mode);
        let keeper = self.keyring.keeper(&self.store, company, id, mode).await.map_err(|error| failed(&error))?;
        let stored = self.store.stored_people(company, id).await.map_err(|error| failed(&error.into()))?;
        let is_first = stored.values().all(|stored| stored.visible.is_none());
        let rules = Rules { settings: &connection.people, as_of, stored, is_first };
        let lists = Mutex::new(begin(lease, connection, &keeper, as_of, kept));
        let lists_read = match read(&rules, client, account, &keeper, &lists).await? {
            Collected::Complete(lists_read) => lists_read,
            Collected::Paused { until, .. } => {
                let sealed = keeper.seal_lists(lease.run(), &lock(&lists)).map_err(|error| failed(&error.into()))?;
                return Ok(Collected::Paused { state: Box::new(sealed), until });
            }
        };
        let lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
        let roster = lists.roster();
        let mut candidates = candidates(&rules, roster, &keeper, lists_read).map_err(|error| failed(&error))?;
        if keeper.seals() {
            let asked =
                Asked { client, clock: &*self.huntress.clock, documents: &self.keyring.documents, keeper: &keeper };
            fetch(&asked, &mut candidates).await;
        }
        self.write(lease, connection, &rules, roster, &keeper, candidates).await.map(Some).map(Collected::Complete)
    }

    async fn write(
        &self,
        lease: &Lease,
        connection: &Connection,
        rules: &Rules<'_>,
        roster: &Roster,
        keeper: &ConnectionKeyring<'_>,
        candidates: Vec<PersonUpdate>,
    ) -> Result<Tracked, Failure> {
        // Those whom this run looked at come last. A certification that ended by time counts for none, also of who is in no list any more.
        let known = rules.stored.values().filter_map(|stored| stored.visible.as_ref());
        let looked_at = candidates.iter().map(|candidate| &candidate.record);
        let days = rules.settings.recertify_after_days;
        let after: HashMap<&PersonId, (PersonStatus, bool)> = known
            .chain(looked_at)
            .map(|PersonRecord { person, state, .. }| {
                (person, (state.standing.shown_at(rules.as_of, days).status, state.inactive))
            })
            .collect();
        let mut summary = PeopleSummary::default();
        after.values().filter(|(_, inactive)| !inactive).for_each(|(status, _)| summary.count(*status));
        let map = ControlMap::current();
        let evidence = PeopleEvidence {
            summary,
            assignments: rules.settings.picks.clone(),
            missing_assignments: roster.gone(),
            truncated: roster.is_truncated(),
            recertify_after_days: rules.settings.recertify_after_days,
            controls: map.controls_for(Evidence::PersonTraining, ControlOptions::default()),
            control_map_version: map.version().to_owned(),
        };
        let writes: Vec<PersonWrite> = candidates.into_iter().filter_map(PersonUpdate::write).collect();
        let written =
            self.store.write_people(lease, &keeper.keeping, writes).await.map_err(|error| failed(&error.into()))?;
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
    rules: &Rules<'_>,
    client: &SatClient<'_>,
    account: &SatId,
    keeper: &ConnectionKeyring<'_>,
    lists: &Mutex<PeopleState>,
) -> Result<Collected<bool, ()>, Failure> {
    let instants = Instants { as_of: rules.as_of, observed_at: None };
    let paused = |until| Ok(Collected::Paused { state: Box::new(()), until });
    if let Some(until) = client.read_everybody(account.as_str(), lists, instants).await? {
        return paused(until);
    }
    let hasher = &keeper.hasher;
    let (inactive, lists_read) = {
        let lists = lock(lists);
        let roster = lists.roster();
        let inactive = |(learner, listed)| roster.is_inactive(listed).then(|| hasher.person(learner));
        let inactive: HashSet<PersonId> = roster.everybody().filter_map(inactive).collect();
        // Whom the picks' lists have named since does not change what an earlier part found that it needs.
        let lists_read = lists.are_picks_begun() || needs_lists(rules, keeper, roster, &inactive);
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
        !inactive.contains(&person) && rules.needs_judging(&person)
    };
    match client.read_progress(lists, wanted, instants).await? {
        Some(until) => paused(until),
        None => Ok(Collected::Complete(true)),
    }
}

/// Whether anybody is to be evaluated, or found, by the lists of assignments.
fn needs_lists(
    rules: &Rules<'_>,
    keeper: &ConnectionKeyring<'_>,
    roster: &Roster,
    inactive: &HashSet<PersonId>,
) -> bool {
    let hasher = &keeper.hasher;
    let new = roster.everybody().any(|(learner, listed)| {
        roster.inclusion(listed) == Inclusion::Included && rules.needs_judging(&hasher.person(learner))
    });
    let known = rules.stored.iter().any(|(person, stored)| {
        let open = |record: &PersonRecord| !record.state.inactive && !rules.is_settled(record.state.standing);
        stored.visible.as_ref().is_some_and(open) && !inactive.contains(person)
    });
    // A certificate takes the learner's id, and who is not among the account's learners is named by the lists of assignments alone.
    let owed = |record: &PersonRecord| keeper.seals() && record.state.is_owed_a_certificate();
    let listed: HashSet<PersonId> = roster.everybody().map(|(learner, _)| hasher.person(learner)).collect();
    let mut visible = rules.stored.values().filter_map(|stored| stored.visible.as_ref());
    let owed = visible.any(|record| owed(record) && !listed.contains(&record.person));
    // Nobody is known yet: then those who are enrolled and not active are to be found, too.
    new || known || owed || rules.is_first
}

fn lock(lists: &Mutex<PeopleState>) -> MutexGuard<'_, PeopleState> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody whom this run has something to say about.
fn candidates(
    rules: &Rules<'_>,
    roster: &Roster,
    keeper: &ConnectionKeyring<'_>,
    lists_read: bool,
) -> Result<Vec<PersonUpdate>, KeyringError> {
    let mut candidates = Vec::new();
    for (learner, listed) in roster.everybody() {
        let person = keeper.hasher.person(learner);
        let Some(mut state) = rules.evaluate(roster, listed, &person, lists_read) else { continue };
        let previous = rules.visible(&person);
        let settled = previous.is_some_and(|record| rules.is_settled(record.state.standing));
        let known = previous.map(|record| &record.sealed);
        // Who is settled is not synced; only who was kept without a name before the mode asked for it gets one.
        let keep = settled && (!keeper.seals() || known.is_some_and(|known| known.tag.is_some()));
        let sealed = match known {
            Some(known) if keep || state.inactive => known.clone(),
            known => keeper.seal(&person, listed.profile(), known)?,
        };
        if rules.settings.mode == PrivacyMode::Full && !state.inactive {
            want_certificates(&mut state);
        }
        let read = rules.stored.get(&person).cloned();
        candidates.push(PersonUpdate {
            learner: learner.clone(),
            record: PersonRecord { person, state, sealed },
            read,
        });
    }
    Ok(candidates)
}

/// The failure of a run that cannot keep people.
fn failed(error: &KeyringError) -> Failure {
    tracing::error!(error = error as &dyn std::error::Error, "people cannot be kept");
    let code = match error {
        KeyringError::Store(StoreError::LeaseLost) => FailureCode::LeaseLost,
        KeyringError::Store(StoreError::Conflict { .. }) => {
            let message = "people of this connection were erased while the run was under way";
            return Failure::new(FailureCode::Storage, message).about(Product::Sat);
        }
        KeyringError::Wrap(WrapError::DoesNotOpen) => {
            let message =
                "the stored key of people does not open; restore the key that wrapped it, or erase the people";
            return Failure::new(FailureCode::Storage, message).about(Product::Sat);
        }
        _ => FailureCode::Storage,
    };
    Failure::new(code, format!("people cannot be kept: {error}")).about(Product::Sat)
}

//! What somebody does about people: looks, resets, opens, erases. The command line and the HTTP interface both come here.

use super::keyring::{Identity, KeyringError, Opening, PeopleKeyring};
use crate::clock::Clock;
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::connection::Connection;
use crate::domain::failure::Failure;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, ConnectionKey};
use crate::domain::people::person::{
    OnboardingPrompt, PeopleSettings, PeopleSummary, PersonId, PersonState, PrivacyMode, StoredCertificate,
    onboarding_prompt,
};
use crate::domain::people::roster::LearnerId;
use crate::domain::people::status::{ComplianceStatus, PersonStatus, Reset};
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::settings::PublicUrl;
use crate::store::{AuditedChange, ConnectionChange, LoggedEvent, PersonRecord, Provider, Store, StoreError};
use chrono::SubsecRound;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is to be kept of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivacyChange {
    /// The mode.
    pub mode: PrivacyMode,
    /// That what is not kept any more may be erased.
    pub erases: bool,
    /// Only while the connection has this revision.
    pub if_revision: Option<u64>,
}

impl PrivacyChange {
    /// To a mode, without erasing anything.
    #[must_use]
    pub fn to(mode: PrivacyMode) -> Self {
        Self { mode, erases: false, if_revision: None }
    }
}

/// Operations on the tracked people of a connection.
pub struct PeopleService {
    /// Connections and people.
    pub store: Store,
    /// Keys and certificates.
    pub keyring: Arc<PeopleKeyring>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where people reach the pages, on a host that has some.
    pub pages: Option<PublicUrl>,
}

/// Why something about people was not done.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys, certificates, or what is sealed.
    #[error(transparent)]
    PeopleKeyring(#[from] KeyringError),
    /// The vendor, or a choice that it does not allow.
    #[error("{0}")]
    Failed(Failure),
    /// What was asked for cannot be done as it was asked.
    #[error("{0}")]
    Refused(String),
}

impl From<Failure> for PeopleError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A stored certificate, opened.
pub struct OpenedCertificate {
    /// The document.
    pub bytes: Vec<u8>,
    /// The assignment that it is about.
    pub assignment: SatId,
    /// What is known of it.
    pub stored: StoredCertificate,
}

/// A reason or a name that is kept for good, at most so many bytes.
const LONGEST_TEXT: usize = 500;

fn said(what: &str, text: &str) -> Result<(), PeopleError> {
    if text.trim().is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
        return Err(PeopleError::Refused(format!("{what} must be one line of 1 to {LONGEST_TEXT} bytes")));
    }
    Ok(())
}

/// A training connection.
pub(in crate::app) async fn training_connection(
    store: &Store,
    company: &CompanyId,
    id: &ConnectionId,
) -> Result<Connection, PeopleError> {
    let connection = store.connection(company, id).await?;
    let connection = connection.ok_or(StoreError::NotFound { record: "connection" })?;
    match connection.product {
        Product::Sat => Ok(connection),
        Product::Edr => {
            Err(PeopleError::Refused(format!("connection {id} is one of huntress-edr, which knows no people")))
        }
    }
}

impl PeopleService {
    /// A training connection.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`PeopleError::Refused`] for a connection of another product.
    pub async fn connection(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, PeopleError> {
        training_connection(&self.store, company, id).await
    }

    /// Sets what is kept of people. What a mode that keeps less does not keep is erased, and only if that is said.
    ///
    /// # Errors
    /// [`PeopleError::Refused`] where something would be erased and that is not said; [`StoreError::Conflict`] for another revision, and then nothing is
    /// erased.
    pub async fn set_mode(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        PrivacyChange { mode, erases, if_revision }: PrivacyChange,
        actor: &Actor,
    ) -> Result<Connection, PeopleError> {
        let connection = self.connection(company, id).await?;
        let less = mode < connection.people.mode;
        if less && !erases && self.store.people_key_record(company, id).await?.is_some() {
            return Err(PeopleError::Refused(format!(
                "the mode {mode} keeps less of people than {}, and the rest is erased for good; say that you mean it",
                connection.people.mode
            )));
        }
        // First the setting, so that no new run keeps again what is erased.
        let people = PeopleSettings { mode, ..connection.people.clone() };
        let event = self.event(actor, AuditAction::PrivacyChanged, company, id);
        let event = event.changing(&connection.people.mode, &mode);
        let change = ConnectionChange { people: Some(people), ..Default::default() };
        let change = AuditedChange { change, if_revision, event: &event, timeline: None };
        let changed = self.store.change_connection_as(company, id, change).await?;
        match mode {
            PrivacyMode::Aggregate if less => {
                self.keyring.erase_people(&self.store, company, id).await?;
            }
            PrivacyMode::Pseudonymous if less => {
                self.keyring.forget_identities(&self.store, company, id).await?;
            }
            _ => {}
        }
        Ok(changed)
    }

    /// Everybody who is visible, those of one status only if one is given, and how many there are of each. Who is inactive is not among them.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn people(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        status: Option<PersonStatus>,
    ) -> Result<(Vec<PersonRecord>, PeopleSummary), PeopleError> {
        let shown = self.shown(&self.connection(company, id).await?);
        let mut people = self.store.people(company, id).await?;
        people.iter_mut().for_each(|record| record.state.compliance = shown(record.state.compliance));
        people.retain(|record| !record.state.inactive);
        let mut summary = PeopleSummary::default();
        people.iter().for_each(|record| summary.count(record.state.compliance.status));
        people.retain(|record| status.is_none_or(|status| record.state.compliance.status == status));
        Ok((people, summary))
    }

    /// How standings of a connection's people are shown now: a certification that ended by time is none, whether a run has seen it or not.
    fn shown(&self, connection: &Connection) -> impl Fn(ComplianceStatus) -> ComplianceStatus + use<> {
        let (now, days) = (self.clock.now(), connection.people.recertify_after_days);
        move |compliance| compliance.shown_at(now, days)
    }

    /// At most `limit` people after one, by their id, and where to go on, if there is more. Who is inactive is not among them.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn page(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        status: Option<PersonStatus>,
        after: Option<&PersonId>,
        limit: usize,
    ) -> Result<(Vec<PersonRecord>, Option<PersonId>), PeopleError> {
        let shown = self.shown(&self.connection(company, id).await?);
        let wanted = |state: &PersonState| {
            !state.inactive && status.is_none_or(|status| shown(state.compliance).status == status)
        };
        let (mut people, next) = self.store.people_page(company, id, after, limit, wanted).await?;
        people.iter_mut().for_each(|record| record.state.compliance = shown(record.state.compliance));
        Ok((people, next))
    }

    /// A person, named by their id here or by the learner's id in Huntress.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn person(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
    ) -> Result<PersonRecord, PeopleError> {
        let shown = self.shown(&self.connection(company, id).await?);
        let found = self.find(company, id, named).await?;
        let mut record = found.ok_or(StoreError::NotFound { record: "person" })?;
        record.state.compliance = shown(record.state.compliance);
        Ok(record)
    }

    async fn find(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
    ) -> Result<Option<PersonRecord>, PeopleError> {
        if let Ok(person) = PersonId::parse(named)
            && let Some(record) = self.store.person(company, id, &person).await?
        {
            return Ok(Some(record));
        }
        // Without a key of hashes nobody was ever kept; looking must not make one.
        let Some(learner) = LearnerId::new(named).filter(|_| named.len() <= 64) else { return Ok(None) };
        if self.store.hash_key(company).await?.is_none() {
            return Ok(None);
        }
        let person = self.keyring.hasher(&self.store, company).await?.person(&learner);
        Ok(self.store.person(company, id, &person).await?)
    }

    /// What happened to a person, oldest first.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn events(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        person: &PersonId,
    ) -> Result<Vec<LoggedEvent>, PeopleError> {
        Ok(self.store.events_of(company, id, person).await?)
    }

    /// Puts a person back, until the next run evaluates them by the source.
    ///
    /// # Errors
    /// [`PeopleError::Refused`] without a usable reason.
    pub async fn reset(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        actor: &Actor,
        reason: &str,
    ) -> Result<PersonRecord, PeopleError> {
        let by = actor.name.as_str();
        said("a reason", reason)?;
        said("the name of who asks", by)?;
        let person = self.person(company, id, named).await?.person;
        let event = self.event(actor, AuditAction::PersonReset, company, id).because(reason);
        let reset = Reset { by: by.to_owned(), at: self.clock.now().trunc_subsecs(0), reason: reason.to_owned() };
        let record = self.store.reset_person(company, id, &person, &reset, Some(&event)).await?;
        tracing::info!(%company, connection = %id, by, "a person was reset");
        Ok(record)
    }

    /// Name and address of a person.
    ///
    /// # Errors
    /// [`KeyringError::NothingSealed`] unless the mode is `full`.
    pub async fn identity(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        record: &PersonRecord,
        actor: &Actor,
        reason: &str,
    ) -> Result<Identity, PeopleError> {
        let opening = self.opening(&actor.name, reason)?;
        self.record(actor, AuditAction::IdentityOpened, company, id, Some(reason)).await?;
        Ok(self.keyring.open_identity(&self.store, company, id, record, opening).await?)
    }

    /// Names and addresses of many people.
    ///
    /// # Errors
    /// [`KeyringError::NothingSealed`] unless the mode is `full`.
    pub async fn identities(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        records: &[PersonRecord],
        actor: &Actor,
        reason: &str,
    ) -> Result<Vec<Identity>, PeopleError> {
        let opening = self.opening(&actor.name, reason)?;
        self.record(actor, AuditAction::IdentityOpened, company, id, Some(reason)).await?;
        Ok(self.keyring.open_identities(&self.store, company, id, records, opening).await?)
    }

    fn event(&self, actor: &Actor, action: AuditAction, company: &CompanyId, id: &ConnectionId) -> AuditEvent {
        AuditEvent::of_connection(actor, action, ConnectionKey::of(company, id), self.clock.now())
    }

    /// Keeps what somebody is about to do to a person, before it is done. It names the connection alone: not even the hash of a person may outlast their
    /// erasing, and what happened to them in particular is among their own events.
    async fn record(
        &self,
        actor: &Actor,
        action: AuditAction,
        company: &CompanyId,
        id: &ConnectionId,
        reason: Option<&str>,
    ) -> Result<(), PeopleError> {
        let event = AuditEvent { reason: reason.map(str::to_owned), ..self.event(actor, action, company, id) };
        Ok(self.store.add_audit_event(&event).await?)
    }

    fn opening<'a>(&self, by: &'a str, reason: &'a str) -> Result<Opening<'a>, PeopleError> {
        said("a reason", reason)?;
        said("the name of who asks", by)?;
        Ok(Opening { by, reason, at: self.clock.now().trunc_subsecs(0) })
    }

    /// The newest certificate of a person, of an assignment if one is named.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    pub async fn certificate(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        assignment: Option<&SatId>,
        actor: &Actor,
        reason: &str,
    ) -> Result<OpenedCertificate, PeopleError> {
        let record = self.person(company, id, named).await?;
        let Some(certificate) = record.state.stored_certificate(assignment) else {
            return Err(StoreError::NotFound { record: "certificate" }.into());
        };
        let opening = self.opening(&actor.name, reason)?;
        self.record(actor, AuditAction::CertificateOpened, company, id, Some(reason)).await?;
        let opened = self.keyring.open_certificate(&self.store, company, id, &record.person, certificate, opening);
        let bytes = opened.await?;
        Ok(OpenedCertificate { bytes, assignment: certificate.assignment.clone(), stored: certificate.stored.clone() })
    }

    /// What a page tells a person who has to be trained.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn onboarding(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
    ) -> Result<OnboardingPrompt, PeopleError> {
        let record = self.person(company, id, named).await?;
        Ok(onboarding_prompt(record.person, &record.state))
    }

    /// Erases a person. While the source lists them, the next run finds them again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn erase_person(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        actor: &Actor,
    ) -> Result<(), PeopleError> {
        let person = self.person(company, id, named).await?.person;
        self.record(actor, AuditAction::PersonErased, company, id, None).await?;
        self.keyring.erase_person(&self.store, company, id, &person).await?;
        tracing::info!(%company, connection = %id, "a person was erased");
        Ok(())
    }

    /// Erases everybody of a connection, which may be gone already. While it follows people, the next run begins anew.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn erase_everybody(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        actor: &Actor,
    ) -> Result<(), PeopleError> {
        self.record(actor, AuditAction::PeopleErased, company, id, None).await?;
        self.keyring.erase_people(&self.store, company, id).await?;
        tracing::info!(%company, connection = %id, "all people of the connection were erased");
        Ok(())
    }

    /// Names the connection that provides a client's training, in place of an earlier one; it must be one whose training is that client's.
    ///
    /// # Errors
    /// [`PeopleError::Store`] for a client that nobody knows, and [`PeopleError::Refused`] for a connection that gathers no training of the client.
    pub async fn name_provider(
        &self,
        company: &CompanyId,
        client: &ClientId,
        id: &ConnectionId,
        actor: &Actor,
    ) -> Result<Provider, PeopleError> {
        self.store.check_client(company, client).await?;
        let connection = self.connection(company, id).await?;
        if !connection.mapping.clients().contains(&client) {
            return Err(PeopleError::Refused(format!("connection {id} gathers no training of the client {client}")));
        }
        let provider = Provider {
            client: client.clone(),
            connection: id.clone(),
            since: self.clock.now().trunc_subsecs(0),
            by: actor.name.clone(),
        };
        let event =
            AuditEvent::new(actor, AuditAction::ProviderNamed, company.clone(), client.as_str(), self.clock.now());
        let event = AuditEvent { client: Some(client.clone()), connection: Some(id.clone()), ..event };
        self.store.name_provider(company, provider.clone(), Some(&event)).await?;
        Ok(provider)
    }

    /// The connection that provides a client's training, if one is named.
    ///
    /// # Errors
    /// [`PeopleError::Store`], also for a client that nobody knows.
    pub async fn provider(&self, company: &CompanyId, client: &ClientId) -> Result<Option<Provider>, PeopleError> {
        let provider = self.store.provider(company, client).await?;
        // Who was named stays so, even where nothing else is left of the client.
        if provider.is_none() {
            self.store.check_client(company, client).await?;
        }
        Ok(provider)
    }

    /// The connections that provide the training of those clients that have one named.
    ///
    /// # Errors
    /// [`PeopleError::Store`]
    pub async fn providers(
        &self,
        company: &CompanyId,
        clients: &BTreeSet<ClientId>,
    ) -> Result<BTreeMap<ClientId, Provider>, PeopleError> {
        Ok(self.store.providers(company, clients).await?)
    }

    /// Names no provider of a client's training any more.
    ///
    /// # Errors
    /// [`PeopleError::Store`], also for a client that nobody knows.
    pub async fn forget_provider(
        &self,
        company: &CompanyId,
        client: &ClientId,
        actor: &Actor,
    ) -> Result<(), PeopleError> {
        self.provider(company, client).await?;
        let event =
            AuditEvent::new(actor, AuditAction::ProviderRemoved, company.clone(), client.as_str(), self.clock.now());
        let event = AuditEvent { client: Some(client.clone()), ..event };
        let since = self.clock.now().trunc_subsecs(0);
        Ok(self.store.forget_provider(company, client, since, &actor.name, Some(&event)).await?)
    }
}

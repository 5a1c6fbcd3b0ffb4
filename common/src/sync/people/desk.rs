//! What a person does about people: picks, looks, resets, opens, erases. The command line and the HTTP interface both come here.

use super::check_choice;
use super::vault::{Identity, Opening, Vault, VaultError};
use crate::domain::connection::{Connection, Product};
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::run::Failure;
use crate::domain::sat::id::SatId;
use crate::domain::sat::people::{PersonStatus, Reset};
use crate::domain::sat::person::{
    MAX_RECERTIFY_DAYS, OnboardingPrompt, PeopleSettings, PeopleSummary, PersonId, PrivacyMode, StoredCertificate,
    onboarding_prompt,
};
use crate::domain::sat::pick::{AssignmentBook, MAX_PICKS, PickableAssignment, Picks};
use crate::domain::sat::roster::LearnerId;
use crate::huntress::transport::Patience;
use crate::secrets::{Credential, Credentials};
use crate::store::{ConnectionChange, LoggedEvent, PersonRecord, Provider, Store, StoreError};
use crate::sync::collect::{Budgets, Huntress, Job};
use crate::sync::test::TEST_TIME;
use crate::sync::work::credential_of;
use std::sync::Arc;

/// Where people are looked after.
pub struct Desk {
    /// Connections and people.
    pub store: Store,
    /// Keys and certificates.
    pub vault: Arc<Vault>,
    /// Credentials, to list assignments.
    pub credentials: Arc<Credentials>,
    /// The vendor, to list assignments.
    pub huntress: Huntress,
    /// The request limits of the accounts.
    pub budgets: Arc<Budgets>,
}

/// Why something about people was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Keys, certificates, or what is sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vendor, or a choice that it does not allow.
    #[error("{0}")]
    Failed(Failure),
    /// What was asked for cannot be done as it was asked.
    #[error("{0}")]
    Refused(String),
}

impl From<Failure> for DeskError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What is changed about the following of people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The assignments that count; `None` leaves them.
    pub picks: Option<Picks>,
    /// When people must certify again: `Some(None)` is never, `None` leaves it.
    pub recertify_after_days: Option<Option<u32>>,
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

fn said(what: &str, text: &str) -> Result<(), DeskError> {
    if text.trim().is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
        return Err(DeskError::Refused(format!("{what} must be one line of 1 to {LONGEST_TEXT} bytes")));
    }
    Ok(())
}

impl Desk {
    /// A training connection.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`DeskError::Refused`] for a connection of another product.
    pub async fn connection(&self, company: &CompanyId, id: &ConnectionId) -> Result<Connection, DeskError> {
        let connection = self.store.connection(company, id).await?;
        let connection = connection.ok_or(StoreError::NotFound { record: "connection" })?;
        match connection.product {
            Product::Sat => Ok(connection),
            Product::Edr => {
                Err(DeskError::Refused(format!("connection {id} is one of huntress-edr, which knows no people")))
            }
        }
    }

    async fn book(&self, connection: &Connection) -> Result<AssignmentBook, DeskError> {
        let Credential::Sat(credential) = credential_of(&self.credentials, connection).await? else {
            return Err(DeskError::Refused("the credential is not one of the training API".to_owned()));
        };
        let now = self.huntress.instant();
        let job = Job {
            as_of: now,
            as_of_given: false,
            run: None,
            budget: self.budgets.of(connection),
            patience: Patience::until(now + TEST_TIME),
            progress: Arc::default(),
        };
        let configured = connection.account_id.as_ref().map(SatId::as_str);
        Ok(self.huntress.assignments(&credential, connection.sat, configured, job).await?)
    }

    /// The assignments that can be picked, as the source lists them now, and the picked ones that it no longer lists.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn assignments(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
    ) -> Result<(Vec<PickableAssignment>, Picks), DeskError> {
        let connection = self.connection(company, id).await?;
        let book = self.book(&connection).await?;
        let gone = |pick: &&SatId| book.place(pick) == crate::domain::sat::pick::Place::Gone;
        let picks = &connection.people.picks;
        Ok((book.pickable(picks), picks.iter().filter(gone).cloned().collect()))
    }

    /// Saves which assignments count, and when people must certify again. Only what can be picked now is saved; a choice of nothing ends the following.
    ///
    /// # Errors
    /// [`DeskError::Failed`] for a choice that names anything else, with the list of what can be picked.
    pub async fn pick(&self, company: &CompanyId, id: &ConnectionId, choice: Choice) -> Result<Connection, DeskError> {
        let connection = self.connection(company, id).await?;
        let mut people = connection.people.clone();
        if let Some(picks) = choice.picks {
            if picks.len() > MAX_PICKS {
                return Err(DeskError::Refused(format!("at most {MAX_PICKS} assignments can be picked")));
            }
            if !picks.is_empty() {
                let account = connection.account_id.as_ref().map_or("{id}", SatId::as_str);
                check_choice(&self.book(&connection).await?, &picks, account)?;
            }
            people.picks = picks;
        }
        if let Some(days) = choice.recertify_after_days {
            if days.is_some_and(|days| !(1..=MAX_RECERTIFY_DAYS).contains(&days)) {
                let refused = format!("people can be asked to certify again after 1 to {MAX_RECERTIFY_DAYS} days");
                return Err(DeskError::Refused(refused));
            }
            people.recertify_after_days = days;
        }
        self.save(company, id, people).await
    }

    async fn save(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        people: PeopleSettings,
    ) -> Result<Connection, DeskError> {
        let change = ConnectionChange { people: Some(people), ..Default::default() };
        Ok(self.store.change_connection(company, id, change).await?)
    }

    /// Sets what is kept of people. What a mode that keeps less does not keep is erased, and only if that is `meant`.
    ///
    /// # Errors
    /// [`DeskError::Refused`] where something would be erased and that is not meant.
    pub async fn set_mode(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        mode: PrivacyMode,
        meant: bool,
    ) -> Result<Connection, DeskError> {
        let connection = self.connection(company, id).await?;
        let less = mode < connection.people.mode;
        if less && !meant && self.store.keeping(company, id).await?.is_some() {
            return Err(DeskError::Refused(format!(
                "the mode {mode} keeps less of people than {}, and the rest is erased for good; say that you mean it",
                connection.people.mode
            )));
        }
        // First the setting, so that no new run keeps again what is erased.
        let changed = self.save(company, id, PeopleSettings { mode, ..connection.people.clone() }).await?;
        match mode {
            PrivacyMode::Aggregate if less => {
                self.vault.erase_people(&self.store, company, id).await?;
            }
            PrivacyMode::Pseudonymous if less => {
                self.vault.forget_identities(&self.store, company, id).await?;
            }
            _ => {}
        }
        Ok(changed)
    }

    /// Everybody who is visible, those of one status only if one is given, and how many there are of each. Who is inactive is not among them.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn people(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        status: Option<PersonStatus>,
    ) -> Result<(Vec<PersonRecord>, PeopleSummary), DeskError> {
        self.connection(company, id).await?;
        let mut people = self.store.people(company, id).await?;
        people.retain(|record| !record.state.inactive);
        let mut summary = PeopleSummary::default();
        people.iter().for_each(|record| summary.count(record.state.standing.status));
        people.retain(|record| status.is_none_or(|status| record.state.standing.status == status));
        Ok((people, summary))
    }

    /// A person, named by their id here or by the learner's id in Huntress.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn person(&self, company: &CompanyId, id: &ConnectionId, named: &str) -> Result<PersonRecord, DeskError> {
        self.connection(company, id).await?;
        if let Ok(person) = PersonId::parse(named)
            && let Some(record) = self.store.person(company, id, &person).await?
        {
            return Ok(record);
        }
        let nobody = StoreError::NotFound { record: "person" };
        let learner = LearnerId::new(named).filter(|_| named.len() <= 64).ok_or(nobody)?;
        // Without a key of hashes nobody was ever kept; looking must not make one.
        if self.store.hash_key(company).await?.is_none() {
            return Err(StoreError::NotFound { record: "person" }.into());
        }
        let person = self.vault.hasher(&self.store, company).await?.person(&learner);
        Ok(self.store.person(company, id, &person).await?.ok_or(StoreError::NotFound { record: "person" })?)
    }

    /// What happened to a person, oldest first.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn events(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        person: &PersonId,
    ) -> Result<Vec<LoggedEvent>, DeskError> {
        Ok(self.store.events_of(company, id, person).await?)
    }

    /// Puts a person back, until the next run judges them by the source.
    ///
    /// # Errors
    /// [`DeskError::Refused`] without a usable reason.
    pub async fn reset(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        named: &str,
        by: &str,
        reason: &str,
    ) -> Result<PersonRecord, DeskError> {
        said("a reason", reason)?;
        said("the name of who asks", by)?;
        let person = self.person(company, id, named).await?.person;
        let reset = Reset { by: by.to_owned(), at: self.huntress.instant(), reason: reason.to_owned() };
        let record = self.store.reset_person(company, id, &person, &reset).await?;
        tracing::info!(%company, connection = %id, by, "a person was reset");
        Ok(record)
    }

    /// Name and address of a person.
    ///
    /// # Errors
    /// [`VaultError::NothingSealed`] unless the mode is `full`.
    pub async fn identity(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        record: &PersonRecord,
        by: &str,
        reason: &str,
    ) -> Result<Identity, DeskError> {
        let opening = self.opening(by, reason)?;
        Ok(self.vault.open_identity(&self.store, company, id, record, opening).await?)
    }

    /// Names and addresses of many people.
    ///
    /// # Errors
    /// [`VaultError::NothingSealed`] unless the mode is `full`.
    pub async fn identities(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        records: &[PersonRecord],
        by: &str,
        reason: &str,
    ) -> Result<Vec<Identity>, DeskError> {
        let opening = self.opening(by, reason)?;
        Ok(self.vault.open_identities(&self.store, company, id, records, opening).await?)
    }

    fn opening<'a>(&self, by: &'a str, reason: &'a str) -> Result<Opening<'a>, DeskError> {
        said("a reason", reason)?;
        said("the name of who asks", by)?;
        Ok(Opening { by, reason, at: self.huntress.instant() })
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
        (by, reason): (&str, &str),
    ) -> Result<OpenedCertificate, DeskError> {
        let record = self.person(company, id, named).await?;
        let Some((certificate, stored)) = record.state.stored_certificate(assignment) else {
            return Err(StoreError::NotFound { record: "certificate" }.into());
        };
        let opening = self.opening(by, reason)?;
        let opened =
            self.vault.open_certificate(&self.store, company, id, &record.person, (certificate, stored), opening);
        let bytes = opened.await?;
        Ok(OpenedCertificate { bytes, assignment: certificate.assignment.clone(), stored: stored.clone() })
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
    ) -> Result<OnboardingPrompt, DeskError> {
        let record = self.person(company, id, named).await?;
        Ok(onboarding_prompt(record.person, &record.state))
    }

    /// Erases a person. While the source lists them, the next run finds them again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for nobody.
    pub async fn erase_person(&self, company: &CompanyId, id: &ConnectionId, named: &str) -> Result<(), DeskError> {
        let person = self.person(company, id, named).await?.person;
        self.vault.erase_person(&self.store, company, id, &person).await?;
        tracing::info!(%company, connection = %id, "a person was erased");
        Ok(())
    }

    /// Erases everybody of a connection, which may be gone already. While it follows people, the next run begins anew.
    ///
    /// # Errors
    /// [`DeskError`]
    pub async fn erase_everybody(&self, company: &CompanyId, id: &ConnectionId) -> Result<(), DeskError> {
        self.vault.erase_people(&self.store, company, id).await?;
        tracing::info!(%company, connection = %id, "all people of the connection were erased");
        Ok(())
    }

    /// Names the connection that provides a client's training, in place of an earlier one; it must be one whose training is that client's.
    ///
    /// # Errors
    /// [`DeskError::Refused`] for a connection that gathers no training of the client.
    pub async fn name_provider(
        &self,
        company: &CompanyId,
        client: &ClientId,
        id: &ConnectionId,
        by: &str,
    ) -> Result<Provider, DeskError> {
        let connection = self.connection(company, id).await?;
        if !connection.mapping.clients().contains(&client) {
            return Err(DeskError::Refused(format!("connection {id} gathers no training of the client {client}")));
        }
        let provider = Provider {
            client: client.clone(),
            connection: id.clone(),
            since: self.huntress.instant(),
            by: by.to_owned(),
        };
        self.store.name_provider(company, &provider).await?;
        Ok(provider)
    }
}

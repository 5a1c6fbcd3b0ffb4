//! What it takes to keep people: keys, and a place for certificates. Everything that opens something sealed is here.

use crate::aws::documents::{DocumentError, Documents, certificate_key, prefix_of_connection, prefix_of_person};
use crate::aws::secrets::sealing::{CipherFailed, DoesNotOpen, HashingKey, SealingKey};
use crate::aws::secrets::wrapping::{PlainKey, Purpose, WrapError, Wrapping};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::people::person::{Certificate, Column, KeptCertificate, PersonEvent, PersonId, PrivacyMode};
use crate::domain::people::roster::{LearnerId, Profile};
use crate::huntress::sat::PeopleState;
use crate::store::{Access, PeopleKeyRecord, PersonRecord, SealedProfile, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Keys and documents of people.
pub struct PeopleKeyring {
    /// What wraps the keys that are stored.
    pub wrapping: Wrapping,
    /// Where certificates are.
    pub documents: Documents,
}

/// Why something of people cannot be kept or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The cipher.
    #[error(transparent)]
    Cipher(#[from] CipherFailed),
    /// What is sealed does not open.
    #[error(transparent)]
    DoesNotOpen(#[from] DoesNotOpen),
    /// The certificates.
    #[error(transparent)]
    Documents(#[from] DocumentError),
    /// The connection keeps nothing that is sealed.
    #[error("nothing is sealed on this connection: only the privacy mode full keeps names, addresses and certificates")]
    NothingSealed,
    /// A document is not the one that was stored.
    #[error("the stored certificate does not have its SHA-256")]
    Changed,
}

/// Who opens something sealed, and why. Both are kept.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Who.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// A person's name and address in the clear.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Identity {
    /// First and last name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

/// Hashes the learners of one company.
pub struct PersonHasher(HashingKey);

impl PersonHasher {
    /// The person that a learner is kept as.
    #[must_use]
    pub fn person(&self, learner: &LearnerId) -> PersonId {
        PersonId::from_hash(self.0.hash(&["person", learner.expose()]))
    }

    fn profile(&self, person: &PersonId, profile: &Profile) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{:032x}", self.0.hash(&["profile", person.as_str(), &part(&profile.name), &part(&profile.email)]))
    }
}

/// The people of one connection, open for a run.
pub struct ConnectionKeyring<'a> {
    company: &'a CompanyId,
    connection: &'a ConnectionId,
    /// Hashes learners.
    pub hasher: PersonHasher,
    /// What a run has to find unchanged.
    pub key_record: PeopleKeyRecord,
    key: Option<SealingKey>,
}

/// What a sealed column is bound to.
fn binding(company: &CompanyId, connection: &ConnectionId, person: &PersonId, column: &Column) -> String {
    format!("person/{company}/{connection}/{person}/{column}")
}

impl PeopleKeyring {
    /// The hasher of a company, made on first use.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub async fn hasher(&self, store: &Store, company: &CompanyId) -> Result<PersonHasher, KeyringError> {
        let purpose = Purpose::PersonHash(company);
        let stored = match store.hash_key(company).await? {
            Some(stored) => stored,
            None => {
                let (_, wrapped) = self.wrapping.generate(purpose).await?;
                store.keep_hash_key(company, STANDARD.encode(wrapped)).await?
            }
        };
        let key = self.unwrap(purpose, &stored).await?;
        Ok(PersonHasher(HashingKey::new(key.bytes())))
    }

    async fn unwrap(&self, purpose: Purpose<'_>, stored: &str) -> Result<PlainKey, KeyringError> {
        let wrapped = STANDARD.decode(stored).map_err(|_| WrapError::DoesNotOpen)?;
        Ok(self.wrapping.unwrap(purpose, &wrapped).await?)
    }

    /// Everything that a run needs to keep the people of a connection, made on first use.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub async fn for_connection<'a>(
        &self,
        store: &Store,
        company: &'a CompanyId,
        connection: &'a ConnectionId,
        mode: PrivacyMode,
    ) -> Result<ConnectionKeyring<'a>, KeyringError> {
        let hasher = self.hasher(store, company).await?;
        let purpose = Purpose::People(company, connection);
        let seals = mode == PrivacyMode::Full;
        let key_record = match store.people_key_record(company, connection).await? {
            Some(key_record) if !seals || key_record.data_key.is_some() => key_record,
            _ => {
                let data_key = match seals {
                    true => Some(STANDARD.encode(self.wrapping.generate(purpose).await?.1)),
                    false => None,
                };
                store.keep_people(company, connection, data_key).await?
            }
        };
        let key = match key_record.data_key.as_deref().filter(|_| seals) {
            Some(stored) => Some(SealingKey::new(self.unwrap(purpose, stored).await?.bytes())?),
            None => None,
        };
        Ok(ConnectionKeyring { company, connection, hasher, key_record, key })
    }

    async fn key(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<SealingKey, KeyringError> {
        let stored = store.people_key_record(company, connection).await?.and_then(|key_record| key_record.data_key);
        let stored = stored.ok_or(KeyringError::NothingSealed)?;
        let key = self.unwrap(Purpose::People(company, connection), &stored).await?;
        Ok(SealingKey::new(key.bytes())?)
    }

    /// Opens name and address of one person; that it was done, by whom and why, is kept with the person first.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub async fn open_identity(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
        record: &PersonRecord,
        opening: Opening<'_>,
    ) -> Result<Identity, KeyringError> {
        let key = self.key(store, company, connection).await?;
        let columns = [Column::Name, Column::Email];
        note(store, company, connection, &record.person, &columns, opening).await?;
        identity(&key, company, connection, record)
    }

    /// Opens name and address of many people; that it was done, by whom, why and of how many is kept with the connection first.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub async fn open_identities(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
        records: &[PersonRecord],
        opening: Opening<'_>,
    ) -> Result<Vec<Identity>, KeyringError> {
        let key = self.key(store, company, connection).await?;
        let access = Access {
            at: opening.at,
            by: opening.by.to_owned(),
            reason: opening.reason.to_owned(),
            columns: [Column::Name, Column::Email].map(|column| column.to_string()).into(),
            people: records.len() as u64,
        };
        store.note_access(company, connection, &access).await?;
        tracing::info!(%company, %connection, by = opening.by, reason = opening.reason, people = records.len(), "sealed columns of people opened");
        records.iter().map(|record| identity(&key, company, connection, record)).collect()
    }

    /// Opens a stored certificate; that it was done, by whom and why, is kept with the person first.
    ///
    /// # Errors
    /// [`KeyringError`]; [`KeyringError::Changed`] for bytes that are not those that were stored.
    pub async fn open_certificate(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
        certificate: KeptCertificate<'_>,
        opening: Opening<'_>,
    ) -> Result<Vec<u8>, KeyringError> {
        let key = self.key(store, company, connection).await?;
        let column = Column::Certificate(certificate.assignment.clone());
        note(store, company, connection, person, std::slice::from_ref(&column), opening).await?;
        let name = certificate_key(company, connection, person, certificate.assignment, certificate.earned_at);
        let sealed = self.documents.get(&name).await?.ok_or(KeyringError::Changed)?;
        let document = key.open(&binding(company, connection, person, &column), &sealed)?;
        if sha256(&document) != certificate.stored.sha256 {
            return Err(KeyringError::Changed);
        }
        Ok(document)
    }

    /// Erases one person: row, events and certificates. While the source lists them, the next run finds them again.
    ///
    /// # Errors
    /// [`KeyringError`]; a repetition goes on with what is left.
    pub async fn erase_person(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<u64, KeyringError> {
        self.documents.erase(&prefix_of_person(company, connection, person)).await?;
        Ok(store.erase_person(company, connection, person).await?)
    }

    /// Erases everybody of a connection, with the key of what was sealed, and certificates. The aggregate evidence stays.
    ///
    /// # Errors
    /// [`KeyringError`]; a repetition goes on with what is left.
    pub async fn erase_people(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<u64, KeyringError> {
        let erased = store.erase_people(company, connection).await?;
        self.documents.erase(&prefix_of_connection(company, connection)).await?;
        Ok(erased)
    }

    /// Takes names, addresses and certificates from everybody of a connection; their statuses stay.
    ///
    /// # Errors
    /// [`KeyringError`]; a repetition goes on with what is left.
    pub async fn forget_identities(
        &self,
        store: &Store,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<u64, KeyringError> {
        let changed = store.forget_identities(company, connection).await?;
        self.documents.erase(&prefix_of_connection(company, connection)).await?;
        Ok(changed)
    }
}

/// Keeps and logs that something sealed of a person is opened.
async fn note(
    store: &Store,
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    columns: &[Column],
    opening: Opening<'_>,
) -> Result<(), KeyringError> {
    let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
    tracing::info!(%company, %connection, by = opening.by, reason = opening.reason, ?columns, "sealed columns of a person opened");
    let event = PersonEvent::Opened { by: opening.by.to_owned(), reason: opening.reason.to_owned(), columns };
    Ok(store.note_opening(company, connection, person, opening.at, &event).await?)
}

fn identity(
    key: &SealingKey,
    company: &CompanyId,
    connection: &ConnectionId,
    record: &PersonRecord,
) -> Result<Identity, KeyringError> {
    let open = |sealed: &Option<String>, column: Column| -> Result<Option<String>, KeyringError> {
        let Some(sealed) = sealed else { return Ok(None) };
        let sealed = STANDARD.decode(sealed).map_err(|_| DoesNotOpen)?;
        let opened = key.open(&binding(company, connection, &record.person, &column), &sealed)?;
        Ok(Some(String::from_utf8(opened).map_err(|_| DoesNotOpen)?))
    };
    Ok(Identity { name: open(&record.sealed.name, Column::Name)?, email: open(&record.sealed.email, Column::Email)? })
}

impl ConnectionKeyring<'_> {
    /// Name and address, sealed; `known` as it is if they have not changed, and nothing where the mode keeps none.
    ///
    /// # Errors
    /// [`CipherFailed`]
    pub fn seal(
        &self,
        person: &PersonId,
        profile: &Profile,
        known: Option<&SealedProfile>,
    ) -> Result<SealedProfile, CipherFailed> {
        let Some(key) = &self.key else { return Ok(SealedProfile::default()) };
        let tag = self.hasher.profile(person, profile);
        if let Some(known) = known.filter(|known| known.tag.as_deref() == Some(&tag)) {
            return Ok(known.clone());
        }
        let seal = |text: &Option<String>, column: Column| {
            let sealed = text.as_ref().map(|text| key.seal(&self.binding(person, &column), text.as_bytes()));
            sealed.transpose().map(|sealed| sealed.map(|sealed| STANDARD.encode(sealed)))
        };
        Ok(SealedProfile {
            name: seal(&profile.name, Column::Name)?,
            email: seal(&profile.email, Column::Email)?,
            tag: Some(tag),
        })
    }

    /// Seals how far the lists of a run were read, for its next part. Once the people of the connection are erased, nobody can open it any more.
    ///
    /// # Errors
    /// [`CipherFailed`]; also for what cannot be written, which no state is known to be.
    pub fn seal_lists(&self, run: &RunId, lists: &PeopleState) -> Result<Vec<u8>, CipherFailed> {
        let bytes = postcard::to_allocvec(lists).map_err(|_| CipherFailed)?;
        self.lists_key()?.seal(&self.lists_binding(run), &bytes)
    }

    /// What [`Self::seal_lists`] sealed for this run.
    ///
    /// # Errors
    /// [`DoesNotOpen`] for what is of another run or key record, or damaged.
    pub fn open_lists(&self, run: &RunId, sealed: &[u8]) -> Result<PeopleState, DoesNotOpen> {
        let key = self.lists_key().map_err(|_| DoesNotOpen)?;
        let bytes = key.open(&self.lists_binding(run), sealed)?;
        postcard::from_bytes(&bytes).map_err(|_| DoesNotOpen)
    }

    /// Of the company's key and the id of the key record, which is erased with the people: names or not, the key is gone then.
    fn lists_key(&self) -> Result<SealingKey, CipherFailed> {
        self.hasher.0.derive(&["lists", self.company.as_str(), self.connection.as_str(), &self.key_record.id])
    }

    fn lists_binding(&self, run: &RunId) -> String {
        format!("lists/{}/{}/{run}", self.company, self.connection)
    }

    /// Whether names and certificates are kept.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.key.is_some()
    }

    fn binding(&self, person: &PersonId, column: &Column) -> String {
        binding(self.company, self.connection, person, column)
    }

    /// Seals and keeps a certificate, and gives its SHA-256.
    ///
    /// # Errors
    /// [`KeyringError`]
    pub async fn keep_certificate(
        &self,
        documents: &Documents,
        person: &PersonId,
        certificate: &Certificate,
        document: &[u8],
    ) -> Result<String, KeyringError> {
        let key = self.key.as_ref().ok_or(KeyringError::NothingSealed)?;
        let column = Column::Certificate(certificate.assignment.clone());
        let sealed = key.seal(&self.binding(person, &column), document)?;
        let name =
            certificate_key(self.company, self.connection, person, &certificate.assignment, certificate.earned_at);
        documents.put(&name, sealed).await?;
        Ok(sha256(document))
    }
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

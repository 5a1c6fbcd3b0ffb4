//! Onboarding links, each under the hash of a secret that only the link has. Whom a link is for is sealed: who reads the table learns when one ends, and no more.
//! Beside each person stand the hashes of their links, so that all of them can be taken back, and end when the person is erased.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{CompanyId, ConnectionId, PersonId};
use crate::store::table::items::{Record, put, put_new};
use crate::store::table::keys;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is kept of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLink {
    /// For whom, in base64, sealed under a key that is made of the link's secret. Empty once it has ended.
    pub sealed: String,
    /// Afterwards it shows nothing.
    pub until: DateTime<Utc>,
    /// When the table forgets it, in seconds of Unix time: some time later, so that an old link can be told from one that never was.
    pub expires_at: i64,
    /// Why it shows nothing before that, if it does not.
    #[serde(default)]
    pub ended: Option<LinkEnd>,
}

impl Record for KeptLink {
    const KIND: &'static str = "onboarding link";
}

/// Why a link has ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEnd {
    /// Somebody took it back.
    TakenBack,
    /// The person was erased.
    Erased,
}

/// That a person has a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkOfPerson {
    /// The SHA-256 of its secret, in lower-case hexadecimal.
    hash: String,
    /// Until when it works.
    pub until: DateTime<Utc>,
    /// When the table forgets it, in seconds of Unix time.
    expires_at: i64,
}

impl Record for LinkOfPerson {
    const KIND: &'static str = "onboarding link of a person";
}

impl Store {
    /// Keeps a link of a person, and who made it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn keep_link(
        &self,
        secret: &str,
        link: &KeptLink,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        let hash = keys::sha256(secret);
        let kept = put_new(&self.table, link.to_item(&keys::link(&hash))?)?;
        let key = keys::link_of_person(company, connection, person, &hash);
        let of_person = LinkOfPerson { hash, until: link.until, expires_at: link.expires_at };
        self.transact(vec![kept, put(&self.table, of_person.to_item(&key)?)?, self.audited(event)?]).await?;
        Ok(())
    }

    /// The link with this secret.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn link(&self, secret: &str) -> Result<Option<KeptLink>, StoreError> {
        self.get(&keys::link(&keys::sha256(secret))).await
    }

    /// The links of a person that were not taken back, also those whose time is over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn links_of(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<Vec<LinkOfPerson>, StoreError> {
        self.all(&keys::links_of(company, connection, Some(person))).await
    }

    /// Ends the links of a person, or of everybody of a connection, and forgets whose they were. How many there were.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`]; a repetition goes on with what is left.
    pub async fn end_links(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: Option<&PersonId>,
        why: LinkEnd,
    ) -> Result<u64, StoreError> {
        let range = keys::links_of(company, connection, person);
        for LinkOfPerson { hash, until, expires_at } in self.all(&range).await? {
            let ended = KeptLink { sealed: String::new(), until, expires_at, ended: Some(why) };
            self.put_item(ended.to_item(&keys::link(&hash))?).await?;
        }
        self.delete_range(&range).await
    }
}

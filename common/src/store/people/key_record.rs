//! That people of a connection are kept at all: the wrapped keys, who opened what is sealed, and erasing.

use super::{PersonItem, SealedProfile, StoredPerson, put_person};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::people::person::PersonId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::links::LinkEnd;
use crate::store::table::items::{Record, text};
use crate::store::table::keys::{self, Key};
use crate::store::table::transactions::Outcome;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// That people of a connection are kept, and the wrapped key of what is sealed. Without it no run writes any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleKeyRecord {
    /// Told anew after each erasing, so that a run which began before writes nothing after.
    pub id: String,
    /// The wrapped data key, in base64, in mode `full`.
    #[serde(default)]
    pub data_key: Option<String>,
}

impl Record for PeopleKeyRecord {
    const KIND: &'static str = "key record of people";
}

#[derive(Serialize, Deserialize)]
struct HashKeyItem {
    wrapped: String,
}

impl Record for HashKeyItem {
    const KIND: &'static str = "key of the hashes of people";
}

/// Somebody opened the sealed columns of many people at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Which columns.
    pub columns: Vec<String>,
    /// Of how many people.
    pub people: u64,
}

impl Record for Access {
    const KIND: &'static str = "access to people";
}

impl Store {
    /// Keeps that somebody opened what is sealed of many people.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then nothing is to be opened.
    pub async fn note_access(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        access: &Access,
    ) -> Result<(), StoreError> {
        self.put_item(access.to_item(&keys::access(company, connection, access.at, fastrand::u64(..)))?).await
    }

    /// Who opened what is sealed of many people, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn accesses(&self, company: &CompanyId, connection: &ConnectionId) -> Result<Vec<Access>, StoreError> {
        self.all(&keys::accesses(company, connection)).await
    }

    /// The key record of a connection's people, if any are kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn people_key_record(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<PeopleKeyRecord>, StoreError> {
        self.get(&keys::people_key_record(company, connection)).await
    }

    /// Begins to keep people, or gives a key record without a data key this one; of two who do so at once the first counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn keep_people(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        data_key: Option<String>,
    ) -> Result<PeopleKeyRecord, StoreError> {
        let key = keys::people_key_record(company, connection);
        let new = PeopleKeyRecord { id: format!("{:032x}", fastrand::u128(..)), data_key };
        let condition = if new.data_key.is_some() {
            "attribute_not_exists(pk) OR attribute_not_exists(data_key) OR attribute_type(data_key, :null)"
        } else {
            "attribute_not_exists(pk)"
        };
        self.put_first(&key, &new, condition, new.data_key.is_some()).await
    }

    /// The wrapped key of the hashes of a company's people.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn hash_key(&self, company: &CompanyId) -> Result<Option<String>, StoreError> {
        let item: Option<HashKeyItem> = match self.get(&keys::hash_key(company)).await? {
            Some(item) => Some(item),
            None => self.get(&keys::legacy::hash_key(company)).await?,
        };
        Ok(item.map(|item| item.wrapped))
    }

    /// Keeps a company's wrapped key of hashes, for good; of two that are given the first counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn keep_hash_key(&self, company: &CompanyId, wrapped: String) -> Result<String, StoreError> {
        let item = HashKeyItem { wrapped };
        let kept = self.put_first(&keys::hash_key(company), &item, "attribute_not_exists(pk)", false).await?;
        Ok(kept.wrapped)
    }

    /// Puts a record on a condition; whoever came first is what is there then.
    async fn put_first<R: Record>(&self, key: &Key, record: &R, condition: &str, null: bool) -> Result<R, StoreError> {
        use aws_sdk_dynamodb::operation::put_item::PutItemError;
        let mut put = self.client.put_item().table_name(&self.table).set_item(Some(record.to_item(key)?));
        put = put.condition_expression(condition);
        if null {
            put = put.expression_attribute_values(":null", text("NULL"));
        }
        if let Err(error) = put.send().await
            && !matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_)))
        {
            return Err(error.into());
        }
        self.get(key).await?.ok_or(StoreError::NotFound { record: R::KIND })
    }

    /// Takes name, address and certificates from every person: what a mode that keeps less asks for. The data key goes with them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; a repetition goes on with what is left.
    pub async fn forget_identities(&self, company: &CompanyId, connection: &ConnectionId) -> Result<u64, StoreError> {
        // First the key: from here on nothing that was sealed opens, and no run writes more of it.
        let key_record = PeopleKeyRecord { id: format!("{:032x}", fastrand::u128(..)), data_key: None };
        self.put_item(key_record.to_item(&keys::people_key_record(company, connection))?).await?;
        let mut changed = 0;
        for stored in self.stored_people(company, connection).await?.into_values() {
            let StoredPerson { visible: Some(mut record), revision } = stored else { continue };
            record.sealed = SealedProfile::default();
            record.state.certificates.clear();
            let item = PersonItem::new(&record, None, revision + 1)?;
            let item = item.to_item(&keys::person(company, connection, &record.person))?;
            changed += u64::from(
                self.transact(vec![put_person(&self.table, item, Some(revision))?]).await? == Outcome::Written,
            );
        }
        Ok(changed)
    }

    /// Erases one person: the row, everything that happened to them, and what their links show.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; a repetition goes on with what is left.
    pub async fn erase_person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<u64, StoreError> {
        self.end_links(company, connection, Some(person), LinkEnd::Erased).await?;
        let row = keys::person(company, connection, person);
        let row = keys::Range { pk: row.pk, from: row.sk.clone(), to: row.sk };
        let rows = self.delete_range(&row).await?;
        Ok(rows + self.delete_range(&keys::events(company, connection, person)).await?)
    }

    /// Erases everybody of a connection, with the key of what was sealed. The evidence of the connection stays.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; a repetition goes on with what is left.
    pub async fn erase_people(&self, company: &CompanyId, connection: &ConnectionId) -> Result<u64, StoreError> {
        // First the key record: from here on no run writes anybody, and nothing that is sealed opens.
        let key_record = keys::people_key_record(company, connection);
        let range = keys::Range { pk: key_record.pk, from: key_record.sk.clone(), to: key_record.sk };
        let first = self.delete_range(&range).await?;
        self.end_links(company, connection, None, LinkEnd::Erased).await?;
        Ok(first + self.delete_range(&keys::all_of_people(company, connection)).await?)
    }
}

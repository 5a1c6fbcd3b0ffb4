//! People whose training is followed: the current row of each, visible through its run's commit as evidence is, and what happened to them.

use super::error::StoreError;
use super::evidence::Commit;
use super::item::{Change, Item, Record, number, put, text};
use super::keys::{self, Key};
use super::lease::Lease;
use super::query::Order;
use super::transaction::Outcome;
use super::{ATTEMPTS, Store};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::sat::people::{Reset, after_reset};
use crate::domain::sat::person::{PersonEvent, PersonId, PersonState};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// People written in one transaction, each with what happened to them.
const PEOPLE_AT_ONCE: usize = 25;

/// Transactions under way at the same time.
const CONCURRENCY: usize = 4;

/// Actions before those of people: the lease and the keeping are checked.
const CHECKS: usize = 2;

/// Name and address of a person, sealed, in base64; and a keyed hash by which a run knows whether they changed without opening them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedProfile {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The keyed hash of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A person as a committed run, or somebody since, left them.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRecord {
    /// Who.
    pub person: PersonId,
    /// What is known.
    pub state: PersonState,
    /// Who they are, in mode `full`.
    pub sealed: SealedProfile,
}

/// A person as the table has them, for who is about to write.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPerson {
    /// What is visible; nothing of who was met by an uncommitted run alone.
    pub visible: Option<PersonRecord>,
    revision: u64,
}

/// What a run writes about a person.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonWrite {
    /// What they are from now on.
    pub record: PersonRecord,
    /// What happened, if their status changed.
    pub event: Option<PersonEvent>,
    /// As they were read.
    pub read: Option<StoredPerson>,
}

/// How many people a run wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeopleWritten {
    /// Rows that were written.
    pub rows: u64,
    /// Events that were appended.
    pub events: u64,
    /// People whom somebody reset or erased in the meantime; the next run judges them.
    pub left_alone: u64,
    /// Requests to the table.
    pub requests: u64,
}

/// Something that happened to a person.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// When: the evaluation of the run, or the clock.
    pub at: DateTime<Utc>,
    /// What.
    pub event: PersonEvent,
    /// The run that found it.
    pub run: Option<RunId>,
}

/// The run that wrote a record, and the fencing token of its worker: visible if a commit says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WrittenBy {
    run_id: RunId,
    as_of: DateTime<Utc>,
    token: u64,
}

impl WrittenBy {
    fn of(lease: &Lease) -> Self {
        Self { run_id: lease.run_id.clone(), as_of: lease.as_of, token: lease.token }
    }

    fn is_committed(&self, commits: &HashMap<RunId, u64>) -> bool {
        commits.get(&self.run_id) == Some(&self.token)
    }
}

#[derive(Serialize, Deserialize)]
struct PersonItem {
    person: PersonId,
    /// For who looks into the table; readers go by `state`.
    status: String,
    /// What holds once `written_by` is committed, as JSON.
    state: String,
    #[serde(default)]
    sealed: SealedProfile,
    /// What holds until then, as JSON.
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    sealed_before: SealedProfile,
    /// Absent where a person wrote, which is visible at once.
    #[serde(default)]
    written_by: Option<WrittenBy>,
    revision: u64,
}

impl Record for PersonItem {
    const KIND: &'static str = "person";
}

impl PersonItem {
    fn new(record: &PersonRecord, before: Option<&PersonRecord>, revision: u64) -> Result<Self, StoreError> {
        Ok(Self {
            person: record.person.clone(),
            status: record.state.standing.status.to_string(),
            state: json(&record.state)?,
            sealed: record.sealed.clone(),
            before: before.map(|before| json(&before.state)).transpose()?,
            sealed_before: before.map(|before| before.sealed.clone()).unwrap_or_default(),
            written_by: None,
            revision,
        })
    }

    fn stored(self, commits: &HashMap<RunId, u64>) -> Result<StoredPerson, StoreError> {
        let holds = self.written_by.as_ref().is_none_or(|by| by.is_committed(commits));
        let (state, sealed) = if holds { (Some(self.state), self.sealed) } else { (self.before, self.sealed_before) };
        let record = |state: String| -> Result<PersonRecord, StoreError> {
            Ok(PersonRecord { person: self.person, state: parse(&state)?, sealed })
        };
        Ok(StoredPerson { visible: state.map(record).transpose()?, revision: self.revision })
    }
}

#[derive(Serialize, Deserialize)]
struct EventItem {
    at: DateTime<Utc>,
    /// As JSON.
    event: String,
    #[serde(default)]
    written_by: Option<WrittenBy>,
}

impl Record for EventItem {
    const KIND: &'static str = "event of a person";
}

/// That people of a connection are kept, and the wrapped key of what is sealed. Without it no run writes any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// Told anew after each erasing, so that a run which began before writes nothing after.
    pub id: String,
    /// The wrapped data key, in base64, in mode `full`.
    #[serde(default)]
    pub data_key: Option<String>,
}

impl Record for Keeping {
    const KIND: &'static str = "keeping of people";
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

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt(PersonItem::KIND, "it cannot be written"))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    // The error itself may quote a value.
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(PersonItem::KIND, "its state cannot be read"))
}

impl Store {
    /// Every person of a connection that the table has, by person. The commits are read first, so that a run which commits in the meantime shows
    /// as it was before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn stored_people(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<HashMap<PersonId, StoredPerson>, StoreError> {
        let commits = self.commits_of(company, connection).await?;
        let items: Vec<PersonItem> = self.all(&keys::people(company, connection)).await?;
        items.into_iter().map(|item| Ok((item.person.clone(), item.stored(&commits)?))).collect()
    }

    /// The visible people of a connection, by person.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn people(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Vec<PersonRecord>, StoreError> {
        let stored = self.stored_people(company, connection).await?;
        let mut people: Vec<PersonRecord> = stored.into_values().filter_map(|stored| stored.visible).collect();
        people.sort_unstable_by(|a, b| a.person.cmp(&b.person));
        Ok(people)
    }

    /// At most `limit` visible people after `after` that are `wanted`, by person, and where to go on, if there is more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn people_page(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        after: Option<&PersonId>,
        limit: usize,
        wanted: impl Fn(&PersonState) -> bool,
    ) -> Result<(Vec<PersonRecord>, Option<PersonId>), StoreError> {
        let commits = self.commits_of(company, connection).await?;
        let range = keys::people_after(company, connection, after);
        let mut items = self.query(&range, Order::Forward).into_paginator().items().send();
        let mut page = Vec::new();
        while let Some(item) = items.try_next().await? {
            let person = PersonItem::from_item(item)?.stored(&commits)?.visible;
            if let Some(person) = person.filter(|person| wanted(&person.state)) {
                if page.len() == limit {
                    let last = page.last().map(|last: &PersonRecord| last.person.clone());
                    return Ok((page, last));
                }
                page.push(person);
            }
        }
        Ok((page, None))
    }

    /// A person, if they are visible.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<Option<PersonRecord>, StoreError> {
        Ok(self.stored_person(company, connection, person).await?.and_then(|stored| stored.visible))
    }

    async fn stored_person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<Option<StoredPerson>, StoreError> {
        let Some(item) = self.get::<PersonItem>(&keys::person(company, connection, person)).await? else {
            return Ok(None);
        };
        let mut commits = HashMap::new();
        if let Some(by) = &item.written_by {
            let commit: Option<Commit> = self.get(&keys::commit(company, connection, by.as_of, &by.run_id)).await?;
            commits.extend(commit.map(|commit| (commit.run_id, commit.token)));
        }
        item.stored(&commits).map(Some)
    }

    async fn commits_of(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<HashMap<RunId, u64>, StoreError> {
        let range = keys::commits(company, connection, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let commits: Vec<Commit> = self.all(&range).await?;
        Ok(commits.into_iter().map(|commit| (commit.run_id, commit.token)).collect())
    }

    /// Writes people, visible once the lease's run is committed. Each transaction checks the lease and the keeping, and that nobody changed the
    /// people since they were read.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and [`StoreError::Conflict`] when people were erased since `keeping` was read.
    pub async fn write_people(
        &self,
        lease: &Lease,
        keeping: &Keeping,
        writes: Vec<PersonWrite>,
    ) -> Result<PeopleWritten, StoreError> {
        let chunks: Vec<Vec<PersonWrite>> = writes.chunks(PEOPLE_AT_ONCE).map(<[_]>::to_vec).collect();
        stream::iter(chunks)
            .map(|chunk| self.write_some(lease, keeping, chunk))
            .buffer_unordered(CONCURRENCY)
            .try_fold(PeopleWritten::default(), |sum, some| async move {
                Ok(PeopleWritten {
                    rows: sum.rows + some.rows,
                    events: sum.events + some.events,
                    left_alone: sum.left_alone + some.left_alone,
                    requests: sum.requests + some.requests,
                })
            })
            .await
    }

    async fn write_some(
        &self,
        lease: &Lease,
        keeping: &Keeping,
        mut writes: Vec<PersonWrite>,
    ) -> Result<PeopleWritten, StoreError> {
        let mut written = PeopleWritten::default();
        while !writes.is_empty() {
            let mut actions = vec![
                lease.change().check(&self.table)?,
                Change::of(keys::keeping(&lease.company, &lease.connection))
                    .only_if("id", text(&keeping.id))
                    .check(&self.table)?,
            ];
            // Which person each action is about.
            let mut of_action = Vec::new();
            for (index, write) in writes.iter().enumerate() {
                actions.push(self.person_action(lease, write)?);
                of_action.push(index);
                if let Some(event) = &write.event {
                    actions.push(put(&self.table, event_item(lease, &write.record.person, event)?)?);
                    of_action.push(index);
                }
            }
            written.requests += 1;
            match self.transact(actions).await? {
                Outcome::Written => {
                    written.rows += writes.len() as u64;
                    written.events += writes.iter().filter(|write| write.event.is_some()).count() as u64;
                    return Ok(written);
                }
                outcome if outcome.refused(0) => return Err(StoreError::LeaseLost),
                outcome if outcome.refused(1) => return Err(StoreError::Conflict { record: Keeping::KIND }),
                Outcome::Refused(failed) => {
                    let refused = failed.iter().skip(CHECKS).zip(&of_action).filter(|(failed, _)| **failed);
                    let refused: Vec<usize> = refused.map(|(_, index)| *index).collect();
                    if refused.is_empty() {
                        return Err(StoreError::Conflict { record: PersonItem::KIND });
                    }
                    written.left_alone += refused.len() as u64;
                    let mut index = 0;
                    writes.retain(|_| {
                        index += 1;
                        !refused.contains(&(index - 1))
                    });
                }
            }
        }
        Ok(written)
    }

    fn person_action(&self, lease: &Lease, write: &PersonWrite) -> Result<TransactWriteItem, StoreError> {
        let revision = write.read.as_ref().map(|read| read.revision);
        let before = write.read.as_ref().and_then(|read| read.visible.as_ref());
        let mut item = PersonItem::new(&write.record, before, revision.unwrap_or(0) + 1)?;
        item.written_by = Some(WrittenBy::of(lease));
        let key = keys::person(&lease.company, &lease.connection, &write.record.person);
        put_person(&self.table, item.to_item(&key)?, revision)
    }

    /// Puts a person back: unknown, until the next run judges them by the source. Visible at once, and kept for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a person.
    pub async fn reset_person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
        reset: &Reset,
    ) -> Result<PersonRecord, StoreError> {
        for _ in 0..ATTEMPTS {
            let stored = self.stored_person(company, connection, person).await?;
            let Some(StoredPerson { visible: Some(mut record), revision }) = stored else {
                return Err(StoreError::NotFound { record: PersonItem::KIND });
            };
            let event = PersonEvent::Reset { from: record.state.standing.status, reset: reset.clone() };
            record.state.standing = after_reset(reset);
            record.state.reset = Some(reset.clone());
            let item = PersonItem::new(&record, None, revision + 1)?;
            let item = item.to_item(&keys::person(company, connection, person))?;
            let actions = vec![
                put_person(&self.table, item, Some(revision))?,
                put(&self.table, own_event(company, connection, person, reset.at, &event)?)?,
            ];
            if self.transact(actions).await? == Outcome::Written {
                return Ok(record);
            }
        }
        Err(StoreError::Conflict { record: PersonItem::KIND })
    }

    /// Keeps that somebody opened what is sealed of a person.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then nothing is to be opened.
    pub async fn note_opening(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
        at: DateTime<Utc>,
        event: &PersonEvent,
    ) -> Result<(), StoreError> {
        self.put_item(own_event(company, connection, person, at, event)?).await
    }

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

    async fn put_item(&self, item: Item) -> Result<(), StoreError> {
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// What happened to a person, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn events_of(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let commits = self.commits_of(company, connection).await?;
        let items: Vec<EventItem> = self.all(&keys::events(company, connection, person)).await?;
        let visible =
            items.into_iter().filter(|item| item.written_by.as_ref().is_none_or(|by| by.is_committed(&commits)));
        visible
            .map(|item| {
                Ok(LoggedEvent { at: item.at, event: parse(&item.event)?, run: item.written_by.map(|by| by.run_id) })
            })
            .collect()
    }

    /// Who opened what is sealed of many people, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn accesses(&self, company: &CompanyId, connection: &ConnectionId) -> Result<Vec<Access>, StoreError> {
        self.all(&keys::accesses(company, connection)).await
    }

    /// The keeping of a connection's people, if any are kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn keeping(&self, company: &CompanyId, connection: &ConnectionId) -> Result<Option<Keeping>, StoreError> {
        self.get(&keys::keeping(company, connection)).await
    }

    /// Begins to keep people, or gives a keeping without a data key this one; of two who do so at once the first counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn keep_people(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        data_key: Option<String>,
    ) -> Result<Keeping, StoreError> {
        let key = keys::keeping(company, connection);
        let new = Keeping { id: format!("{:032x}", fastrand::u128(..)), data_key };
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
        let item: Option<HashKeyItem> = self.get(&keys::hash_key(company)).await?;
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
        let keeping = Keeping { id: format!("{:032x}", fastrand::u128(..)), data_key: None };
        self.put_item(keeping.to_item(&keys::keeping(company, connection))?).await?;
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

    /// Erases one person: the row and everything that happened to them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; a repetition goes on with what is left.
    pub async fn erase_person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
    ) -> Result<u64, StoreError> {
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
        // First the keeping: from here on no run writes anybody, and nothing that is sealed opens.
        let keeping = keys::keeping(company, connection);
        let range = keys::Range { pk: keeping.pk, from: keeping.sk.clone(), to: keeping.sk };
        let first = self.delete_range(&range).await?;
        Ok(first + self.delete_range(&keys::all_of_people(company, connection)).await?)
    }
}

/// Puts a person who is there in this revision, or, without one, is not there.
fn put_person(table: &str, item: Item, revision: Option<u64>) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = match revision {
        Some(revision) => put
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#revision", "revision")
            .expression_attribute_values(":revision", number(revision)),
        None => put.condition_expression("attribute_not_exists(pk)"),
    };
    Ok(TransactWriteItem::builder().put(put.build().map_err(StoreError::unavailable)?).build())
}

fn event_item(lease: &Lease, person: &PersonId, event: &PersonEvent) -> Result<Item, StoreError> {
    let item = EventItem { at: lease.as_of, event: json(event)?, written_by: Some(WrittenBy::of(lease)) };
    let by = format!("{}#{}", lease.run_id, lease.token);
    item.to_item(&keys::event(&lease.company, &lease.connection, person, lease.as_of, &by))
}

/// An event that is no run's.
fn own_event(
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    at: DateTime<Utc>,
    event: &PersonEvent,
) -> Result<Item, StoreError> {
    let item = EventItem { at, event: json(event)?, written_by: None };
    item.to_item(&keys::event(company, connection, person, at, &format!("{:016x}", fastrand::u64(..))))
}

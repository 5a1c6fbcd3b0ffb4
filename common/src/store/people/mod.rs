//! Tracked people: the current row of each, visible, like evidence, through the commit of its run; and their history.

mod committed;
mod key_record;
mod write;

pub use key_record::{Access, PeopleKeyRecord};
pub use write::{PeopleWritten, PersonWrite};

use super::error::StoreError;
use super::lease::Lease;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::people::compliance::after_reset;
use crate::domain::people::person::{PersonEvent, PersonId, PersonState};
use crate::domain::people::status::Reset;
use crate::store::table::Item;
use crate::store::table::items::{Record, number, put};
use crate::store::table::keys;
use crate::store::table::queries::Order;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use chrono::{DateTime, Utc};
use committed::CommittedRuns;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

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

/// Rows of people that one request reads while a page is filled: the largest page, so that a page reads the commits of its own rows and few others.
const ROWS_AT_ONCE: usize = 500;

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
            status: record.state.compliance.status.to_string(),
            state: json(&record.state)?,
            sealed: record.sealed.clone(),
            before: before.map(|before| json(&before.state)).transpose()?,
            sealed_before: before.map(|before| before.sealed.clone()).unwrap_or_default(),
            written_by: None,
            revision,
        })
    }

    fn stored(self, committed: &CommittedRuns<'_>) -> Result<StoredPerson, StoreError> {
        let holds = self.written_by.as_ref().is_none_or(|by| committed.contains(by));
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

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt(PersonItem::KIND, "it cannot be written"))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    // The error itself may quote a value.
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(PersonItem::KIND, "its state cannot be read"))
}

impl Store {
    /// Every person of a connection that the table has, by person. A run that commits while they are read shows as it was before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn stored_people(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<HashMap<PersonId, StoredPerson>, StoreError> {
        let mut committed = CommittedRuns::when_reading_begins(self, company, connection).await?;
        let items: Vec<PersonItem> = self.all(&keys::people(company, connection)).await?;
        committed.read(items.iter().filter_map(|item| item.written_by.as_ref())).await?;
        items.into_iter().map(|item| Ok((item.person.clone(), item.stored(&committed)?))).collect()
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
        let mut committed = CommittedRuns::when_reading_begins(self, company, connection).await?;
        let range = keys::people_after(company, connection, after);
        let rows = i32::try_from(ROWS_AT_ONCE.max(limit.saturating_add(1))).unwrap_or(i32::MAX);
        let query = self.query(&range, Order::Forward).limit(self.page_size.unwrap_or(rows).min(rows));
        let mut answers = query.into_paginator().send();
        let mut page: Vec<PersonRecord> = Vec::new();
        while let Some(answer) = answers.try_next().await? {
            let items = answer.items.unwrap_or_default().into_iter().map(PersonItem::from_item);
            let items: Vec<PersonItem> = items.collect::<Result<_, _>>()?;
            committed.read(items.iter().filter_map(|item| item.written_by.as_ref())).await?;
            for item in items {
                let Some(person) = item.stored(&committed)?.visible.filter(|person| wanted(&person.state)) else {
                    continue;
                };
                if page.len() == limit {
                    let last = page.last().map(|last| last.person.clone());
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
        let mut committed = CommittedRuns::now(self, company, connection);
        committed.read(item.written_by.as_ref()).await?;
        item.stored(&committed).map(Some)
    }

    /// Resets a person: unknown until the next run evaluates them. Visible at once, and recorded permanently; in one transaction with the event, if there is one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a person.
    pub async fn reset_person(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        person: &PersonId,
        reset: &Reset,
        audited: Option<&AuditEvent>,
    ) -> Result<PersonRecord, StoreError> {
        for _ in 0..ATTEMPTS {
            let stored = self.stored_person(company, connection, person).await?;
            let Some(StoredPerson { visible: Some(mut record), revision }) = stored else {
                return Err(StoreError::NotFound { record: PersonItem::KIND });
            };
            let event = PersonEvent::Reset { from: record.state.compliance.status, reset: reset.clone() };
            record.state.compliance = after_reset(reset);
            record.state.reset = Some(reset.clone());
            let item = PersonItem::new(&record, None, revision + 1)?;
            let item = item.to_item(&keys::person(company, connection, person))?;
            let mut actions = vec![
                put_person(&self.table, item, Some(revision))?,
                put(&self.table, own_event(company, connection, person, reset.at, &event)?)?,
            ];
            actions.extend(audited.map(|event| self.audited(event)).transpose()?);
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
        let mut committed = CommittedRuns::when_reading_begins(self, company, connection).await?;
        let items: Vec<EventItem> = self.all(&keys::events(company, connection, person)).await?;
        committed.read(items.iter().filter_map(|item| item.written_by.as_ref())).await?;
        let visible = items.into_iter().filter(|item| item.written_by.as_ref().is_none_or(|by| committed.contains(by)));
        visible
            .map(|item| {
                Ok(LoggedEvent { at: item.at, event: parse(&item.event)?, run: item.written_by.map(|by| by.run_id) })
            })
            .collect()
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

/// An event that is no run's.
fn own_event(
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    at: DateTime<Utc>,
    event: &PersonEvent,
) -> Result<Item, StoreError> {
    let item = EventItem { at, event: json(event)?, written_by: None };
    // Somebody acts on what a run has shown: of the same second, their event comes after the run's, whose id begins with a smaller digit.
    let number = format!("{:016x}", fastrand::u64(1 << 63..));
    item.to_item(&keys::event(company, connection, person, at, &number))
}

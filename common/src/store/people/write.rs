//! What a run writes about people, under its lease.

use super::{EventItem, PeopleKeyRecord, PersonItem, PersonRecord, StoredPerson, WrittenBy, json, put_person};
use crate::domain::people::person::{PersonEvent, PersonId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::lease::Lease;
use crate::store::table::Item;
use crate::store::table::items::{Change, Record, put, text};
use crate::store::table::keys;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::TransactWriteItem;
use futures_util::{StreamExt, TryStreamExt, stream};

/// People written in one transaction, each with what happened to them.
const PEOPLE_AT_ONCE: usize = 25;

/// Transactions under way at the same time.
const CONCURRENCY: usize = 4;

/// Actions before those of people: the lease and the key record are checked.
const CHECKS: usize = 2;

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
    /// People whom somebody reset or erased in the meantime; the next run evaluates them.
    pub left_alone: u64,
    /// Requests to the table.
    pub requests: u64,
}

impl Store {
    /// Writes people, visible once the lease's run is committed. Each transaction checks the lease and the key record, and that nobody changed the
    /// people since they were read.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], and [`StoreError::Conflict`] when people were erased since `key_record` was read.
    pub async fn write_people(
        &self,
        lease: &Lease,
        key_record: &PeopleKeyRecord,
        writes: Vec<PersonWrite>,
    ) -> Result<PeopleWritten, StoreError> {
        let chunks: Vec<Vec<PersonWrite>> = writes.chunks(PEOPLE_AT_ONCE).map(<[_]>::to_vec).collect();
        stream::iter(chunks)
            .map(|chunk| self.write_some(lease, key_record, chunk))
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
        key_record: &PeopleKeyRecord,
        mut writes: Vec<PersonWrite>,
    ) -> Result<PeopleWritten, StoreError> {
        let mut written = PeopleWritten::default();
        while !writes.is_empty() {
            let mut actions = vec![
                lease.change().check(&self.table)?,
                Change::of(keys::people_key_record(&lease.company, &lease.connection))
                    .only_if("id", text(&key_record.id))
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
                outcome if outcome.refused(1) => return Err(StoreError::Conflict { record: PeopleKeyRecord::KIND }),
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
}

fn event_item(lease: &Lease, person: &PersonId, event: &PersonEvent) -> Result<Item, StoreError> {
    let item = EventItem { at: lease.as_of, event: json(event)?, written_by: Some(WrittenBy::of(lease)) };
    let by = format!("{}#{}", lease.run_id, lease.token);
    item.to_item(&keys::event(&lease.company, &lease.connection, person, lease.as_of, &by))
}

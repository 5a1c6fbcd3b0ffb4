//! Connections, and which of them are due.

use super::Store;
use super::error::StoreError;
use super::timeline::Timeline;
use crate::domain::audit::AuditEvent;
use crate::domain::connection::{Connection, TestOutcome};
use crate::domain::edr::EdrSettings;
use crate::domain::expiry::CredentialTerm;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, ConnectionKey};
use crate::domain::mapping::Mapping;
use crate::domain::people::person::PeopleSettings;
use crate::domain::sat::SatSettings;
use crate::domain::sat::id::SatId;
use crate::domain::time::parse;
use crate::store::table::Item;
use crate::store::table::items::{Applied, Change, Record, put_new, text};
use crate::store::table::keys::{self, DUE_INDEX, DUE_SHARDS};
use crate::store::table::queries::Consistency;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use std::collections::BTreeMap;

impl Record for Connection {
    const KIND: &'static str = "connection";
}

/// What a person changes about a connection. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionChange {
    /// Whose evidence it gathers.
    pub mapping: Option<Mapping>,
    /// Settings of the endpoint rules.
    pub edr: Option<EdrSettings>,
    /// The limits of agent age of clients that have their own; all of them.
    pub edr_clients: Option<BTreeMap<ClientId, EdrSettings>>,
    /// Settings of the training rules.
    pub sat: Option<SatSettings>,
    /// What is kept of people.
    pub people: Option<PeopleSettings>,
    /// The account of the training API.
    pub account_id: Option<SatId>,
    /// How its credential came, and how long it is good for.
    pub credential_term: Option<CredentialTerm>,
    /// Whether the daily tick takes it.
    pub scheduling: Option<Scheduling>,
}

/// Whether the daily tick takes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// It passes it over.
    Pause,
    /// It takes it, from this instant on.
    Resume {
        /// The first tick.
        next_run_at: DateTime<Utc>,
    },
}

/// A connection that the tick takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueConnection {
    /// Since when it is due.
    pub due_at: DateTime<Utc>,
    /// Whose connection.
    pub company: CompanyId,
    /// Which one.
    pub connection: ConnectionId,
}

/// A change that somebody makes, with what is recorded of it.
#[derive(Debug, Clone)]
pub struct AuditedChange<'a> {
    /// The change.
    pub change: ConnectionChange,
    /// Only if the connection has this revision now.
    pub if_revision: Option<u64>,
    /// Who made it.
    pub event: &'a AuditEvent,
    /// What explains days without evidence later.
    pub timeline: Option<&'a Timeline>,
}

impl ConnectionChange {
    fn change(&self, company: &CompanyId, id: &ConnectionId) -> Result<Change, StoreError> {
        let mut change = Change::of(keys::connection(company, id));
        if let Some(mapping) = &self.mapping {
            change = change.set("mapping", mapping)?;
        }
        if let Some(edr) = &self.edr {
            change = change.set("edr", edr)?;
        }
        if let Some(clients) = &self.edr_clients {
            change = change.set("edr_clients", clients)?;
        }
        if let Some(sat) = &self.sat {
            change = change.set("sat", sat)?;
        }
        if let Some(people) = &self.people {
            change = change.set("people", people)?;
        }
        if let Some(account) = &self.account_id {
            change = change.set("account_id", account)?;
        }
        if let Some(term) = &self.credential_term {
            change = change.set("credential_term", term)?;
        }
        match self.scheduling {
            Some(Scheduling::Pause) => {
                change = change.set("paused", &true)?.remove("next_run_at").remove("due_at").remove("due_shard");
            }
            Some(Scheduling::Resume { next_run_at }) => {
                change = change.set("paused", &false)?.next_run(company, id, next_run_at, next_run_at)?;
            }
            None => {}
        }
        Ok(change)
    }
}

impl Change {
    /// Moves the next run of a connection that people are shown; in the index it is due at every tick from `due_at` on.
    pub(super) fn next_run(
        self,
        company: &CompanyId,
        connection: &ConnectionId,
        at: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        Ok(self
            .set("next_run_at", &at)?
            .set_raw("due_at", text(keys::instant(due_at)))
            .set_raw("due_shard", text(keys::shard_of(company, connection))))
    }
}

impl Store {
    /// Stores a new connection.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the company has one of that id.
    pub async fn add_connection(&self, connection: &Connection) -> Result<(), StoreError> {
        self.insert_connection(connection, Vec::new()).await
    }

    /// The same for somebody, who is recorded in the same transaction.
    ///
    /// # Errors
    /// As [`Store::add_connection`].
    pub async fn add_connection_as(
        &self,
        connection: &Connection,
        event: &AuditEvent,
        timeline: Option<&Timeline>,
    ) -> Result<(), StoreError> {
        let timeline = timeline.map(|timeline| self.kept_timeline(&connection.company, timeline)).transpose()?;
        let beside = [Some(self.audited(event)?), timeline];
        self.insert_connection(connection, beside.into_iter().flatten().collect()).await
    }

    /// Stores a new connection, with what else is written in its transaction.
    async fn insert_connection(
        &self,
        connection: &Connection,
        beside: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let mut item = connection.to_item(&keys::connection(&connection.company, &connection.id))?;
        if let Some(at) = connection.next_run_at
            && !connection.paused
        {
            let shard = keys::shard_of(&connection.company, &connection.id);
            item.insert("due_at".to_owned(), text(keys::instant(at)));
            item.insert("due_shard".to_owned(), text(shard));
        }
        // Tells our own write, repeated after a lost answer, from somebody else's.
        let write_id = text(format!("{:032x}", fastrand::u128(..)));
        item.insert("write_id".to_owned(), write_id.clone());
        if self.reconnect(connection, item.clone(), &beside).await? {
            return Ok(());
        }
        if !beside.is_empty() {
            let outcome = self.transact([vec![put_new(&self.table, item)?], beside].concat()).await?;
            let conflict = StoreError::Conflict { record: Connection::KIND };
            return if outcome.is_written() { Ok(()) } else { Err(conflict) };
        }
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let there = refused.item().and_then(|item| item.get("write_id"));
                if there == Some(&write_id) {
                    return Ok(());
                }
                Err(StoreError::Conflict { record: Connection::KIND })
            }
            _ => Err(error.into()),
        }
    }

    /// A connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn connection(&self, company: &CompanyId, id: &ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.get(&keys::connection(company, id)).await
    }

    /// All connections of a company, by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn connections(&self, company: &CompanyId) -> Result<Vec<Connection>, StoreError> {
        self.all(&keys::connections(company)).await
    }

    /// These connections, in any order, a hundred in a request; each that is there, or why it cannot be used. What was just written may be missing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn connections_of(
        &self,
        entries: &[DueConnection],
    ) -> Result<Vec<Result<Connection, StoreError>>, StoreError> {
        let keys = entries.iter().map(|due| keys::connection(&due.company, &due.connection));
        Ok(self.get_items(keys, Consistency::Eventual).await?.into_iter().map(Connection::from_item).collect())
    }

    /// Changes settings of a connection and returns it as it is then. How it fared is not touched.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn change_connection(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        wanted: ConnectionChange,
    ) -> Result<Connection, StoreError> {
        let change = wanted.change(company, id)?;
        if change.is_empty() {
            let unchanged = self.connection(company, id).await?;
            return unchanged.ok_or(StoreError::NotFound { record: Connection::KIND });
        }
        Connection::from_item(self.change_existing(change).await?)
    }

    /// The same for somebody, in one transaction with what is recorded of it; the connection has the next revision then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::Conflict`] where it has another revision.
    pub async fn change_connection_as(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        AuditedChange { change, if_revision, event, timeline }: AuditedChange<'_>,
    ) -> Result<Connection, StoreError> {
        let change = change.change(company, id)?.increment("revision");
        let change = match if_revision {
            Some(revision) => change.only_if_count("revision", revision),
            None => change,
        };
        let mut actions = vec![change.update(&self.table)?, self.audited(event)?];
        actions.extend(timeline.map(|timeline| self.kept_timeline(company, timeline)).transpose()?);
        let written = self.transact(actions).await?.is_written();
        let connection =
            self.connection(company, id).await?.ok_or(StoreError::NotFound { record: Connection::KIND })?;
        if written { Ok(connection) } else { Err(StoreError::Conflict { record: Connection::KIND }) }
    }

    /// Keeps the outcome of a connection test, and the account that it found; in one transaction with the event of who tested, if somebody did.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn record_test(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        outcome: &TestOutcome,
        account: Option<SatId>,
        event: Option<&AuditEvent>,
    ) -> Result<(), StoreError> {
        let mut change = Change::of(keys::connection(company, id)).set("last_test", outcome)?;
        if let Some(account) = account {
            change = change.set("account_id", &account)?;
        }
        let Some(event) = event else { return self.change_existing(change).await.map(drop) };
        if self.transact(vec![change.update(&self.table)?, self.audited(event)?]).await?.is_written() {
            return Ok(());
        }
        // Removed meanwhile, or of a version that reading refuses by name.
        let there = self.connection(company, id).await?;
        let record = Connection::KIND;
        Err(if there.is_some() { StoreError::Conflict { record } } else { StoreError::NotFound { record } })
    }

    async fn change_existing(&self, change: Change) -> Result<Item, StoreError> {
        match change.apply(&self.client, &self.table).await? {
            Applied::Changed(changed) => Ok(changed),
            Applied::Missing => Err(StoreError::NotFound { record: Connection::KIND }),
            // The only condition is a known version, and reading says so.
            Applied::Refused(item) => {
                Connection::from_item(item).and(Err(StoreError::Conflict { record: Connection::KIND }))
            }
        }
    }

    /// Every connection, of all companies, whose next run is not after `now`, longest due first.
    ///
    /// The index follows the table with a short delay, so this only proposes: [`Store::request_run`] decides.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn due(&self, now: DateTime<Utc>) -> Result<Vec<DueConnection>, StoreError> {
        let shards = try_join_all((0..DUE_SHARDS).map(|shard| self.due_in(shard, now))).await?;
        let mut due: Vec<_> = shards.into_iter().flatten().collect();
        due.sort_unstable();
        Ok(due)
    }

    async fn due_in(&self, shard: u8, now: DateTime<Utc>) -> Result<Vec<DueConnection>, StoreError> {
        self.index_entries(keys::shard(shard), now, |item| {
            let ConnectionKey { company, connection } = keys::parse_connection(item)?;
            Some(DueConnection { due_at: parse(item.get("due_at")?.as_s().ok()?)?, company, connection })
        })
        .await
    }

    /// The entries of a shard of the index that are due by an instant, earliest first.
    pub(super) async fn index_entries<T>(
        &self,
        shard: String,
        due_by: DateTime<Utc>,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(DUE_INDEX)
            .key_condition_expression("due_shard = :shard AND due_at <= :by")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":by", text(keys::instant(due_by)))
            .set_limit(self.page_size)
            .into_paginator()
            .items()
            .send();
        let mut entries = Vec::new();
        while let Some(item) = items.try_next().await? {
            entries.push(read(&item).ok_or_else(|| StoreError::corrupt("entry of the index due", "at its keys"))?);
        }
        Ok(entries)
    }
}

//! When evidence and runs end, and whose do not: retention and legal holds.
//!
//! A worker writes evidence with the time of its end, unless it is held. Who places a hold writes it down first and then takes the end from what is there.
//! A worker that read the holds before that reads them again after it has written, so nothing that is held keeps an end.
//!
//! A run and its commit end, too, unless the company holds anything: they show that which is held. The transaction that ends a run checks that the holds are
//! still those that it read. The leaves of the log never end, since each is part of every root after it.

use super::error::StoreError;
use super::evidence::{EvidenceOwner, EvidenceRecord};
use super::lease::Lease;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::hold::{Hold, is_held};
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::time::parse;
use crate::store::table::Item;
use crate::store::table::items::{Change, Record, number};
use crate::store::table::keys::{self, Range};
use crate::store::table::queries::Order;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So much longer than evidence stays what it is read by: its commit, its run, and its pieces after the first. The table removes what has ended within days and
/// in no order, and a request key names a run for a week.
pub const OUTLIVES_EVIDENCE: TimeDelta = TimeDelta::days(8);

/// When the records of a run end.
pub(super) struct RecordsEnd {
    /// The run's end; `None` while anything is held.
    run: Option<DateTime<Utc>>,
    /// The commit's, which people are shown by for as long as they are kept.
    pub commit: Option<DateTime<Utc>>,
    /// That the holds are as they were read, as a part of a transaction.
    pub check: TransactWriteItem,
}

/// The holds of a company.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct HoldsItem {
    holds: Vec<Hold>,
    /// Grows with every change.
    revision: u64,
}

impl Record for HoldsItem {
    const KIND: &'static str = "list of legal holds";
}

impl Store {
    /// Evidence that is written from now on ends so long after its `as_of`, unless it is held; `None` is never.
    #[must_use]
    pub fn with_retention(mut self, retention: Option<TimeDelta>) -> Self {
        self.retention = retention;
        self
    }

    /// The legal holds of a company.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn legal_holds(&self, company: &CompanyId) -> Result<Vec<Hold>, StoreError> {
        Ok(self.get::<HoldsItem>(&keys::holds(company)).await?.unwrap_or_default().holds)
    }

    /// Changes the legal holds of a company, and keeps who did. `change` says what they are then, or `None` for no change.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when others change them all the time.
    pub async fn change_holds(
        &self,
        company: &CompanyId,
        event: &AuditEvent,
        change: impl Fn(&[Hold]) -> Option<Vec<Hold>>,
    ) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            let before = self.get::<HoldsItem>(&keys::holds(company)).await?.unwrap_or_default();
            let Some(holds) = change(&before.holds) else { return Ok(false) };
            let item = HoldsItem { holds, revision: before.revision + 1 }.to_item(&keys::holds(company))?;
            let put = Put::builder().table_name(&self.table).set_item(Some(item));
            let put = put
                .condition_expression("attribute_not_exists(pk) OR revision = :revision")
                .expression_attribute_values(":revision", number(before.revision));
            let put = put.build().map_err(StoreError::unavailable)?;
            let put = TransactWriteItem::builder().put(put).build();
            if self.transact(vec![put, self.audited(event)?]).await? == Outcome::Written {
                return Ok(true);
            }
        }
        Err(StoreError::Conflict { record: HoldsItem::KIND })
    }

    /// Writes evidence with its end, see [`Store::stage`].
    pub(super) async fn stage_ending(&self, lease: &Lease, evidence: &[EvidenceRecord]) -> Result<(), StoreError> {
        let Some(retention) = self.retention else { return self.stage_until(lease, evidence, |_| None).await };
        let end = lease.as_of + retention;
        let mut holds = self.legal_holds(&lease.company).await?;
        for _ in 0..ATTEMPTS {
            self.stage_until(lease, evidence, |owner| (!is_held(&holds, client_of(owner))).then_some(end)).await?;
            let now = self.legal_holds(&lease.company).await?;
            if now == holds {
                return Ok(());
            }
            holds = now;
        }
        Err(StoreError::Conflict { record: HoldsItem::KIND })
    }

    /// When the records of a run end; `None` where nothing does.
    pub(super) async fn records_end(&self, lease: &Lease) -> Result<Option<RecordsEnd>, StoreError> {
        let Some(retention) = self.retention else { return Ok(None) };
        let key = keys::holds(&lease.company);
        let found = self.get::<HoldsItem>(&key).await?;
        let held = found.as_ref().is_some_and(|item| !item.holds.is_empty());
        let run = (!held).then(|| lease.as_of + retention + OUTLIVES_EVIDENCE);
        let check = ConditionCheck::builder().table_name(&self.table).set_key(Some(key.to_item()));
        let check = match found {
            Some(item) => check
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", number(item.revision)),
            None => check.condition_expression("attribute_not_exists(pk)"),
        };
        let check = check.build().map_err(StoreError::unavailable)?;
        let check = TransactWriteItem::builder().condition_check(check).build();
        let people = self.people_key_record(&lease.company, &lease.connection).await?.is_some();
        Ok(Some(RecordsEnd { run, commit: run.filter(|_| !people), check }))
    }

    /// Gives the run of a lease its end, before the transaction that ends it: in that one the worker's role could give a connection an end as well.
    pub(super) async fn end_run_record(&self, lease: &Lease, end: &RecordsEnd) -> Result<(), StoreError> {
        let change = Change::of(keys::run(&lease.company, &lease.connection, &lease.run_id));
        let change = match end.run {
            Some(at) => change.set_raw("expires_at", number(at.timestamp())),
            None => change.remove("expires_at"),
        };
        // One that is not there, or is of another version, is for the transaction to tell.
        change.apply(&self.client, &self.table).await?;
        Ok(())
    }

    /// Gives the ended runs of a connection, and their commits, the end that the retention says, or none while anything of the company is held. In so many
    /// records.
    ///
    /// # Errors
    /// As [`Store::set_end`].
    pub async fn set_end_of_runs(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        held: bool,
    ) -> Result<usize, StoreError> {
        let people = self.people_key_record(company, connection).await?.is_some();
        let after = self.retention.filter(|_| !held).map(|retention| retention + OUTLIVES_EVIDENCE);
        let commits = keys::commits(company, connection, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let mut changed = 0;
        for (range, after) in [(keys::runs(company, connection), after), (commits, after.filter(|_| !people))] {
            let query = self.query(&range, Order::Forward);
            let query =
                query.projection_expression("pk, sk, expires_at, as_of, requested_at, committed_at, finished_at");
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.try_next().await? {
                let instant = |name: &str| item.get(name).and_then(|it| parse(it.as_s().ok()?));
                // One that is under way gets its end when it is over.
                if instant("finished_at").or_else(|| instant("committed_at")).is_none() {
                    continue;
                }
                let began = instant("as_of").or_else(|| instant("requested_at"));
                let end = after.zip(began).map(|(after, began)| began + after);
                changed += usize::from(self.give_end(&item, end).await?);
            }
        }
        Ok(changed)
    }

    /// Gives a record this end, or none. False where that is how it is, or it has ended in the meantime.
    async fn give_end(&self, item: &Item, end: Option<DateTime<Utc>>) -> Result<bool, StoreError> {
        let (Some(pk), Some(sk)) = (item.get("pk"), item.get("sk")) else { return Ok(false) };
        let end = end.map(|end| number(end.timestamp()));
        if item.get("expires_at") == end.as_ref() {
            return Ok(false);
        }
        let update = self.client.update_item().table_name(&self.table);
        let update = update.key("pk", pk.clone()).key("sk", sk.clone()).condition_expression("attribute_exists(pk)");
        let update = match end {
            Some(end) => update.update_expression("SET expires_at = :end").expression_attribute_values(":end", end),
            None => update.update_expression("REMOVE expires_at"),
        };
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives all evidence of an owner the end that the retention says, or none while it is held. A repetition changes nothing. In so many records.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was changed stays so, and it is safe to repeat.
    pub async fn set_end(&self, company: &CompanyId, owner: &EvidenceOwner, held: bool) -> Result<usize, StoreError> {
        let mut changed = 0;
        let partition = owner.partition(company);
        for (pk, later) in [(keys::pieces_of(&partition), OUTLIVES_EVIDENCE), (partition, TimeDelta::zero())] {
            let range = Range { pk, from: " ".to_owned(), to: "~".to_owned() };
            let query = self.query(&range, Order::Forward).projection_expression("pk, sk, expires_at");
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.try_next().await? {
                let began = item.get("sk").and_then(|sk| as_of(sk.as_s().ok()?));
                let end = self.retention.filter(|_| !held).zip(began).map(|(retention, began)| began + retention);
                changed += usize::from(self.give_end(&item, end.map(|end| end + later)).await?);
            }
        }
        Ok(changed)
    }

    /// The clients that a company has, or had, evidence of.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn clients_with_evidence(&self, company: &CompanyId) -> Result<BTreeSet<ClientId>, StoreError> {
        let mut clients = BTreeSet::new();
        for connection in self.connections(company).await? {
            clients.extend(connection.mapping.clients().into_iter().cloned());
        }
        // Those of connections that were removed are here.
        for summary in self.portfolio(company).await? {
            clients.extend(summary.clients.into_iter().map(|it| it.client));
        }
        Ok(clients)
    }
}

fn client_of(owner: &EvidenceOwner) -> Option<&ClientId> {
    match owner {
        EvidenceOwner::Company => None,
        EvidenceOwner::Client(client) => Some(client),
    }
}

/// The instant that a piece of evidence was evaluated at, by its key.
fn as_of(sk: &str) -> Option<DateTime<Utc>> {
    parse(sk.split('#').nth(2)?)
}

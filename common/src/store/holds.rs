//! When evidence ends, and whose does not: retention and legal holds.
//!
//! A worker writes evidence with the time of its end, unless it is held. Who places a hold writes it down first and then takes the end from what is there.
//! A worker that read the holds before that reads them again after it has written, so nothing that is held keeps an end.

use super::error::StoreError;
use super::evidence::{EvidenceOwner, EvidenceRecord};
use super::lease::Lease;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::hold::{Hold, is_held};
use crate::domain::id::{ClientId, CompanyId};
use crate::domain::time::parse;
use crate::store::table::items::{Record, number};
use crate::store::table::keys::{self, Range};
use crate::store::table::queries::Order;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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

    /// Gives all evidence of an owner the end that the retention says, or none while it is held. A repetition changes nothing. In so many records.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was changed stays so, and it is safe to repeat.
    pub async fn set_end(&self, company: &CompanyId, owner: &EvidenceOwner, held: bool) -> Result<usize, StoreError> {
        let mut changed = 0;
        let partition = owner.partition(company);
        for pk in [keys::pieces_of(&partition), partition] {
            let range = Range { pk, from: " ".to_owned(), to: "~".to_owned() };
            let query = self.query(&range, Order::Forward).projection_expression("pk, sk, expires_at");
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.try_next().await? {
                let (Some(pk), Some(AttributeValue::S(sk))) = (item.get("pk"), item.get("sk")) else { continue };
                let end = self.retention.filter(|_| !held).and_then(|retention| Some(as_of(sk)? + retention));
                let end = end.map(|end| number(end.timestamp()));
                if item.get("expires_at") == end.as_ref() {
                    continue;
                }
                let update = self.client.update_item().table_name(&self.table);
                let update = update.key("pk", pk.clone()).key("sk", AttributeValue::S(sk.clone()));
                // One that has ended in the meantime is not made anew.
                let update = update.condition_expression("attribute_exists(pk)");
                let update = match end {
                    Some(end) => {
                        update.update_expression("SET expires_at = :end").expression_attribute_values(":end", end)
                    }
                    None => update.update_expression("REMOVE expires_at"),
                };
                match update.send().await {
                    Ok(_) => changed += 1,
                    Err(error)
                        if error.as_service_error().is_some_and(|it| it.is_conditional_check_failed_exception()) => {}
                    Err(error) => return Err(error.into()),
                }
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

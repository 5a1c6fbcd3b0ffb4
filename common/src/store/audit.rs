//! Audit events, in the order of time; they stay for as long as the evidence.

use super::Store;
use super::error::StoreError;
use crate::domain::audit::AuditEvent;
use crate::domain::id::CompanyId;
use crate::domain::time::Window;
use crate::request;
use crate::store::table::Item;
use crate::store::table::items::{Record, put, put_new};
use crate::store::table::keys;
use crate::store::table::queries::Order;
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

/// An event with its place in the order, which a reader goes on after.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedEvent {
    /// Its place.
    pub place: String,
    /// The event.
    pub event: AuditEvent,
}

#[derive(Serialize, Deserialize)]
struct EventItem {
    place: String,
    /// The event as JSON, so that a value before or after keeps its form.
    event: String,
}

impl Record for EventItem {
    const KIND: &'static str = "audit event";
}

impl Store {
    /// The event as a part of the transaction that does what it says.
    pub(super) fn audited(&self, event: &AuditEvent) -> Result<TransactWriteItem, StoreError> {
        let place = format!("{}#{:016x}", keys::instant(event.at), fastrand::u64(..));
        let request_id = event.request_id.clone().or_else(request::current);
        let text = serde_json::to_string(&AuditEvent { request_id, ..event.clone() });
        let text = text.map_err(|error| StoreError::corrupt(EventItem::KIND, error.to_string()))?;
        let key = keys::audit_event(&event.company, &place);
        put_new(&self.table, EventItem { place, event: text }.to_item(&key)?)
    }

    /// Writes one record whole together with the event of who does it, if there is one: both are there, or neither.
    pub(super) async fn put_audited(&self, item: Item, event: Option<&AuditEvent>) -> Result<(), StoreError> {
        match event {
            Some(event) => self.transact(vec![put(&self.table, item)?, self.audited(event)?]).await.map(drop),
            None => self.put_item(item).await,
        }
    }

    /// Keeps an event alone: of names that are only read, or of something that no single transaction does. It is kept first: where it cannot be kept, nothing
    /// is opened and nothing is done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn add_audit_event(&self, event: &AuditEvent) -> Result<(), StoreError> {
        self.transact(vec![self.audited(event)?]).await?;
        Ok(())
    }

    /// At most `limit` events of a company in a window, oldest first, after a place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn audit_events(
        &self,
        company: &CompanyId,
        window: Window,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PlacedEvent>, StoreError> {
        let range = keys::audit_events(company, window.start, window.end, after);
        // The table refuses a range that ends before it begins; nothing lies in one.
        if range.from > range.to {
            return Ok(Vec::new());
        }
        let page = i32::try_from(limit).ok().filter(|page| *page > 0);
        let mut items = self.query(&range, Order::Forward).set_limit(page).into_paginator().items().send();
        let mut events = Vec::new();
        while events.len() < limit
            && let Some(item) = items.try_next().await?
        {
            let EventItem { place, event } = EventItem::from_item(item)?;
            let event = serde_json::from_str(&event);
            let event = event.map_err(|_| StoreError::corrupt(EventItem::KIND, "it is not as it was written"))?;
            events.push(PlacedEvent { place, event });
        }
        Ok(events)
    }
}

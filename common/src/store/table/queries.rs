//! One record, or a range of them to its end.

use super::Item;
use super::batches::delete_request;
use super::items::{Record, text};
use super::keys::{Key, Range};
use crate::store::error::StoreError;
use crate::store::{ATTEMPTS, Store};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use std::collections::{BTreeSet, HashMap};

/// Records that the table gives in one request.
const GOT_TOGETHER: usize = 100;

/// Requests that so many records take which are read by their keys.
pub(in crate::store) fn requests_for(records: usize) -> usize {
    records.div_ceil(GOT_TOGETHER)
}

/// Records that were read together, by their keys.
pub(in crate::store) struct Found(HashMap<Key, Item>);

impl Found {
    /// The record of a key, if it was there.
    pub fn get<R: Record>(&self, key: &Key) -> Result<Option<R>, StoreError> {
        self.0.get(key).cloned().map(R::from_item).transpose()
    }

    /// Whether there was a record of a key.
    pub fn has(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }
}

/// The direction of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Order {
    /// Smallest sort key first.
    Forward,
    /// Largest sort key first.
    Reverse,
}

/// How new a read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Consistency {
    /// What was just written may be missing; costs half as much.
    Eventual,
    /// As new as the last write.
    Strong,
}

impl Store {
    pub(in crate::store) async fn get_item(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.to_item()))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item)
    }

    pub(in crate::store) async fn get<R: Record>(&self, key: &Key) -> Result<Option<R>, StoreError> {
        self.get_item(key).await?.map(R::from_item).transpose()
    }

    /// Puts a record, in place of what is there.
    pub(in crate::store) async fn put_item(&self, item: Item) -> Result<(), StoreError> {
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await?;
        Ok(())
    }

    /// Removes a record, if it is there.
    pub(in crate::store) async fn delete_item(&self, key: &Key) -> Result<(), StoreError> {
        self.client.delete_item().table_name(&self.table).set_key(Some(key.to_item())).send().await?;
        Ok(())
    }

    /// The items of so many keys, no two alike, in any order; those that are not there are left out.
    pub(in crate::store) async fn get_items(
        &self,
        keys: impl IntoIterator<Item = Key>,
        consistency: Consistency,
    ) -> Result<Vec<Item>, StoreError> {
        let keys: Vec<Item> = keys.into_iter().map(|key| key.to_item()).collect();
        let mut items = Vec::with_capacity(keys.len());
        for together in keys.chunks(GOT_TOGETHER) {
            let mut wanted = together.to_vec();
            for attempt in 0..ATTEMPTS {
                self.pause(attempt).await;
                let keys = KeysAndAttributes::builder().set_keys(Some(wanted));
                let keys = keys.consistent_read(consistency == Consistency::Strong);
                let keys = keys.build().map_err(StoreError::unavailable)?;
                let answer = self.client.batch_get_item().request_items(&self.table, keys).send().await?;
                items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
                // What the table had no capacity for.
                wanted = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, left)| left.keys).collect();
                if wanted.is_empty() {
                    break;
                }
            }
            if !wanted.is_empty() {
                return Err(StoreError::unavailable("the table did not give all records of a batch"));
            }
        }
        Ok(items)
    }

    /// The records of these keys, of which some may be alike.
    pub(in crate::store) async fn found(
        &self,
        keys: impl IntoIterator<Item = Key>,
        consistency: Consistency,
    ) -> Result<Found, StoreError> {
        // The table refuses a request that has a key twice.
        let keys: BTreeSet<Key> = keys.into_iter().collect();
        let items = self.get_items(keys, consistency).await?;
        Ok(Found(items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))).collect()))
    }

    /// A query of a range; the page size is the store's.
    pub(in crate::store) fn query(&self, range: &Range, order: Order) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(&range.pk))
            .expression_attribute_values(":from", text(&range.from))
            .expression_attribute_values(":to", text(&range.to))
            .scan_index_forward(order == Order::Forward)
            .consistent_read(true)
            .set_limit(self.page_size)
    }

    /// Deletes every record of a range and says how many there were.
    pub(in crate::store) async fn delete_range(&self, range: &Range) -> Result<u64, StoreError> {
        let query = self.query(range, Order::Forward).projection_expression("pk, sk");
        let mut items = query.into_paginator().items().send();
        let (mut batches, mut deleted) = (self.batches(), 0);
        while let Some(key) = items.try_next().await? {
            batches.add(delete_request(key)?, 0).await?;
            deleted += 1;
        }
        batches.finish().await?;
        Ok(deleted)
    }

    /// Whether a range has any record.
    pub(in crate::store) async fn has_any(&self, range: &Range) -> Result<bool, StoreError> {
        let answer = self.query(range, Order::Forward).limit(1).projection_expression("sk").send().await?;
        Ok(!answer.items().is_empty())
    }

    /// All records of a range.
    pub(in crate::store) async fn all<R: Record>(&self, range: &Range) -> Result<Vec<R>, StoreError> {
        let mut found = Vec::new();
        // A range that ends before it begins is an error to the table, and empty to us.
        if range.from > range.to {
            return Ok(found);
        }
        let mut items = self.query(range, Order::Forward).into_paginator().items().send();
        while let Some(item) = items.try_next().await? {
            found.push(R::from_item(item)?);
        }
        Ok(found)
    }
}

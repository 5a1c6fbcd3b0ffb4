//! What is signed about the logs: the newest checkpoint of each, which logs have grown since theirs, and the key that checks them.

use super::Store;
use super::error::StoreError;
use crate::domain::log::LogId;
use crate::store::table::Item;
use crate::store::table::items::{Change, Record, number, text};
use crate::store::table::keys::{self, DUE_INDEX, DUE_SHARDS};
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCheckpoint {
    /// The size that it is about.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub signed_at: DateTime<Utc>,
}

impl Record for KeptCheckpoint {
    const KIND: &'static str = "checkpoint of the evidence log";
}

/// The key that checks what this stack signs, as `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLogKey {
    /// The verifier key.
    pub key: String,
    /// When it was first used.
    pub since: DateTime<Utc>,
}

impl Record for KeptLogKey {
    const KIND: &'static str = "key of the evidence log";
}

/// The place of a head in the index while its log has grown since its last checkpoint.
pub(super) struct Grown {
    shard: String,
    since: String,
}

impl Grown {
    pub fn of(log: &LogId, at: DateTime<Utc>) -> Self {
        Self { shard: keys::grown_shard_of(log), since: keys::instant(at) }
    }

    pub fn mark(self, mut head: Item) -> Item {
        head.insert("due_shard".to_owned(), text(self.shard));
        head.insert("due_at".to_owned(), text(self.since));
        head
    }

    pub fn change(self, head: Change) -> Change {
        head.set_raw("due_shard", text(self.shard)).set_raw("due_at", text(self.since))
    }
}

impl Store {
    /// The newest checkpoint of a log that was kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn kept_checkpoint(&self, log: &LogId) -> Result<Option<KeptCheckpoint>, StoreError> {
        self.get(&keys::log_checkpoint(log)).await
    }

    /// Keeps a checkpoint in place of an older one, and takes the log off the list of those that have grown, unless it has grown again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keep_checkpoint(&self, log: &LogId, checkpoint: &KeptCheckpoint) -> Result<(), StoreError> {
        self.put_item(checkpoint.to_item(&keys::log_checkpoint(log))?).await?;
        let head = Change::of(keys::head_of_log(log)).only_if("size", number(checkpoint.size));
        // Who is refused has grown: it stays on the list.
        drop(head.remove("due_shard").remove("due_at").apply(&self.client, &self.table).await?);
        Ok(())
    }

    /// The logs, of all companies, that have grown since their last checkpoint.
    ///
    /// The index follows the table with a short delay: a log that is missing now is there in the next hour.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn grown_logs(&self) -> Result<Vec<LogId>, StoreError> {
        let shards = (0..DUE_SHARDS).map(|shard| self.grown_in(shard));
        Ok(try_join_all(shards).await?.into_iter().flatten().collect())
    }

    async fn grown_in(&self, shard: u8) -> Result<Vec<LogId>, StoreError> {
        let query = self.client.query().table_name(&self.table).index_name(DUE_INDEX);
        let query = query.key_condition_expression("due_shard = :shard");
        let query = query.expression_attribute_values(":shard", text(keys::grown_shard(shard)));
        let mut items = query.set_limit(self.page_size).into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = items.try_next().await? {
            let log = keys::parse_head(&item);
            found.push(log.ok_or_else(|| StoreError::corrupt("entry of the index due", "at its keys"))?);
        }
        Ok(found)
    }

    /// The key that checks what this stack signs; `None` before it has signed anything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn log_key(&self) -> Result<Option<KeptLogKey>, StoreError> {
        self.get(&keys::log_key()).await
    }

    /// Keeps the key, unless it is the one that is kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn keep_log_key(&self, key: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.log_key().await?.is_some_and(|kept| kept.key == key) {
            return Ok(());
        }
        let kept = KeptLogKey { key: key.to_owned(), since: now };
        self.put_item(kept.to_item(&keys::log_key())?).await
    }
}

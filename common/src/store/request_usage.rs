//! What each process has sent to a vendor account lately, so that all of them respect the limit of the account.

use super::Store;
use super::error::StoreError;
use crate::store::table::items::{number, text};
use crate::store::table::keys;
use crate::store::table::queries::Order;
use chrono::{DateTime, Utc};

impl Store {
    /// What the processes that asked an account lately have sent, by process.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn usage(&self, account: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut items = self.query(&keys::usages(account), Order::Forward).into_paginator().items().send();
        let mut usages = Vec::new();
        while let Some(item) = items.try_next().await? {
            let field = |name: &str| item.get(name)?.as_s().ok().cloned();
            if let (Some(sk), Some(usage)) = (field("sk"), field("usage")) {
                usages.push((sk.trim_start_matches("USED#").to_owned(), usage));
            }
        }
        Ok(usages)
    }

    /// Keeps what a process has sent to an account, until it does not matter any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn save_usage(
        &self,
        account: &str,
        process: &str,
        usage: String,
        until: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut item = keys::usage(account, process).to_item();
        item.insert("usage".to_owned(), text(usage));
        item.insert("expires_at".to_owned(), number(until.timestamp()));
        self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await?;
        Ok(())
    }
}

//! Transactions, repeated where two of them met.

use crate::store::error::{StoreError, VALIDATION};
use crate::store::{ATTEMPTS, Store};
use aws_sdk_dynamodb::config::AsyncSleep;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use std::time::Duration;

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Outcome {
    /// All of it was written.
    Written,
    /// Nothing was, because conditions failed: for each action, whether its own did.
    Refused(Vec<bool>),
}

impl Outcome {
    /// Whether all of it was written.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written)
    }

    /// Whether the condition of the action at this position failed.
    pub fn refused(&self, position: usize) -> bool {
        matches!(self, Self::Refused(failed) if failed.get(position) == Some(&true))
    }
}

impl Store {
    /// Writes all or nothing. The SDK gives each call a token and repeats it with the same one, so that a repeat whose first answer was
    /// lost is recognised by the table for ten minutes.
    pub(in crate::store) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<Outcome, StoreError> {
        let mut codes = Vec::new();
        for attempt in 0..ATTEMPTS {
            self.pause(attempt).await;
            let request = self.client.transact_write_items();
            let Err(error) = request.set_transact_items(Some(actions.clone())).send().await else {
                return Ok(Outcome::Written);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(error.into());
            };
            codes = cancelled
                .cancellation_reasons()
                .iter()
                .map(|reason| reason.code().unwrap_or_default().to_owned())
                .collect();
            if codes.iter().any(|code| code == "ConditionalCheckFailed") {
                let failed = codes.iter().map(|code| code == "ConditionalCheckFailed").collect();
                return Ok(Outcome::Refused(failed));
            }
            if codes.iter().any(|code| VALIDATION.contains(&code.as_str())) {
                return Err(StoreError::Refused { source: error.into() });
            }
        }
        codes.retain(|code| code != "None");
        codes.dedup();
        Err(StoreError::unavailable(format!("the transaction was cancelled: {}", codes.join(", "))))
    }

    /// Waits before a repeat, as the client waits before its own: nothing at first, then 25 ms and twice as long each time, give or take half.
    #[expect(clippy::disallowed_methods, reason = "milliseconds between repeats of one request, as inside the SDK")]
    pub(in crate::store) async fn pause(&self, attempt: u32) {
        if attempt == 0 {
            return;
        }
        let longest = 50_u64 << attempt.min(6);
        let wait = Duration::from_millis(fastrand::u64(longest / 4..longest));
        match self.client.config().sleep_impl() {
            Some(injected) => injected.sleep(wait).await,
            None => tokio::time::sleep(wait).await,
        }
    }
}

//! How far a run has come, kept until it goes on: in pieces, since it may be larger than one record.

use super::active::CheckpointRef;
use super::error::StoreError;
use super::lease::Lease;
use super::{ATTEMPTS, Store};
use crate::domain::run::{Run, RunStatus};
use crate::store::table::batches::{delete_request, put_request};
use crate::store::table::items::{BODY_LIMIT, Change, number};
use crate::store::table::keys::{self, Key};
use crate::store::table::queries::Order;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

/// A checkpoint that nobody took up for so long is removed by the table.
pub const CHECKPOINT_KEPT: TimeDelta = TimeDelta::days(3);

/// A run that is to go on later.
#[derive(Debug, Clone, Copy)]
pub struct Suspension<'a> {
    /// How far it has come, in a form that the store does not look into.
    pub state: &'a [u8],
    /// From when on it may go on.
    pub continue_at: DateTime<Utc>,
    /// HTTP requests made so far.
    pub api_calls: u64,
    /// The time.
    pub now: DateTime<Utc>,
}

impl Store {
    /// Keeps how far a run has come and gives up its lease: first the pieces, then, in one transaction under the fencing token, what points at them.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker has taken the run, or it is over; then the checkpoint before it counts.
    pub async fn suspend(&self, lease: &Lease, suspension: Suspension<'_>) -> Result<(), StoreError> {
        let Suspension { state, continue_at, api_calls, now } = suspension;
        let expires_at = number((now.max(continue_at) + CHECKPOINT_KEPT).timestamp());
        let mut batches = self.batches();
        let mut pieces = 0;
        for (position, piece) in state.chunks(BODY_LIMIT).enumerate() {
            let mut item = piece_of(lease, lease.token, position).to_item();
            item.insert("body".to_owned(), AttributeValue::B(Blob::new(piece)));
            item.insert("expires_at".to_owned(), expires_at.clone());
            batches.add(put_request(item)?, piece.len()).await?;
            pieces += 1;
        }
        batches.finish().await?;
        let checkpoint = CheckpointRef { token: lease.token, pieces, sha256: hex(state) };
        for _ in 0..ATTEMPTS {
            let actions = vec![
                lease
                    .change()
                    .set("checkpoint", &checkpoint)?
                    .set("continue_at", &continue_at)?
                    .remove("lease_until")
                    .remove("owner")
                    // It got on, so its message was sent again in vain so far.
                    .remove("resent")
                    .remove("resent_at")
                    .update(&self.table)?,
                Change::of(keys::run(&lease.company, &lease.connection, &lease.run_id))
                    .set("status", &RunStatus::Waiting)?
                    .set("waiting_until", &continue_at)?
                    .set("api_calls", &api_calls)?
                    .update(&self.table)?,
            ];
            match self.transact(actions).await? {
                Outcome::Written => {
                    self.forget_checkpoint(lease).await;
                    return Ok(());
                }
                // A repeat whose first answer was lost finds its own token there; another one is of who has taken the run since.
                refused if refused.refused(0) => return Err(StoreError::LeaseLost),
                // Reading the run tells what is wrong.
                _ => self.run(&lease.company, &lease.connection, &lease.run_id).await?,
            };
        }
        Err(StoreError::Conflict { record: <Run as crate::store::table::items::Record>::KIND })
    }

    /// What [`Store::suspend`] kept last for the run of this lease; `None` if it was never suspended, or its checkpoint is gone or damaged.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn checkpoint(&self, lease: &Lease) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(checkpoint) = &lease.checkpoint else { return Ok(None) };
        let range = keys::checkpoint_pieces(&lease.company, &lease.connection, &lease.run_id, checkpoint.token);
        let mut items = self.query(&range, Order::Forward).into_paginator().items().send();
        let (mut state, mut pieces) = (Vec::new(), 0);
        while let Some(item) = items.try_next().await? {
            if let Some(Ok(body)) = item.get("body").map(AttributeValue::as_b) {
                state.extend_from_slice(body.as_ref());
                pieces += 1;
            }
        }
        let whole = pieces == checkpoint.pieces && hex(&state) == checkpoint.sha256;
        if !whole {
            tracing::warn!(run = %lease.run_id, "the checkpoint of the run is gone or damaged; the run begins anew");
        }
        Ok(whole.then_some(state))
    }

    /// Removes the checkpoint that a run went on from. What cannot be removed expires.
    pub(super) async fn forget_checkpoint(&self, lease: &Lease) {
        let Some(checkpoint) = &lease.checkpoint else { return };
        let removed = async {
            let mut batches = self.batches();
            for piece in 0..checkpoint.pieces {
                batches.add(delete_request(piece_of(lease, checkpoint.token, piece as usize).to_item())?, 0).await?;
            }
            batches.finish().await
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, "an old checkpoint is left to expire");
        }
    }
}

fn piece_of(lease: &Lease, token: u64, piece: usize) -> Key {
    keys::checkpoint_piece(&lease.company, &lease.connection, &lease.run_id, token, piece)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

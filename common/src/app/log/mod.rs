//! The evidence log as it is read and signed.

mod rotation;
mod signer;

pub use rotation::ReplaceKeyError;
pub use signer::{KeyFileError, LogSigner};

use crate::aws::documents::{DocumentError, Documents};
use crate::aws::signing::SigningError;
use crate::clock::Clock;
use crate::domain::id::CompanyId;
use crate::domain::log::LogId;
use crate::domain::log::proof::TreeHead;
use crate::domain::note::Note;
use crate::signing;
use crate::store::{KeptCheckpoint, Store, StoreError};
use futures_util::{StreamExt, stream};
use std::sync::Arc;

/// Why a log was not signed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The bucket under Object Lock.
    #[error("the checkpoint could not be kept in the bucket under Object Lock")]
    Archive(#[source] DocumentError),
    /// The key that signed before is neither of those that are there.
    #[error(
        "the logs were signed by {signed}, and neither the key in use nor the one that PreviousLogKey names is that one: name it there (docs/operations.md), so that it announces the new one"
    )]
    AnotherKey {
        /// The key that signed.
        signed: String,
    },
    /// What is there is shorter than what was signed before.
    #[error(
        "the log {log} has {size} leaves, and a checkpoint was signed over {signed}: the data was put back from an older copy; nothing is signed, so that no log forks. Restore the newest copy"
    )]
    Shorter {
        /// Which log.
        log: LogId,
        /// How many leaves there are.
        size: u64,
        /// How many were signed.
        signed: u64,
    },
}

impl LogError {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Unavailable { .. }),
            Self::Signing(error) => error.may_pass(),
            Self::Archive(_) => true,
            Self::Shorter { .. } | Self::AnotherKey { .. } => false,
        }
    }
}

/// Logs that are signed at the same time.
const CONCURRENCY: usize = 8;

/// Signs logs.
#[derive(Clone)]
pub struct EvidenceLog {
    /// The table.
    pub store: Store,
    /// The key.
    pub signer: Arc<LogSigner>,
    /// A bucket under Object Lock, where each checkpoint is kept for good.
    pub archive: Option<Arc<Documents>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// A log and its newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Its leaves, JCS texts.
    pub leaves: Vec<String>,
    /// Its head.
    pub head: TreeHead,
    /// The newest checkpoint that is kept.
    pub checkpoint: Option<KeptCheckpoint>,
}

impl LogState {
    /// A log as it is, which takes no key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its leaves are not those of its head.
    pub async fn read(store: &Store, log: &LogId) -> Result<Self, StoreError> {
        let (head, leaves) = (store.tree_head(log).await?, store.leaves(log).await?);
        Ok(Self { leaves, head, checkpoint: store.kept_checkpoint(log).await? })
    }
}

/// What came of signing the logs that grew.
#[derive(Debug, Default)]
pub struct Signed {
    /// How many were signed.
    pub signed: usize,
    /// Those that could not be, and why.
    pub failed: Vec<(LogId, LogError)>,
}

/// Where the checkpoint of a log over so many leaves is kept in a bucket.
#[must_use]
pub fn archived(log: &LogId, size: u64) -> String {
    // In this order, names are in the order of sizes.
    format!("checkpoints/{log}/{size:020}")
}

impl EvidenceLog {
    /// Signs a log as it is now and keeps the checkpoint, unless the newest one is of the same size. `None` for a log without a leaf.
    ///
    /// # Errors
    /// [`LogError`]
    pub async fn sign(&self, log: &LogId) -> Result<Option<KeptCheckpoint>, LogError> {
        Ok(self.signed(log).await?.map(|(kept, _)| kept))
    }

    /// The checkpoint, and whether it is new.
    async fn signed(&self, log: &LogId) -> Result<Option<(KeptCheckpoint, bool)>, LogError> {
        let verifier = self.signer.verifier();
        let by_this_key = |kept: &KeptCheckpoint| {
            Note::parse(kept.note.as_bytes()).is_ok_and(|note| note.is_signed_by(verifier, signing::verify))
        };
        let kept = self.store.kept_checkpoint(log).await?;
        let is_by_this_key = kept.as_ref().is_some_and(by_this_key);
        // Before anything of a company is signed by another key.
        if !is_by_this_key {
            rotation::announced(&self.signer, &self.store, &log.company, self.clock.now()).await?;
        }
        let head = self.store.tree_head(log).await?;
        if head.size == 0 {
            return Ok(None);
        }
        if let Some(kept) = kept {
            if kept.size > head.size {
                return Err(LogError::Shorter { log: log.clone(), size: head.size, signed: kept.size });
            }
            // By another key it has to be signed anew.
            if kept.size == head.size && is_by_this_key {
                return Ok(Some((kept, false)));
            }
        }
        let size = head.size;
        let note = self.signer.checkpoint(log, head).await?.to_string();
        // Whoever signs says by which key, so that readers can tell it.
        self.store.keep_log_key(&verifier.to_string(), self.clock.now()).await?;
        if let Some(archive) = &self.archive {
            archive.put(&archived(log, size), note.clone().into_bytes()).await.map_err(LogError::Archive)?;
        }
        let checkpoint = KeptCheckpoint { size, note, signed_at: self.clock.now() };
        self.store.keep_checkpoint(log, &checkpoint).await?;
        Ok(Some((checkpoint, true)))
    }

    /// Signs every log, of all companies, that grew since its last checkpoint. One that fails is no reason to leave out another; it is tried again in
    /// the next hour.
    ///
    /// # Errors
    /// [`StoreError`], where it cannot be told which have grown.
    pub async fn sign_grown(&self) -> Result<Signed, StoreError> {
        let grown = self.store.grown_logs().await?;
        let mut outcome = Signed::default();
        let mut signing = stream::iter(grown)
            .map(async |log| {
                let signed = self.signed(&log).await;
                // Whoever signed it in between may have been stopped before it was taken off the list.
                let signed = match signed {
                    Ok(Some((kept, false))) => match self.store.keep_checkpoint(&log, &kept).await {
                        Ok(()) => Ok(false),
                        Err(error) => Err(error.into()),
                    },
                    other => other.map(|signed| signed.is_some()),
                };
                (log, signed)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((log, signed)) = signing.next().await {
            match signed {
                Ok(is_new) => outcome.signed += usize::from(is_new),
                Err(error) => outcome.failed.push((log, error)),
            }
        }
        Ok(outcome)
    }

    /// Signs every log of a company that grew since its last checkpoint, those too that grew under a release that kept no list; says how many there are.
    ///
    /// # Errors
    /// [`LogError`]
    pub async fn sign_all(&self, company: &CompanyId) -> Result<usize, LogError> {
        let mut signed = self.sign_grown().await?;
        if let Some((_, error)) = signed.failed.pop() {
            return Err(error);
        }
        let mut logs = vec![LogId::of_company(company)];
        let connections = self.store.connections(company).await?;
        logs.extend(connections.iter().map(|connection| LogId::of_connection(company, &connection.id)));
        for log in logs {
            signed.signed += usize::from(self.signed(&log).await?.is_some_and(|(_, is_new)| is_new));
        }
        Ok(signed.signed)
    }
}

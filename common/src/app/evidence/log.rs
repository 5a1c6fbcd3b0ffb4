//! The evidence log as it is read: checkpoints, leaves, and proofs that a run is in it.

use super::EvidenceReader;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::log::statement::{CompanyEvent, CompanyStatement, Leaf, Statement};
use crate::domain::log::tree::{Tree, leaf_hash};
use crate::domain::log::{Hash, LogId};
use crate::domain::note::VerifierKey;
use crate::domain::time::Window;
use crate::store::{EvidenceOwner, KeptCheckpoint, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Leaves that are read at once.
pub const LEAVES_TOGETHER: u64 = 1000;

/// Which leaves of a log are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafRange {
    /// The number of the first one.
    pub from: u64,
    /// The number after the last one; the size of the log where it is not given.
    pub to: Option<u64>,
}

/// Leaves of a log, from one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntries {
    /// How many leaves there are, as far as the reader may see.
    pub size: u64,
    /// The number of the first one here.
    pub from: u64,
    /// Their data, JCS texts.
    pub leaves: Vec<String>,
}

/// That something is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The number of the leaf.
    pub leaf_index: u64,
    /// Its data, a JCS text.
    pub data: String,
    /// From it to the root of the checkpoint.
    pub leaf_path: Vec<Hash>,
    /// The newest checkpoint.
    pub checkpoint: KeptCheckpoint,
}

/// What there is of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// It is in the log.
    Proof(LogProof),
    /// It is in the log, and no checkpoint covers it yet.
    NotSigned {
        /// The number of the leaf.
        leaf_index: u64,
    },
}

/// When a leaf was made, and what it is about.
struct About {
    at: DateTime<Utc>,
    id: Option<String>,
}

fn about(log: &LogId, data: &str) -> Result<About, StoreError> {
    let unreadable = |_| StoreError::Corrupt {
        record: "leaf of the evidence log",
        reason: "it is no statement in its canonical form".to_owned(),
    };
    if log.connection.is_some() {
        let statement = Statement::parse(data.as_bytes()).map_err(unreadable)?;
        return Ok(About { at: statement.ended_at(), id: statement.run_id().map(ToString::to_string) });
    }
    let statement = CompanyStatement::parse(data.as_bytes()).map_err(unreadable)?;
    let id = match statement.event {
        CompanyEvent::Decision { id, .. } => Some(id),
        CompanyEvent::Key { .. } => None,
    };
    Ok(About { at: statement.at, id })
}

impl EvidenceReader {
    /// Refuses a log of a connection that has nothing to do with any of these clients. The company's own tells nobody about a client.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], which a log that is not there gets, too.
    pub async fn see_log(&self, log: &LogId, clients: Option<&BTreeSet<ClientId>>) -> Result<(), StoreError> {
        let (Some(clients), Some(connection)) = (clients, &log.connection) else { return Ok(()) };
        let mapped = self.connections_of(&log.company, clients).await?;
        if mapped.contains(connection) || self.gave_evidence(&log.company, connection, clients).await? {
            return Ok(());
        }
        Err(StoreError::NotFound { record: "log" })
    }

    async fn gave_evidence(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        clients: &BTreeSet<ClientId>,
    ) -> Result<bool, StoreError> {
        for client in clients {
            let latest = self.store.latest(company, &EvidenceOwner::Client(client.clone())).await?;
            if latest.iter().any(|stored| stored.connection == *connection) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest signed checkpoint of a log.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] before the first one.
    pub async fn checkpoint(&self, log: &LogId) -> Result<KeptCheckpoint, StoreError> {
        let kept = self.store.kept_checkpoint(log).await?;
        kept.ok_or(StoreError::NotFound { record: "checkpoint of this log" })
    }

    /// The leaves of a log that were made in a span, at most [`LEAVES_TOGETHER`] of them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where its leaves are not those of its head: then nothing is given out.
    pub async fn entries(
        &self,
        log: &LogId,
        LeafRange { from, to }: LeafRange,
        span: Window,
    ) -> Result<LogEntries, StoreError> {
        let mut leaves = self.store.leaves(log).await?;
        // Leaves are in the order of time, so what may not be seen is at the end.
        let mut seen = leaves.len();
        while let Some(last) = seen.checked_sub(1).and_then(|last| leaves.get(last)) {
            if about(log, last)?.at <= span.end {
                break;
            }
            seen -= 1;
        }
        leaves.truncate(seen);
        let size = leaves.len() as u64;
        let to = to.unwrap_or(size).min(size).min(from.saturating_add(LEAVES_TOGETHER));
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        Ok(LogEntries { size, from, leaves: leaves.into_iter().skip(skipped).take(wanted).collect() })
    }

    /// That a run, or a decision in the company's own log, is in a log, against its newest checkpoint.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for one that was not made in the span; [`StoreError::Corrupt`] as for [`EvidenceReader::entries`].
    pub async fn proof(&self, log: &LogId, id: &str, span: Window) -> Result<Proved, StoreError> {
        let leaves = self.store.leaves(log).await?;
        let mut found = None;
        for (index, data) in (0_u64..).zip(&leaves) {
            let About { at, id: of } = about(log, data)?;
            if of.as_deref() == Some(id) && at <= span.end {
                found = Some((index, data.clone()));
            }
        }
        let (leaf_index, data) = found.ok_or(StoreError::NotFound { record: "entry of this log" })?;
        let signed = self.store.kept_checkpoint(log).await?.filter(|kept| kept.size > leaf_index);
        let Some(checkpoint) = signed else { return Ok(Proved::NotSigned { leaf_index }) };
        let covered = usize::try_from(checkpoint.size).unwrap_or(usize::MAX);
        let tree = Tree::of(leaves.iter().take(covered).map(|data| leaf_hash(data.as_bytes())));
        let path = tree.inclusion_path(leaf_index).filter(|_| tree.size() == checkpoint.size);
        let leaf_path = path.ok_or_else(|| StoreError::Corrupt {
            record: "evidence log",
            reason: "it is shorter than its newest checkpoint".to_owned(),
        })?;
        Ok(Proved::Proof(LogProof { leaf_index, data, leaf_path, checkpoint }))
    }

    /// The key that checks what this stack signs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] before anything was signed.
    pub async fn log_key(&self) -> Result<VerifierKey, StoreError> {
        let kept = self.store.log_key().await?.ok_or(StoreError::NotFound { record: "key of the log" })?;
        VerifierKey::parse(&kept.key)
            .map_err(|error| StoreError::Corrupt { record: "key of the evidence log", reason: error.to_string() })
    }
}

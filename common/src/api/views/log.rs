//! The evidence log.

use crate::app::evidence::{LogEntries, LogProof};
use crate::domain::log::Hash;
use crate::domain::note::VerifierKey;
use serde::Serialize;

/// Leaves of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntryList {
    /// How many leaves the log has, as far as the caller may see.
    pub size: u64,
    /// The leaves, in order.
    pub items: Vec<LogEntryView>,
    /// `from` of the next page, if there are more.
    pub next_from: Option<u64>,
}

/// A leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntryView {
    /// Its number.
    pub leaf_index: u64,
    /// Its data: the text that is hashed, byte for byte (RFC 8785).
    pub data: String,
}

impl From<LogEntries> for LogEntryList {
    fn from(LogEntries { size, from, leaves }: LogEntries) -> Self {
        let items: Vec<_> = (from..).zip(leaves).map(|(leaf_index, data)| LogEntryView { leaf_index, data }).collect();
        let next = from.saturating_add(items.len() as u64);
        Self { size, next_from: (next < size && !items.is_empty()).then_some(next), items }
    }
}

/// That a leaf is in a log (RFC 6962), against its newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogProofAnswer {
    /// The number of the leaf.
    pub leaf_index: u64,
    /// Its data: the text that is hashed, byte for byte.
    pub data: String,
    /// The size of the tree that the path is of.
    pub size: u64,
    /// From the leaf to the root, in base64.
    pub leaf_path: Vec<Hash>,
    /// The signed checkpoint of that tree.
    pub checkpoint: String,
}

impl From<LogProof> for LogProofAnswer {
    fn from(LogProof { leaf_index, data, leaf_path, checkpoint }: LogProof) -> Self {
        Self { leaf_index, data, size: checkpoint.size, leaf_path, checkpoint: checkpoint.note }
    }
}

/// The key that checks checkpoints and packs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogKeyAnswer {
    /// `name+hash+base64`.
    pub key: String,
    /// The name of the log.
    pub log: String,
}

impl From<VerifierKey> for LogKeyAnswer {
    fn from(key: VerifierKey) -> Self {
        Self { key: key.to_string(), log: key.name().to_owned() }
    }
}

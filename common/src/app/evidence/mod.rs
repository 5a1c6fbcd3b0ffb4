//! Evidence as it is read: the latest, over time, and the controls that it supports. What "the evidence of a client" means is decided here.

mod controls;
mod history;
mod latest;

pub use controls::{Controls, Support, SupportedControl};
pub use history::{History, HistoryValue};
pub use latest::Evidence;

use crate::clock::Clock;
use crate::store::{Store, StoreError};
use std::sync::Arc;

/// Reads evidence. It can neither read credentials nor change anything.
pub struct EvidenceReader {
    /// Connections and evidence.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why evidence could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bundle that was committed, and that this version does not understand.
    #[error("the evidence of run {run} cannot be read: {source}")]
    Unreadable {
        /// The run that committed it.
        run: crate::domain::id::RunId,
        /// Where it is not as expected.
        source: serde_json::Error,
    },
}

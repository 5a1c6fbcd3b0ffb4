//! Evidence as it is read: the latest, over time, and the controls that it supports. What "the evidence of a client" means is decided here.

mod audit_log;
mod controls;
mod coverage;
mod explain;
mod facts_used;
mod forecast;
mod history;
mod latest;
mod log;
mod now;
mod overview;
mod portfolio;
mod status;
mod what_if;
mod window;

pub use audit_log::AuditPage;
pub use controls::{Controls, Support, SupportedControl};
pub use coverage::AttestedCoverage;
pub use explain::{AgentLimitsUsed, ExplainedEvidence};
pub use facts_used::QuestionError;
pub use forecast::ForecastAnswer;
pub use history::{History, HistoryRequest, HistoryValue};
pub use latest::Evidence;
pub use log::{LEAVES_TOGETHER, LeafRange, LogEntries, LogProof, Proved};
pub use overview::{OverTime, Overview, Point};
pub use portfolio::{ClientRow, Portfolio, Urgency};
pub use status::{RuleResult, Statuses};
pub use what_if::{WhatIf, WhatIfAnswer, WhatIfRow, WhatIfSide};
pub use window::WindowError;

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

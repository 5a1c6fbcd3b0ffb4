//! One number over time.

use super::latest::bundle;
use super::{EvidenceError, EvidenceReader};
use crate::domain::evidence::{EdrBundle, Metric};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::product::Product;
use crate::store::EvidenceOwner;
use chrono::{DateTime, TimeDelta, Utc};

/// The evidence of a year is read where no instant is given.
const YEAR: TimeDelta = TimeDelta::days(365);

/// The values of a metric, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// A value for each piece of evidence that has the metric.
    pub values: Vec<HistoryValue>,
    /// Pieces of evidence in that time, with the metric or without it.
    pub pieces: usize,
}

/// A value, and the evidence that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryValue {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The value, or why there is none.
    pub metric: Metric,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
}

impl EvidenceReader {
    /// The values of a metric of an owner, `from` a year before `to` and `to` now where they are not given.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn history(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        metric: &str,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Result<History, EvidenceError> {
        let to = to.unwrap_or_else(|| self.clock.now());
        let from = from.unwrap_or(to - YEAR);
        let stored = self.store.history(company, owner, Product::Edr, from, to).await?;
        let mut values = Vec::with_capacity(stored.len());
        for evidence in &stored {
            let bundle: EdrBundle = bundle(evidence)?;
            if let Some(metric) = bundle.metric(metric) {
                values.push(HistoryValue {
                    as_of: evidence.as_of,
                    metric: metric.clone(),
                    connection: evidence.connection.clone(),
                    run_id: evidence.run_id.clone(),
                });
            }
        }
        Ok(History { values, pieces: stored.len() })
    }
}

//! One number over time.

use super::latest::bundle;
use super::{EvidenceError, EvidenceReader, Span};
use crate::domain::evidence::{EdrBundle, Metric};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use crate::domain::sat::signal::Signal;
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, TimeDelta, Utc};

/// The evidence of a year is read where no instant is given.
const YEAR: TimeDelta = TimeDelta::days(365);

/// The values of a number, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// A value for each piece of evidence that has the number.
    pub values: Vec<HistoryValue>,
    /// Pieces of evidence in that time, with the number or without it.
    pub pieces: usize,
}

/// A value, and the evidence that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryValue {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The value as text; `None` with a reason.
    pub value: Option<String>,
    /// Why there is no value.
    pub reason: Option<String>,
    /// The unit, e.g. `devices`, `%` or `hours`; empty for a count without one.
    pub unit: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
    /// Whether it is from before the evidence log.
    pub unlogged: bool,
}

impl EvidenceReader {
    /// The values of a number of an owner, `from` a year before `to` and `to` now where they are not given, within a span: a metric by its key, as
    /// `agents_total`, or a value of a signal, as `workforce_coverage.coverage_pct`.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn history(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        key: &str,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        span: Span,
    ) -> Result<History, EvidenceError> {
        let to = to.unwrap_or_else(|| self.clock.now());
        let from = from.unwrap_or_else(|| to.checked_sub_signed(YEAR).unwrap_or(DateTime::<Utc>::MIN_UTC));
        let Span { from, to } = Span { from, to }.within(span);
        let product = if key.contains('.') { Product::Sat } else { Product::Edr };
        let stored = if from <= to { self.store.history(company, owner, product, from, to).await? } else { Vec::new() };
        let mut values = Vec::with_capacity(stored.len());
        for evidence in &stored {
            values.extend(match key.split_once('.') {
                None => of_metric(evidence, key)?,
                Some((signal, value)) => of_signal(evidence, signal, value)?,
            });
        }
        Ok(History { values, pieces: stored.len() })
    }
}

fn of_metric(evidence: &StoredEvidence, key: &str) -> Result<Option<HistoryValue>, EvidenceError> {
    let bundle: EdrBundle = bundle(evidence)?;
    Ok(bundle.metric(key).map(|Metric { metric_value, reason, unit, .. }| HistoryValue {
        as_of: evidence.as_of,
        value: metric_value.clone(),
        reason: reason.map(|reason| reason.to_string()),
        unit: unit.clone(),
        connection: evidence.connection.clone(),
        run_id: evidence.run_id.clone(),
        unlogged: evidence.leaf.is_none(),
    }))
}

fn of_signal(evidence: &StoredEvidence, key: &str, name: &str) -> Result<Option<HistoryValue>, EvidenceError> {
    let bundle: SatBundle = bundle(evidence)?;
    let signal = bundle.signals.iter().find(|signal| signal.signal_key.as_str() == key);
    Ok(signal.and_then(|signal| {
        let value = value_of(signal, name)?;
        Some(HistoryValue {
            as_of: evidence.as_of,
            reason: signal.reason.filter(|_| value.is_none()).map(|reason| reason.to_string()),
            value,
            unit: if name.ends_with("_pct") { "%".to_owned() } else { String::new() },
            connection: evidence.connection.clone(),
            run_id: evidence.run_id.clone(),
            unlogged: evidence.leaf.is_none(),
        })
    }))
}

/// A value of a signal by its name, as text; the inner one is `None` where it is null.
fn value_of(signal: &Signal, name: &str) -> Option<Option<String>> {
    if name == "status" {
        return Some(Some(signal.status.to_string()));
    }
    let values = serde_json::to_value(&signal.values).ok()?;
    Some(match values.get(name)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    })
}

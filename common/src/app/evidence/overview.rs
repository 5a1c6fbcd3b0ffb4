//! Everything that a page about one client shows: its newest evidence, the rules in force and what they said, and the values of the last days.

use super::latest::bundle;
use super::now::AroundClient;
use super::{Evidence, EvidenceError, EvidenceReader, Span, Statuses};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::policy::InForce;
use crate::domain::product::Product;
use crate::domain::sat::signal::Signal;
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A client at an instant, and what led there.
pub struct Overview {
    /// What the rules said of the newest evidence.
    pub statuses: Statuses,
    /// The rules in force.
    pub in_force: InForce,
    /// The newest evidence of each connection.
    pub latest: Vec<Evidence>,
    /// The values of each piece of evidence of the last days, oldest first.
    pub points: Vec<Point>,
    /// The instant that it is told for.
    pub at: DateTime<Utc>,
}

/// The values of one piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The product.
    pub product: Product,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
    /// Metrics by key, values of signals as `workforce_coverage.coverage_pct`; those alone that are known.
    pub values: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct MetricOf {
    metric_key: String,
    metric_value: Option<String>,
}

#[derive(Deserialize)]
struct ValuesOf {
    #[serde(default)]
    metrics: Vec<MetricOf>,
    #[serde(default)]
    extended_metrics: Vec<MetricOf>,
    #[serde(default)]
    signals: Vec<Signal>,
}

impl Point {
    /// The values of a piece of evidence.
    ///
    /// # Errors
    /// [`EvidenceError::Unreadable`]
    pub fn of(stored: &StoredEvidence) -> Result<Self, EvidenceError> {
        let ValuesOf { metrics, extended_metrics, signals } = bundle(stored)?;
        let metrics = metrics.into_iter().chain(extended_metrics);
        let mut values: BTreeMap<String, String> =
            metrics.filter_map(|metric| Some((metric.metric_key, metric.metric_value?))).collect();
        for signal in &signals {
            let Ok(serde_json::Value::Object(of_signal)) = serde_json::to_value(&signal.values) else { continue };
            for (name, value) in of_signal {
                let text = match value {
                    serde_json::Value::Null => continue,
                    serde_json::Value::String(text) => text,
                    number => number.to_string(),
                };
                values.insert(format!("{}.{name}", signal.signal_key), text);
            }
        }
        let (connection, run_id) = (stored.connection.clone(), stored.run_id.clone());
        Ok(Self { as_of: stored.as_of, product: stored.product, connection, run_id, values })
    }
}

impl EvidenceReader {
    /// A client at the end of a span, with the values of `days` before it: three reads of the table for the newest evidence, and three for the days of each
    /// connection that has given some.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn overview(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Span,
        days: u16,
    ) -> Result<Overview, EvidenceError> {
        let around = self.around_client(company, client, None, span).await?;
        let (owner, at) = (EvidenceOwner::Client(client.clone()), around.at);
        let until = span.to.min(self.believed_until());
        let from = at.checked_sub_signed(TimeDelta::days(days.into())).map_or(span.from, |from| from.max(span.from));
        // What is newest says which connections have given anything at all.
        let series: Vec<_> = around.evidence.iter().map(|it| (it.product, it.connection.clone())).collect();
        let history = self.store.history_of(company, &owner, &series, (from, until)).await?;
        let points = history.iter().map(Point::of).collect::<Result<Vec<_>, _>>()?;
        let statuses = Statuses::of_client(client, &around, self.store.calendar())?;
        let AroundClient { connections, evidence, ahead, in_force, .. } = around;
        let latest = self.with_connections(evidence, &ahead, &connections, span);
        Ok(Overview { statuses, in_force, latest, points, at })
    }
}

//! Everything that a page about one client shows: its newest evidence, the rules in force and what they said; and the values of some days.

use super::latest::bundle;
use super::now::AroundClient;
use super::{Evidence, EvidenceError, EvidenceReader, Statuses};
use crate::domain::calendar::Calendar;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::policy::{InForce, Outcome};
use crate::domain::portfolio::Trend;
use crate::domain::product::Product;
use crate::domain::sat::signal::Signal;
use crate::domain::time::Window;
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A client at an instant.
pub struct Overview {
    /// What the rules said of the newest evidence.
    pub statuses: Statuses,
    /// The rules in force.
    pub in_force: InForce,
    /// The newest evidence of each connection.
    pub latest: Vec<Evidence>,
    /// The outcomes of the last 30 days by product, oldest first, the worst of its connections; `None` for a day without evidence. Empty where that takes
    /// reading the days themselves.
    pub days: BTreeMap<Product, Vec<(NaiveDate, Option<Outcome>)>>,
    /// The instant that it is told for.
    pub at: DateTime<Utc>,
}

/// The values of a client over some days.
pub struct OverTime {
    /// The rules in force at their end.
    pub in_force: InForce,
    /// The values of each piece of evidence, oldest first.
    pub points: Vec<Point>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
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
    /// A client at the end of a span: three reads of the table.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn overview(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<Overview, EvidenceError> {
        let around = self.around_client(company, client, None, span).await?;
        let (calendar, at) = (self.store.calendar(), around.at);
        let statuses = Statuses::of_client(client, &around, calendar)?;
        let AroundClient { connections, evidence, ahead, trends, in_force, .. } = around;
        let mut merged: BTreeMap<Product, Trend> = BTreeMap::new();
        trends.iter().for_each(|(product, trend)| merged.entry(*product).or_default().merge(trend));
        let days = merged.into_iter().map(|(product, trend)| (product, days_of(&trend, calendar, span, at)));
        let days = days.filter(|(_, days)| days.iter().any(|(_, outcome)| outcome.is_some())).collect();
        let latest = self.with_connections(evidence, &ahead, &connections, span);
        Ok(Overview { statuses, in_force, latest, days, at })
    }

    /// The values of so many days of a client up to the end of a span: three reads of the table, one for each connection, and those of commits and leaves, of
    /// all connections together.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn over_time(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
        days: u16,
    ) -> Result<OverTime, EvidenceError> {
        let around = self.around_client(company, client, None, span).await?;
        let (owner, at, calendar) = (EvidenceOwner::Client(client.clone()), around.at, self.store.calendar());
        let to = calendar.day_of(at);
        let from = to.checked_sub_days(Days::new(u64::from(days).saturating_sub(1))).unwrap_or(to);
        let from = first_day(calendar, span).map_or(from, |first| from.max(first)).min(to);
        // What is newest says which connections have given anything at all.
        let series: Vec<_> = around.evidence.iter().map(|it| (it.product, it.connection.clone())).collect();
        let believed = span.until(Some(self.believed_until()));
        let window = Window { start: calendar.start_of(from).max(span.start), ..believed };
        let history = self.store.history_of(company, &owner, &series, window).await?;
        let points = history.iter().map(Point::of).collect::<Result<Vec<_>, _>>()?;
        Ok(OverTime { in_force: around.in_force, points, from, to, at })
    }
}

/// The first day that a span has, if it has one.
fn first_day(calendar: &Calendar, span: Window) -> Option<NaiveDate> {
    (span.start > Window::ALL.start).then(|| calendar.first_day_from(span.start))
}

/// The last days of a trend, without those that begin before a span.
fn days_of(trend: &Trend, calendar: &Calendar, span: Window, at: DateTime<Utc>) -> Vec<(NaiveDate, Option<Outcome>)> {
    let (first, last) = (first_day(calendar, span), calendar.day_of(at));
    let line = trend.line(last);
    let days = (0..line.len() as u64).rev().map(|back| last.checked_sub_days(Days::new(back)).unwrap_or(last));
    days.zip(line).filter(|(day, _)| first.is_none_or(|first| *day >= first)).collect()
}

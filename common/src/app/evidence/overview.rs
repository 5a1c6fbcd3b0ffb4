//! Everything that a page about one client shows: its newest evidence, the rules in force and what they said, and the values of the last days.

use super::latest::bundle;
use super::status::Around;
use super::{Evidence, EvidenceError, EvidenceReader, Span, Statuses};
use crate::app::decisions::{policies_at, sorted};
use crate::domain::connection::Connection;
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
    /// A client at the end of a span, with the values of `days` before it.
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
        let owner = EvidenceOwner::Client(client.clone());
        let at = span.to.min(self.clock.now());
        let until = span.to.min(self.believed_until());
        let from = at.checked_sub_signed(TimeDelta::days(days.into())).map_or(span.from, |from| from.max(span.from));
        let store = &self.store;
        // Nothing of it waits for anything else.
        let (connections, policies, decisions, edr, sat) = tokio::try_join!(
            store.connections(company),
            policies_at(store, company, at),
            store.decisions(company, Some(client)),
            store.history(company, &owner, Product::Edr, from, span.to),
            store.history(company, &owner, Product::Sat, from, span.to),
        )?;
        // What a wrong clock has dated ahead is told, and passed over.
        let (mut history, ahead): (Vec<StoredEvidence>, Vec<StoredEvidence>) =
            edr.into_iter().chain(sat).partition(|stored| stored.as_of <= until);
        history.sort_by(|one, other| (one.as_of, &one.connection).cmp(&(other.as_of, &other.connection)));
        let points = history.iter().map(Point::of).collect::<Result<Vec<_>, _>>()?;
        let mut newest: BTreeMap<(Product, ConnectionId), StoredEvidence> = BTreeMap::new();
        // What is older than the days that are asked for is still the newest of its connection.
        if history.is_empty() || connections.iter().any(|it| is_silent(it, client, &history)) {
            for stored in store.latest_between(company, &owner, None, span.from, until).await? {
                newest.insert((stored.product, stored.connection.clone()), stored);
            }
        }
        for stored in history {
            newest.insert((stored.product, stored.connection.clone()), stored);
        }
        let latest: Vec<StoredEvidence> = newest.into_values().collect();
        let in_force = policies.of(Some(client));
        let around = Around { connections: &connections, in_force: &in_force, calendar: self.store.calendar(), at };
        let statuses = Statuses::of_latest(client, latest.clone(), &around, sorted(decisions))?;
        let of = |id: &ConnectionId| connections.iter().find(|connection| connection.id == *id).cloned();
        let latest = latest.into_iter().map(|stored| {
            let same = |later: &&StoredEvidence| later.connection == stored.connection;
            let dated_ahead = ahead.iter().filter(same).map(|later| later.as_of).max();
            Evidence { connection: of(&stored.connection), stored, read_at: at, dated_ahead }
        });
        Ok(Overview { statuses, in_force, latest: latest.collect(), points, at })
    }
}

/// Whether a connection of the client has given evidence, and none of these.
fn is_silent(connection: &Connection, client: &ClientId, history: &[StoredEvidence]) -> bool {
    connection.mapping.clients().contains(client)
        && connection.last_success_at.is_some()
        && !history.iter().any(|stored| stored.connection == connection.id)
}

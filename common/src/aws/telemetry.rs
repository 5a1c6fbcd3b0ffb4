//! Metrics of the functions: lines of CloudWatch's embedded metric format beside the log, so that they cost no request.
//!
//! A dimension is paid for by its values, and everybody who may see the dashboard sees them. So there are three with closed sets
//! of values: `Service` (the stack), `Product` and `Outcome`. No company, client or connection is in a metric.

use crate::app::runs::freshness::Freshness;
use crate::app::runs::plan::Planned;
use crate::app::runs::reconcile::Reconciled;
use crate::domain::product::Product;
use crate::domain::run::{Run, RunStatus};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::io::Write;

/// Where CloudWatch lists the metrics.
pub const NAMESPACE: &str = "HuntressEvidence";

/// A place for metrics, in the name of one service.
pub struct Telemetry {
    service: String,
    sink: Box<dyn Fn(&str) + Send + Sync>,
}

/// Values that share their dimensions.
struct Group {
    dimensions: &'static [&'static str],
    values: Vec<(&'static str, Unit, u64)>,
}

#[derive(Clone, Copy)]
enum Unit {
    Count,
    Milliseconds,
}

impl Telemetry {
    /// Metrics of `service`, whose lines go to `sink` one by one, without their line ends.
    #[must_use]
    pub fn new(service: impl Into<String>, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { service: service.into(), sink: Box::new(sink) }
    }

    /// Metrics on stdout, from where Lambda takes them to CloudWatch.
    #[must_use]
    pub fn on_stdout(service: impl Into<String>) -> Self {
        // In one write, as the log does it: lines of both do not mix. A log that cannot be written ends no run.
        Self::new(service, |line| drop(std::io::stdout().lock().write_all(format!("{line}\n").as_bytes())))
    }

    /// No metrics: on one machine nobody collects them.
    #[must_use]
    pub fn none() -> Self {
        Self::new("", |_| {})
    }

    /// A tick that was planned to its end: `Ticks` is what the alarm on a missed morning waits for. [`Telemetry::reconciled`] counts none, so that the
    /// alarm hears each hour that there was none, and of a new stack nothing.
    pub fn ticked(&self, at: DateTime<Utc>, planned: Planned, freshness: Option<Freshness>) {
        let mut values = vec![
            ("Ticks", Unit::Count, 1),
            ("ConnectionsDue", Unit::Count, count(planned.due)),
            ("RunsStarted", Unit::Count, count(planned.new)),
        ];
        if let Some(freshness) = freshness {
            values.push(("Connections", Unit::Count, count(freshness.scheduled)));
            values.push(("StaleConnections", Unit::Count, count(freshness.stale)));
            values.push(("RefusedConnections", Unit::Count, count(freshness.refused)));
            values.push(("ExpiringCredentials", Unit::Count, count(freshness.expiring)));
        }
        self.write(at, &[], &[Group { dimensions: &["Service"], values }]);
    }

    /// Runs that did not end in time, and what was done about them.
    pub fn reconciled(&self, at: DateTime<Utc>, reconciled: Reconciled) {
        let values = vec![
            ("Ticks", Unit::Count, 0),
            ("RunsStalled", Unit::Count, count(reconciled.stalled)),
            ("RunsResent", Unit::Count, count(reconciled.resent)),
            ("RunsAbandoned", Unit::Count, count(reconciled.abandoned)),
        ];
        self.write(at, &[], &[Group { dimensions: &["Service"], values }]);
    }

    /// A run that a worker left: it ended, or waits to go on. Duration, requests and records are counted once, at its end.
    ///
    /// `refused_anew` says that Huntress refused the credential, and had not refused the connection's run before: who tries a bad key again and again
    /// is one auth failure.
    pub fn worked(&self, at: DateTime<Utc>, product: Product, run: &Run, refused_anew: bool) {
        let (ended, failed) = (run.status.is_final(), run.status == RunStatus::Failed);
        let mut groups = vec![
            Group { dimensions: &["Service", "Product", "Outcome"], values: vec![("Runs", Unit::Count, 1)] },
            Group {
                dimensions: &["Service"],
                values: vec![
                    ("AuthFailures", Unit::Count, u64::from(refused_anew)),
                    ("RunsEnded", Unit::Count, u64::from(ended)),
                    ("RunsFailed", Unit::Count, u64::from(failed)),
                ],
            },
        ];
        if let (Some(start), Some(end)) = (run.as_of, run.finished_at) {
            let duration_ms = u64::try_from(end.signed_duration_since(start).num_milliseconds()).unwrap_or(0);
            groups.push(Group {
                dimensions: &["Service", "Product"],
                values: vec![
                    ("RunDuration", Unit::Milliseconds, duration_ms),
                    ("Requests", Unit::Count, run.api_calls),
                    ("Records", Unit::Count, run.records.values().sum()),
                ],
            });
        }
        self.write(at, &[("Product", product.as_str()), ("Outcome", &run.status.to_string())], &groups);
    }

    /// Messages that a worker gave back to the queue, because something did not answer.
    pub fn returned(&self, at: DateTime<Utc>, messages: usize) {
        let values = vec![("MessagesReturned", Unit::Count, count(messages))];
        self.write(at, &[], &[Group { dimensions: &["Service"], values }]);
    }

    fn write(&self, at: DateTime<Utc>, dimensions: &[(&str, &str)], groups: &[Group]) {
        let mut line = Map::new();
        // Lambda's log filter reads these two of every line.
        line.insert("timestamp".to_owned(), json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)));
        line.insert("level".to_owned(), json!("INFO"));
        line.insert("Service".to_owned(), json!(self.service));
        for (name, value) in dimensions {
            line.insert((*name).to_owned(), json!(value));
        }
        let directives = groups.iter().map(directive).collect::<Value>();
        for (name, _, value) in groups.iter().flat_map(|group| &group.values) {
            line.insert((*name).to_owned(), json!(value));
        }
        let meta = json!({"Timestamp": at.timestamp_millis(), "CloudWatchMetrics": directives});
        line.insert("_aws".to_owned(), meta);
        (self.sink)(&Value::Object(line).to_string());
    }
}

fn directive(group: &Group) -> Value {
    let metric = |(name, unit, _): &(&str, Unit, u64)| {
        let unit = match unit {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
        };
        json!({"Name": name, "Unit": unit})
    };
    json!({
        "Namespace": NAMESPACE,
        "Dimensions": [group.dimensions],
        "Metrics": group.values.iter().map(metric).collect::<Value>(),
    })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_tick_is_one_line_that_defines_what_it_holds() {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let sink = Arc::clone(&lines);
        let telemetry = Telemetry::new("evidence-prod", move |line| sink.lock().unwrap().push(line.to_owned()));
        let at = parse("2026-03-22T11:00:01Z").unwrap();
        let planned = Planned { due: 3, new: 2, joined: 1, passed_over: 0 };
        telemetry.ticked(at, planned, Some(Freshness { scheduled: 4, stale: 1, refused: 2, expiring: 3 }));
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["_aws"]["Timestamp"], json!(1_774_177_201_000_i64));
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "HuntressEvidence");
        assert_eq!(directive["Dimensions"], json!([["Service"]]));
        let named: Vec<_> = directive["Metrics"].as_array().unwrap().iter().map(|metric| &metric["Name"]).collect();
        let names = [
            "Ticks",
            "ConnectionsDue",
            "RunsStarted",
            "Connections",
            "StaleConnections",
            "RefusedConnections",
            "ExpiringCredentials",
        ];
        assert_eq!(named, names);
        let values: Vec<_> = named.iter().map(|name| line[name.as_str().unwrap()].clone()).collect();
        assert_eq!(values, [json!(1), json!(3), json!(2), json!(4), json!(1), json!(2), json!(3)]);
        assert_eq!(line["Service"], "evidence-prod");
        assert!(!lines[0].contains('\n'));
    }
}

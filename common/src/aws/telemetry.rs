//! Metrics of the functions: lines of CloudWatch's embedded metric format beside the log, so that they cost no request.

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
pub(crate) struct Group {
    pub dimensions: &'static [&'static str],
    pub values: Vec<Metric>,
}

/// A value of a metric.
pub(crate) struct Metric {
    pub name: &'static str,
    pub unit: Unit,
    pub value: u64,
}

impl Metric {
    /// A number of things.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, unit: Unit::Count, value }
    }
}

/// The value of a dimension of one line.
pub(crate) struct Dimension<'a> {
    pub name: &'static str,
    pub value: &'a str,
}

#[derive(Clone, Copy)]
pub(crate) enum Unit {
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

    /// Writes one line: values at an instant, by group.
    pub(crate) fn write(&self, at: DateTime<Utc>, dimensions: &[Dimension<'_>], groups: &[Group]) {
        let mut line = Map::new();
        // Lambda's log filter reads these two of every line.
        line.insert("timestamp".to_owned(), json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)));
        line.insert("level".to_owned(), json!("INFO"));
        line.insert("Service".to_owned(), json!(self.service));
        for Dimension { name, value } in dimensions {
            line.insert((*name).to_owned(), json!(value));
        }
        let directives = groups.iter().map(directive).collect::<Value>();
        for Metric { name, value, .. } in groups.iter().flat_map(|group| &group.values) {
            line.insert((*name).to_owned(), json!(value));
        }
        let meta = json!({"Timestamp": at.timestamp_millis(), "CloudWatchMetrics": directives});
        line.insert("_aws".to_owned(), meta);
        (self.sink)(&Value::Object(line).to_string());
    }
}

fn directive(group: &Group) -> Value {
    let metric = |Metric { name, unit, .. }: &Metric| {
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

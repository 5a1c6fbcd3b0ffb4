//! What the functions measure of ticks and runs.
//!
//! A dimension is paid for by its values, and everybody who may see the dashboard sees them. So there are three with closed sets
//! of values: `Service` (the stack), `Product` and `Outcome`. No company, client or connection is in a metric.

use super::freshness::Freshness;
use super::plan::Planned;
use super::reconcile::Reconciled;
use crate::aws::telemetry::{Dimension, Group, Metric, Telemetry, Unit};
use crate::domain::product::Product;
use crate::domain::run::{Run, RunStatus};
use chrono::{DateTime, Utc};

impl Telemetry {
    /// A tick that was planned to its end: `Ticks` is what the alarm on a missed morning waits for. [`Telemetry::reconciled`] counts none, so that the
    /// alarm hears each hour that there was none, and of a new stack nothing.
    pub fn ticked(&self, at: DateTime<Utc>, planned: Planned, freshness: Option<Freshness>) {
        let mut values = vec![
            Metric::count("Ticks", 1),
            counted("ConnectionsDue", planned.due),
            counted("RunsStarted", planned.new),
        ];
        if let Some(freshness) = freshness {
            values.push(counted("Connections", freshness.scheduled));
            values.push(counted("StaleConnections", freshness.stale));
            values.push(counted("RefusedConnections", freshness.refused));
            values.push(counted("ExpiringCredentials", freshness.expiring));
        }
        self.write(at, &[], &[Group { dimensions: &["Service"], values }]);
    }

    /// Runs that did not end in time, and what was done about them.
    pub fn reconciled(&self, at: DateTime<Utc>, reconciled: Reconciled) {
        let values = vec![
            Metric::count("Ticks", 0),
            counted("RunsStalled", reconciled.stalled),
            counted("RunsResent", reconciled.resent),
            counted("RunsAbandoned", reconciled.abandoned),
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
            Group { dimensions: &["Service", "Product", "Outcome"], values: vec![Metric::count("Runs", 1)] },
            Group {
                dimensions: &["Service"],
                values: vec![
                    Metric::count("AuthFailures", u64::from(refused_anew)),
                    Metric::count("RunsEnded", u64::from(ended)),
                    Metric::count("RunsFailed", u64::from(failed)),
                ],
            },
        ];
        if let (Some(start), Some(end)) = (run.as_of, run.finished_at) {
            let duration_ms = u64::try_from(end.signed_duration_since(start).num_milliseconds()).unwrap_or(0);
            groups.push(Group {
                dimensions: &["Service", "Product"],
                values: vec![
                    Metric { name: "RunDuration", unit: Unit::Milliseconds, value: duration_ms },
                    Metric::count("Requests", run.api_calls),
                    Metric::count("Records", run.records.values().sum()),
                ],
            });
        }
        let outcome = run.status.to_string();
        let product = Dimension { name: "Product", value: product.as_str() };
        self.write(at, &[product, Dimension { name: "Outcome", value: &outcome }], &groups);
    }

    /// Messages that a worker gave back to the queue, because something did not answer.
    pub fn returned(&self, at: DateTime<Utc>, messages: usize) {
        let values = vec![counted("MessagesReturned", messages)];
        self.write(at, &[], &[Group { dimensions: &["Service"], values }]);
    }
}

fn counted(name: &'static str, number: usize) -> Metric {
    Metric::count(name, u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
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
        let defined = directive["Metrics"].as_array().unwrap();
        let values: BTreeMap<&str, u64> = defined
            .iter()
            .map(|metric| metric["Name"].as_str().unwrap())
            .map(|name| (name, line[name].as_u64().unwrap()))
            .collect();
        let expected = [
            ("Ticks", 1),
            ("ConnectionsDue", 3),
            ("RunsStarted", 2),
            ("Connections", 4),
            ("StaleConnections", 1),
            ("RefusedConnections", 2),
            ("ExpiringCredentials", 3),
        ];
        assert_eq!((values, defined.len()), (expected.into(), expected.len()));
        assert_eq!(line["Service"], "evidence-prod");
        assert!(!lines[0].contains('\n'));
    }
}

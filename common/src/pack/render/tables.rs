//! The tables. Names of columns are those of the fields.

use super::status::{limit, states, supported};
use crate::domain::decisions::{Decision, ExceptionHistory, ExceptionSubject};
use crate::pack::contents::{Contents, PackedBundle};
use crate::pack::csv::Table;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands before every row that comes from a bundle.
fn of_bundle(bundle: &PackedBundle) -> Vec<String> {
    vec![instant(bundle.as_of()), bundle.product.to_string(), bundle.connection.to_string(), bundle.run().to_string()]
}

const OF_BUNDLE: [&str; 4] = ["as_of", "product", "connection", "run_id"];

fn table(columns: &[&str]) -> Table {
    Table::new(&[&OF_BUNDLE, columns].concat())
}

/// A field as it is written in JSON, without the quotes of a text; nothing for null.
fn text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) | Err(_) => String::new(),
        Ok(other) => other.to_string(),
    }
}

fn field(value: &Value, name: &str) -> String {
    value.get(name).map(text).unwrap_or_default()
}

fn instant(at: chrono::DateTime<chrono::Utc>) -> String {
    text(&at)
}

/// What tables alone need of a bundle.
#[derive(Default, Deserialize)]
struct Part {
    #[serde(default)]
    findings: Value,
    #[serde(default)]
    metadata: MetadataPart,
}

#[derive(Default, Deserialize)]
struct MetadataPart {
    #[serde(default)]
    completeness: Value,
}

pub(super) fn metrics(contents: &Contents) -> Vec<u8> {
    let mut table = table(&["category", "metric_key", "metric_value", "reason", "metric_type", "unit"]);
    for bundle in &contents.bundles {
        for metric in bundle.view.metrics.iter().chain(&bundle.view.extended_metrics) {
            let mut row = of_bundle(bundle);
            row.extend([text(&metric.category), metric.metric_key.clone(), text(&metric.metric_value)]);
            row.extend([text(&metric.reason), text(&metric.metric_type), metric.unit.clone()]);
            table.row(&row);
        }
    }
    table.into_bytes()
}

pub(super) fn signals(contents: &Contents) -> Vec<u8> {
    let mut table = table(&["signal_key", "window_days", "status", "reason", "value_key", "value"]);
    for bundle in &contents.bundles {
        for signal in &bundle.view.signals {
            let values = signal.get("values").and_then(Value::as_object);
            for (key, value) in values.into_iter().flatten() {
                let mut row = of_bundle(bundle);
                row.extend(["signal_key", "window_days", "status", "reason"].map(|name| field(signal, name)));
                row.extend([key.clone(), text(value)]);
                table.row(&row);
            }
        }
    }
    table.into_bytes()
}

pub(super) fn verdicts(contents: &Contents) -> Vec<u8> {
    let mut table = table(&[
        "rule",
        "evidence",
        "metric",
        "outcome",
        "reason",
        "value",
        "limit_pass",
        "limit_warning",
        "policy",
        "version",
        "policy_sha256",
    ]);
    for bundle in &contents.bundles {
        for verdict in &bundle.view.verdicts {
            let mut row = of_bundle(bundle);
            row.extend([verdict.rule.to_string(), text(&verdict.evidence), verdict.metric.clone()]);
            row.extend([text(&verdict.outcome), text(&verdict.reason), text(&verdict.value)]);
            row.extend([limit(&verdict.limit.pass), verdict.limit.warning.as_ref().map(limit).unwrap_or_default()]);
            row.extend([verdict.policy.to_string(), verdict.version.to_string(), verdict.policy_sha256.clone()]);
            table.row(&row);
        }
    }
    table.into_bytes()
}

pub(super) fn findings(contents: &Contents) -> Vec<u8> {
    let columns = ["kind", "id", "organization_id", "severity", "since"];
    let mut table = table(&columns);
    for bundle in &contents.bundles {
        let Part { findings, .. } = bundle.read().unwrap_or_default();
        let items = findings.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let mut row = of_bundle(bundle);
            row.extend(columns.map(|name| field(item, name)));
            table.row(&row);
        }
    }
    table.into_bytes()
}

pub(super) fn completeness(contents: &Contents) -> Vec<u8> {
    let columns = [
        "list",
        "request",
        "pages",
        "records",
        "unique",
        "dropped",
        "first_observed_at",
        "last_observed_at",
        "whole",
        "expected",
        "matches",
    ];
    let mut table = table(&columns);
    for bundle in &contents.bundles {
        let Part { metadata, .. } = bundle.read().unwrap_or_default();
        for (list, read) in lists(&metadata.completeness) {
            let mut row = of_bundle(bundle);
            row.push(list);
            row.extend(columns.iter().skip(1).map(|name| field(read, name)));
            table.row(&row);
        }
    }
    table.into_bytes()
}

/// The lists of a completeness record: by name, or each with its own.
fn lists(completeness: &Value) -> Vec<(String, &Value)> {
    match completeness {
        Value::Object(lists) => lists.iter().map(|(name, read)| (name.clone(), read)).collect(),
        Value::Array(lists) => lists.iter().map(|read| (field(read, "list"), read)).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn controls(contents: &Contents) -> Vec<u8> {
    let mut table = Table::new(&[
        "framework",
        "version",
        "control",
        "title",
        "oscal_id",
        "strength",
        "rationale",
        "evidence",
        "as_of",
        "outcome",
        "freshness",
        "age_hours",
        "exception",
        "exception_until",
        "text",
    ]);
    let states = states(contents);
    for (control, state) in supported(contents, &states) {
        let oscal_id = control.oscal_id();
        let status = state.status(contents, Some(&oscal_id));
        let (exception, until) = match &status.exception {
            Some(exception) => (exception.id.clone(), instant(exception.until)),
            None => Default::default(),
        };
        table.row(&[
            control.framework,
            control.version,
            control.id,
            control.title.unwrap_or_default(),
            oscal_id,
            control.strength,
            control.rationale,
            state.evidence.as_str().to_owned(),
            instant(state.bundle.as_of()),
            text(&status.outcome),
            text(&status.freshness),
            text(&status.age_hours),
            exception,
            until,
            status.text,
        ]);
    }
    table.into_bytes()
}

pub(super) fn exceptions(contents: &Contents) -> Vec<u8> {
    let mut table = Table::new(&[
        "id",
        "client",
        "subject",
        "subject_id",
        "reason",
        "proposed_by",
        "at",
        "from",
        "until",
        "link",
        "state",
        "decided_by",
        "decided_at",
    ]);
    let ExceptionHistory { exceptions, reviews } = contents.exceptions();
    for exception in &exceptions {
        let (kind, subject) = match &exception.subject {
            ExceptionSubject::Rule(rule) => ("rule", rule.to_string()),
            ExceptionSubject::Control(control) => ("control", control.clone()),
            ExceptionSubject::Person(person) => ("person", person.to_string()),
        };
        let state = exception.state_at(&reviews, contents.scope.at);
        let last = reviews.iter().filter(|review| review.exception == exception.id).max_by_key(|review| review.at);
        table.row(&[
            exception.id.to_string(),
            exception.client.to_string(),
            kind.to_owned(),
            subject,
            exception.reason.clone(),
            exception.proposed_by.clone(),
            instant(exception.at),
            instant(exception.from),
            instant(exception.until),
            exception.link.clone().unwrap_or_default(),
            text(&state),
            last.map(|review| review.by.clone()).unwrap_or_default(),
            last.map(|review| instant(review.at)).unwrap_or_default(),
        ]);
    }
    table.into_bytes()
}

pub(super) fn attestations(contents: &Contents) -> Vec<u8> {
    let mut table = Table::new(&["id", "client", "key", "value", "source", "dated", "by", "at", "until"]);
    for decision in &contents.decisions {
        let Decision::Attestation(stated) = decision else { continue };
        table.row(&[
            stated.id.to_string(),
            stated.client.to_string(),
            stated.key.as_str().to_owned(),
            stated.value.to_string(),
            stated.source.clone(),
            stated.dated.to_string(),
            stated.by.clone(),
            instant(stated.at),
            instant(stated.until),
        ]);
    }
    table.into_bytes()
}

pub(super) fn audit_log(contents: &Contents) -> Vec<u8> {
    let columns =
        ["at", "company", "actor", "actor_kind", "action", "subject", "before", "after", "reason", "request_id"];
    let mut table = Table::new(&columns);
    for event in &contents.events {
        let event = serde_json::to_value(event).unwrap_or_default();
        table.row(&columns.map(|name| field(&event, name)));
    }
    table.into_bytes()
}

pub(super) fn window(contents: &Contents) -> Vec<u8> {
    let mut table = Table::new(&[
        "day",
        "connection",
        "product",
        "as_of",
        "run",
        "reason",
        "failure_code",
        "failure_request",
        "outcome",
        "unlogged",
    ]);
    for row in contents.audit_window().rows {
        table.row(&[
            row.day.to_string(),
            row.connection.to_string(),
            row.product.to_string(),
            text(&row.as_of),
            text(&row.run),
            text(&row.reason),
            row.failure.as_ref().map(|failure| text(&failure.code)).unwrap_or_default(),
            row.failure.as_ref().map(|failure| text(&failure.request)).unwrap_or_default(),
            text(&row.outcome),
            if row.unlogged { "true".to_owned() } else { String::new() },
        ]);
    }
    table.into_bytes()
}

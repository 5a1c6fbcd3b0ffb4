//! What commands print: tables for people, JSON for programs.

mod people;

pub use people::*;

use crate::outcome::CliError;
use comfy_table::presets;
use comfy_table::{CellAlignment, Table};
use common::domain::evidence::{EdrBundle, Metric};
use common::domain::guidance;
use common::domain::product::Product;
use common::domain::sat::bundle::SatBundle;
use common::domain::sat::signal::SignalValues;
use common::domain::text::{counted, is_hidden, name};
use serde::Serialize;
use std::io::Write;

/// Prints text to stdout, without what could change how a terminal shows the rest; a reader that has gone away is no fault.
pub fn text(text: &str) -> Result<(), CliError> {
    let shown: String = text.chars().filter(|c| *c == '\n' || !is_hidden(*c)).collect();
    print(&shown)
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::other(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), CliError> {
    let rendered =
        serde_json::to_string_pretty(value).map_err(|error| CliError::other(format!("cannot be written: {error}")))?;
    let mut escaped = String::with_capacity(rendered.len() + 1);
    for c in rendered.chars() {
        // JSON escapes the others itself; these can only be within its strings.
        if c != '\n' && is_hidden(c) {
            escaped += &format!("\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    print(&(escaped + "\n"))
}

/// An empty table in the style of all.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.to_vec());
    table
}

/// A value with its unit, or why there is none.
pub fn value(metric: &Metric) -> String {
    let reason = metric.reason.map(|reason| reason.to_string());
    measured(metric.metric_value.as_deref(), reason.as_deref(), &metric.unit)
}

/// The same of its parts.
pub fn measured(value: Option<&str>, reason: Option<&str>, unit: &str) -> String {
    match (value, reason) {
        (Some(value), _) if unit == "%" => format!("{value} %"),
        (Some(value), _) if unit == "hours" => format!("{value} h"),
        (Some(value), _) => value.to_owned(),
        (None, Some(reason)) => format!("unknown: {reason}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn category(metric: &Metric) -> &'static str {
    use common::domain::controls::Category::{AssetInventory, EndpointProtection, IncidentResponse};
    match metric.category {
        EndpointProtection => "endpoint protection",
        IncidentResponse => "incident response",
        AssetInventory => "asset inventory",
    }
}

/// A name on one line: what was committed by an earlier release may have more.
fn shown_name(given: Option<&str>) -> String {
    given.and_then(name).unwrap_or_else(|| "no name".to_owned())
}

/// The metrics of a bundle as a table, and how they came about.
pub fn metrics(bundle: &EdrBundle) -> String {
    let rows = |metrics: &[Metric]| {
        let mut table = table(&["category", "metric", "value"]);
        for metric in metrics {
            table.add_row([category(metric), &metric.metric_key, &value(metric)]);
        }
        if let Some(column) = table.column_mut(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    };
    let mut text = format!("{}\n\n{}\n", rows(&bundle.metrics), rows(&bundle.extended_metrics));
    let metadata = &bundle.metadata;
    let records = metadata.records_read;
    text += &format!(
        "\nas of {} · {}, {} ms · read {}, {}, {}\n",
        time(metadata.as_of),
        counted(metadata.api_calls_made, "request", "requests"),
        metadata.collection_duration_ms,
        counted(records.organizations, "organization", "organizations"),
        counted(records.agents, "agent", "agents"),
        counted(records.incident_reports, "incident report", "incident reports"),
    );
    let organizations = &metadata.organizations;
    if organizations.unmapped_total > 0 {
        let names = organizations.unmapped.iter().take(10);
        let names: Vec<String> = names.map(|org| format!("{} ({})", shown_name(org.name.as_deref()), org.id)).collect();
        let more = organizations.unmapped_total.saturating_sub(names.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!("unmapped organizations, in no client's evidence: {}{more}\n", names.join(", "));
    }
    if !organizations.missing.is_empty() {
        text += &format!("mapped organizations that the account does not list: {}\n", organizations.missing.join(", "));
    }
    for entry in &metadata.data_quality {
        text += &format!("data quality: {} × {}\n", entry.count, entry.detail);
    }
    text
}

/// The signals of a bundle as a table, and how they came about.
pub fn signals(bundle: &SatBundle) -> String {
    let mut table = table(&["signal", "status", "values", "window"]);
    for signal in &bundle.signals {
        let status = match signal.reason {
            Some(reason) => format!("{}: {reason}", signal.status),
            None => signal.status.to_string(),
        };
        let known =
            |value: &Option<String>| value.as_ref().map_or_else(|| "unknown".to_owned(), |value| format!("{value} %"));
        let values = match &signal.values {
            SignalValues::Coverage(values) => format!(
                "{} covered: {} trained of {} active, {} of them departed",
                known(&values.coverage_pct),
                values.distinct_trained_learners,
                values.active_learners,
                values.departed_trained_learners
            ),
            SignalValues::Phishing(values) => format!(
                "{} compromised, {} reported, of {} sent in {} campaigns",
                known(&values.compromise_rate_pct),
                known(&values.report_rate_pct),
                values.sent,
                values.campaigns
            ),
        };
        table.add_row([signal.signal_key.to_string(), status, values, format!("{} days", signal.window_days)]);
    }
    let metadata = &bundle.metadata;
    let records = metadata.records_read;
    let account = metadata.account.name.as_deref().and_then(name);
    let account = account.unwrap_or_else(|| metadata.account.id.to_string());
    let mut text = format!(
        "{table}\n\nas of {} · account {} · {}, {} ms · read {}, {}, {}, {}\n",
        time(metadata.as_of),
        account,
        counted(metadata.api_calls_made, "request", "requests"),
        metadata.collection_duration_ms,
        counted(records.assignments, "assignment", "assignments"),
        counted(records.learner_activity, "activity record", "activity records"),
        counted(records.learners, "learner", "learners"),
        counted(records.phishing_campaigns, "campaign", "campaigns"),
    );
    if let Some(people) = &bundle.people {
        text += &format!("people in {}: {}\n", ids(&people.assignments), summary(&people.summary));
        if people.truncated {
            text += "the activity of an assignment was cut at its cap, so nobody enrolled in it changed; raise --max-activity\n";
        }
        if !people.missing_assignments.is_empty() {
            text += &format!("selected, but no longer listed by Huntress: {}\n", ids(&people.missing_assignments));
        }
    }
    for list in &metadata.truncated_lists {
        text += &format!("cut at the cap of {}: {} ({})\n", list.cap, list.list.as_str(), list.lists);
    }
    if let Some(warning) = &metadata.rate_limit_warning {
        text += &format!("only {} requests were left: {}\n", warning.lowest_remaining, warning.advice);
    }
    for entry in &metadata.data_quality {
        text += &format!("data quality: {} × {}\n", entry.count, entry.detail);
    }
    for trouble in bundle.signals.iter().filter_map(|signal| signal.reason).filter_map(guidance::about_reason) {
        text += &format!("{}: {}\n", trouble.symptom, trouble.action);
    }
    text
}

/// The steps to a key of a product, and what to do about its troubles.
pub fn setup(product: Product) -> String {
    let mut text = format!("Setting up {product}\n\n");
    for (number, step) in guidance::setup(product).iter().enumerate() {
        text += &format!("{}. {}\n   {}\n", number + 1, step.title, step.text);
    }
    text += "\nWhen something goes wrong\n";
    for trouble in guidance::troubles(product) {
        text += &format!("\n{}\n  Why: {}\n  What to do: {}\n", trouble.symptom, trouble.cause, trouble.action);
    }
    text
}

/// Prints a bundle for people.
pub fn bundle(bundle: &EdrBundle) -> Result<(), CliError> {
    text(&metrics(bundle))
}

/// An instant, to the second.
pub fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An instant, or a dash.
pub fn time_or_dash(instant: Option<chrono::DateTime<chrono::Utc>>) -> String {
    instant.map_or_else(|| "-".to_owned(), time)
}

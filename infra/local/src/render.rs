//! What commands print: tables for people, JSON for programs.

use crate::outcome::Fault;
use comfy_table::presets;
use comfy_table::{CellAlignment, Table};
use common::domain::evidence::{EdrBundle, Metric};
use serde::Serialize;
use std::io::Write;

/// Prints text to stdout; a reader that has gone away is no fault.
pub fn text(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Fault::other(format!("stdout: {error}"))),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Fault> {
    let rendered =
        serde_json::to_string_pretty(value).map_err(|error| Fault::other(format!("cannot be written: {error}")))?;
    text(&format!("{rendered}\n"))
}

/// An empty table in the style of all.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.to_vec());
    table
}

/// A value with its unit, or why there is none.
pub fn value(metric: &Metric) -> String {
    match (&metric.metric_value, metric.reason) {
        (Some(value), _) if metric.unit == "%" => format!("{value} %"),
        (Some(value), _) if metric.unit == "hours" => format!("{value} h"),
        (Some(value), _) => value.clone(),
        (None, Some(reason)) => format!("unknown: {reason}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn category(metric: &Metric) -> &'static str {
    use common::domain::evidence::Category::{AssetInventory, EndpointProtection, IncidentResponse};
    match metric.category {
        EndpointProtection => "endpoint protection",
        IncidentResponse => "incident response",
        AssetInventory => "asset inventory",
    }
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
        "\nas of {} · {} requests, {} ms · read {} organizations, {} agents, {} incident reports\n",
        time(metadata.as_of),
        metadata.api_calls_made,
        metadata.collection_duration_ms,
        records.organizations,
        records.agents,
        records.incident_reports,
    );
    let organizations = &metadata.organizations;
    if organizations.unmapped_total > 0 {
        let names = organizations.unmapped.iter().take(10);
        let names: Vec<String> =
            names.map(|org| format!("{} ({})", org.name.as_deref().unwrap_or("no name"), org.id)).collect();
        let more = organizations.unmapped_total.saturating_sub(names.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!("unmapped organizations, in no client's evidence: {}{more}\n", names.join(", "));
    }
    if !organizations.missing.is_empty() {
        text += &format!("mapped organizations that Huntress no longer lists: {}\n", organizations.missing.join(", "));
    }
    for entry in &metadata.data_quality {
        text += &format!("data quality: {} × {}\n", entry.count, entry.detail);
    }
    text
}

/// Prints a bundle for people.
pub fn bundle(bundle: &EdrBundle) -> Result<(), Fault> {
    text(&metrics(bundle))
}

/// An instant, to the second.
pub fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

//! Where things are in a pack.

use crate::domain::id::{ConnectionId, RunId};
use crate::domain::product::Product;
use chrono::{DateTime, Utc};

/// What it is, what it proves, and how to check it.
pub const README: &str = "README.html";
/// Every other file, with its hash.
pub const MANIFEST: &str = "manifest.json";
/// The signature over the manifest's hash.
pub const MANIFEST_NOTE: &str = "manifest.note";
/// The page that prints.
pub const SUMMARY: &str = "summary.html";
/// What the audit log's table is made of.
pub const EVENTS: &str = "audit/events.jsonl";
/// What the window is made of, beside the logs.
pub const WINDOW: &str = "window.json";
/// The control map in force.
pub const CONTROL_MAP: &str = "control-map.json";
/// The JSON Schema of facts.
pub const FACTS_SCHEMA: &str = "facts.schema.json";
/// OSCAL assessment results.
pub const OSCAL: &str = "oscal/assessment-results.json";
/// OCSF compliance findings.
pub const OCSF: &str = "ocsf/compliance-findings.json";
/// The people whose training is tracked.
pub const PEOPLE: &str = "people.csv";
/// The company's own log.
pub const COMPANY_LOG: &str = "log/_company.jsonl";
/// The checkpoint of the company's own log.
pub const COMPANY_CHECKPOINT: &str = "log/_company.checkpoint";

/// `20260322T120500Z_{run}`, the name of evidence and of its proof.
#[must_use]
pub fn evidence_name(as_of: DateTime<Utc>, run: &RunId) -> String {
    format!("{}_{run}.json", as_of.format("%Y%m%dT%H%M%SZ"))
}

/// Where the committed bytes of a bundle are.
///
/// ```
/// use common::domain::{id::*, product::Product, time::parse};
/// let (connection, run) = (ConnectionId::parse("edr").unwrap(), RunId::parse("r1").unwrap());
/// let path = common::pack::layout::evidence(Product::Edr, &connection, parse("2026-03-22T12:05:00Z").unwrap(), &run);
/// assert_eq!(path, "evidence/huntress-edr/edr/20260322T120500Z_r1.json");
/// ```
#[must_use]
pub fn evidence(product: Product, connection: &ConnectionId, as_of: DateTime<Utc>, run: &RunId) -> String {
    format!("evidence/{product}/{connection}/{}", evidence_name(as_of, run))
}

/// Where the proof of a bundle is.
#[must_use]
pub fn proof(connection: &ConnectionId, as_of: DateTime<Utc>, run: &RunId) -> String {
    format!("proofs/{connection}/{}", evidence_name(as_of, run))
}

/// Where the statements of a connection's log are.
#[must_use]
pub fn log(connection: &ConnectionId) -> String {
    format!("log/{connection}.jsonl")
}

/// Where the checkpoint of a connection's log is.
#[must_use]
pub fn checkpoint(connection: &ConnectionId) -> String {
    format!("log/{connection}.checkpoint")
}

/// Where the record of a decision is.
#[must_use]
pub fn decision(id: &str) -> String {
    format!("decisions/{id}.json")
}

/// Where a version of a policy is.
#[must_use]
pub fn policy(name: &str, version: &str) -> String {
    format!("policies/{name}-{version}.json")
}

/// Whether a pack may have a file of this path.
#[must_use]
pub fn is_known(path: &str) -> bool {
    const SINGLE: [&str; 13] = [
        README,
        MANIFEST,
        MANIFEST_NOTE,
        SUMMARY,
        EVENTS,
        WINDOW,
        CONTROL_MAP,
        FACTS_SCHEMA,
        OSCAL,
        OCSF,
        COMPANY_LOG,
        COMPANY_CHECKPOINT,
        PEOPLE,
    ];
    let parts: Vec<&str> = path.split('/').collect();
    SINGLE.contains(&path)
        || match parts.as_slice() {
            ["csv", table] => super::csv::TABLES.iter().any(|known| *table == format!("{known}.csv")),
            ["evidence", product, _, name] => {
                [Product::Edr, Product::Sat].iter().any(|known| known.as_str() == *product) && name.ends_with(".json")
            }
            ["log", name] => name.ends_with(".jsonl") || name.ends_with(".checkpoint"),
            ["proofs", _, name] | ["decisions" | "policies", name] => name.ends_with(".json"),
            _ => false,
        }
}

/// Whether a file of a pack was recorded; the others are made of those that were.
#[must_use]
pub fn is_recorded(path: &str) -> bool {
    let derived = [README, SUMMARY, FACTS_SCHEMA, OSCAL, OCSF];
    !derived.contains(&path) && !path.starts_with("csv/")
}

/// The media type of a file, by its name.
#[must_use]
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonl",
        Some("csv") => "text/csv; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

//! Records with the fields that a test is about, and nothing else.

use acceptance::edr::as_of;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use simulator::Account;

/// The vendor's way of writing an instant.
pub fn timestamp(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// So long before the evaluation.
pub fn ago(age: TimeDelta) -> String {
    timestamp(as_of() - age)
}

pub fn hours_ago(hours: i64) -> String {
    ago(TimeDelta::hours(hours))
}

fn record(common: Value, fields: Value) -> Value {
    let (Value::Object(mut record), Value::Object(fields)) = (common, fields) else { panic!("objects") };
    record.extend(fields);
    Value::Object(record)
}

pub fn organization(id: u64, fields: Value) -> Value {
    record(json!({"id": id, "name": format!("Organization {id}")}), fields)
}

/// An agent of organization 1.
pub fn agent(id: u64, fields: Value) -> Value {
    record(json!({"id": id, "organization_id": 1}), fields)
}

/// An incident of organization 1, of low severity.
pub fn incident(id: u64, fields: Value) -> Value {
    record(json!({"id": id, "organization_id": 1, "severity": "low"}), fields)
}

/// Organization 1 with agents that have these fields each.
pub fn agents(fields: impl IntoIterator<Item = Value>) -> Account {
    let agents: Vec<Value> = (1..).zip(fields).map(|(id, fields)| agent(id, fields)).collect();
    Account::from_records(vec![organization(1, json!({"agents_count": agents.len()}))], agents, vec![])
}

/// Organization 1 with incidents that have these fields each, and no agents.
pub fn incidents(fields: impl IntoIterator<Item = Value>) -> Account {
    let incidents = (1..).zip(fields).map(|(id, fields)| incident(id, fields)).collect();
    Account::from_records(vec![organization(1, json!({"agents_count": 0}))], vec![], incidents)
}

/// One organization, one agent online, one incident open.
pub fn small() -> Account {
    let online = agent(1, json!({"last_callback_at": hours_ago(1)}));
    let open = incident(1, json!({"status": "sent", "sent_at": hours_ago(2)}));
    Account::from_records(vec![organization(1, json!({"agents_count": 1}))], vec![online], vec![open])
}

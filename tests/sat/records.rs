//! Training accounts written by hand.

use acceptance::edr::as_of;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use simulator::{SatAccount, SatRecords};

/// The id of the account.
pub const ACCOUNT: &str = "pXk93Lq";

/// An instant `before` the evaluation, as the source writes it.
pub fn before(before: TimeDelta) -> String {
    timestamp(as_of() - before)
}

pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A completion well within the year.
pub fn lately() -> String {
    before(TimeDelta::days(30))
}

pub fn learner(id: &str, status: &str) -> Value {
    json!({"type": "learners", "id": id, "attributes": {
        "firstName": "Avenelis", "lastName": "Quillmarker", "email": format!("{id}@learner.example"), "status": status,
    }})
}

pub fn assignment(id: &str, status: &str) -> Value {
    json!({"type": "assignments", "id": id, "attributes": {"name": "Phishing 101", "status": status}})
}

/// A row of a learner's activity; its id is unique as long as `row` is.
pub fn activity(row: &str, learner: &str, completed_at: Option<&str>) -> Value {
    json!({"type": "learner-activities", "id": row, "attributes": {
        "learnerId": learner, "progress": 100, "completedAt": completed_at,
    }})
}

/// A completed campaign that ended a month ago.
pub fn campaign(id: &str, sent: u64, compromised: u64, reported: u64) -> Value {
    json!({"type": "phishing-campaigns", "id": id, "attributes": {
        "title": "Parcel notice", "status": "completed", "isParent": false, "campaignEndsAt": lately(),
        "attemptStats": {"totalRecipients": sent, "sent": sent, "uniqueClicks": compromised, "totalClicks": compromised,
            "reported": reported, "compromised": compromised},
    }})
}

/// The same with other attributes.
pub fn with(mut record: Value, attributes: Value) -> Value {
    for (name, value) in attributes.as_object().unwrap() {
        record["attributes"][name] = value.clone();
    }
    record
}

pub fn account() -> Value {
    json!({"type": "accounts", "id": ACCOUNT, "attributes": {"name": "Acme Inc.", "type": "paid", "status": "active"}})
}

/// An account with nothing in it.
pub fn empty() -> SatRecords {
    SatRecords { accounts: vec![account()], ..SatRecords::default() }
}

/// `active` active learners `L0`, `L1`, …, the first `trained` of them trained, in assignments of 500 each.
pub fn workforce(active: usize, trained: usize) -> SatRecords {
    let mut records = empty();
    records.learners = (0..active).map(|n| learner(&format!("L{n}"), "active")).collect();
    let rows: Vec<Value> =
        (0..trained).map(|n| activity(&format!("r{n}"), &format!("L{n}"), Some(&lately()))).collect();
    for (n, rows) in rows.chunks(500).enumerate() {
        let id = format!("as{n}");
        records.assignments.push(assignment(&id, "in-progress"));
        records.learner_activity.insert(id, rows.to_vec());
    }
    records
}

/// One learner, trained or not by these rows of one assignment.
pub fn one_learner(rows: Vec<Value>) -> SatRecords {
    let mut records = workforce(1, 0);
    records.assignments = vec![assignment("as0", "completed")];
    records.learner_activity = [("as0".to_owned(), rows)].into();
    records
}

/// An account with these campaigns.
pub fn campaigns(campaigns: Vec<Value>) -> SatRecords {
    SatRecords { phishing_campaigns: campaigns, ..empty() }
}

pub fn serve(records: SatRecords) -> SatAccount {
    SatAccount::from_records(records)
}

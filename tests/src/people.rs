//! Accounts whose people, enrollments and completions are known.

use crate::edr::as_of;
use chrono::{SecondsFormat, TimeDelta};
use common::app::people::PeopleKeyring;
use common::aws::documents::Documents;
use common::aws::secrets::sealing::SealingKey;
use common::aws::secrets::wrapping::Wrapping;
use serde_json::{Value, json};
use simulator::{SatAccount, SatRecords};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The id of every account here.
pub const ACCOUNT: &str = "pXk93Lq";

/// Keys and certificates of people below a folder, as on one machine.
#[must_use]
pub fn keyring(folder: &Path) -> Arc<PeopleKeyring> {
    let wrapping = Wrapping::File(SealingKey::of_file(&folder.join("people.key")).unwrap());
    Arc::new(PeopleKeyring { wrapping, documents: Documents::Folder(folder.join("certificates")) })
}

/// An account whose enrollments and completions are told one by one.
#[derive(Clone, Default)]
pub struct Workforce {
    records: SatRecords,
    rows: u64,
}

impl Workforce {
    /// Nobody and nothing.
    #[must_use]
    pub fn new() -> Self {
        let account = json!({"type": "accounts", "id": ACCOUNT, "attributes": {"name": "Acme Inc.", "type": "paid", "status": "active"}});
        Self { records: SatRecords { accounts: vec![account], ..SatRecords::default() }, rows: 0 }
    }

    /// Assignments A, B and C; person-1 did A and B, person-2 did A of A and B, person-3 did A, person-4 did not do B; all are enrolled in C and did not
    /// do it.
    #[must_use]
    pub fn four_people() -> Self {
        let mut four =
            Self::new().assignment("A", "in-progress").assignment("B", "completed").assignment("C", "in-progress");
        for person in ["person-1", "person-2", "person-3", "person-4"] {
            four = four.learner(person, "active").enrolled("C", person);
        }
        for (assignment, person) in [
            ("A", "person-1"),
            ("B", "person-1"),
            ("A", "person-2"),
            ("B", "person-2"),
            ("A", "person-3"),
            ("B", "person-4"),
        ] {
            four = four.enrolled(assignment, person);
        }
        for (assignment, person) in [("A", "person-1"), ("B", "person-1"), ("A", "person-2"), ("A", "person-3")] {
            four = four.completed(assignment, person);
        }
        four
    }

    /// Lists an assignment.
    #[must_use]
    pub fn assignment(mut self, id: &str, status: &str) -> Self {
        let attributes = json!({"name": format!("Course {id}"), "status": status,
            "startsAt": "2026-01-01T00:00:00+00:00", "endsAt": "2026-06-30T00:00:00+00:00"});
        self.records.assignments.push(json!({"type": "assignments", "id": id, "attributes": attributes}));
        self
    }

    /// Lists an assignment no more.
    #[must_use]
    pub fn without_assignment(mut self, id: &str) -> Self {
        self.records.assignments.retain(|it| it.get("id").is_none_or(|own| own != id));
        self
    }

    /// Lists a learner.
    #[must_use]
    pub fn learner(mut self, id: &str, status: &str) -> Self {
        self.records.learners.push(learner(id, status));
        self
    }

    /// Lists a learner no more.
    #[must_use]
    pub fn without_learner(mut self, id: &str) -> Self {
        self.records.learners.retain(|it| it.get("id").is_none_or(|own| own != id));
        self
    }

    /// Enrolls somebody.
    #[must_use]
    pub fn enrolled(mut self, assignment: &str, id: &str) -> Self {
        self.records.assignment_learners.entry(assignment.to_owned()).or_default().push(learner(id, "active"));
        self
    }

    /// A row of activity with a completion, a month before the evaluation.
    #[must_use]
    pub fn completed(self, assignment: &str, id: &str) -> Self {
        let at = (as_of() - TimeDelta::days(30)).to_rfc3339_opts(SecondsFormat::Secs, true);
        self.row(assignment, id, Some(&at))
    }

    /// A row of activity.
    #[must_use]
    pub fn row(mut self, assignment: &str, id: &str, completed_at: Option<&str>) -> Self {
        self.rows += 1;
        let row = json!({"type": "learner-activities", "id": format!("row-{}", self.rows),
            "attributes": {"learnerId": id, "progress": 50, "completedAt": completed_at}});
        self.records.learner_activity.entry(assignment.to_owned()).or_default().push(row);
        self
    }

    /// Withdraws every row of somebody in an assignment.
    #[must_use]
    pub fn withdrawn(mut self, assignment: &str, id: &str) -> Self {
        let rows: &mut BTreeMap<String, Vec<Value>> = &mut self.records.learner_activity;
        let of = |row: &Value| row.pointer("/attributes/learnerId").is_some_and(|learner| learner == id);
        rows.entry(assignment.to_owned()).or_default().retain(|row| !of(row));
        self
    }

    /// The account to serve.
    #[must_use]
    pub fn account(&self) -> SatAccount {
        SatAccount::from_records(self.records.clone())
    }
}

/// A learner whose name and address tell who it is.
fn learner(id: &str, status: &str) -> Value {
    json!({"type": "learners", "id": id, "attributes": {
        "firstName": format!("First-{id}"), "lastName": format!("Last-{id}"), "email": format!("{id}@learner.example"),
        "status": status,
    }})
}

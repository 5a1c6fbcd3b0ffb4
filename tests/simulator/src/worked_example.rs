//! The compliance platforms' worked example, by hand where its metrics depend on it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::account::Account;
use crate::generated::{AccountSpec, DAY, MINUTE, Shape, Timestamp};
use crate::list::List;

/// Status, severity, minutes from creation to detection, and for a resolved one: minutes from detection to resolution,
/// the key that says who resolved it, and what it says.
type Course = (&'static str, &'static str, i64, Option<(i64, &'static str, &'static str)>);

/// 11 resolved: 2,772 minutes to detect them (mean 4.2 h), 12,210 to resolve them (mean 18.5 h), 8 automatically.
const COURSES: [Course; 14] = [
    ("resolved", "critical", 45, Some((120, "resolution_source", "automated"))),
    ("resolved", "high", 90, Some((240, "resolved_by", "system"))),
    ("resolved", "high", 120, Some((2910, "resolved_by", "analyst"))),
    ("resolved", "medium", 180, Some((360, "resolution_source", "automated"))),
    ("resolved", "low", 200, Some((480, "resolution_source", "auto_remediation"))),
    ("resolved", "high", 240, Some((720, "resolution_source", "manual"))),
    ("closed", "medium", 252, Some((900, "resolved_by", "Huntress Automation"))),
    ("resolved", "low", 300, Some((1080, "resolution_source", "automated"))),
    ("resolved", "low", 345, Some((1440, "resolved_by", "system"))),
    ("resolved", "medium", 420, Some((1800, "resolved_by", "customer"))),
    ("resolved", "low", 580, Some((2160, "resolution_source", "automated"))),
    ("in_progress", "high", 75, None),
    ("open", "critical", 30, None),
    ("open", "low", 110, None),
];

pub(crate) fn account(as_of: DateTime<Utc>) -> Account {
    let incidents = COURSES.len() as u64;
    let spec = AccountSpec { seed: 6, shape: Shape::Platform, organizations: 12, agents: 87, incidents, as_of };
    let base = spec.generate();
    let as_of = as_of.timestamp();

    let mut agents: Vec<_> = base.records(List::Agents).collect();
    for (index, agent) in agents.iter_mut().enumerate() {
        let (status, age) = match index {
            23 => ("offline", 6 * DAY),
            61 => ("missing", 40 * DAY),
            _ => ("online", 4 * MINUTE + i64::try_from(index % 11).unwrap_or(0) * 7 * MINUTE),
        };
        set(agent, "status", json!(status));
        for key in ["last_callback_at", "updated_at"] {
            set(agent, key, json!(Timestamp(as_of - age)));
        }
        if agent.get("platform").is_some_and(|it| it == "windows") {
            set(agent, "last_survey_at", json!(Timestamp(as_of - age - 12 * MINUTE)));
        }
        // The generator may have installed it since.
        let created_at = as_of - 900 * DAY + i64::try_from(index).unwrap_or(0) * 9 * DAY;
        set(agent, "created_at", json!(Timestamp(created_at)));
    }

    let mut incident_reports: Vec<_> = base.records(List::IncidentReports).collect();
    for ((incident, course), later) in incident_reports.iter_mut().zip(COURSES).zip((0_i64..).step_by(5)) {
        let (status, severity, detection, resolution) = course;
        // From 68 to 3 days ago, so that each was resolved before `as_of`.
        let created_at = as_of - (68 - later) * DAY;
        let detected_at = created_at + detection * MINUTE;
        let resolved_at = resolution.map(|(minutes, _, _)| Timestamp(detected_at + minutes * MINUTE));
        set(incident, "status", json!(status));
        set(incident, "severity", json!(severity));
        set(incident, "created_at", json!(Timestamp(created_at)));
        set(incident, "detected_at", json!(Timestamp(detected_at)));
        set(incident, "resolved_at", json!(resolved_at));
        set(incident, "updated_at", json!(resolved_at.unwrap_or(Timestamp(detected_at))));
        if let Value::Object(fields) = incident {
            fields.retain(|key, _| key != "resolution_source" && key != "resolved_by");
            if let Some((_, key, word)) = resolution {
                fields.insert(key.to_owned(), json!(word));
            }
            let place = fields.get("subject").and_then(Value::as_str).and_then(|it| it.split_once(" - "));
            if let Some((_, rest)) = place {
                let subject = format!("{} - {rest}", severity.to_ascii_uppercase());
                fields.insert("subject".to_owned(), json!(subject));
            }
        }
    }

    let mut organizations: Vec<_> = base.records(List::Organizations).collect();
    for organization in &mut organizations {
        let id = organization.get("id").cloned();
        let count = agents.iter().filter(|agent| agent.get("organization_id") == id.as_ref()).count();
        set(organization, "agents_count", json!(count));
    }
    Account::from_records(organizations, agents, incident_reports)
}

fn set(record: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = record {
        fields.insert(key.to_owned(), value);
    }
}

//! An account as it stood at an earlier instant, made of how it stands: what had not happened yet is taken back. So an account has a past without
//! anybody having kept it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::account::Account;
use crate::generated::{DAY, Draw, HOUR, Stream, Timestamp};
use crate::list::List;
use crate::sat::{SatAccount, SatRecords};

/// Agents are out of touch for days now and then: one of so many, for as many days as are looked at together.
const SPELLS: u64 = 26;
const SPELL_DAYS: i64 = 3;

fn seconds(record: &Value, field: &str) -> Option<i64> {
    let text = record.get(field)?.as_str()?;
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp())
}

fn number(record: &Value, field: &str) -> u64 {
    record.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn set(record: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(fields) = record.as_object_mut() {
        fields.insert(field.to_owned(), value.into());
    }
}

impl Account {
    /// The account, of the vendor's shape, as it stood at `then`: without what was made later, with the agents that were in touch, which are not always all
    /// of those that are today, and with the incidents open that were closed since. Equal accounts and instants give equal pasts.
    pub fn past(&self, then: DateTime<Utc>) -> Self {
        let now = then.timestamp();
        let there = |record: &Value, field: &str| seconds(record, field).is_none_or(|at| at <= now);
        let agents: Vec<Value> =
            self.records(List::Agents).filter(|it| there(it, "created_at")).map(|it| past_agent(it, now)).collect();
        let incidents: Vec<Value> = self
            .records(List::IncidentReports)
            .filter(|it| there(it, "sent_at"))
            .map(|it| past_incident(it, now))
            .collect();
        let count_of = |records: &[Value], id: u64| {
            records.iter().filter(|record| number(record, "organization_id") == id).count() as u64
        };
        let organizations = self.records(List::Organizations).filter(|it| there(it, "created_at")).map(|mut it| {
            let id = number(&it, "id");
            set(&mut it, "agents_count", count_of(&agents, id));
            set(&mut it, "incident_reports_count", count_of(&incidents, id));
            it
        });
        Self::from_records(organizations.collect(), agents, incidents)
    }
}

fn past_agent(mut agent: Value, now: i64) -> Value {
    if seconds(&agent, "last_callback_at").is_some_and(|last| last > now) {
        let id = number(&agent, "id");
        let spell = now.div_euclid(SPELL_DAYS * DAY).unsigned_abs();
        let away = Draw::new(id, Stream::AgentPast, spell).below(SPELLS) == 0;
        let mut draw = Draw::new(id, Stream::AgentPast, now.unsigned_abs());
        let since = if away { draw.between(26 * HOUR, 90 * HOUR) } else { draw.between(5, 20 * HOUR) };
        // It cannot have called before it was installed.
        let first = seconds(&agent, "created_at").unwrap_or(0);
        set(&mut agent, "last_callback_at", Timestamp((now - since).max(first)).text());
    }
    agent
}

fn past_incident(mut incident: Value, now: i64) -> Value {
    let changed = seconds(&incident, "closed_at").or_else(|| seconds(&incident, "status_updated_at"));
    if changed.is_some_and(|at| at > now) {
        set(&mut incident, "status", "sent");
        set(&mut incident, "closed_at", Value::Null);
        let sent = incident.get("sent_at").cloned().unwrap_or(Value::Null);
        set(&mut incident, "status_updated_at", sent);
    }
    incident
}

impl SatAccount {
    /// The account as it stood at `then`: nobody had completed what they completed later, and campaigns that ended later were under way or not there.
    pub fn past(&self, then: DateTime<Utc>) -> Self {
        let now = then.timestamp();
        let records = self.to_records();
        let attribute = |record: &Value, field: &str| record.get("attributes").and_then(|it| seconds(it, field));
        let is_ahead = |record: &Value, field: &str| attribute(record, field).is_some_and(|at| at > now);
        let mut begun = BTreeMap::new();
        let mut assignments = Vec::new();
        for mut assignment in records.assignments {
            let id = assignment.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (starts_later, ends_later) = (is_ahead(&assignment, "startsAt"), is_ahead(&assignment, "endsAt"));
            begun.insert(id, !starts_later);
            let status = match assignment.pointer("/attributes/status").and_then(Value::as_str) {
                Some("draft") => None,
                _ if starts_later => Some("staged"),
                Some("completed" | "canceled") if ends_later => Some("in-progress"),
                _ => None,
            };
            if let (Some(status), Some(attributes)) = (status, assignment.get_mut("attributes")) {
                set(attributes, "status", status);
            }
            assignments.push(assignment);
        }
        let learner_activity = records.learner_activity.into_iter().map(|(id, rows)| {
            let rows = if begun.get(&id) == Some(&true) { rows } else { Vec::new() };
            (id, rows.into_iter().map(|row| past_activity(row, now)).collect())
        });
        let campaigns = records.phishing_campaigns.into_iter().filter(|it| !is_ahead(it, "campaignStartsAt"));
        let phishing_campaigns = campaigns.map(|mut campaign| {
            if is_ahead(&campaign, "campaignEndsAt")
                && let Some(attributes) = campaign.get_mut("attributes")
            {
                set(attributes, "status", "in-progress");
            }
            campaign
        });
        Self::from_records(SatRecords {
            accounts: records.accounts,
            assignments,
            learners: records.learners,
            learner_activity: learner_activity.collect(),
            assignment_learners: records.assignment_learners,
            phishing_campaigns: phishing_campaigns.collect(),
        })
    }
}

fn past_activity(mut row: Value, now: i64) -> Value {
    let Some(attributes) = row.get_mut("attributes") else { return row };
    if seconds(attributes, "completedAt").is_some_and(|at| at > now) {
        set(attributes, "completedAt", Value::Null);
        set(attributes, "progress", 60);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn now() -> DateTime<Utc> {
        DateTime::parse_from_rfc3339("2026-03-22T12:00:00Z").unwrap().to_utc()
    }

    #[test]
    fn today_is_the_account_itself() {
        let (account, past) = (Account::demo(now()), Account::demo(now()).past(now()));
        for list in [List::Organizations, List::Agents, List::IncidentReports] {
            assert!(account.records(list).eq(past.records(list)), "{list:?}");
        }
        assert_eq!(SatAccount::demo(now()).past(now()).to_records(), SatAccount::demo(now()).to_records());
    }

    #[test]
    fn nothing_in_the_past_knows_the_future() {
        let account = Account::demo(now());
        for days in [1, 30, 90] {
            let then = now() - TimeDelta::days(days);
            let past = account.past(then);
            for agent in past.records(List::Agents) {
                for field in ["created_at", "last_callback_at"] {
                    assert!(seconds(&agent, field).is_none_or(|at| at <= then.timestamp()), "{agent}");
                }
            }
            for incident in past.records(List::IncidentReports) {
                for field in ["sent_at", "closed_at"] {
                    assert!(seconds(&incident, field).is_none_or(|at| at <= then.timestamp()), "{incident}");
                }
            }
            let claimed: u64 = past.records(List::Organizations).map(|it| number(&it, "agents_count")).sum();
            assert_eq!(claimed, past.agents());
            assert!(past.agents() <= account.agents() && past.incident_reports() <= account.incident_reports());
            assert_eq!(
                SatAccount::demo(now()).past(then).to_records(),
                SatAccount::demo(now()).past(then).to_records()
            );
        }
    }
}

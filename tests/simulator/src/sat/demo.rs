//! The company of the demonstration, by hand where its signals depend on it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::accounts::account as account_resource;
use super::activity::{Activity, LearnerIdAs};
use super::campaign::{AttemptStats, Campaign, CampaignAttributes};
use super::learner::learner;
use super::opaque::OpaqueIds;
use super::{SatAccount, SatRecords};
use crate::account::Account;
use crate::generated::{DAY, Draw, MINUTE, OffsetTimestamp, Stream};
use crate::list::List;

const SEED: u64 = 11;
/// Learners 0 to 57 are active, 58 and 59 are inactive, and 60 is no longer listed.
const ACTIVE: u64 = 58;
const LISTED: u64 = 60;
const ABSENT: u64 = 60;

/// Name, status, and days from `as_of` to its start and its end.
type Course = (&'static str, &'static str, Option<(i64, i64)>);

const ANNUAL: usize = 0;
const PHISHING: usize = 1;
const COURSES: [Course; 6] = [
    ("Annual Security Awareness", "completed", Some((-410, -60))),
    ("Spotting Phishing", "in-progress", Some((-45, 30))),
    ("Safe Passwords", "draft", None),
    ("Working Remotely", "staged", Some((14, 74))),
    ("Reporting Incidents", "launching", Some((0, 60))),
    ("Card Data Basics", "canceled", Some((-200, -170))),
];

pub(crate) fn account(as_of: DateTime<Utc>) -> SatAccount {
    let demo = Demo { as_of: as_of.timestamp() };
    let assignment = |at: usize| OpaqueIds::ASSIGNMENT.id(SEED, at as u64);
    let learners = |indices: &mut dyn Iterator<Item = u64>| -> Vec<Value> { indices.map(listed).collect() };
    // The same customer as the first of the endpoint demo.
    let organization = Account::demo(as_of).record(List::Organizations, 0).unwrap_or_default();
    let field = |name: &str| organization.get(name).map(|it| it.as_str().map_or(it.to_string(), str::to_owned));
    let name = field("name").unwrap_or_default();
    let home = account_resource(&OpaqueIds::ACCOUNT.id(SEED, 0), &name, field("id"), 75);
    SatAccount::from_records(SatRecords {
        accounts: vec![home],
        assignments: COURSES.iter().enumerate().map(|(at, course)| demo.assignment(&assignment(at), course)).collect(),
        learners: learners(&mut (0..LISTED)),
        learner_activity: BTreeMap::from([
            (assignment(ANNUAL), demo.annual()),
            (assignment(PHISHING), demo.phishing()),
            (assignment(5), vec![demo.row(5, 0, 3, Some(180))]),
        ]),
        assignment_learners: BTreeMap::from([
            (assignment(ANNUAL), learners(&mut (0..LISTED))),
            (assignment(PHISHING), learners(&mut (20..ACTIVE))),
            (assignment(3), learners(&mut (0..ACTIVE))),
            (assignment(4), learners(&mut (0..ACTIVE))),
            (assignment(5), learners(&mut (0..5))),
        ]),
        phishing_campaigns: demo.campaigns(),
    })
}

struct Demo {
    as_of: i64,
}

fn listed(index: u64) -> Value {
    value(&learner(SEED, index, if index < ACTIVE { "active" } else { "inactive" }))
}

fn value(record: &impl serde::Serialize) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

impl Demo {
    fn days(&self, days: i64) -> OffsetTimestamp {
        OffsetTimestamp::utc(self.as_of + days * DAY)
    }

    fn assignment(&self, id: &str, (name, status, times): &Course) -> Value {
        let time = |days: i64| self.days(days).text();
        let attributes = json!({
            "name": name,
            "status": status,
            "startsAt": times.map(|(start, _)| time(start)),
            "endsAt": times.map(|(_, end)| time(end)),
        });
        json!({"type": "assignments", "id": id, "attributes": attributes})
    }

    /// A row of `learner`, who completed so many days ago or not yet.
    fn row(&self, assignment: u64, row: u64, learner: u64, days_ago: Option<i64>) -> Value {
        let number = (assignment << 24) + row;
        let mut draw = Draw::new(SEED, Stream::Activity, number);
        let of_day = draw.between(0, 8 * 60) * MINUTE;
        let completed_at = days_ago.map(|days| OffsetTimestamp::utc(self.as_of - days * DAY - of_day));
        let progress = if completed_at.is_some() { 100 } else { draw.between(5, 95).unsigned_abs() };
        let id = OpaqueIds::ACTIVITY.id(SEED, number);
        let learner = OpaqueIds::LEARNER.id(SEED, learner);
        value(&Activity::new(id, learner, progress, completed_at, LearnerIdAs::Attribute))
    }

    /// 44 active learners and both of those who left completed it within a year, the active ones 0 to 37 in two
    /// episodes; 44 to 47 did so before, 48 to 51 are under way, and 52 to 57 and one inactive learner have not started.
    fn annual(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        for learner in (0..52).chain([ACTIVE, ABSENT]) {
            let days_ago = match learner {
                44..48 => Some(380),
                48..52 => None,
                _ => Some(70 + i64::try_from(learner * 4).unwrap_or(0)),
            };
            let mut add = |days_ago| rows.push(self.row(0, rows.len() as u64, learner, days_ago));
            add(days_ago);
            if learner < 38 {
                add(days_ago.map(|days| days - 1));
            }
        }
        rows
    }

    /// Completed by 20 to 37, who are trained already, and by 44 to 48, who are not; under way for 38 to 43.
    fn phishing(&self) -> Vec<Value> {
        let days_ago =
            |learner| (!(38..44).contains(&learner)).then_some(40 - i64::try_from(learner % 38).unwrap_or(0));
        let row = |(row, learner)| self.row(1, row, learner, days_ago(learner));
        (0..).zip((20..44).chain(44..49)).map(row).collect()
    }

    /// A parent and its children, one that is out, and one from before the window.
    fn campaigns(&self) -> Vec<Value> {
        let stats = |unique_clicks, reported, compromised| AttemptStats {
            total_recipients: ACTIVE,
            sent: ACTIVE,
            unique_clicks,
            total_clicks: unique_clicks + unique_clicks / 3,
            reported,
            compromised,
        };
        let (first, second) = (stats(7, 16, 3), stats(5, 19, 2));
        let parent = Some(0);
        [
            self.campaign(0, "Parcels and invoices", "completed", (-74, -18), None, first.plus(second)),
            self.campaign(1, "Parcel notice", "completed", (-74, -60), parent, first),
            self.campaign(2, "Invoice overdue", "completed", (-32, -18), parent, second),
            self.campaign(3, "Voice message", "in-progress", (-4, 10), None, stats(2, 6, 0)),
            self.campaign(4, "Payroll change", "completed", (-150, -136), None, stats(15, 8, 8)),
        ]
        .into()
    }

    fn campaign(
        &self,
        index: u64,
        title: &str,
        status: &'static str,
        (start, end): (i64, i64),
        parent: Option<u64>,
        stats: AttemptStats,
    ) -> Value {
        let id = |index| OpaqueIds::CAMPAIGN.id(SEED, index);
        let starts_at = self.days(start);
        value(&Campaign {
            kind: "phishing-campaigns",
            id: id(index),
            attributes: CampaignAttributes {
                title: title.to_owned(),
                status,
                is_parent: index == 0,
                first_sent_at: Some(OffsetTimestamp::utc(starts_at.at + 60 * MINUTE)),
                launched_at: Some(starts_at),
                campaign_starts_at: Some(starts_at),
                campaign_ends_at: Some(self.days(end)),
                created_at: self.days(start - 5),
                attempt_stats: Some(stats),
            },
            relationships: json!({
                "parent": parent.map(|it| json!({"data": {"type": "phishing-campaigns", "id": id(it)}})),
                "departments": [],
            }),
        })
    }
}

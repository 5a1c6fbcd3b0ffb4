//! Training accounts of any size whose records are computed when asked for.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::accounts::account;
use super::activity::{Activity, LearnerIdAs};
use super::opaque::OpaqueIds;
use super::{Collection, SatAccount};
use crate::generated::{DAY, Draw, MINUTE, OffsetTimestamp, Stream, append};
use crate::list::List;

/// A training account to generate. Equal specifications give equal accounts, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SatSpec {
    pub seed: u64,
    /// One in thirteen is inactive.
    pub learners: u64,
    /// In each status, mostly completed and in progress.
    pub assignments: u64,
    /// In each status; of ten one is a parent whose counts repeat those of two others.
    pub campaigns: u64,
    /// Rows of each assignment that is in progress or completed (a canceled one has a tenth, the others have none). Of
    /// eleven rows two are of one learner; one learner in eight has not started, and one row in a hundred is of somebody who
    /// is no longer listed.
    pub activity_per_assignment: u64,
    /// The instant that all completions lie before; parts of a second are dropped.
    pub as_of: DateTime<Utc>,
}

impl SatSpec {
    /// Counts the active learners, some milliseconds for a million, and keeps nothing else.
    pub fn generate(self) -> SatAccount {
        SatAccount::generated(SatGenerated::new(self))
    }
}

pub(crate) struct SatGenerated {
    pub(crate) spec: SatSpec,
    pub(crate) as_of: i64,
    active: u64,
}

/// Which of the lists, with the index of the assignment where it is one assignment's.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Assignments { from: u64 },
    Learners,
    Campaigns,
    Enrolled(u64),
    Activity(u64),
}

#[derive(Serialize)]
struct Assignment {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    attributes: AssignmentAttributes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentAttributes {
    name: String,
    status: &'static str,
    starts_at: Option<OffsetTimestamp>,
    ends_at: Option<OffsetTimestamp>,
}

const CYCLE: [&str; 12] = [
    "completed",
    "in-progress",
    "completed",
    "draft",
    "completed",
    "in-progress",
    "staged",
    "completed",
    "canceled",
    "in-progress",
    "launching",
    "completed",
];
const TOPICS: [&str; 8] = [
    "Security Awareness",
    "Spotting Phishing",
    "Safe Passwords",
    "Handling Health Data",
    "Card Data Basics",
    "Working Remotely",
    "Reporting Incidents",
    "Social Engineering",
];
/// Of so many rows in a row the last two are one learner's.
const ROWS: u64 = 11;

impl SatGenerated {
    fn new(spec: SatSpec) -> Self {
        let mut generated = Self { spec, as_of: spec.as_of.timestamp(), active: 0 };
        generated.active = (0..spec.learners).filter(|index| generated.is_active(*index)).count() as u64;
        generated
    }

    pub(crate) fn active_learners(&self) -> u64 {
        self.active
    }

    pub(crate) fn account(&self) -> Value {
        let id = OpaqueIds::ACCOUNT.id(self.spec.seed, 0);
        account(&id, "Northlight Managed IT", Some("30417".to_owned()), self.spec.learners + self.spec.learners / 5)
    }

    pub(crate) fn of_account(&self, list: List) -> Option<Collection<'_>> {
        let (of, count) = match list {
            List::Assignments => (Of::Assignments { from: 0 }, self.spec.assignments),
            List::Learners => (Of::Learners, self.spec.learners),
            List::PhishingCampaigns => (Of::Campaigns, self.spec.campaigns),
            _ => return None,
        };
        Some(Collection::Generated(self, of, count))
    }

    pub(crate) fn of_assignment(&self, list: List, id: &str) -> Option<Collection<'_>> {
        let assignment = OpaqueIds::ASSIGNMENT.index_of(self.spec.seed, id)?;
        if assignment >= self.spec.assignments {
            return None;
        }
        let (of, count) = match list {
            List::AssignmentById => (Of::Assignments { from: assignment }, 1),
            List::AssignmentLearners => (Of::Enrolled(assignment), self.enrolled(assignment)),
            List::LearnerActivity => (Of::Activity(assignment), self.rows(assignment)),
            _ => return None,
        };
        Some(Collection::Generated(self, of, count))
    }

    pub(crate) fn write(&self, of: Of, index: u64, learner_id_as: LearnerIdAs, out: &mut Vec<u8>) {
        match of {
            Of::Assignments { from } => append(out, &self.assignment(from + index)),
            Of::Learners => append(out, &self.learner(index)),
            Of::Campaigns => append(out, &self.campaign(index)),
            Of::Enrolled(assignment) => append(out, &self.learner(self.learner_at(assignment, index))),
            Of::Activity(assignment) => append(out, &self.activity(assignment, index, learner_id_as)),
        }
    }

    /// How far `index` of `count` is into `span` seconds.
    pub(crate) fn evenly(&self, index: u64, count: u64, span: i64) -> i64 {
        let step = u128::from(span.unsigned_abs()) * u128::from(index) / u128::from(count.max(1));
        i64::try_from(step).unwrap_or(0)
    }

    fn status(&self, assignment: u64) -> &'static str {
        let place = usize::try_from(assignment % CYCLE.len() as u64).unwrap_or(0);
        CYCLE.get(place).copied().unwrap_or("completed")
    }

    fn assignment(&self, index: u64) -> Assignment {
        let status = self.status(index);
        let topic = Draw::new(self.spec.seed, Stream::Assignment, index).pick(&TOPICS);
        let times = (status != "draft").then(|| self.assignment_times(index));
        Assignment {
            kind: "assignments",
            id: OpaqueIds::ASSIGNMENT.id(self.spec.seed, index),
            attributes: AssignmentAttributes {
                name: format!("{topic} {}", index + 1),
                status,
                starts_at: times.map(|(starts_at, _)| OffsetTimestamp::utc(starts_at)),
                ends_at: times.map(|(_, ends_at)| OffsetTimestamp::utc(ends_at)),
            },
        }
    }

    /// Those that are over, evenly over the last 700 days; the others about now.
    fn assignment_times(&self, index: u64) -> (i64, i64) {
        let age = match self.status(index) {
            "in-progress" => Draw::new(self.spec.seed, Stream::Assignment, index).between(10 * DAY, 100 * DAY),
            "staged" => -7 * DAY,
            "launching" => 5 * MINUTE,
            _ => 700 * DAY - self.evenly(index, self.spec.assignments, 650 * DAY),
        };
        let length = match self.status(index) {
            "completed" | "canceled" => 45 * DAY,
            _ => 120 * DAY,
        };
        (self.as_of - age, self.as_of - age + length)
    }

    fn rows(&self, assignment: u64) -> u64 {
        if self.spec.learners == 0 {
            return 0;
        }
        match self.status(assignment) {
            "completed" | "in-progress" => self.spec.activity_per_assignment,
            "canceled" => self.spec.activity_per_assignment / 10,
            _ => 0,
        }
    }

    /// All who have a row, and one in eight who has not started.
    fn enrolled(&self, assignment: u64) -> u64 {
        let rows = self.rows(assignment);
        let starters = if rows == 0 { self.spec.activity_per_assignment / 2 } else { seat_of_row(rows - 1) + 1 };
        (starters + starters / 7 + 1).min(self.spec.learners)
    }

    /// The learner in one of the assignment's seats, which are a stretch of the list of learners.
    fn learner_at(&self, assignment: u64, seat: u64) -> u64 {
        let first = Draw::new(self.spec.seed, Stream::Assignment, assignment).below(self.spec.learners);
        (first + seat) % self.spec.learners.max(1)
    }

    fn activity(&self, assignment: u64, row: u64, learner_id_as: LearnerIdAs) -> Activity {
        let seed = self.spec.seed;
        let seat = seat_of_row(row);
        let learner = match self.absent_in(assignment, seat) {
            Some(absent) => self.spec.learners + absent,
            None => self.learner_at(assignment, seat),
        };
        let number = (assignment << 24) + row;
        let mut draw = Draw::new(seed, Stream::Activity, number);
        let (starts_at, ends_at) = self.assignment_times(assignment);
        // Some finish up to a month late.
        let latest = (ends_at + 30 * DAY).min(self.as_of);
        let completed_at = draw.chance(800).then(|| OffsetTimestamp {
            at: draw.between(starts_at.min(latest), latest),
            hours_east: if draw.chance(100) { -4 } else { 0 },
        });
        let progress = if completed_at.is_some() { 100 } else { draw.below(100) };
        let id = OpaqueIds::ACTIVITY.id(seed, number);
        Activity::new(id, OpaqueIds::LEARNER.id(seed, learner), progress, completed_at, learner_id_as)
    }

    /// Whether somebody sits there who was deleted since.
    fn absent_in(&self, assignment: u64, seat: u64) -> Option<u64> {
        let mut draw = Draw::new(self.spec.seed, Stream::Absent, (assignment << 32) + seat);
        draw.chance(10).then(|| draw.below(self.spec.learners / 40 + 1))
    }
}

fn seat_of_row(row: u64) -> u64 {
    row / ROWS * (ROWS - 1) + (row % ROWS).min(ROWS - 2)
}

//! What a seed decides: the account, what goes wrong, and where.

use crate::aws::{FaultRule, SEND, Trouble};
use chrono::TimeDelta;
use common::domain::product::Product;
use fastrand::Rng;
use simulator::List;
use std::time::Duration;

/// Which account is synced, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scene {
    /// Endpoints of several clients, in one go.
    Endpoints,
    /// The same under so tight a limit that a run is done in parts.
    EndpointsInParts,
    /// More clients than fit into one transaction.
    ManyClients,
    /// Training of one client, in one go.
    Training,
    /// The same in parts.
    TrainingInParts,
    /// Training with people followed, whose rows are written before the commit.
    People,
    /// The same in parts, between which the lists of people wait sealed.
    PeopleInParts,
}

impl Scene {
    pub const ALL: [Self; 7] = [
        Self::Endpoints,
        Self::EndpointsInParts,
        Self::ManyClients,
        Self::Training,
        Self::TrainingInParts,
        Self::People,
        Self::PeopleInParts,
    ];

    pub fn product(self) -> Product {
        match self {
            Self::Endpoints | Self::EndpointsInParts | Self::ManyClients => Product::Edr,
            Self::Training | Self::TrainingInParts | Self::People | Self::PeopleInParts => Product::Sat,
        }
    }

    /// The same account without a limit.
    pub fn in_one_go(self) -> Self {
        match self {
            Self::EndpointsInParts => Self::Endpoints,
            Self::TrainingInParts => Self::Training,
            Self::PeopleInParts => Self::People,
            other => other,
        }
    }

    pub fn is_limited(self) -> bool {
        self != self.in_one_go()
    }

    pub fn tracks_people(self) -> bool {
        self.in_one_go() == Self::People
    }

    fn draw(rng: &mut Rng) -> Self {
        match rng.u32(0..100) {
            0..30 => Self::Endpoints,
            30..48 => Self::EndpointsInParts,
            48..50 => Self::ManyClients,
            50..65 => Self::Training,
            65..78 => Self::TrainingInParts,
            78..88 => Self::People,
            _ => Self::PeopleInParts,
        }
    }

    fn lists(self) -> &'static [List] {
        match self.product() {
            Product::Edr => &[List::Organizations, List::Agents, List::IncidentReports],
            Product::Sat => &[
                List::Token,
                List::Accounts,
                List::AccountById,
                List::Assignments,
                List::Learners,
                List::LearnerActivity,
                List::PhishingCampaigns,
                // Asked for where people are followed.
                List::AssignmentLearners,
            ],
        }
    }
}

/// What goes wrong with a request to the vendor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    Status(u16),
    RetryAfter(u16, u32),
    Unauthorized,
    Forbidden,
    Reset,
    Truncated,
    HalfJson,
    NotJson,
    MissingKey,
    /// The token of the page that was asked for, again.
    SameToken,
    /// No answer within the client's time-out.
    Hang(Duration),
    /// The right one, but the process that asked ends.
    Dies,
}

/// Requests to the vendor with which something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    pub list: List,
    pub from: u32,
    pub times: u32,
    pub answer: Answer,
}

/// What one seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub scene: Scene,
    /// Whether there is evidence of an earlier run.
    pub earlier: bool,
    /// Whether the schedule asks for the run, and looks after it each hour; otherwise a caller asks.
    pub scheduled: bool,
    pub requests: Vec<Request>,
    pub rules: Vec<FaultRule>,
    /// The delivery whose message comes twice.
    pub doubled: Option<u32>,
    /// What stalls goes on after so many deliveries.
    pub resumes_after: u32,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        // Neighbouring seeds are to have nothing in common.
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rng = &mut rng;
        let scene = Scene::draw(rng);
        let mut plan = Self {
            seed,
            scene,
            earlier: rng.u32(0..10) < 7,
            scheduled: rng.u32(0..10) < 3,
            requests: Vec::new(),
            rules: Vec::new(),
            doubled: (rng.u32(0..8) == 0).then(|| rng.u32(1..4)),
            resumes_after: rng.u32(0..4),
        };
        let faults = match rng.u32(0..10) {
            0..4 => 1,
            4..7 => 2,
            7..9 => 3,
            _ => 5,
        };
        for _ in 0..faults {
            if rng.u32(0..10) < 3 {
                plan.requests.push(request(scene, rng));
            } else {
                plan.rules.push(fault_rule(scene, plan.scheduled, rng));
            }
        }
        plan
    }
}

fn request(scene: Scene, rng: &mut Rng) -> Request {
    let list = scene.lists()[rng.usize(0..scene.lists().len())];
    let from = rng.u32(1..4);
    let times = match rng.u32(0..10) {
        0..5 => 1,
        5..8 => rng.u32(2..6),
        _ => u32::MAX,
    };
    let answer = match rng.u32(0..40) {
        0..4 => Answer::Status(429),
        4..6 => Answer::RetryAfter(429, 3),
        6..8 => Answer::RetryAfter(429, 200),
        8 => Answer::RetryAfter(503, 20_000),
        9..13 => Answer::Status(500),
        13..15 => Answer::Status(503),
        15..18 => Answer::Reset,
        18..20 => Answer::Truncated,
        20..22 => Answer::HalfJson,
        22..24 => Answer::NotJson,
        24..26 => Answer::MissingKey,
        26..28 => Answer::Unauthorized,
        28..30 => Answer::Forbidden,
        30 => Answer::Status(404),
        31..33 => Answer::Status(422),
        33 => Answer::SameToken,
        34 => Answer::Hang(Duration::from_millis(400)),
        _ => Answer::Dies,
    };
    let times = match answer {
        Answer::Dies => 1,
        Answer::Hang(_) => times.min(2),
        _ => times,
    };
    Request { list, from, times, answer }
}

fn fault_rule(scene: Scene, scheduled: bool, rng: &mut Rng) -> FaultRule {
    // Over all shards: a look at who has not ended, at who is due, and at who is stale.
    let before = if scheduled { 50 } else { 0 };
    let calls = before
        + match scene {
            Scene::Endpoints | Scene::Training => 18,
            Scene::ManyClients | Scene::People => 30,
            Scene::EndpointsInParts | Scene::TrainingInParts | Scene::PeopleInParts => 50,
        };
    let (operation, from) = match rng.u32(0..10) {
        0..5 => (None, rng.u32(1..=calls)),
        5..8 => (Some("TransactWriteItems"), rng.u32(1..=if scene.is_limited() { 8 } else { 4 })),
        8 => (Some(SEND), rng.u32(1..=if scene.is_limited() { 4 } else { 2 })),
        _ => {
            let operations = ["GetItem", "Query", "PutItem", "BatchWriteItem", "BatchGetItem", "UpdateItem"];
            (Some(operations[rng.usize(0..operations.len())]), rng.u32(1..=6))
        }
    };
    let trouble = match rng.u32(0..22) {
        0..2 => Trouble::Throttled,
        2..4 => Trouble::Broken,
        4..6 => Trouble::Reset,
        6..9 => Trouble::AnswerLost,
        9..11 => Trouble::AnswerBroken,
        11 => Trouble::Slow(TimeDelta::seconds(4)),
        12 => Trouble::Slow(TimeDelta::minutes(20)),
        13..15 => Trouble::Partial,
        15..17 => Trouble::DiesBefore,
        17..19 => Trouble::DiesAfter,
        19..21 => Trouble::StallsBefore,
        _ => Trouble::StallsAfter,
    };
    // The client sends a request three times; what goes on for longer is an outage.
    let times = match trouble {
        Trouble::Slow(_) | Trouble::StallsBefore | Trouble::StallsAfter => 1,
        Trouble::DiesBefore | Trouble::DiesAfter => [1, 1, 1, 2, 8][rng.usize(0..5)],
        // The last one outlasts every delivery of a message.
        _ => [1, 2, 3, 4, 9, 30, 100][rng.usize(0..7)],
    };
    FaultRule { operation, from, times, trouble }
}

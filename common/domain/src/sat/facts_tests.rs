//! Random accounts, evaluated record by record as the contract says it, and from facts alone: both must agree under any window of whole days.

use super::super::activity::ActivityFacts;
use super::super::assignment::AssignmentTally;
use super::super::coverage::{self, CoverageTally, LearnerFacts};
use super::super::id::LearnerKey;
use super::super::measures::{SatRules, measures};
use super::super::phishing::{self, CampaignFacts, PhishingTally};
use super::*;
use crate::evidence::Reason;
use crate::id::RecordKey;
use crate::policy::{InForce, Outcome, evaluate};
use crate::product::Product;
use crate::sat::activity::ActivityTally;
use crate::sat::status::Status;
use crate::time::{RawTimestamp, Window, parse};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;

fn as_of() -> DateTime<Utc> {
    parse("2026-03-22T12:00:00Z").unwrap()
}

fn before(seconds: i64) -> String {
    (as_of() - TimeDelta::seconds(seconds)).to_rfc3339()
}

/// At and beside whole days, others, after the evaluation, unreadable, or none.
fn time() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        5 => (0_i64..500, -1_i64..2).prop_map(|(days, off)| Some(before(days * 86_400 + off))),
        2 => (-600_i64..40_000_000).prop_map(|seconds| Some(before(seconds))),
        1 => Just(Some("no time".to_owned())),
        1 => Just(None),
    ]
}

fn raw(time: &Option<String>) -> RawTimestamp<'_> {
    time.as_deref().map_or(RawTimestamp::Absent, RawTimestamp::Text)
}

fn inside(time: &Option<String>, days: u32) -> bool {
    let time = time.as_deref().and_then(parse);
    time.is_some_and(|time| time <= as_of() && as_of() - time <= TimeDelta::days(i64::from(days)))
}

type Row = (u64, Option<String>);

#[derive(Debug, Clone)]
struct Workforce {
    states: Vec<&'static str>,
    rows: Vec<Row>,
    claimed: Option<u64>,
}

fn workforce(most: usize) -> impl Strategy<Value = Workforce> {
    let states = prop::collection::vec(select(vec!["active", "active", "inactive", "on_leave"]), 0..most);
    // Some rows are of learners that are not listed.
    (states, prop::collection::vec((0_u64..most as u64 + 2, time()), 0..3 * most), proptest::option::of(0_u64..30))
        .prop_map(|(states, rows, claimed)| Workforce { states, rows, claimed })
}

impl Workforce {
    fn facts(&self) -> Learners {
        let mut tally = CoverageTally::new(as_of());
        tally.claim_active_learners(self.claimed);
        let key = |number: u64| LearnerKey::of("run", &number.to_string());
        for (number, state) in (0..).zip(&self.states) {
            tally.add_learner(&LearnerFacts { learner: key(number), status: Some(state) });
        }
        let mut activity = ActivityTally::new(Window::of_days(365, as_of()), 1_000);
        for (id, (learner, completed_at)) in (0..).zip(&self.rows) {
            let facts = ActivityFacts {
                id: Some(RecordKey::Number(id)),
                learner: key(*learner),
                completed_at: raw(completed_at),
            };
            activity.add(&facts, as_of() + TimeDelta::minutes(30));
        }
        tally.join(activity).unwrap();
        let facts = tally.facts(&AssignmentTally::new(10));
        serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap()
    }

    /// Trained, departed among them, and active, by the definition.
    fn plainly(&self, days: u32) -> (u64, u64, u64) {
        let trained = |learner: &u64| self.rows.iter().any(|(who, at)| who == learner && inside(at, days));
        let everybody: Vec<u64> = (0..self.states.len() as u64 + 40).collect();
        let state = |learner: u64| self.states.get(learner as usize).copied().unwrap_or("inactive");
        let all = everybody.iter().filter(|learner| trained(learner));
        let departed = all.clone().filter(|learner| state(**learner) == "inactive").count();
        let active = self.states.iter().filter(|state| **state == "active").count() as u64;
        (all.count() as u64, departed as u64, self.claimed.unwrap_or(active))
    }
}

type Listed = (&'static str, bool, Option<String>, [Option<u64>; 3]);

/// The facts of these campaigns, through their JSON form.
fn campaigns(listed: &[Listed]) -> Campaigns {
    let mut tally = PhishingTally::new(as_of(), 1_000);
    for (id, (status, is_parent, end, [sent, compromised, reported])) in (0..).zip(listed) {
        let facts = CampaignFacts {
            id: Some(RecordKey::Number(id)),
            status: Some(status),
            is_parent: *is_parent,
            campaign_ends_at: raw(end),
            sent: *sent,
            compromised: *compromised,
            reported: *reported,
            ..Default::default()
        };
        tally.add(&facts, as_of());
    }
    serde_json::from_str(&serde_json::to_string(&tally.facts()).unwrap()).unwrap()
}

/// What a rule of the training preset says.
fn verdict(facts: &SatFacts, rule: usize) -> (Outcome, Option<Reason>) {
    let verdicts = evaluate(&InForce::default(), Product::Sat, &measures(facts, SatRules::default()), None);
    assert_eq!(verdicts.len(), 2);
    (verdicts[rule].outcome, verdicts[rule].reason)
}

fn outcome(status: Status) -> Outcome {
    match status {
        Status::Pass => Outcome::Pass,
        Status::Warning => Outcome::Warning,
        Status::Fail => Outcome::Fail,
        Status::Inconclusive => Outcome::Inconclusive,
    }
}

fn campaign() -> impl Strategy<Value = Listed> {
    let status = select(vec!["completed", "completed", "draft", "paused"]);
    let count = || proptest::option::weighted(0.9, 0_u64..40);
    (status, prop::bool::weighted(0.2), time(), (count(), count(), count())).prop_map(
        |(status, parent, end, (sent, compromised, reported))| (status, parent, end, [sent, compromised, reported]),
    )
}

proptest! {
    #[test]
    fn facts_alone_give_the_coverage_of_any_window(workforce in workforce(14), days in prop_oneof![0_u32..600, Just(365)]) {
        let facts = workforce.facts();
        prop_assume!(!facts.coarse);
        let coverage = coverage::assess(&facts, days);
        prop_assert_eq!((coverage.trained, coverage.departed, coverage.active), workforce.plainly(days));
    }

    #[test]
    fn the_ages_of_few_are_coarse_and_the_signal_is_exact(workforce in workforce(5)) {
        let facts = workforce.facts();
        let people = facts.active.total + facts.unknown_status.total + facts.departed_days.total();
        prop_assert_eq!(facts.coarse, people < FEWEST_LEARNERS);
        let coverage = coverage::assess(&facts, WINDOW_DAYS);
        prop_assert_eq!((coverage.trained, coverage.departed, coverage.active), workforce.plainly(WINDOW_DAYS));
        if facts.coarse {
            let all = [&facts.active.days, &facts.active.days_unsure, &facts.departed_days];
            for (code, _) in all.into_iter().flat_map(Histogram::iter).filter(|(code, _)| *code > 0) {
                prop_assert_eq!((code - 1) % 30, 5, "an age of {} days", code - 1);
            }
        }
    }

    #[test]
    fn the_training_preset_says_of_the_coverage_what_the_signal_says(workforce in workforce(14)) {
        let facts = SatFacts { learners: workforce.facts(), campaigns: Campaigns::default() };
        let signal = coverage::assess(&facts.learners, WINDOW_DAYS);
        prop_assert_eq!(verdict(&facts, 0), (outcome(signal.status), signal.reason));
    }

    #[test]
    fn the_training_preset_says_of_the_simulations_what_the_signal_says(listed in prop::collection::vec(campaign(), 0..8)) {
        let campaigns = campaigns(&listed);
        let signal = phishing::assess(&campaigns, phishing::WINDOW_DAYS);
        let facts = SatFacts { learners: Learners::default(), campaigns };
        // That a campaign does not say how many reported it is no reason of the compromise rate.
        let reason = signal.reason.filter(|reason| *reason != Reason::NotProvidedBySource);
        prop_assert_eq!(verdict(&facts, 1), (outcome(signal.status), reason));
    }

    #[test]
    fn facts_alone_give_the_simulations_of_any_window(listed in prop::collection::vec(campaign(), 0..20), days in prop_oneof![0_u32..600, Just(90)]) {
        let facts = campaigns(&listed);
        let result = phishing::assess(&facts, days);

        let all_parents = listed.iter().all(|(_, parent, ..)| *parent);
        let counted: Vec<_> = listed
            .iter()
            .filter(|(status, parent, end, [sent, ..])| {
                *status == "completed" && *parent == all_parents && inside(end, days) && *sent != Some(0)
            })
            .filter(|(.., [sent, compromised, _])| sent.is_some() && compromised.is_some())
            .collect();
        let sum = |place: usize| counted.iter().map(|(.., counts)| counts[place].unwrap_or(0)).sum::<u64>();
        prop_assert_eq!((result.campaigns, result.sent, result.compromised), (counted.len() as u64, sum(0), sum(1)));
        let all_report = counted.iter().all(|(.., [_, _, reported])| reported.is_some());
        prop_assert_eq!(result.reported, all_report.then(|| sum(2)));
        let open = listed.iter().any(|(status, parent, end, [sent, compromised, _])| {
            let may = end.as_deref().is_none_or(|end| parse(end).is_none()) || inside(end, days);
            let unknown = *status == "paused" || end.as_deref().is_none_or(|end| parse(end).is_none()) || sent.is_none() || compromised.is_none();
            *status != "draft" && *parent == all_parents && may && unknown && *sent != Some(0)
        });
        if !open {
            let rate = |limit: u64| sum(1) * 100 <= limit * sum(0);
            let expected = match (counted.is_empty(), rate(5), rate(15)) {
                (true, ..) => Status::Warning,
                (_, true, _) => Status::Pass,
                (_, _, true) => Status::Warning,
                _ => Status::Fail,
            };
            prop_assert_eq!(result.status, expected);
        }
    }
}

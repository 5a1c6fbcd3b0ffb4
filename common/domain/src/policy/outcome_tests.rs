use super::*;
use crate::policy::{DecimalText, Limit, Policy, baseline, strict, training};
use proptest::prelude::*;
use std::sync::Arc;

fn limits(pass: &str, warning: Option<&str>) -> Limits {
    let limit = |text: &str| {
        let (direction, number) = text.split_once(' ').unwrap();
        let number = DecimalText::parse(number).unwrap();
        if direction == ">=" { Limit::AtLeast(number) } else { Limit::AtMost(number) }
    };
    Limits { pass: limit(pass), warning: warning.map(limit) }
}

fn percent(part: u64, whole: u64) -> Ratio {
    Ratio::percent(part, whole).unwrap()
}

fn at(part: u64, whole: u64) -> Reading {
    Reading::At(percent(part, whole))
}

fn rule(policy: &Arc<Policy>, id: &str) -> Rule {
    policy.rule(&RuleId::parse(id).unwrap()).unwrap().clone()
}

fn said(evaluation: Evaluation) -> (Outcome, Option<Reason>) {
    (evaluation.outcome, evaluation.reason)
}

#[test]
fn at_a_limit_and_a_hair_beside_it() {
    let online = limits(">= 95", Some(">= 90"));
    for (part, whole, outcome) in [
        (95, 100, Outcome::Pass),
        (9_499_999, 10_000_000, Outcome::Warning), // shown as 95.0
        (90, 100, Outcome::Warning),
        (8_999_999, 10_000_000, Outcome::Fail), // shown as 90.0
        (0, 1, Outcome::Fail),
        (1, 1, Outcome::Pass),
    ] {
        assert_eq!(online.outcome_of(percent(part, whole)), outcome, "{part}/{whole}");
    }
    let rate = limits("<= 5", Some("<= 15"));
    for (part, whole, outcome) in [
        (5, 100, Outcome::Pass),
        (5_000_001, 100_000_000, Outcome::Warning),
        (15, 100, Outcome::Warning),
        (15_000_001, 100_000_000, Outcome::Fail),
    ] {
        assert_eq!(rate.outcome_of(percent(part, whole)), outcome, "{part}/{whole}");
    }
    let third = limits(">= 33.333333", None);
    assert_eq!(third.outcome_of(percent(1, 3)), Outcome::Pass);
    assert_eq!(limits(">= 33.333334", None).outcome_of(percent(1, 3)), Outcome::Fail);
    let hours = limits("<= 24", None);
    assert_eq!(hours.outcome_of(Ratio::mean_hours(24 * 3_600_000_000_000, 1).unwrap()), Outcome::Pass);
    assert_eq!(hours.outcome_of(Ratio::mean_hours(24 * 3_600_000_000_000 + 1, 1).unwrap()), Outcome::Fail);
}

#[test]
fn needs_come_before_a_value_that_is_not_there_and_that_before_the_limits() {
    let resolve = rule(baseline(), "ir-resolve-90d");
    let evaluate = |resolved: Measure, p90: Measure| {
        let measures = [("incidents_resolved_90d", resolved), (resolve.metric.as_str(), p90)].into_iter().collect();
        said(resolve.evaluate(&measures))
    };
    let hours = |hours: u64| Measure::exact(Ratio::new(hours, 1).unwrap());
    let null = |reason| Measure::null(reason);
    assert_eq!(evaluate(Measure::count(2), hours(1)), (Outcome::NotApplicable, Some(Reason::NeedsNotMet)));
    assert_eq!(
        evaluate(Measure::count(2), null(Reason::NotProvidedBySource)),
        (Outcome::NotApplicable, Some(Reason::NeedsNotMet))
    );
    assert_eq!(evaluate(Measure::count(3), hours(72)), (Outcome::Pass, None));
    assert_eq!(evaluate(Measure::count(3), hours(73)), (Outcome::Warning, None));
    assert_eq!(
        evaluate(Measure::count(3), null(Reason::NothingToMeasure)),
        (Outcome::NotApplicable, Some(Reason::NothingToMeasure))
    );
    assert_eq!(
        evaluate(Measure::count(3), null(Reason::NotProvidedBySource)),
        (Outcome::Inconclusive, Some(Reason::NotProvidedBySource))
    );
    // What is not known to be there is neither met nor unmet.
    assert_eq!(evaluate(null(Reason::PartlyProvided), hours(1)), (Outcome::Inconclusive, Some(Reason::PartlyProvided)));
    assert_eq!(evaluate(null(Reason::NothingToMeasure), hours(1)), (Outcome::NotApplicable, Some(Reason::NeedsNotMet)));
    let two_or_three =
        Measure::count(2).between(Reading::At(Ratio::new(2, 1).unwrap()), Reading::At(Ratio::new(3, 1).unwrap()));
    assert_eq!(evaluate(two_or_three, hours(1)), (Outcome::Inconclusive, Some(Reason::UnknownValues)));
    let three_or_more = Measure::count(3).between(Reading::At(Ratio::new(3, 1).unwrap()), Reading::Open);
    assert_eq!(evaluate(three_or_more, hours(1)), (Outcome::Pass, None));
}

#[test]
fn nothing_to_measure_gives_what_the_rule_says_and_is_else_inconclusive() {
    let critical = rule(baseline(), "ir-critical-24h");
    let none: Measures = [(critical.metric.as_str(), Measure::null(Reason::NothingToMeasure))].into_iter().collect();
    assert_eq!(said(critical.evaluate(&none)), (Outcome::Pass, Some(Reason::NothingToMeasure)));
    let silent = Rule { if_nothing_to_measure: None, ..critical.clone() };
    assert_eq!(said(silent.evaluate(&none)), (Outcome::Inconclusive, Some(Reason::NothingToMeasure)));
    // Another reason is never what the rule says of nothing to measure; nor is a bundle that has no such metric.
    assert_eq!(
        said(critical.evaluate(&Measures::default())),
        (Outcome::Inconclusive, Some(Reason::NotProvidedBySource))
    );
    // An open incident of unknown severity may be a critical one.
    let perhaps = Measure::null(Reason::NothingToMeasure)
        .between(Reading::Null(Reason::NothingToMeasure), Reading::At(Ratio::new(25, 1).unwrap()));
    assert_eq!(
        said(critical.limits.evaluate(&perhaps, Outcome::Pass)),
        (Outcome::Inconclusive, Some(Reason::UnknownValues))
    );
}

#[test]
fn unknown_agents_flip_an_outcome_or_they_do_not() {
    let online = limits(">= 95", Some(">= 90"));
    let of = |online_agents: u64, unknown: u64| {
        let measure = Measure::exact(percent(online_agents, 100))
            .between(at(online_agents, 100), at(online_agents + unknown, 100));
        said(online.evaluate(&measure, Outcome::Inconclusive))
    };
    assert_eq!(of(95, 5), (Outcome::Pass, None));
    assert_eq!(of(94, 1), (Outcome::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!(of(90, 4), (Outcome::Warning, None));
    assert_eq!(of(90, 5), (Outcome::Inconclusive, Some(Reason::UnknownValues)));
    assert_eq!(of(80, 9), (Outcome::Fail, None));
    assert_eq!(of(80, 10), (Outcome::Inconclusive, Some(Reason::UnknownValues)));
}

#[test]
fn signals_hold_to_their_contract_under_any_limits() {
    for limits in [limits(">= 90", Some(">= 70")), limits(">= 60", Some(">= 50")), limits(">= 90", None)] {
        let evaluate = |measure: Measure| said(limits.evaluate(&measure, Outcome::Inconclusive));
        assert_eq!(evaluate(Measure::null(Reason::NoWorkforce)), (Outcome::Warning, Some(Reason::NoWorkforce)));
        assert_eq!(
            evaluate(Measure::null(Reason::NoRecentCampaigns)),
            (Outcome::Warning, Some(Reason::NoRecentCampaigns))
        );
        // A coverage of a cut list is a lower bound: it may pass.
        let cut = |part| Measure::exact(percent(part, 100)).between(at(part, 100), Reading::Open).truncated();
        assert_eq!(evaluate(cut(90)), (Outcome::Pass, Some(Reason::Truncated)));
        assert_eq!(evaluate(cut(49)), (Outcome::Inconclusive, Some(Reason::Truncated)));
        // Departed learners lift the rate from 45 to 95.
        let inflated = Measure::exact(percent(95, 100)).between(at(45, 100), at(45, 100));
        assert_eq!(evaluate(inflated), (Outcome::Fail, Some(Reason::InflatedByDepartedLearners)));
        let within_the_band = Measure::exact(percent(99, 100)).between(at(95, 100), at(95, 100));
        assert_eq!(evaluate(within_the_band), (Outcome::Pass, None));
    }
    // A rate of campaigns that were cut decides nothing.
    let cut = Measure::exact(percent(0, 100)).between(Reading::Open, Reading::Open).truncated();
    assert_eq!(
        said(limits("<= 5", Some("<= 15")).evaluate(&cut, Outcome::Inconclusive)),
        (Outcome::Inconclusive, Some(Reason::Truncated))
    );
}

#[test]
fn where_nobody_knows_how_far_a_value_goes_the_side_decides() {
    let rate = limits("<= 5", Some("<= 15"));
    let evaluate = |least, greatest| {
        said(rate.evaluate(&Measure::exact(percent(20, 100)).between(least, greatest), Outcome::Inconclusive)).0
    };
    assert_eq!(evaluate(at(20, 100), Reading::Open), Outcome::Fail);
    assert_eq!(evaluate(at(10, 100), Reading::Open), Outcome::Inconclusive);
    assert_eq!(evaluate(Reading::Open, at(5, 100)), Outcome::Pass);
    assert_eq!(evaluate(Reading::Open, at(20, 100)), Outcome::Inconclusive);
}

#[test]
fn a_verdict_says_everything_that_it_was_made_of() {
    let in_force = InForce::default().choose(baseline()).unwrap();
    let measures: Measures = [
        ("agents_total", Measure::count(87)),
        ("agents_online_percentage", Measure::exact(percent(83, 87))),
        ("agents_missing", Measure::count(2)),
        ("organization_coverage_pct", Measure::exact(percent(12, 12))),
        ("oldest_open_critical_incident_age_hours", Measure::null(Reason::NothingToMeasure)),
        ("incidents_resolved_90d", Measure::count(2)),
    ]
    .into_iter()
    .collect();
    let verdicts = evaluate(&in_force, Product::Edr, &measures, None);
    let outcomes: Vec<_> = verdicts.iter().map(|it| (it.rule.as_str(), it.outcome, it.value.as_deref())).collect();
    assert_eq!(
        outcomes,
        [
            ("edr-online", Outcome::Pass, Some("95.4")),
            ("edr-missing", Outcome::Warning, Some("2")),
            ("edr-coverage", Outcome::Pass, Some("100.0")),
            ("ir-critical-24h", Outcome::Pass, None),
            ("ir-resolve-90d", Outcome::NotApplicable, None),
        ]
    );
    assert_eq!(
        serde_json::to_value(verdicts.first().unwrap()).unwrap(),
        serde_json::json!({
            "rule": "edr-online", "evidence": "endpoint_protection", "metric": "agents_online_percentage",
            "outcome": "pass", "reason": null, "value": "95.4",
            "limit": {"pass": {"at_least": "95"}, "warning": {"at_least": "90"}},
            "policy": "baseline", "version": "1.0.0", "policy_sha256": baseline().sha256(),
        })
    );
    let back: Vec<Verdict> = serde_json::from_str(&serde_json::to_string(&verdicts).unwrap()).unwrap();
    assert_eq!(back, verdicts);
    // Nobody chose a rule for endpoints: nothing is said of them.
    assert_eq!(evaluate(&InForce::default(), Product::Edr, &measures, None), []);
    let other = evaluate(&in_force, Product::Edr, &measures, Some(Reason::AccountOfAnotherClient));
    assert!(
        other.iter().all(|it| (it.outcome, it.reason) == (Outcome::Inconclusive, Some(Reason::AccountOfAnotherClient)))
    );
    assert_eq!(other.first().unwrap().value.as_deref(), Some("95.4"));
}

#[test]
fn the_worst_comes_first() {
    for (index, worse) in Outcome::WORST_FIRST.into_iter().enumerate() {
        assert_eq!(usize::from(worse.rank()), index);
        for better in Outcome::WORST_FIRST.into_iter().skip(index) {
            assert_eq!(better.worst([worse]), worse);
            assert_eq!(worse.worst([better]), worse);
        }
    }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (any::<bool>(), 0_u32..=100, 0_u32..=100, any::<bool>()).prop_map(|(least, one, other, with_warning)| {
        let (low, high) = (one.min(other), one.max(other));
        let (pass, warning) = if least { (high, low) } else { (low, high) };
        let limit = |number: u32| {
            let number = DecimalText::parse(number.to_string()).unwrap();
            if least { Limit::AtLeast(number) } else { Limit::AtMost(number) }
        };
        Limits { pass: limit(pass), warning: with_warning.then(|| limit(warning)) }
    })
}

proptest! {
    /// Whatever the unknown agents turn out to be, the outcome that was given is the one that they give.
    #[test]
    fn an_outcome_holds_for_every_reading_of_what_is_unknown(limits in any_limits(), online in 0_u64..50, unknown in 0_u64..30, rest in 1_u64..50) {
        let whole = online + unknown + rest;
        let measure = Measure::exact(percent(online, whole)).between(at(online, whole), at(online + unknown, whole));
        let given = limits.evaluate(&measure, Outcome::Inconclusive);
        let readings: Vec<_> = (0..=unknown).map(|more| limits.outcome_of(percent(online + more, whole))).collect();
        if given.outcome == Outcome::Inconclusive {
            prop_assert!(readings.iter().any(|it| it != readings.first().unwrap()));
            prop_assert_eq!(given.reason, Some(Reason::UnknownValues));
        } else {
            prop_assert!(readings.iter().all(|it| *it == given.outcome));
            prop_assert_eq!(given.reason, None);
        }
    }

    /// A better value never has a worse outcome.
    #[test]
    fn outcomes_follow_the_value(limits in any_limits(), low in 0_u64..1_000, more in 0_u64..1_000) {
        let (low, high) = (limits.outcome_of(percent(low, 2_000)), limits.outcome_of(percent(low + more, 2_000)));
        let (worse, better) = if limits.pass.is_at_least() { (low, high) } else { (high, low) };
        prop_assert!(worse.rank() <= better.rank());
    }

    /// Limits compare as decimals of any precision do.
    #[test]
    fn limits_compare_exactly(part in 0_u64..100_000, whole in 1_u64..100_000, units in 0_u64..100_000_000) {
        let limit = DecimalText::parse(format!("{}.{:06}", units / 1_000_000, units % 1_000_000)).unwrap();
        let exact = (u128::from(part) * 100 * 1_000_000).cmp(&(u128::from(units) * u128::from(whole)));
        prop_assert_eq!(limit.compare(percent(part, whole)), exact);
    }

    /// Every rule of every preset says something of whatever there is.
    #[test]
    fn every_rule_has_an_outcome(values in proptest::collection::vec(0_u64..200, 8)) {
        for policy in [training(), baseline(), strict()] {
            for rule in policy.rules() {
                let keys = rule.needs.keys().map(String::as_str).chain([rule.metric.as_str()]);
                let measures: Measures = keys.zip(&values).map(|(key, value)| (key, Measure::count(*value))).collect();
                prop_assert!(rule.evaluate(&measures).outcome != Outcome::NotEvaluated);
            }
        }
    }
}

//! How an outcome came about, from which numbers, and what would change it.

use super::outcome::End;
use super::{Doubt, Evaluation, Limit, Limits, Measure, Measures, MetricDefinition, Outcome, PolicyRef, Reading};
use super::{Rule, ValueKind};
use crate::controls::Evidence;
use crate::evidence::Reason;
use crate::id::RuleId;
use crate::number::Ratio;
use serde::Serialize;
use std::collections::BTreeMap;

/// A number of a formula.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FormulaNumber {
    /// What was counted, e.g. `agents online`.
    pub what: String,
    /// How many.
    pub value: String,
}

/// A number that a rule needs before it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NeedExplanation {
    /// The metric.
    pub metric: String,
    /// At least so much.
    pub at_least: u64,
    /// What it is; null when nobody knows.
    pub value: Option<String>,
}

/// What would make the outcome another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutcomeChange {
    /// The outcome that there would be.
    pub outcome: Outcome,
    /// What it takes, e.g. `3 more agents online`.
    pub text: String,
}

/// A rule, and what it said of the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleExplanation {
    /// The rule.
    pub rule: RuleId,
    /// Its policy.
    #[serde(flatten)]
    pub policy: PolicyRef,
    /// The limits.
    pub limit: Limits,
    /// What it needs before it applies.
    pub needs: Vec<NeedExplanation>,
    /// What it says where there is nothing to measure.
    pub if_nothing_to_measure: Outcome,
    /// What it said.
    pub outcome: Outcome,
    /// Why it is not what the number alone would give.
    pub reason: Option<Reason>,
    /// What it would say of the least and of the greatest value, where the unknown leaves several.
    pub if_least: Option<Outcome>,
    /// See above.
    pub if_greatest: Option<Outcome>,
    /// What would change the outcome, the better ones first.
    pub changes: Vec<OutcomeChange>,
}

/// How a number came about, and what a rule said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// What it is evidence of.
    pub evidence: Evidence,
    /// The metric, or value of a signal.
    pub metric: String,
    /// The formula in words, e.g. `agents online / agents × 100`.
    pub formula: String,
    /// The numbers in it.
    pub numbers: Vec<FormulaNumber>,
    /// The result as it is shown; null when there is none.
    pub value: Option<String>,
    /// Why there is none.
    pub null_reason: Option<Reason>,
    /// The unit: `%`, `h`, or nothing.
    pub unit: String,
    /// The least that it may be, where something is unknown and it is bounded.
    pub least: Option<String>,
    /// The most that it may be.
    pub greatest: Option<String>,
    /// What lies apart from the value: learners with an unknown status, a list that was cut.
    pub uncertain: bool,
    /// The rule, where one is in force.
    pub rule: Option<RuleExplanation>,
}

impl Explanation {
    /// How a metric came about.
    #[must_use]
    pub fn of(metric: &MetricDefinition, measures: &Measures) -> Self {
        let measure = measures.get(metric.key);
        let bound = |reading| match reading {
            Reading::At(ratio) if !measure.is_certain() => Some(metric.kind.show(ratio)),
            _ => None,
        };
        Self {
            evidence: metric.evidence,
            metric: metric.key.to_owned(),
            formula: metric.formula(),
            numbers: measure.ratio().map_or_else(Vec::new, |ratio| metric.numbers(ratio)),
            value: measure.ratio().map(|ratio| metric.kind.show(ratio)),
            null_reason: match measure.value {
                Reading::Null(reason) => Some(reason),
                Reading::At(_) | Reading::Open => None,
            },
            unit: metric.kind.unit().trim().to_owned(),
            least: bound(measure.least),
            greatest: bound(measure.greatest),
            uncertain: !measure.is_certain(),
            rule: None,
        }
    }

    /// The same with what a rule of a policy says of it. With `doubt` about the whole bundle every outcome is inconclusive.
    #[must_use]
    pub fn under(mut self, rule: &Rule, policy: &PolicyRef, measures: &Measures, doubt: Option<Reason>) -> Self {
        let measure = measures.get(&rule.metric);
        let evaluated = rule.evaluate(measures);
        let Evaluation { outcome, reason } = match doubt {
            Some(reason) => Evaluation { outcome: Outcome::Inconclusive, reason: Some(reason) },
            None => evaluated,
        };
        let nothing = rule.if_nothing_to_measure.unwrap_or(Outcome::Inconclusive);
        let end = |reading, end| rule.limits.outcome_of_reading(reading, end, nothing);
        let apart = (!measure.is_certain() && outcome == Outcome::Inconclusive && doubt.is_none())
            .then(|| (end(measure.least, End::Least), end(measure.greatest, End::Greatest)));
        let metric = MetricDefinition::find(&rule.metric);
        let shown = |key: &str| {
            let kind = MetricDefinition::find(key).map_or(ValueKind::Count, |metric| metric.kind);
            measures.get(key).ratio().map(|ratio| kind.show(ratio))
        };
        let needs = rule.needs.iter().map(|(key, least)| NeedExplanation {
            metric: key.clone(),
            at_least: *least,
            value: shown(key),
        });
        self.rule = Some(RuleExplanation {
            rule: rule.id.clone(),
            policy: policy.clone(),
            limit: rule.limits.clone(),
            needs: needs.collect(),
            if_nothing_to_measure: nothing,
            outcome,
            reason,
            if_least: apart.map(|(least, _)| least),
            if_greatest: apart.map(|(_, greatest)| greatest),
            changes: match outcome {
                Outcome::NotApplicable if reason == Some(Reason::NeedsNotMet) => missing(&rule.needs, measures),
                Outcome::Pass | Outcome::Warning | Outcome::Fail => {
                    let decides = rule.limits.deciding(&measure);
                    metric.zip(decides).map_or_else(Vec::new, |(metric, ratio)| metric.changes(&rule.limits, ratio))
                }
                _ => Vec::new(),
            },
        });
        self
    }
}

/// What is missing before a rule applies.
fn missing(needs: &BTreeMap<String, u64>, measures: &Measures) -> Vec<OutcomeChange> {
    let text = |(key, least): (&String, &u64)| {
        let metric = MetricDefinition::find(key)?;
        let there = measures.get(key).ratio().map_or(0, |ratio| ratio.numerator() / ratio.denominator());
        let more = i128::from(*least) - there;
        (more > 0).then(|| format!("{}, before the rule applies", metric.counted(more, "more")))
    };
    let texts: Vec<String> = needs.iter().filter_map(text).collect();
    if texts.is_empty() {
        return Vec::new();
    }
    vec![OutcomeChange { outcome: Outcome::NotEvaluated, text: texts.join(", and ") }]
}

impl Limits {
    /// The value that decides: the end of the measure that is worse.
    fn deciding(&self, measure: &Measure) -> Option<Ratio> {
        let worse = if self.pass.is_at_least() { measure.least } else { measure.greatest };
        match (worse, measure.doubt) {
            (Reading::At(ratio), _) => Some(ratio),
            (_, Doubt::UnknownValues | Doubt::Truncated) => measure.ratio(),
        }
    }
}

impl MetricDefinition {
    /// The formula in words.
    #[must_use]
    pub fn formula(&self) -> String {
        match self.kind {
            ValueKind::Percentage => format!("{} / {} × 100", self.what, self.of),
            ValueKind::Number => "agents / organizations".to_owned(),
            ValueKind::Count => format!("number of {}", self.what),
            ValueKind::Hours => format!("{}, in hours", self.what),
        }
    }

    /// The numbers of the formula, by the exact value.
    fn numbers(&self, exact: Ratio) -> Vec<FormulaNumber> {
        let number = |what: &str, value: i128| FormulaNumber { what: what.to_owned(), value: value.to_string() };
        match self.kind {
            // The share of a whole is kept in percent.
            ValueKind::Percentage => {
                vec![number(self.what, exact.numerator() / 100), number(self.of, exact.denominator())]
            }
            ValueKind::Number => {
                vec![number("agents", exact.numerator()), number("organizations", exact.denominator())]
            }
            ValueKind::Count => vec![number(self.what, exact.numerator() / exact.denominator())],
            ValueKind::Hours => vec![FormulaNumber { what: self.what.to_owned(), value: self.kind.show(exact) }],
        }
    }

    /// `3 more agents online`, `1 fewer agent online`.
    fn counted(&self, number: i128, which: &str) -> String {
        let mut what = self.what.to_owned();
        if number == 1 {
            for plural in ["agents", "incidents", "organizations", "learners", "messages", "campaigns"] {
                if let Some(at) = what.find(plural) {
                    what.replace_range(at..at + plural.len(), &plural[..plural.len() - 1]);
                    break;
                }
            }
        }
        format!("{number} {which} {what}")
    }

    /// The least that would give each other outcome, the better ones first.
    fn changes(&self, limits: &Limits, exact: Ratio) -> Vec<OutcomeChange> {
        let now = limits.outcome_of(exact);
        let weaker = limits.warning.as_ref().unwrap_or(&limits.pass);
        let wanted = [
            (Outcome::Pass, Towards::Keep(&limits.pass)),
            (Outcome::Warning, if now == Outcome::Pass { Towards::Break(&limits.pass) } else { Towards::Keep(weaker) }),
            (Outcome::Fail, Towards::Break(weaker)),
        ];
        let there = |outcome| outcome != now && (outcome != Outcome::Warning || limits.warning.is_some());
        let others = wanted.into_iter().filter(|(outcome, _)| there(*outcome));
        let change = |(outcome, towards)| {
            let text = self.change(limits, exact, outcome, towards)?;
            Some(OutcomeChange { outcome, text })
        };
        others.filter_map(change).collect()
    }

    fn change(&self, limits: &Limits, exact: Ratio, wanted: Outcome, towards: Towards<'_>) -> Option<String> {
        let step = match self.kind {
            ValueKind::Count => 1,
            ValueKind::Percentage => 100,
            ValueKind::Hours | ValueKind::Number => return self.distance(exact, towards),
        };
        let steps = towards.steps(exact, step)?;
        let up = towards.goes_up();
        let moved = exact.numerator() + if up { steps * step } else { -steps * step };
        let most = if self.kind == ValueKind::Percentage { exact.denominator() * step } else { i128::MAX };
        if moved < 0 || moved > most {
            return None;
        }
        // A whole step may lead past the outcome that was wanted.
        (limits.outcome_of(Ratio::new(moved, exact.denominator())?) == wanted)
            .then(|| self.counted(steps, if up { "more" } else { "fewer" }))
    }

    /// How far a value that is not counted lies from a limit.
    fn distance(&self, exact: Ratio, towards: Towards<'_>) -> Option<String> {
        let limit = towards.limit().decimal().ratio()?;
        let apart = exact.numerator() * limit.denominator() - limit.numerator() * exact.denominator();
        let apart = Ratio::new(apart.abs(), exact.denominator() * limit.denominator())?;
        let which = if towards.goes_up() { "more" } else { "less" };
        let shown = self.kind.show(apart);
        Some(match towards {
            Towards::Keep(_) => format!("{shown}{} {which}", self.kind.unit()),
            Towards::Break(_) => format!("more than {shown}{} {which}", self.kind.unit()),
        })
    }
}

/// Where a value has to go.
#[derive(Debug, Clone, Copy)]
enum Towards<'a> {
    /// So far that it keeps the limit.
    Keep(&'a Limit),
    /// So far that it breaks it.
    Break(&'a Limit),
}

impl Towards<'_> {
    fn limit(&self) -> &Limit {
        match self {
            Self::Keep(limit) | Self::Break(limit) => limit,
        }
    }

    fn goes_up(&self) -> bool {
        match self {
            Self::Keep(limit) => limit.is_at_least(),
            Self::Break(limit) => !limit.is_at_least(),
        }
    }

    /// The least number of whole steps, each `step` of the numerator.
    fn steps(&self, exact: Ratio, step: i128) -> Option<i128> {
        let limit = self.limit().decimal().ratio()?;
        // Above 0 where the value lies above the limit; in units of 1 / (both denominators).
        let above = exact.numerator() * limit.denominator() - limit.numerator() * exact.denominator();
        let unit = step * limit.denominator();
        let gap = if self.goes_up() { -above } else { above };
        match self {
            // Round up, and not at all where the limit is kept.
            Self::Keep(_) => (gap > 0).then(|| (gap + unit - 1) / unit),
            Self::Break(_) => (gap >= 0).then(|| gap / unit + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{baseline, strict, training};
    use proptest::prelude::*;

    fn explained(policy: &crate::policy::Policy, rule: &str, measures: &Measures) -> Explanation {
        let rule = policy.rule(&RuleId::parse(rule).unwrap()).unwrap();
        let metric = MetricDefinition::find(&rule.metric).unwrap();
        Explanation::of(metric, measures).under(rule, &PolicyRef::from(policy), measures, None)
    }

    fn changes(explanation: &Explanation) -> Vec<(Outcome, &str)> {
        let changes = &explanation.rule.as_ref().unwrap().changes;
        changes.iter().map(|change| (change.outcome, change.text.as_str())).collect()
    }

    fn online(online: u64, total: u64) -> Measures {
        [
            ("agents_online_percentage", Measure::exact(Ratio::percent(online, total).unwrap())),
            ("agents_total", Measure::count(total)),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn a_share_says_how_many_it_takes() {
        use Outcome::{Fail, Pass, Warning};
        let of = |online_agents| explained(baseline(), "edr-online", &online(online_agents, 87));
        // At least 95 % of 87 are 82.65, at least 90 % are 78.3.
        let eighty = of(80);
        assert_eq!(eighty.formula, "agents online / agents × 100");
        let numbers: Vec<_> = eighty.numbers.iter().map(|it| (it.what.as_str(), it.value.as_str())).collect();
        assert_eq!(numbers, [("agents online", "80"), ("agents", "87")]);
        assert_eq!((eighty.value.as_deref(), eighty.unit.as_str()), (Some("92.0"), "%"));
        assert_eq!(changes(&eighty), [(Pass, "3 more agents online"), (Fail, "2 fewer agents online")]);
        assert_eq!(changes(&of(82)), [(Pass, "1 more agent online"), (Fail, "4 fewer agents online")]);
        assert_eq!(changes(&of(83)), [(Warning, "1 fewer agent online"), (Fail, "5 fewer agents online")]);
        assert_eq!(changes(&of(78)), [(Pass, "5 more agents online"), (Warning, "1 more agent online")]);
        // What cannot be is not offered: of two agents none is between 90 and 95 %.
        let of_two = explained(baseline(), "edr-online", &online(1, 2));
        assert_eq!(changes(&of_two), [(Pass, "1 more agent online")]);
    }

    #[test]
    fn counts_and_hours_say_how_far_they_lie_from_the_limit() {
        use Outcome::{Fail, Pass, Warning};
        let missing = |count| [("agents_missing", Measure::count(count))].into_iter().collect::<Measures>();
        assert_eq!(
            changes(&explained(baseline(), "edr-missing", &missing(4))),
            [(Pass, "4 fewer agents missing"), (Warning, "2 fewer agents missing")]
        );
        assert_eq!(
            changes(&explained(baseline(), "edr-missing", &missing(0))),
            [(Warning, "1 more agent missing"), (Fail, "3 more agents missing")]
        );
        // Without a band there is no warning.
        assert_eq!(changes(&explained(strict(), "edr-missing", &missing(1))), [(Pass, "1 fewer agent missing")]);
        let hours = Measure::exact(Ratio::new(32 * 60 + 30, 60).unwrap());
        let critical: Measures = [("oldest_open_critical_incident_age_hours", hours)].into_iter().collect();
        let explanation = explained(baseline(), "ir-critical-24h", &critical);
        assert_eq!((explanation.value.as_deref(), explanation.unit.as_str()), (Some("32.5"), "h"));
        assert_eq!(changes(&explanation), [(Pass, "8.5 h less")]);
        let slow: Measures = [
            ("p90_time_to_resolve_hours_90d", Measure::exact(Ratio::new(50, 1).unwrap())),
            ("incidents_resolved_90d", Measure::count(5)),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            changes(&explained(baseline(), "ir-resolve-90d", &slow)),
            [(Warning, "more than 22.0 h more"), (Fail, "more than 118.0 h more")]
        );
    }

    #[test]
    fn what_is_missing_unknown_or_not_there_is_said() {
        let few: Measures = [
            ("p90_time_to_resolve_hours_90d", Measure::exact(Ratio::new(50, 1).unwrap())),
            ("incidents_resolved_90d", Measure::count(1)),
        ]
        .into_iter()
        .collect();
        let explanation = explained(baseline(), "ir-resolve-90d", &few);
        let rule = explanation.rule.unwrap();
        assert_eq!((rule.outcome, rule.reason), (Outcome::NotApplicable, Some(Reason::NeedsNotMet)));
        assert_eq!(rule.changes[0].text, "2 more incidents resolved within 90 days, before the rule applies");
        assert_eq!((rule.needs[0].at_least, rule.needs[0].value.as_deref()), (3, Some("1")));

        let share = |online| Reading::At(Ratio::percent(online, 87).unwrap());
        let unsure = Measure::exact(Ratio::percent(81, 87).unwrap()).between(share(81), share(84));
        let measures: Measures =
            [("agents_online_percentage", unsure), ("agents_total", Measure::count(87))].into_iter().collect();
        let explanation = explained(baseline(), "edr-online", &measures);
        assert_eq!((explanation.least.as_deref(), explanation.greatest.as_deref()), (Some("93.1"), Some("96.6")));
        let rule = explanation.rule.unwrap();
        assert_eq!(
            (rule.outcome, rule.if_least, rule.if_greatest),
            (Outcome::Inconclusive, Some(Outcome::Warning), Some(Outcome::Pass))
        );
        assert_eq!(rule.changes, []);

        let nobody: Measures = [("coverage_pct", Measure::null(Reason::NoWorkforce))].into_iter().collect();
        let explanation = explained(training(), "sat-coverage", &nobody);
        assert_eq!((explanation.value, explanation.null_reason), (None, Some(Reason::NoWorkforce)));
    }

    proptest! {
        /// Whatever is offered does what it says, and one less does not.
        #[test]
        fn what_is_offered_is_the_least_that_does_it(part in 0_u64..=300, more in 0_u64..=300, pass in 0_u32..=1000, band in 0_u32..=1000, at_least: bool) {
            let whole = part + more;
            prop_assume!(whole > 0);
            let (strict, weak) = if at_least { (pass.max(band), pass.min(band)) } else { (pass.min(band), pass.max(band)) };
            let decimal = |tenths: u32| super::super::DecimalText::parse(format!("{}.{}", tenths / 10, tenths % 10)).unwrap();
            let limit = |tenths| if at_least { Limit::AtLeast(decimal(tenths)) } else { Limit::AtMost(decimal(tenths)) };
            let limits = Limits { pass: limit(strict), warning: Some(limit(weak)) };
            let metric = MetricDefinition::find("agents_online_percentage").unwrap();
            let exact = Ratio::percent(part, whole).unwrap();
            for change in metric.changes(&limits, exact) {
                let mut words = change.text.split(' ');
                let steps: i64 = words.next().unwrap().parse().unwrap();
                let sign = if words.next() == Some("more") { 1 } else { -1 };
                let outcome = |steps: i64| {
                    let moved = i64::try_from(part).unwrap() + sign * steps;
                    limits.outcome_of(Ratio::percent(u64::try_from(moved).unwrap(), whole).unwrap())
                };
                prop_assert_eq!(outcome(steps), change.outcome);
                prop_assert_ne!(outcome(steps - 1), change.outcome);
            }
        }
    }
}

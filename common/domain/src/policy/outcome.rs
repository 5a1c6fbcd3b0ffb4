//! What a rule says of one bundle.

use super::measure::{Doubt, Measure, Measures, Reading};
use super::{InForce, Limits, MetricDefinition, PolicyRef, Rule};
use crate::controls::Evidence;
use crate::evidence::Reason;
use crate::id::{PolicyName, RuleId};
use crate::number::Ratio;
use crate::product::Product;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Worth a look.
    Warning,
    /// Not as it should be.
    Fail,
    /// What was read does not decide it; the reason says why.
    Inconclusive,
    /// The rule does not apply: there is too little to measure.
    NotApplicable,
    /// Nobody chose a rule.
    NotEvaluated,
}

impl Outcome {
    /// All of them, worst first: `fail`, `inconclusive`, `warning`, `not_evaluated`, `pass`, `not_applicable`.
    pub const WORST_FIRST: [Self; 6] =
        [Self::Fail, Self::Inconclusive, Self::Warning, Self::NotEvaluated, Self::Pass, Self::NotApplicable];

    /// The outcome as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::NotApplicable => "not_applicable",
            Self::NotEvaluated => "not_evaluated",
        }
    }

    /// The worst of several. `not_applicable` counts only where there is nothing else; of nothing it is `not_evaluated`.
    ///
    /// ```
    /// use evidence_domain::policy::Outcome::*;
    /// assert_eq!(Pass.worst([Warning, Inconclusive]), Inconclusive);
    /// assert_eq!(NotApplicable.worst([Pass]), Pass);
    /// assert_eq!(Pass.worst([NotEvaluated]), NotEvaluated);
    /// ```
    #[must_use]
    pub fn worst(self, others: impl IntoIterator<Item = Self>) -> Self {
        others.into_iter().fold(self, |worst, other| if other.rank() < worst.rank() { other } else { worst })
    }

    /// The place in [`Self::WORST_FIRST`].
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Fail => 0,
            Self::Inconclusive => 1,
            Self::Warning => 2,
            Self::NotEvaluated => 3,
            Self::Pass => 4,
            Self::NotApplicable => 5,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotApplicable => "not applicable",
            Self::NotEvaluated => "not evaluated",
            other => other.as_str(),
        })
    }
}

/// An outcome and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    /// What the rule says.
    pub outcome: Outcome,
    /// Why it is not what the number alone would give, or that there is no number; `None` when there is nothing to say.
    pub reason: Option<Reason>,
}

impl Evaluation {
    fn because(outcome: Outcome, reason: Reason) -> Self {
        Self { outcome, reason: Some(reason) }
    }
}

/// Which end of a measure a reading is; where it is open, it goes on for ever in that direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Least,
    Greatest,
}

impl Limits {
    /// What the exact value gives.
    #[must_use]
    pub fn outcome_of(&self, value: Ratio) -> Outcome {
        if self.pass.holds(value) {
            Outcome::Pass
        } else if self.warning.as_ref().is_some_and(|warning| warning.holds(value)) {
            Outcome::Warning
        } else {
            Outcome::Fail
        }
    }

    fn open(&self, end: End) -> Outcome {
        // Without an end, more than enough is enough, and too much too much.
        if self.pass.is_at_least() == (end == End::Greatest) { Outcome::Pass } else { Outcome::Fail }
    }

    pub(super) fn outcome_of_reading(&self, reading: Reading, end: End, if_nothing_to_measure: Outcome) -> Outcome {
        match reading {
            Reading::At(value) => self.outcome_of(value),
            Reading::Open => self.open(end),
            Reading::Null(Reason::NothingToMeasure) => if_nothing_to_measure,
            // Neither good nor bad: there is nobody to train, or no campaign to look at.
            Reading::Null(Reason::NoWorkforce | Reason::NoRecentCampaigns) => Outcome::Warning,
            Reading::Null(_) => Outcome::Inconclusive,
        }
    }

    /// What a measure gives: the outcome on which its least and its greatest value agree.
    ///
    /// A value that only learners who left lift into a better outcome gets the worse one, and says so. A measure of a list that was cut says so whatever the outcome.
    #[must_use]
    pub fn evaluate(&self, measure: &Measure, if_nothing_to_measure: Outcome) -> Evaluation {
        let outcome = |reading, end| self.outcome_of_reading(reading, end, if_nothing_to_measure);
        let (least, greatest) = (outcome(measure.least, End::Least), outcome(measure.greatest, End::Greatest));
        let truncated = (measure.doubt == Doubt::Truncated).then_some(Reason::Truncated);
        if least != greatest {
            return Evaluation::because(Outcome::Inconclusive, truncated.unwrap_or(Reason::UnknownValues));
        }
        let reason = match measure.value {
            Reading::Null(reason) => Some(reason),
            Reading::At(value) if self.outcome_of(value).rank() > least.rank() => {
                Some(Reason::InflatedByDepartedLearners)
            }
            Reading::At(_) | Reading::Open => None,
        };
        Evaluation { outcome: least, reason: truncated.or(reason) }
    }
}

impl Rule {
    /// What this rule says of the measures of one bundle: needs first, then a value that is not there, then the limits.
    #[must_use]
    pub fn evaluate(&self, measures: &Measures) -> Evaluation {
        let needed = self.needs.iter().map(|(key, least)| meets(&measures.get(key), *least));
        match needed.max_by_key(|need| need.weight()) {
            Some(Need::Unmet) => return Evaluation::because(Outcome::NotApplicable, Reason::NeedsNotMet),
            Some(Need::Unclear(reason)) => return Evaluation::because(Outcome::Inconclusive, reason),
            Some(Need::Met) | None => {}
        }
        self.limits.evaluate(&measures.get(&self.metric), self.if_nothing_to_measure.unwrap_or(Outcome::Inconclusive))
    }
}

/// Whether there is enough of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Met,
    Unclear(Reason),
    Unmet,
}

impl Need {
    fn weight(self) -> u8 {
        match self {
            Self::Met => 0,
            Self::Unclear(_) => 1,
            Self::Unmet => 2,
        }
    }
}

/// Whether a needed metric is at least so much. Nothing to measure is too little; what is null for another reason is not known.
fn meets(measure: &Measure, least: u64) -> Need {
    let enough = |reading, end| match reading {
        Reading::At(value) if value.compare(i128::from(least), 0) == Ordering::Less => Need::Unmet,
        Reading::At(_) => Need::Met,
        Reading::Open if end == End::Greatest => Need::Met,
        Reading::Open | Reading::Null(Reason::NothingToMeasure) => Need::Unmet,
        Reading::Null(reason) => Need::Unclear(reason),
    };
    let (low, high) = (enough(measure.least, End::Least), enough(measure.greatest, End::Greatest));
    let truncated = measure.doubt == Doubt::Truncated;
    if low == high { low } else { Need::Unclear(if truncated { Reason::Truncated } else { Reason::UnknownValues }) }
}

/// What a rule said at a commit, as the bundle keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The rule.
    pub rule: RuleId,
    /// What it is about.
    pub evidence: Evidence,
    /// The metric or value of a signal that it is about.
    pub metric: String,
    /// What it said.
    pub outcome: Outcome,
    /// Why; null when there is nothing to say.
    pub reason: Option<Reason>,
    /// The value as it is shown in the evidence; null when there is none. The limit was compared with the exact one.
    pub value: Option<String>,
    /// The limits that it was compared with.
    pub limit: Limits,
    /// The policy that the rule is of.
    pub policy: PolicyName,
    /// Its version.
    pub version: super::PolicyVersion,
    /// The SHA-256 of the policy's canonical form (RFC 8785), in hex.
    pub policy_sha256: String,
}

impl Verdict {
    /// What a rule of a policy says of the measures of one bundle.
    #[must_use]
    pub fn of(rule: &Rule, policy: &PolicyRef, measures: &Measures) -> Self {
        let Evaluation { outcome, reason } = rule.evaluate(measures);
        let shown = |value| MetricDefinition::find(&rule.metric).map(|metric| metric.kind.show(value));
        Self {
            rule: rule.id.clone(),
            evidence: rule.evidence,
            metric: rule.metric.clone(),
            outcome,
            reason,
            value: measures.get(&rule.metric).ratio().and_then(shown),
            limit: rule.limits.clone(),
            policy: policy.policy.clone(),
            version: policy.version,
            policy_sha256: policy.sha256.clone(),
        }
    }
}

/// What the policies in force say of the measures of a bundle of this product, in the order of the evidence and of the rules. Nothing is said of evidence
/// that no policy was chosen for. With `doubt` about the whole bundle every outcome is inconclusive.
#[must_use]
pub fn evaluate(in_force: &InForce, product: Product, measures: &Measures, doubt: Option<Reason>) -> Vec<Verdict> {
    let rules = in_force.rules().filter(|(_, rule)| rule.evidence.product() == Some(product));
    let verdicts = rules.map(|(policy, rule)| {
        let verdict = Verdict::of(rule, policy, measures);
        match doubt {
            Some(reason) => Verdict { outcome: Outcome::Inconclusive, reason: Some(reason), ..verdict },
            None => verdict,
        }
    });
    verdicts.collect()
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;

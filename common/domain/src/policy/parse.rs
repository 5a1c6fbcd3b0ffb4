//! Reading a policy that somebody wrote, and saying what is wrong with it.

use super::{
    CATALOG, DecimalText, Freshness, InvalidVersion, Limit, Limits, MetricDefinition, NoDecimal, Outcome, Policy,
    PolicyVersion, Rule, ValueKind,
};
use crate::controls::Evidence;
use crate::id::{InvalidId, PolicyName, RuleId};
use crate::strict_json;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A policy has no more rules than this.
pub const MOST_RULES: usize = 200;

/// Evidence is not kept fresh for longer than a year.
const LONGEST_FRESHNESS_DAYS: u32 = 365;

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRule {
    /// A field is unknown, missing or of another type.
    #[error("{0}")]
    Shape(serde_json::Error),
    /// The id cannot be used.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// No such kind of evidence.
    #[error("there is no evidence {0:?}; there are {known}", known = known_evidence())]
    UnknownEvidence(String),
    /// No such metric.
    #[error("there is no metric {0:?}{near}; see docs/metrics.md", near = similar(.0))]
    UnknownMetric(String),
    /// The metric says nothing of this evidence.
    #[error("the metric {metric} is of {actual}, not of {given}")]
    OtherEvidence {
        /// The metric.
        metric: String,
        /// What it is of.
        actual: &'static str,
        /// What the rule says.
        given: &'static str,
    },
    /// A limit is no decimal.
    #[error("{field}: {source}")]
    Limit {
        /// `pass` or `warning`.
        field: &'static str,
        /// What was given.
        source: NoDecimal,
    },
    /// A limit has another form than `{"at_least": "95"}`.
    #[error("{field}: a limit is one of {{\"at_least\": \"95\"}} and {{\"at_most\": \"5\"}}")]
    LimitShape {
        /// `pass` or `warning`.
        field: &'static str,
    },
    /// A percentage above 100.
    #[error("{field}: a percentage is at most 100, not {limit}")]
    Percentage {
        /// `pass` or `warning`.
        field: &'static str,
        /// What was given.
        limit: String,
    },
    /// The limits look in different directions.
    #[error("pass is {pass} and warning is {warning}: both must be at_least, or both at_most")]
    Directions {
        /// The limit that passes.
        pass: String,
        /// The limit that warns.
        warning: String,
    },
    /// What warns would be stricter than what passes.
    #[error(
        "the warning ({warning}) is stricter than the pass ({pass}), so it would never warn: swap them, or leave the warning out"
    )]
    StricterWarning {
        /// The limit that passes.
        pass: String,
        /// The limit that warns.
        warning: String,
    },
    /// A need is a metric of the other product, whose bundle is another one.
    #[error("needs {needed}, which is a metric of {other}: a rule sees one product")]
    OtherProduct {
        /// The needed metric.
        needed: String,
        /// The product that gives it.
        other: &'static str,
    },
    /// An outcome that cannot be asked for.
    #[error("if_nothing_to_measure is one of pass, warning, fail, inconclusive and not_applicable")]
    IfNothing,
    /// Another rule has the same id.
    #[error("the id stands twice: give one of the rules another")]
    Repeated,
}

/// A file that is no policy.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPolicy {
    /// It is no JSON, has a key twice, or holds null.
    #[error("this is no policy: {0}")]
    Unreadable(serde_json::Error),
    /// The name cannot be used.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// The name has capital letters.
    #[error(
        "policy name {0:?}: use small letters only, since files and spreadsheets do not tell them from capital ones"
    )]
    Capitals(String),
    /// The version cannot be used.
    #[error(transparent)]
    Version(#[from] InvalidVersion),
    /// There is no rule, or there are too many.
    #[error("a policy has 1 to {MOST_RULES} rules, not {0}")]
    RuleCount(usize),
    /// A rule is wrong.
    #[error("rule {rule}: {problem}")]
    Rule {
        /// Its id, or its place where it has none: `2 (without id)`.
        rule: String,
        /// What is wrong.
        problem: InvalidRule,
    },
    /// The freshness is no freshness.
    #[error(
        "freshness: stale_after_hours must be above 0, and expired_after_days longer than that and at most {LONGEST_FRESHNESS_DAYS}"
    )]
    Freshness,
}

/// The file, its rules not yet read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    policy: String,
    version: String,
    rules: Vec<Value>,
    freshness: Option<Freshness>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: String,
    evidence: String,
    metric: String,
    pass: Value,
    warning: Option<Value>,
    #[serde(default)]
    needs: BTreeMap<String, u64>,
    if_nothing_to_measure: Option<Value>,
}

impl Policy {
    /// Reads and checks a policy. A byte-order mark before it is skipped.
    ///
    /// # Errors
    /// [`InvalidPolicy`], naming the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        let document = strict_json::read(text.trim_start_matches('\u{feff}')).map_err(InvalidPolicy::Unreadable)?;
        let PolicyText { policy, version, rules, freshness } =
            serde_json::from_value(document).map_err(InvalidPolicy::Unreadable)?;
        if policy.chars().any(|letter| letter.is_ascii_uppercase()) {
            return Err(InvalidPolicy::Capitals(policy));
        }
        let (policy, version) = (PolicyName::parse(policy)?, PolicyVersion::parse(&version)?);
        if rules.is_empty() || rules.len() > MOST_RULES {
            return Err(InvalidPolicy::RuleCount(rules.len()));
        }
        let mut seen = BTreeSet::new();
        let mut checked = Vec::with_capacity(rules.len());
        for (index, value) in rules.into_iter().enumerate() {
            let given = value.get("id").and_then(Value::as_str).map(str::to_owned);
            let name = given.unwrap_or_else(|| format!("{} (without id)", index + 1));
            let rule = Rule::read(value)
                .and_then(|rule| if seen.insert(rule.id.clone()) { Ok(rule) } else { Err(InvalidRule::Repeated) });
            checked.push(rule.map_err(|problem| InvalidPolicy::Rule { rule: name, problem })?);
        }
        if freshness.is_some_and(|it| !it.is_sensible()) {
            return Err(InvalidPolicy::Freshness);
        }
        Ok(Self { policy, version, rules: checked, freshness })
    }
}

impl Freshness {
    fn is_sensible(self) -> bool {
        self.stale_after_hours > 0
            && self.expired_after_days <= LONGEST_FRESHNESS_DAYS
            && self.expired_after() > self.stale_after()
    }
}

impl Rule {
    fn read(value: Value) -> Result<Self, InvalidRule> {
        let text: RuleText = serde_json::from_value(value).map_err(InvalidRule::Shape)?;
        let id = RuleId::parse(text.id)?;
        let Some(evidence) = Evidence::ALL.into_iter().find(|evidence| evidence.as_str() == text.evidence) else {
            return Err(InvalidRule::UnknownEvidence(text.evidence));
        };
        let metric = find(&text.metric)?;
        if metric.evidence != evidence {
            let (actual, given) = (metric.evidence.as_str(), evidence.as_str());
            return Err(InvalidRule::OtherEvidence { metric: text.metric, actual, given });
        }
        let pass = limit(&text.pass, "pass", metric.kind)?;
        let warning = text.warning.as_ref().map(|warning| limit(warning, "warning", metric.kind)).transpose()?;
        let limits = Limits { pass, warning }.checked(metric.key)?;
        for needed in text.needs.keys() {
            let product = find(needed)?.product();
            if product != metric.product() {
                let other = product.map_or("no product", |product| product.as_str());
                return Err(InvalidRule::OtherProduct { needed: needed.clone(), other });
            }
        }
        let if_nothing_to_measure = match text.if_nothing_to_measure {
            None => None,
            Some(value) => match serde_json::from_value(value) {
                Ok(Outcome::NotEvaluated) | Err(_) => return Err(InvalidRule::IfNothing),
                Ok(outcome) => Some(outcome),
            },
        };
        Ok(Self { id, evidence, metric: text.metric, limits, needs: text.needs, if_nothing_to_measure })
    }
}

impl Limits {
    /// These limits, if a policy may have them for this metric.
    pub(super) fn checked(self, metric: &str) -> Result<Self, InvalidRule> {
        let kind = find(metric)?.kind;
        within_hundred(self.pass.decimal(), "pass", kind)?;
        if let Some(warning) = &self.warning {
            within_hundred(warning.decimal(), "warning", kind)?;
            let shown = || (self.pass.to_string(), warning.to_string());
            if self.pass.is_at_least() != warning.is_at_least() {
                let (pass, warning) = shown();
                return Err(InvalidRule::Directions { pass, warning });
            }
            if warning.is_stricter_than(&self.pass) {
                let (pass, warning) = shown();
                return Err(InvalidRule::StricterWarning { pass, warning });
            }
        }
        Ok(self)
    }
}

/// A share of more than the whole is a slip.
fn within_hundred(limit: &DecimalText, field: &'static str, kind: ValueKind) -> Result<(), InvalidRule> {
    let above = limit.ratio().is_some_and(|limit| !limit.at_most(100));
    if kind == ValueKind::Percentage && above {
        return Err(InvalidRule::Percentage { field, limit: limit.to_string() });
    }
    Ok(())
}

fn find(key: &str) -> Result<&'static MetricDefinition, InvalidRule> {
    MetricDefinition::find(key).ok_or_else(|| InvalidRule::UnknownMetric(key.to_owned()))
}

fn limit(value: &Value, field: &'static str, kind: ValueKind) -> Result<Limit, InvalidRule> {
    let shape = InvalidRule::LimitShape { field };
    let Some(object) = value.as_object().filter(|object| object.len() == 1) else { return Err(shape) };
    let Some((direction, number)) = object.iter().next() else { return Err(shape) };
    let text = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
    // A JSON number is refused: 95.10 and 95.1 would have one canonical form, and 0.1 none that is exact.
    let decimal = if number.is_string() { DecimalText::parse(text) } else { Err(NoDecimal(text)) };
    let decimal = decimal.map_err(|source| InvalidRule::Limit { field, source })?;
    within_hundred(&decimal, field, kind)?;
    match direction.as_str() {
        "at_least" => Ok(Limit::AtLeast(decimal)),
        "at_most" => Ok(Limit::AtMost(decimal)),
        _ => Err(shape),
    }
}

fn known_evidence() -> String {
    let kinds = Evidence::ALL.into_iter().filter(|kind| *kind != Evidence::PersonTraining);
    kinds.map(Evidence::as_str).collect::<Vec<_>>().join(", ")
}

/// The metric that begins most alike, as a hint.
fn similar(key: &str) -> String {
    let alike = |other: &str| key.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    match CATALOG.iter().max_by_key(|metric| alike(metric.key)) {
        Some(near) if alike(near.key) >= 4 => format!(" (is it {}?)", near.key),
        _ => String::new(),
    }
}

//! Policies: limits on metrics, as data. A version of a policy never changes, and there is no language of expressions.

mod catalog;
mod explain;
mod in_force;
mod limit;
mod measure;
mod other_limits;
mod outcome;
mod parse;
mod presets;

pub use catalog::{CATALOG, MetricDefinition, ValueKind};
pub use explain::{Explanation, FormulaNumber, NeedExplanation, OutcomeChange, RuleExplanation};
pub use in_force::{ClientPolicies, InForce, PolicyChoice, PolicyRef, RuleInUse};
pub use limit::{DecimalText, Limit, Limits, NoDecimal};
pub use measure::{Doubt, Measure, Measures, Reading};
pub use other_limits::{InvalidSetting, LimitChange, LimitChanges, limit_changes};
pub use outcome::{Evaluation, Outcome, Verdict, evaluate};
pub use parse::{InvalidPolicy, MOST_RULES};
pub use presets::{PercentLimits, baseline, preset, presets, strict, training, training_limits};

use super::controls::Evidence;
use super::id::{PolicyName, RuleId};
use super::log::{Hash, jcs};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A set of rules under a name and a version.
///
/// ```
/// use evidence_domain::policy::Policy;
/// let policy = Policy::parse(r#"{"policy": "ours", "version": "1.0.0", "rules": [{"id": "missing",
///     "evidence": "endpoint_protection", "metric": "agents_missing", "pass": {"at_most": "0"}}]}"#).unwrap();
/// assert_eq!(policy.to_string(), "ours 1.0.0");
/// assert_eq!(policy.sha256().len(), 64);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    policy: PolicyName,
    version: PolicyVersion,
    rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<Freshness>,
}

/// A limit on one metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Its name, once in a policy.
    pub id: RuleId,
    /// What it is about.
    pub evidence: Evidence,
    /// The metric, or value of a signal, that it limits.
    pub metric: String,
    /// The limits.
    #[serde(flatten)]
    pub limits: Limits,
    /// Metrics of the same product that must be at least so much; else the rule does not apply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub needs: BTreeMap<String, u64>,
    /// The outcome where the metric is null because there is nothing to measure; `inconclusive` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_nothing_to_measure: Option<Outcome>,
}

/// How long evidence counts as fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// Older than this it is stale.
    pub stale_after_hours: u32,
    /// Older than this it says nothing any more.
    pub expired_after_days: u32,
}

impl Freshness {
    /// A day and two hours for a late run, and a week. What a policy without its own takes.
    pub const DEFAULT: Self = Self { stale_after_hours: 26, expired_after_days: 7 };

    /// The age up to which evidence is fresh.
    #[must_use]
    pub fn stale_after(self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.stale_after_hours))
    }

    /// The age up to which it is merely stale.
    #[must_use]
    pub fn expired_after(self) -> TimeDelta {
        TimeDelta::days(i64::from(self.expired_after_days))
    }

    /// The smaller of each limit.
    #[must_use]
    pub fn smallest(self, other: Self) -> Self {
        Self {
            stale_after_hours: self.stale_after_hours.min(other.stale_after_hours),
            expired_after_days: self.expired_after_days.min(other.expired_after_days),
        }
    }
}

/// A version as `1.0.0`. They are ordered by their numbers.
///
/// ```
/// use evidence_domain::policy::PolicyVersion;
/// let version = |text| PolicyVersion::parse(text).unwrap();
/// assert!(version("1.10.0") > version("1.9.9"));
/// for bad in ["1.0", "1.0.0-rc1", "01.0.0", "v1.0.0", "1.0.0.0", "", "1..0"] {
///     assert!(PolicyVersion::parse(bad).is_err(), "{bad}");
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version: write three numbers, like 1.0.0")]
pub struct InvalidVersion(pub String);

impl PolicyVersion {
    /// Reads a version.
    ///
    /// # Errors
    /// [`InvalidVersion`] for anything but three numbers without leading zeros.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        let number = |part: &str| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            plain.then(|| part.parse().ok()).flatten()
        };
        let mut parts = text.split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => Ok(Self { major, minor, patch }),
            _ => Err(InvalidVersion(text.to_owned())),
        }
    }
}

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for PolicyVersion {
    type Error = InvalidVersion;
    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        Self::parse(&text)
    }
}

impl From<PolicyVersion> for String {
    fn from(version: PolicyVersion) -> String {
        version.to_string()
    }
}

/// A version that exists with other content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{policy} exists with other content{}: a version never changes; give the new content a higher version", rule.as_ref().map_or_else(String::new, |rule| format!(" (rule {rule} differs)")))]
pub struct VersionChanged {
    /// The policy and its version.
    pub policy: String,
    /// The first rule that differs; `None` when the rules agree and something else differs.
    pub rule: Option<RuleId>,
}

impl Policy {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.policy
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> PolicyVersion {
        self.version
    }

    /// Its rules, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule by id.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    /// How long evidence is fresh under it.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness.unwrap_or(Freshness::DEFAULT)
    }

    /// Whether it has a rule about this evidence.
    #[must_use]
    pub fn is_about(&self, evidence: Evidence) -> bool {
        self.rules.iter().any(|rule| rule.evidence == evidence)
    }

    /// The canonical form (RFC 8785), which is what is hashed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        // Text and whole numbers only: there always is one.
        jcs::to_bytes(self).unwrap_or_default()
    }

    /// The SHA-256 of the canonical form, as the log has it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.canonical())
    }

    /// The same in hex, as verdicts have it.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.hash().hex()
    }

    /// Whether this may be kept beside `stored`: another name or version may, and the same one only with the same content.
    ///
    /// # Errors
    /// [`VersionChanged`] with the first rule that differs.
    pub fn check_against(&self, stored: &Self) -> Result<(), VersionChanged> {
        if (&self.policy, self.version) != (&stored.policy, stored.version) || self == stored {
            return Ok(());
        }
        let of = |policy: &Self, id: &RuleId| policy.rule(id).cloned();
        let mut ids = self.rules.iter().chain(&stored.rules).map(|rule| &rule.id);
        let rule = ids.find(|id| of(self, id) != of(stored, id)).cloned();
        Err(VersionChanged { policy: self.to_string(), rule })
    }

    /// The same rules with other limits, for trying them out: never stored.
    #[must_use]
    pub fn with_limits(&self, rule: &RuleId, limits: &Limits) -> Self {
        let mut changed = self.clone();
        for own in changed.rules.iter_mut().filter(|own| own.id == *rule) {
            own.limits = limits.clone();
        }
        changed
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.policy, self.version)
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

//! Limits that are tried out: a rule as it is, with other numbers.

use super::parse::{InvalidPolicy, InvalidRule};
use super::{DecimalText, InForce, Limits, Rule};
use crate::id::RuleId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Other numbers for the limits of a rule; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitChange {
    /// What passes.
    #[serde(default)]
    pub pass: Option<DecimalText>,
    /// What only warns.
    #[serde(default)]
    pub warning: Option<DecimalText>,
}

/// Other numbers for rules.
pub type LimitChanges = BTreeMap<RuleId, LimitChange>;

/// A text that sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} sets no limit: write RULE.pass=NUMBER or RULE.warning=NUMBER, as in edr-online.pass=90")]
pub struct InvalidSetting(pub String);

/// Reads `edr-online.pass=90`, several of which may be about one rule.
///
/// # Errors
/// [`InvalidSetting`] for anything else, and for a limit that is set twice.
///
/// ```
/// use evidence_domain::policy::limit_changes;
/// let changes = limit_changes(["edr-online.pass=90", "edr-online.warning=80.5"]).unwrap();
/// let change = changes.values().next().unwrap();
/// assert_eq!((change.pass.as_ref().unwrap().to_string(), change.warning.as_ref().unwrap().to_string()), ("90".into(), "80.5".into()));
/// for bad in ["edr-online=90", "edr-online.pass", "edr-online.fail=9", ".pass=9", "edr-online.pass=9%", "edr-online.pass="] {
///     assert!(limit_changes([bad]).is_err(), "{bad}");
/// }
/// assert!(limit_changes(["a.pass=1", "a.pass=2"]).is_err());
/// ```
pub fn limit_changes<'a>(settings: impl IntoIterator<Item = &'a str>) -> Result<LimitChanges, InvalidSetting> {
    let mut changes = LimitChanges::new();
    for text in settings {
        let invalid = || InvalidSetting(text.to_owned());
        let (name, number) = text.split_once('=').ok_or_else(invalid)?;
        let (rule, which) = name.trim().rsplit_once('.').ok_or_else(invalid)?;
        let rule = RuleId::parse(rule).map_err(|_| invalid())?;
        let number = DecimalText::parse(number.trim()).map_err(|_| invalid())?;
        let change = changes.entry(rule).or_default();
        let place = match which {
            "pass" => &mut change.pass,
            "warning" => &mut change.warning,
            _ => return Err(invalid()),
        };
        if place.replace(number).is_some() {
            return Err(invalid());
        }
    }
    Ok(changes)
}

impl Rule {
    /// The limits of this rule with other numbers; a warning that it does not have is given one.
    ///
    /// # Errors
    /// [`InvalidPolicy::Rule`] for limits that no policy may have.
    pub fn changed(&self, change: &LimitChange) -> Result<Limits, InvalidPolicy> {
        let at = |number: &DecimalText| self.limits.pass.at(number.clone());
        let limits = Limits {
            pass: change.pass.as_ref().map_or_else(|| self.limits.pass.clone(), at),
            warning: change.warning.as_ref().map(at).or_else(|| self.limits.warning.clone()),
        };
        let problem = |problem: InvalidRule| InvalidPolicy::Rule { rule: self.id.to_string(), problem };
        limits.checked(&self.metric).map_err(problem)
    }
}

impl InForce {
    /// The same rules, some with other limits.
    ///
    /// # Errors
    /// [`InvalidPolicy::Rule`] for limits that no policy may have.
    pub fn changed(&self, changes: &LimitChanges) -> Result<Self, InvalidPolicy> {
        let mut changed = self.clone();
        for (rule, change) in changes {
            if let Some((_, rule)) = self.rule(rule) {
                changed = changed.with_limits(&rule.id, &rule.changed(change)?);
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{baseline, strict};

    fn rule(policy: &crate::policy::Policy, id: &str) -> Rule {
        policy.rule(&RuleId::parse(id).unwrap()).unwrap().clone()
    }

    fn changed(rule: &Rule, settings: &[&str]) -> Result<String, String> {
        let changes = limit_changes(settings.iter().copied()).unwrap();
        rule.changed(&changes[&rule.id]).map(|limits| limits.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_keeps_its_direction_and_its_other_number() {
        let online = rule(baseline(), "edr-online");
        assert_eq!(changed(&online, &["edr-online.pass=92"]).unwrap(), "pass at least 92, warning at least 90");
        assert_eq!(changed(&online, &["edr-online.warning=95"]).unwrap(), "pass at least 95, warning at least 95");
        let missing = rule(strict(), "edr-missing");
        assert_eq!(changed(&missing, &["edr-missing.warning=3"]).unwrap(), "pass at most 0, warning at most 3");
    }

    #[test]
    fn limits_that_no_policy_may_have_are_refused_by_the_rule() {
        let online = rule(baseline(), "edr-online");
        for (settings, part) in [
            (&["edr-online.pass=89"][..], "stricter than the pass"),
            (&["edr-online.warning=96"], "stricter than the pass"),
            (&["edr-online.pass=101"], "at most 100"),
        ] {
            let error = changed(&online, settings).unwrap_err();
            assert!(error.starts_with("rule edr-online: ") && error.contains(part), "{error}");
        }
    }
}

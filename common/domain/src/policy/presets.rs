//! The policies that the product ships. No standard gives their numbers: they are where many begin.

use super::{Limit, Policy, Rule};
use crate::controls::Evidence;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

const FILES: [&str; 3] =
    [include_str!("presets/training.json"), include_str!("presets/baseline.json"), include_str!("presets/strict.json")];

static PRESETS: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| {
    // The files are part of the program, and a test reads them: none is left out.
    FILES.iter().filter_map(|file| Policy::parse(file).ok()).map(Arc::new).collect()
});

/// All of them: `training`, `baseline`, `strict`.
#[must_use]
pub fn presets() -> &'static [Arc<Policy>] {
    &PRESETS
}

/// A preset by name, in its newest version.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Arc<Policy>> {
    presets().iter().find(|policy| policy.name().as_str() == name)
}

/// Limits in whole percent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PercentLimits {
    /// From where, or up to where, a value passes.
    pub pass: u32,
    /// From where, or up to where, it warns.
    pub warning: u32,
}

/// The limits of the training preset's rule about this evidence.
///
/// ```
/// use evidence_domain::{controls::Evidence, policy::{PercentLimits, training_limits}};
/// assert_eq!(training_limits(Evidence::WorkforceCoverage), PercentLimits { pass: 90, warning: 70 });
/// assert_eq!(training_limits(Evidence::PhishingSimulation), PercentLimits { pass: 5, warning: 15 });
/// ```
#[must_use]
pub fn training_limits(evidence: Evidence) -> PercentLimits {
    static LIMITS: LazyLock<BTreeMap<Evidence, PercentLimits>> = LazyLock::new(|| {
        let percent = |limit: &Limit| limit.decimal().to_string().parse().unwrap_or_default();
        let limits = |rule: &Rule| PercentLimits {
            pass: percent(&rule.limits.pass),
            warning: rule.limits.warning.as_ref().map_or(0, percent),
        };
        training().rules().iter().map(|rule| (rule.evidence, limits(rule))).collect()
    });
    LIMITS.get(&evidence).copied().unwrap_or_default()
}

macro_rules! presets {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name() -> &'static Arc<Policy> {
            preset(stringify!($name)).unwrap_or_else(|| unreachable!("a test reads the preset"))
        }
    )*};
}

presets!(
    /// Coverage 90 and 70, phishing 5 and 15: in force for every client until something replaces it.
    training,
    /// Endpoint rules to begin with.
    baseline,
    /// Endpoint rules without slack.
    strict
);

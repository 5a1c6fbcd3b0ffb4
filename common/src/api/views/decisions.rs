//! Policies and decisions.

use crate::app::decisions::{ExceptionView, PolicySummary};
use crate::domain::id::{ClientId, PolicyName};
use crate::domain::policy::{InForce, Policy, PolicyRef, PolicyVersion, Rule, presets};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyList {
    /// A row for each version.
    pub items: Vec<PolicySummary>,
    /// Always null: there is one page.
    pub next_after: Option<String>,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyView {
    /// Its name.
    pub policy: PolicyName,
    /// Its version.
    pub version: PolicyVersion,
    /// The SHA-256 of its canonical form, in hex.
    pub sha256: String,
    /// Whether it ships with the product.
    pub preset: bool,
    /// The policy, as it was imported.
    pub content: Policy,
}

impl From<&Policy> for PolicyView {
    fn from(policy: &Policy) -> Self {
        Self {
            policy: policy.name().clone(),
            version: policy.version(),
            sha256: policy.sha256(),
            preset: presets().iter().any(|preset| preset.as_ref() == policy),
            content: policy.clone(),
        }
    }
}

/// A rule in force, with its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleInForceView {
    /// The name and version of its policy.
    pub policy: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
}

/// The rules in force for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientPolicyView {
    /// The client.
    pub client: ClientId,
    /// At this instant.
    pub at: DateTime<Utc>,
    /// The policies, by name.
    pub policies: Vec<PolicyRef>,
    /// The rules, in the order of the evidence.
    pub rules: Vec<RuleInForceView>,
}

impl ClientPolicyView {
    /// The rules in force for a client at an instant.
    #[must_use]
    pub fn of(client: ClientId, at: DateTime<Utc>, in_force: &InForce) -> Self {
        let rule = |(policy, rule): (&PolicyRef, &Rule)| RuleInForceView {
            policy: format!("{} {}", policy.policy, policy.version),
            rule: rule.clone(),
        };
        let (policies, rules) = (in_force.policies().into_keys().collect(), in_force.rules().map(rule).collect());
        Self { client, at, policies, rules }
    }
}

/// Exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExceptionList {
    /// The newest first.
    pub items: Vec<ExceptionView>,
    /// Always null: there is one page.
    pub next_after: Option<String>,
}

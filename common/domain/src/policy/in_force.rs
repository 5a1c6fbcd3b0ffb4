//! Which rules count for a client.

use super::{Freshness, Limits, Policy, PolicyVersion, Rule, training};
use crate::controls::Evidence;
use crate::decisions::Nonce;
use crate::id::DecisionId;
use crate::id::{ClientId, PolicyName, RuleId};
use crate::log::Hash;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A version of a policy, with the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyRef {
    /// Its name.
    pub policy: PolicyName,
    /// Its version.
    pub version: PolicyVersion,
    /// The SHA-256 of its canonical form, in hex.
    pub sha256: String,
}

impl From<&Policy> for PolicyRef {
    fn from(policy: &Policy) -> Self {
        Self { policy: policy.name().clone(), version: policy.version(), sha256: policy.sha256() }
    }
}

/// The decision to measure a client by a policy, from an instant on. It is never changed; another one replaces it for the evidence that it has rules for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChoice {
    /// Its id.
    pub id: DecisionId,
    /// Whose evidence.
    pub client: ClientId,
    /// The policy.
    #[serde(flatten)]
    pub chosen: PolicyRef,
    /// From when on it counts.
    pub at: DateTime<Utc>,
    /// Who decided.
    pub by: String,
    /// Why, if somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether that was said on the machine that keeps the records.
    pub on_this_machine: bool,
    /// Random, for the commitment in the log.
    pub nonce: Nonce,
}

/// The policies in force for each client of a company at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientPolicies(BTreeMap<ClientId, InForce>);

impl ClientPolicies {
    /// Those of the clients that chose some; all others have the presets.
    #[must_use]
    pub fn new(chosen: BTreeMap<ClientId, InForce>) -> Self {
        Self(chosen)
    }

    /// The policies in force for a client; `None` is the company itself, which chooses none.
    #[must_use]
    pub fn of(&self, client: Option<&ClientId>) -> InForce {
        client.and_then(|client| self.0.get(client)).cloned().unwrap_or_default()
    }

    /// The SHA-256 of every policy that counts for one of these, for the evidence log.
    #[must_use]
    pub fn hashes<'a>(&self, owners: impl IntoIterator<Item = Option<&'a ClientId>>) -> Vec<Hash> {
        let of = |owner| self.of(owner).policies().into_values();
        let policies = owners.into_iter().flat_map(of);
        policies.map(|policy| policy.hash()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A rule that would stand in two policies in force at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rule {rule} of {new} would stand beside rule {rule} of {old}, which stays in force for {evidence}: rename it, or give the new policy rules for {evidence} too"
)]
pub struct RuleInUse {
    /// The id that both have.
    pub rule: RuleId,
    /// The policy that was to be chosen.
    pub new: String,
    /// The policy that stays.
    pub old: String,
    /// For this.
    pub evidence: &'static str,
}

/// The policies in force for one client at one instant: at most one for each kind of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    by_evidence: BTreeMap<Evidence, (PolicyRef, Arc<Policy>)>,
}

impl Default for InForce {
    /// The training preset, which counts until something replaces it.
    fn default() -> Self {
        Self { by_evidence: BTreeMap::new() }.replaced_by(training())
    }
}

impl InForce {
    /// After the choice of `policy`, which takes the place of others for the evidence that it has rules for and of none else.
    ///
    /// # Errors
    /// [`RuleInUse`] when a rule id would then stand for two rules.
    pub fn choose(&self, policy: &Arc<Policy>) -> Result<Self, RuleInUse> {
        let next = self.replaced_by(policy);
        let stays = next.rules().filter(|(_, rule)| !policy.is_about(rule.evidence));
        for (old, rule) in stays {
            if policy.rule(&rule.id).is_some() {
                return Err(RuleInUse {
                    rule: rule.id.clone(),
                    new: policy.to_string(),
                    old: format!("{} {}", old.policy, old.version),
                    evidence: rule.evidence.as_str(),
                });
            }
        }
        Ok(next)
    }

    /// The state after choices that were checked when they were made, oldest first.
    #[must_use]
    pub fn after<'a>(choices: impl IntoIterator<Item = &'a Arc<Policy>>) -> Self {
        choices.into_iter().fold(Self::default(), |before, policy| before.replaced_by(policy))
    }

    fn replaced_by(&self, policy: &Arc<Policy>) -> Self {
        let mut by_evidence = self.by_evidence.clone();
        let reference = PolicyRef::from(policy.as_ref());
        for rule in policy.rules() {
            by_evidence.insert(rule.evidence, (reference.clone(), Arc::clone(policy)));
        }
        Self { by_evidence }
    }

    /// The same with other limits for one rule, for trying them out.
    #[must_use]
    pub fn with_limits(&self, rule: &RuleId, limits: &Limits) -> Self {
        let changed = |(reference, policy): &(PolicyRef, Arc<Policy>)| {
            let policy = if policy.rule(rule).is_some() {
                Arc::new(policy.with_limits(rule, limits))
            } else {
                Arc::clone(policy)
            };
            (reference.clone(), policy)
        };
        Self { by_evidence: self.by_evidence.iter().map(|(evidence, it)| (*evidence, changed(it))).collect() }
    }

    /// The rules in force, with the policy of each, in the order of the evidence and of the policy.
    pub fn rules(&self) -> impl Iterator<Item = (&PolicyRef, &Rule)> {
        self.by_evidence.iter().flat_map(|(evidence, (reference, policy))| {
            let rules = policy.rules().iter().filter(move |rule| rule.evidence == *evidence);
            rules.map(move |rule| (reference, rule))
        })
    }

    /// A rule in force by id.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<(&PolicyRef, &Rule)> {
        self.rules().find(|(_, rule)| rule.id == *id)
    }

    /// The policy in force for this evidence.
    #[must_use]
    pub fn policy_for(&self, evidence: Evidence) -> Option<&Arc<Policy>> {
        self.by_evidence.get(&evidence).map(|(_, policy)| policy)
    }

    /// The policies in force, each once, by name.
    #[must_use]
    pub fn policies(&self) -> BTreeMap<PolicyRef, Arc<Policy>> {
        self.by_evidence.values().cloned().collect()
    }

    /// How long evidence of these kinds is fresh: of several policies the smallest limit. Where none was chosen, the default.
    #[must_use]
    pub fn freshness(&self, kinds: impl IntoIterator<Item = Evidence>) -> Freshness {
        let limits = kinds.into_iter().filter_map(|kind| self.policy_for(kind)).map(|policy| policy.freshness());
        limits.reduce(Freshness::smallest).unwrap_or(Freshness::DEFAULT)
    }
}

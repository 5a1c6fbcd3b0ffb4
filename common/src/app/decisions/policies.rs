//! Policies: which there are, and which count for a client.

use super::{DecisionError, Decisions};
use crate::domain::audit::{AuditAction, AuditEvent};
use crate::domain::decisions::{Decider, Decision};
use crate::domain::id::{ClientId, CompanyId, PolicyName};
use crate::domain::policy::{ClientPolicies, InForce, Policy, PolicyChoice, PolicyRef, PolicyVersion, presets};
use crate::store::{Store, StoreError};
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A policy in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySummary {
    /// Its name.
    pub policy: PolicyName,
    /// Its version.
    pub version: PolicyVersion,
    /// The SHA-256 of its canonical form, in hex.
    pub sha256: String,
    /// How many rules it has.
    pub rules: usize,
    /// Whether it ships with the product.
    pub preset: bool,
}

/// All policies of a company: the presets, and those that it imported.
pub(crate) async fn all_policies(store: &Store, company: &CompanyId) -> Result<Vec<Arc<Policy>>, StoreError> {
    let imported = store.imported_policies(company).await?;
    Ok(presets().iter().cloned().chain(imported.into_iter().map(Arc::new)).collect())
}

/// Every choice of policies of a company, or of one client, and the policies that were chosen: what is in force at whatever instant.
pub(crate) struct PolicyHistory {
    /// Oldest first for each client.
    choices: Vec<PolicyChoice>,
    known: BTreeMap<PolicyRef, Arc<Policy>>,
}

impl PolicyHistory {
    /// Reads it.
    pub(crate) async fn read(
        store: &Store,
        company: &CompanyId,
        client: Option<&ClientId>,
    ) -> Result<Self, StoreError> {
        let choices = store.policy_choices(company, client).await?;
        // Most clients never chose, and then no policy needs to be read.
        let known = if choices.is_empty() { Vec::new() } else { all_policies(store, company).await? };
        let known = known.into_iter().map(|policy| (PolicyRef::from(policy.as_ref()), policy)).collect();
        Ok(Self::of(&choices, known))
    }

    /// The choices among decisions, oldest first, under the policies that are known.
    pub(crate) fn of(decisions: &[Decision], known: BTreeMap<PolicyRef, Arc<Policy>>) -> Self {
        let choices = decisions.iter().filter_map(|decision| match decision {
            Decision::Policy(choice) => Some(choice.clone()),
            Decision::Exception(_) | Decision::Review(_) | Decision::Attestation(_) => None,
        });
        Self { choices: choices.collect(), known }
    }

    /// The policies in force for each client at an instant.
    pub(crate) fn at(&self, at: DateTime<Utc>) -> Result<ClientPolicies, StoreError> {
        let mut chosen: BTreeMap<ClientId, Vec<&Arc<Policy>>> = BTreeMap::new();
        // Runs are evaluated at whole seconds: a choice is in force from the second on that it was made in.
        for choice in self.choices.iter().filter(|choice| choice.at.trunc_subsecs(0) <= at) {
            let missing =
                || StoreError::Corrupt { record: "policy", reason: "a policy that was chosen is missing".to_owned() };
            let policy = self.known.get(&choice.chosen).ok_or_else(missing)?;
            chosen.entry(choice.client.clone()).or_default().push(policy);
        }
        let in_force = chosen.into_iter().map(|(client, policies)| (client, InForce::after(policies)));
        Ok(ClientPolicies::new(in_force.collect()))
    }
}

/// The policies in force for each client at an instant.
pub(crate) async fn policies_at(
    store: &Store,
    company: &CompanyId,
    at: DateTime<Utc>,
) -> Result<ClientPolicies, StoreError> {
    PolicyHistory::read(store, company, None).await?.at(at)
}

impl Decisions {
    /// The policies that a company can choose from.
    ///
    /// # Errors
    /// [`DecisionError::Store`].
    pub async fn policies(&self, company: &CompanyId) -> Result<Vec<PolicySummary>, DecisionError> {
        let all = all_policies(&self.store, company).await?;
        let summary = |policy: &Arc<Policy>| PolicySummary {
            policy: policy.name().clone(),
            version: policy.version(),
            sha256: policy.sha256(),
            rules: policy.rules().len(),
            preset: presets().contains(policy),
        };
        Ok(all.iter().map(summary).collect())
    }

    /// A policy of this name, in this version or the newest.
    ///
    /// # Errors
    /// [`DecisionError::UnknownPolicy`].
    pub async fn policy(
        &self,
        company: &CompanyId,
        name: &str,
        version: Option<PolicyVersion>,
    ) -> Result<Arc<Policy>, DecisionError> {
        let all = all_policies(&self.store, company).await?;
        let named = all.iter().filter(|policy| policy.name().as_str() == name);
        let found = named.filter(|policy| version.is_none_or(|version| policy.version() == version));
        found.max_by_key(|policy| policy.version()).cloned().ok_or_else(|| DecisionError::UnknownPolicy {
            named: version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}")),
            known: all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        })
    }

    /// Keeps the policy of a file. The same content again changes nothing.
    ///
    /// # Errors
    /// [`DecisionError::Policy`], and [`DecisionError::VersionChanged`] where the version is there with other content.
    pub async fn import(&self, company: &CompanyId, text: &str, by: &Decider) -> Result<Arc<Policy>, DecisionError> {
        let policy = Policy::parse(text)?;
        for known in all_policies(&self.store, company).await? {
            policy.check_against(&known)?;
            if policy == *known {
                return Ok(known);
            }
        }
        let named = serde_json::to_value(PolicyRef::from(&policy)).ok();
        let event = AuditEvent::new(
            &by.actor(),
            AuditAction::PolicyImported,
            company.clone(),
            policy.to_string(),
            self.clock.now(),
        );
        self.store.keep_policy(company, &policy, &AuditEvent { after: named, ..event }).await?;
        Ok(Arc::new(policy))
    }

    /// The policies in force for each client of a company at an instant.
    ///
    /// # Errors
    /// [`DecisionError::Store`].
    pub async fn all_in_force(&self, company: &CompanyId, at: DateTime<Utc>) -> Result<ClientPolicies, DecisionError> {
        Ok(policies_at(&self.store, company, at).await?)
    }

    /// The policies in force for a client at an instant.
    ///
    /// # Errors
    /// [`DecisionError::Store`], also for a client that nobody knows.
    pub async fn in_force_for(
        &self,
        company: &CompanyId,
        client: &ClientId,
        at: DateTime<Utc>,
    ) -> Result<InForce, DecisionError> {
        let (in_force, known) =
            tokio::join!(self.in_force(company, client, at), self.store.check_client(company, client));
        known?;
        in_force
    }

    /// The same for a client that is known.
    ///
    /// # Errors
    /// [`DecisionError::Store`].
    pub async fn in_force(
        &self,
        company: &CompanyId,
        client: &ClientId,
        at: DateTime<Utc>,
    ) -> Result<InForce, DecisionError> {
        Ok(self.all_in_force(company, at).await?.of(Some(client)))
    }

    /// Measures a client by a policy from now on. What was committed before keeps its verdicts.
    ///
    /// # Errors
    /// [`DecisionError::Store`] for a client that nobody knows, and [`DecisionError::RuleInUse`] where a rule id would stand for two rules.
    pub async fn choose(
        &self,
        company: &CompanyId,
        client: &ClientId,
        policy: &Arc<Policy>,
        by: &Decider,
    ) -> Result<PolicyChoice, DecisionError> {
        self.store.check_client(company, client).await?;
        let new = self.new_record()?;
        self.in_force(company, client, new.at).await?.choose(policy)?;
        let choice = PolicyChoice {
            id: new.id,
            client: client.clone(),
            chosen: PolicyRef::from(policy.as_ref()),
            at: new.at,
            by: by.name.clone(),
            reason: None,
            on_this_machine: by.on_this_machine,
            nonce: new.nonce,
        };
        self.store.decide(company, &Decision::Policy(choice.clone())).await?;
        Ok(choice)
    }
}

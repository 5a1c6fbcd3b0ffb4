//! What committed facts say under whatever limits: nothing is asked of Huntress, and nothing is stored.

use super::latest::bundle;
use super::now::AroundClient;
use super::status::verdicts_of;
use super::{EvidenceError, EvidenceReader};
use crate::app::decisions::all_policies;
use crate::domain::completeness::ListCompleteness;
use crate::domain::edr::facts::EdrFacts;
use crate::domain::edr::measures::{SeverityBounds, measures_within};
use crate::domain::edr::metrics::EdrRules;
use crate::domain::edr::{EdrSettings, InvalidSettings};
use crate::domain::evidence::Reason;
use crate::domain::id::{ClientId, CompanyId, RunId};
use crate::domain::policy::{
    InForce, InvalidPolicy, InvalidSetting, Measures, Policy, PolicyRef, RuleInUse, Verdict, evaluate,
};
use crate::domain::product::Product;
use crate::domain::quality::{QualityCode, QualityEntry};
use crate::domain::sat::facts::SatFacts;
use crate::domain::sat::measures::{SatRules, measures as sat_measures};
use crate::domain::window::InvalidWindow;
use crate::store::{StoreError, StoredEvidence};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// The evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// There is none to answer from.
    #[error("there is no {kind} of a client {client}{until}; see: huntress-evidence connections")]
    NoEvidence {
        /// Of which kind.
        kind: &'static str,
        /// Whose.
        client: ClientId,
        /// ` until …`, or nothing.
        until: String,
    },
    /// The evidence is of version 1.
    #[error(
        "the evidence of run {0} is older than facts are, so nothing can be computed from it; the next sync has some"
    )]
    NoFacts(RunId),
    /// Neither a rule nor a metric.
    #[error(
        "there is no rule and no metric {named}; the rules in force are {known}, and docs/metrics.md lists the metrics"
    )]
    UnknownKey {
        /// What was asked for.
        named: String,
        /// The rules.
        known: String,
    },
    /// A limit for a rule that is not in force.
    #[error("no rule {rule} is in force; there are {known}")]
    UnknownRule {
        /// What was asked for.
        rule: String,
        /// What there is.
        known: String,
    },
    /// Nothing was asked.
    #[error("say what is to be different: a policy, a limit as in edr-online.pass=90, or a limit of agent age")]
    NothingDifferent,
    /// A text that sets no limit.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// Limits that no policy may have.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// A policy that could not be chosen.
    #[error(transparent)]
    RuleInUse(#[from] RuleInUse),
    /// Limits of agent age that cannot be.
    #[error(transparent)]
    Agents(#[from] InvalidSettings),
    /// Days that cannot be used.
    #[error(transparent)]
    Days(#[from] InvalidWindow),
}

impl From<StoreError> for QuestionError {
    fn from(error: StoreError) -> Self {
        Self::Evidence(error.into())
    }
}

#[derive(Deserialize)]
struct MetadataOf {
    #[serde(default)]
    derivation: serde_json::Value,
    #[serde(default)]
    completeness: Vec<ListCompleteness>,
    #[serde(default)]
    data_quality: Vec<QualityEntry>,
}

#[derive(Deserialize)]
struct FactsOf<F> {
    facts: Option<F>,
    metadata: MetadataOf,
}

/// What a bundle is computed from.
enum Facts {
    Edr(Box<EdrFacts>, EdrSettings),
    Sat(Box<SatFacts>),
}

/// A bundle as its facts have it.
pub(super) struct UsedFacts {
    facts: Facts,
    bounds: SeverityBounds,
    /// How completely the lists behind it were read.
    pub(super) completeness: Vec<ListCompleteness>,
    /// Why nothing can be said of the whole of it.
    pub(super) doubt: Option<Reason>,
}

impl UsedFacts {
    /// The facts of a piece of evidence; `None` for one of version 1.
    pub(super) fn of(stored: &StoredEvidence) -> Result<Option<Self>, EvidenceError> {
        let (facts, metadata) = match stored.product {
            Product::Edr => {
                let FactsOf { facts, metadata } = bundle::<FactsOf<EdrFacts>>(stored)?;
                let limits = EdrSettings::of_derivation(&metadata.derivation).unwrap_or_default();
                (facts.map(|facts| Facts::Edr(Box::new(facts), limits)), metadata)
            }
            Product::Sat => {
                let FactsOf { facts, metadata } = bundle::<FactsOf<SatFacts>>(stored)?;
                (facts.map(|facts| Facts::Sat(Box::new(facts))), metadata)
            }
        };
        let elsewhere = metadata.data_quality.iter().any(|entry| entry.code == QualityCode::AccountOfAnotherClient);
        Ok(facts.map(|facts| Self {
            facts,
            bounds: SeverityBounds::default(),
            completeness: metadata.completeness,
            doubt: elsewhere.then_some(Reason::AccountOfAnotherClient),
        }))
    }

    /// The same by the rules of the release that committed these verdicts under these policies, so that what differs is no other release's doing.
    pub(super) fn under_committed_rules(self, product: Product, committed: &[Verdict], in_force: &InForce) -> Self {
        let gives = |used: &Self| evaluate(in_force, product, &used.measures(None), used.doubt) == committed;
        if gives(&self) {
            return self;
        }
        let earlier = Self { bounds: SeverityBounds::None, ..self };
        if gives(&earlier) { earlier } else { Self { bounds: SeverityBounds::default(), ..earlier } }
    }

    /// The measures, under other limits of agent age where some are given.
    pub(super) fn measures(&self, agents: Option<EdrSettings>) -> Measures {
        match &self.facts {
            Facts::Edr(facts, limits) => measures_within(facts, EdrRules::from(agents.unwrap_or(*limits)), self.bounds),
            Facts::Sat(facts) => sat_measures(facts, SatRules::default()),
        }
    }

    /// The limits of agent age that its numbers came about under.
    pub(super) fn agent_limits(&self) -> Option<EdrSettings> {
        match &self.facts {
            Facts::Edr(_, limits) => Some(*limits),
            Facts::Sat(_) => None,
        }
    }

    pub(super) fn training(&self) -> Option<&SatFacts> {
        match &self.facts {
            Facts::Edr(..) => None,
            Facts::Sat(facts) => Some(facts),
        }
    }
}

/// The policies that a company has or had, by their references.
pub(super) struct KnownPolicies(BTreeMap<PolicyRef, Arc<Policy>>);

impl KnownPolicies {
    /// The policies that counted for a client at some time.
    pub(super) fn of(around: &AroundClient) -> Self {
        Self(around.known.clone())
    }

    /// The policies behind verdicts, as they were in force for the evidence. One that is not known any more is left out.
    pub(super) fn behind(&self, verdicts: &[Verdict]) -> InForce {
        let used = verdicts.iter().map(|verdict| PolicyRef {
            policy: verdict.policy.clone(),
            version: verdict.version,
            sha256: verdict.policy_sha256.clone(),
        });
        let used: Vec<PolicyRef> = used.collect();
        InForce::after(used.iter().filter_map(|reference| self.0.get(reference)))
    }
}

impl EvidenceReader {
    pub(super) async fn known_policies(&self, company: &CompanyId) -> Result<KnownPolicies, EvidenceError> {
        let all = all_policies(&self.store, company).await?;
        Ok(KnownPolicies(all.into_iter().map(|policy| (PolicyRef::from(policy.as_ref()), policy)).collect()))
    }
}

/// The newest evidence of a client from a product, that of the connection that gave the newest first.
pub(super) fn newest_first(around: &AroundClient, product: Product) -> Vec<StoredEvidence> {
    let of = around.evidence.iter().filter(|stored| stored.product == product);
    let mut latest: Vec<StoredEvidence> = of.cloned().collect();
    latest.sort_by_key(|stored| std::cmp::Reverse(stored.as_of));
    latest
}

/// The verdicts of a piece of evidence, and the policies behind them.
pub(super) fn evaluated(
    stored: &StoredEvidence,
    known: &KnownPolicies,
) -> Result<(Vec<Verdict>, InForce), EvidenceError> {
    let verdicts = verdicts_of(stored)?;
    let in_force = known.behind(&verdicts);
    Ok((verdicts, in_force))
}

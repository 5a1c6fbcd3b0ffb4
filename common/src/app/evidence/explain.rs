//! How a number came about, what a rule said of it, and what would change that.

use super::EvidenceReader;
use super::facts_used::{KnownPolicies, QuestionError, UsedFacts, evaluated, newest_first};
use crate::domain::completeness::ListCompleteness;
use crate::domain::controls::Evidence as EvidenceKind;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RuleId, RunId};
use crate::domain::policy::{Explanation, InForce, MetricDefinition, PolicyRef, Rule};
use crate::domain::product::Product;
use crate::domain::time::Window;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// An explanation, and the evidence that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExplainedEvidence {
    /// The client.
    pub client_id: ClientId,
    /// The connection that gave it.
    pub connection: ConnectionId,
    /// The product.
    pub product: Product,
    /// The run.
    pub run_id: RunId,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// Under which limits of agent age the numbers came about; null for training.
    pub agents: Option<AgentLimitsUsed>,
    /// How it came about.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// Whether the outcome was committed with the evidence. A rule that was chosen later is explained by the same facts, and counts from the next sync on.
    pub committed: bool,
    /// The requests that the facts came from.
    pub requests: Vec<ListCompleteness>,
}

/// Limits of agent age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentLimitsUsed {
    /// An agent is online up to so many hours after its last call.
    pub online_within_hours: u32,
    /// An agent is missing so many days after its last call.
    pub missing_after_days: u32,
}

/// The rules of some policies as a list of their ids.
pub(super) fn names(in_force: &InForce) -> String {
    in_force.rules().map(|(_, rule)| rule.id.to_string()).collect::<Vec<_>>().join(", ")
}

/// The lists that a kind of evidence is made of.
fn lists(kind: EvidenceKind) -> &'static [&'static str] {
    match kind {
        EvidenceKind::EndpointProtection | EvidenceKind::AssetInventory => &["organizations", "agents"],
        EvidenceKind::IncidentResponse => &["organizations", "incident_reports"],
        EvidenceKind::WorkforceCoverage | EvidenceKind::PersonTraining => {
            &["accounts", "assignments", "learner_activity", "learners"]
        }
        EvidenceKind::PhishingSimulation => &["accounts", "phishing_campaigns"],
    }
}

/// A rule, with what it is of.
fn find<'a>(in_force: &'a InForce, key: &str) -> Option<(&'a PolicyRef, &'a Rule)> {
    let by_id = RuleId::parse(key).ok().and_then(|id| in_force.rule(&id));
    by_id.or_else(|| in_force.rules().find(|(_, rule)| rule.metric == key))
}

impl EvidenceReader {
    /// Explains a rule, or a metric with the rule about it, by the newest evidence of a client in a span.
    ///
    /// # Errors
    /// [`QuestionError::UnknownKey`], [`QuestionError::NoEvidence`] and [`QuestionError::NoFacts`].
    pub async fn explain(
        &self,
        company: &CompanyId,
        client: &ClientId,
        key: &str,
        span: Window,
    ) -> Result<ExplainedEvidence, QuestionError> {
        // A value of a signal is also known by its signal.
        let key = key.split_once('.').map_or(key, |(_, value)| value);
        let around = self.around_client(company, client, None, span).await?;
        let (known, now) = (KnownPolicies::of(&around), &around.in_force);
        let (mut pieces, mut rules) = (Vec::new(), None);
        for product in [Product::Edr, Product::Sat] {
            for stored in newest_first(&around, product) {
                let (_, then) = evaluated(&stored, &known)?;
                if let Some((policy, rule)) =
                    find(&then, key).filter(|(_, rule)| rule.evidence.product() == Some(product))
                {
                    rules.get_or_insert((policy.clone(), rule.clone(), true));
                }
                pieces.push(stored);
            }
        }
        let rules = rules.or_else(|| find(now, key).map(|(policy, rule)| (policy.clone(), rule.clone(), false)));
        let metric = match &rules {
            Some((_, rule, _)) => MetricDefinition::find(&rule.metric),
            None => MetricDefinition::find(key),
        };
        let Some(metric) = metric else {
            return Err(QuestionError::UnknownKey { named: key.to_owned(), known: names(now) });
        };
        let product = metric.product();
        let Some(stored) = pieces.iter().find(|stored| Some(stored.product) == product) else {
            let kind = if product == Some(Product::Sat) { "training evidence" } else { "endpoint evidence" };
            let until = if span.end < self.clock.now() { format!(" until {}", span.end) } else { String::new() };
            return Err(QuestionError::NoEvidence { kind, client: client.clone(), until });
        };
        let used = UsedFacts::of(stored)?.ok_or_else(|| QuestionError::NoFacts(stored.run_id.clone()))?;
        let (verdicts, then) = evaluated(stored, &known)?;
        let used = used.under_committed_rules(stored.product, &verdicts, &then);
        let measures = used.measures(None);
        let explanation = Explanation::of(metric, &measures);
        let (explanation, committed) = match &rules {
            Some((policy, rule, committed)) => (explanation.under(rule, policy, &measures, used.doubt), *committed),
            None => (explanation, false),
        };
        let agents = used.agent_limits().map(|limits| AgentLimitsUsed {
            online_within_hours: limits.online_within_hours(),
            missing_after_days: limits.missing_after_days(),
        });
        let wanted = lists(metric.evidence);
        let requests = used.completeness.into_iter().filter(|list| wanted.contains(&list.list.as_str()));
        Ok(ExplainedEvidence {
            client_id: client.clone(),
            connection: stored.connection.clone(),
            product: stored.product,
            run_id: stored.run_id.clone(),
            as_of: stored.as_of,
            agents,
            explanation,
            committed,
            requests: requests.collect(),
        })
    }
}

//! What the rules in force say of a client's evidence, and the status of the controls behind it.

use super::latest::bundle;
use super::{EvidenceError, EvidenceReader, Span};
use crate::app::decisions::{policies_at, sorted};
use crate::domain::control_status::{ControlStatus, RuleState, age_of, control_status};
use crate::domain::controls::{ControlMap, Evidence as EvidenceKind};
use crate::domain::decisions::{Exception, ExceptionSubject, Review, exception_in_force};
use crate::domain::evidence::Reason;
use crate::domain::id::{ClientId, CompanyId, RuleId};
use crate::domain::policy::{InForce, Outcome, PolicyRef, Verdict, training};
use crate::domain::product::Product;
use crate::domain::sat::signal::{Signal, SignalValues};
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one rule said of the newest evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleResult {
    /// What it is about.
    pub evidence: EvidenceKind,
    /// The rule; null where none was chosen for this evidence.
    pub rule: Option<RuleId>,
    /// The metric, or value of a signal; null without a rule.
    pub key: Option<String>,
    /// The value as it is shown.
    pub value: Option<String>,
    /// What the rule said.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Reason>,
    /// The instant of the evidence; null where there is none.
    pub as_of: Option<DateTime<Utc>>,
    /// Its status alone.
    pub status: ControlStatus,
}

/// Everything that statuses are made of, at one instant.
pub struct Statuses {
    rules: Vec<(RuleResult, RuleState)>,
    exceptions: Vec<Exception>,
    reviews: Vec<Review>,
    at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct VerdictsOf {
    #[serde(default)]
    verdicts: Option<Vec<Verdict>>,
    #[serde(default)]
    signals: Vec<Signal>,
}

/// What rules said of a piece of evidence. One from before there were verdicts has its signals, which were always evaluated under the training preset.
pub(crate) fn verdicts_of(stored: &StoredEvidence) -> Result<Vec<Verdict>, EvidenceError> {
    let VerdictsOf { verdicts, signals } = bundle(stored)?;
    if let Some(verdicts) = verdicts {
        return Ok(verdicts);
    }
    let policy = PolicyRef::from(training().as_ref());
    let of_signal = |signal: Signal| {
        let kind = EvidenceKind::from(signal.signal_key);
        let rule = training().rules().iter().find(|rule| rule.evidence == kind)?;
        Some(Verdict {
            rule: rule.id.clone(),
            evidence: kind,
            metric: rule.metric.clone(),
            outcome: Outcome::from(signal.status),
            reason: signal.reason,
            value: match signal.values {
                SignalValues::Coverage(values) => values.coverage_pct,
                SignalValues::Phishing(values) => values.compromise_rate_pct,
            },
            limit: rule.limits.clone(),
            policy: policy.policy.clone(),
            version: policy.version,
            policy_sha256: policy.sha256.clone(),
        })
    };
    Ok(signals.into_iter().filter_map(of_signal).collect())
}

impl EvidenceReader {
    /// What the rules said of the newest evidence of a client in a span, under what was in force at its end.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn statuses(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Span,
    ) -> Result<Statuses, EvidenceError> {
        let at = span.to.min(self.clock.now());
        let owner = EvidenceOwner::Client(client.clone());
        let latest = self.store.latest_between(company, &owner, None, span.from, span.to).await?;
        let connections = self.store.connections(company).await?;
        let in_force = policies_at(&self.store, company, at).await?.of(Some(client));
        let (exceptions, reviews) = sorted(self.store.decisions(company, Some(client)).await?);
        let mut statuses = Statuses { rules: Vec::new(), exceptions, reviews, at };
        for stored in latest.iter().filter(|stored| age_of(stored.as_of, at).is_some()) {
            statuses.add_evidence(stored, &in_force)?;
        }
        for connection in &connections {
            let has_some = latest.iter().any(|stored| stored.product == connection.product);
            if connection.mapping.clients().contains(&client) && !has_some {
                statuses.add_missing(connection.product, &in_force);
            }
        }
        Ok(statuses)
    }
}

impl Statuses {
    fn add_evidence(&mut self, stored: &StoredEvidence, in_force: &InForce) -> Result<(), EvidenceError> {
        let verdicts = verdicts_of(stored)?;
        let mut by_kind: BTreeMap<EvidenceKind, Vec<Verdict>> = BTreeMap::new();
        for verdict in verdicts {
            by_kind.entry(verdict.evidence).or_default().push(verdict);
        }
        for kind in EvidenceKind::ALL {
            if kind.product() != Some(stored.product) || kind == EvidenceKind::PersonTraining {
                continue;
            }
            match by_kind.remove(&kind) {
                Some(verdicts) => verdicts.into_iter().for_each(|verdict| {
                    self.add(kind, Some(verdict), Some(stored.as_of), in_force);
                }),
                None => self.add(kind, None, Some(stored.as_of), in_force),
            }
        }
        Ok(())
    }

    /// A product that a connection is there for, and that has given no evidence yet.
    fn add_missing(&mut self, product: Product, in_force: &InForce) {
        for kind in EvidenceKind::ALL {
            if kind.product() == Some(product) && kind != EvidenceKind::PersonTraining {
                self.add(kind, None, None, in_force);
            }
        }
    }

    fn add(&mut self, kind: EvidenceKind, verdict: Option<Verdict>, as_of: Option<DateTime<Utc>>, in_force: &InForce) {
        let outcome = verdict.as_ref().map_or(Outcome::NotEvaluated, |verdict| verdict.outcome);
        let subject = verdict.as_ref().map(|verdict| ExceptionSubject::Rule(verdict.rule.clone()));
        let exception = exception_in_force(&self.exceptions, &self.reviews, subject.as_slice(), self.at);
        let state = RuleState { outcome, as_of, freshness: in_force.freshness([kind]), exception };
        let status = control_status(std::slice::from_ref(&state), self.at);
        let (rule, key, value, reason) = match verdict {
            Some(verdict) => (Some(verdict.rule), Some(verdict.metric), verdict.value, verdict.reason),
            None => (None, None, None, None),
        };
        self.rules.push((RuleResult { evidence: kind, rule, key, value, outcome, reason, as_of, status }, state));
    }

    /// What each rule said, worst first.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleResult> {
        let mut rules: Vec<RuleResult> = self.rules.iter().map(|(result, _)| result.clone()).collect();
        rules.sort_by_key(|result| (result.outcome.rank(), result.evidence, result.rule.clone()));
        rules
    }

    /// The status of a control, and what it is made of; `None` where the control map of this program has no such control.
    #[must_use]
    pub fn of_control(&self, framework: &str, id: &str) -> Option<(ControlStatus, Vec<RuleResult>)> {
        let rows = ControlMap::current().rows().iter().filter(|row| row.framework == framework && row.id == id);
        let rows: Vec<_> = rows.collect();
        let oscal_id = rows.first()?.oscal_id.clone();
        let subject = oscal_id.map(ExceptionSubject::Control);
        let of_control = exception_in_force(&self.exceptions, &self.reviews, subject.as_slice(), self.at);
        let behind = self.rules.iter().filter(|(result, _)| rows.iter().any(|row| row.evidence == result.evidence));
        let (results, states): (Vec<RuleResult>, Vec<RuleState>) = behind
            .map(|(result, state)| {
                // Of an exception for the rule and one for the control the one that ends last counts.
                let exception = [state.exception.clone(), of_control.clone()].into_iter().flatten();
                let exception = exception.max_by_key(|exception| exception.until);
                (result.clone(), RuleState { exception, ..state.clone() })
            })
            .unzip();
        Some((control_status(&states, self.at), results))
    }
}

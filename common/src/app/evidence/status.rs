//! What the rules in force say of a client's evidence, and the status of the controls behind it.

use super::now::AroundClient;
use super::{EvidenceError, EvidenceReader};
use crate::domain::calendar::Calendar;
use crate::domain::connection::Connection;
use crate::domain::control_status::{ControlStatus, RuleState, age_of, control_status};
use crate::domain::controls::{ControlMap, Evidence as EvidenceKind};
use crate::domain::decisions::{ExceptionHistory, ExceptionSubject, exception_in_force};
use crate::domain::evidence::Reason;
use crate::domain::id::{ClientId, CompanyId, RuleId};
use crate::domain::policy::{InForce, Outcome, Verdict};
use crate::domain::portfolio::{ClientSummary, RuleOutcome, counting, verdicts};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::StoredEvidence;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one rule said of the newest evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    decided: ExceptionHistory,
    calendar: Calendar,
    at: DateTime<Utc>,
}

/// What a rule said, as far as it is shown.
struct Said {
    rule: RuleId,
    key: Option<String>,
    value: Option<String>,
    outcome: Outcome,
    reason: Option<Reason>,
}

impl From<Verdict> for Said {
    fn from(Verdict { rule, metric, value, outcome, reason, .. }: Verdict) -> Self {
        Self { rule, key: Some(metric), value, outcome, reason }
    }
}

/// What rules said of a piece of evidence.
pub(crate) fn verdicts_of(stored: &StoredEvidence) -> Result<Vec<Verdict>, EvidenceError> {
    verdicts(&stored.body).map_err(|source| EvidenceError::Unreadable { run: stored.run_id.clone(), source })
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
        span: Window,
    ) -> Result<Statuses, EvidenceError> {
        let around = self.around_client(company, client, None, span).await?;
        Statuses::of_client(client, &around, self.store.calendar())
    }
}

/// What evidence is seen under.
pub(super) struct Around<'a> {
    /// The connections of the company.
    pub connections: &'a [Connection],
    /// The rules in force for the client.
    pub in_force: &'a InForce,
    /// The calendar whose days are told.
    pub calendar: &'a Calendar,
    /// The instant.
    pub at: DateTime<Utc>,
}

impl Statuses {
    /// Of a client at the end of a span.
    pub(super) fn of_client(client: &ClientId, of: &AroundClient, calendar: &Calendar) -> Result<Self, EvidenceError> {
        let around = Around { connections: &of.connections, in_force: &of.in_force, calendar, at: of.at };
        Self::of_latest(client, of.evidence.clone(), &around, of.exceptions())
    }

    /// Of the newest evidence of each connection.
    pub(super) fn of_latest(
        client: &ClientId,
        latest: Vec<StoredEvidence>,
        Around { connections, in_force, calendar, at }: &Around<'_>,
        decided: ExceptionHistory,
    ) -> Result<Self, EvidenceError> {
        let mut statuses = Self::new(decided, calendar, *at);
        let measures = |connection: &&Connection| connection.mapping.clients().contains(client);
        let present = connections.iter().filter(measures).map(|connection| connection.id.clone()).collect();
        let of = |stored: &StoredEvidence| (stored.product, stored.connection.clone(), stored.as_of);
        let latest = counting(latest, of, &present);
        for stored in latest.iter().filter(|stored| age_of(stored.as_of, *at).is_some()) {
            statuses.add_evidence(stored.product, stored.as_of, verdicts_of(stored)?, in_force);
        }
        for connection in connections.iter().filter(measures) {
            if !latest.iter().any(|stored| stored.product == connection.product) {
                statuses.add_missing(connection.product, in_force);
            }
        }
        Ok(statuses)
    }

    /// Of no evidence yet, at one instant.
    pub(super) fn new(decided: ExceptionHistory, calendar: &Calendar, at: DateTime<Utc>) -> Self {
        Self { rules: Vec::new(), decided, calendar: calendar.clone(), at }
    }

    /// With what a summary says that the rules said; evidence that no rule was chosen for counts where there is nothing else.
    pub(super) fn add_summary(&mut self, summary: &ClientSummary, in_force: &InForce) {
        for RuleOutcome { evidence, rule, outcome } in &summary.rules {
            let said = Said { rule: rule.clone(), key: None, value: None, outcome: *outcome, reason: None };
            self.add(*evidence, Some(said), Some(summary.as_of), in_force);
        }
        if summary.rules.is_empty() {
            self.add_missing_rules(summary.product, Some(summary.as_of), in_force);
        }
    }

    /// The status of all of it together.
    pub(super) fn of_all(&self) -> ControlStatus {
        let states: Vec<RuleState> = self.rules.iter().map(|(_, state)| state.clone()).collect();
        control_status(&states, &self.calendar, self.at)
    }

    /// Adds what the rules said of a piece of evidence.
    pub(super) fn add_evidence(
        &mut self,
        product: Product,
        as_of: DateTime<Utc>,
        verdicts: Vec<Verdict>,
        in_force: &InForce,
    ) {
        let mut by_kind: BTreeMap<EvidenceKind, Vec<Verdict>> = BTreeMap::new();
        for verdict in verdicts {
            by_kind.entry(verdict.evidence).or_default().push(verdict);
        }
        for kind in EvidenceKind::ALL {
            if kind.product() != Some(product) || kind == EvidenceKind::PersonTraining {
                continue;
            }
            match by_kind.remove(&kind) {
                Some(verdicts) => verdicts.into_iter().for_each(|verdict| {
                    self.add(kind, Some(verdict.into()), Some(as_of), in_force);
                }),
                None => self.add(kind, None, Some(as_of), in_force),
            }
        }
    }

    /// A product that a connection is there for, and that has given no evidence yet.
    fn add_missing(&mut self, product: Product, in_force: &InForce) {
        self.add_missing_rules(product, None, in_force);
    }

    fn add_missing_rules(&mut self, product: Product, as_of: Option<DateTime<Utc>>, in_force: &InForce) {
        for kind in EvidenceKind::ALL {
            if kind.product() == Some(product) && kind != EvidenceKind::PersonTraining {
                self.add(kind, None, as_of, in_force);
            }
        }
    }

    fn add(&mut self, kind: EvidenceKind, verdict: Option<Said>, as_of: Option<DateTime<Utc>>, in_force: &InForce) {
        let outcome = verdict.as_ref().map_or(Outcome::NotEvaluated, |verdict| verdict.outcome);
        let subject = verdict.as_ref().map(|verdict| ExceptionSubject::Rule(verdict.rule.clone()));
        let exception =
            exception_in_force(&self.decided.exceptions, &self.decided.reviews, subject.as_slice(), self.at);
        let state = RuleState { outcome, as_of, freshness: in_force.freshness([kind]), exception };
        let status = control_status(std::slice::from_ref(&state), &self.calendar, self.at);
        let (rule, key, value, reason) = match verdict {
            Some(said) => (Some(said.rule), said.key, said.value, said.reason),
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
        let of_control =
            exception_in_force(&self.decided.exceptions, &self.decided.reviews, subject.as_slice(), self.at);
        let behind = self.rules.iter().filter(|(result, _)| rows.iter().any(|row| row.evidence == result.evidence));
        let (results, states): (Vec<RuleResult>, Vec<RuleState>) = behind
            .map(|(result, state)| {
                // Of an exception for the rule and one for the control the one that ends last counts.
                let exception = [state.exception.clone(), of_control.clone()].into_iter().flatten();
                let exception = exception.max_by_key(|exception| exception.until);
                (result.clone(), RuleState { exception, ..state.clone() })
            })
            .unzip();
        Some((control_status(&states, &self.calendar, self.at), results))
    }
}

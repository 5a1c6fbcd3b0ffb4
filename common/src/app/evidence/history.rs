//! One number over time, what a rule said of it, or how a control stood.

use super::latest::bundle;
use super::status::{Statuses, verdicts_of};
use super::{EvidenceError, EvidenceReader};
use crate::app::decisions::PolicyHistory;
use crate::domain::controls::ControlMap;
use crate::domain::decisions::{ExceptionHistory, Review};
use crate::domain::evidence::{EdrBundle, Metric, Reason};
use crate::domain::id::{CompanyId, ConnectionId, RuleId, RunId};
use crate::domain::policy::MetricDefinition;
use crate::domain::product::Product;
use crate::domain::sat::bundle::SatBundle;
use crate::domain::sat::signal::{Signal, SignalKey};
use crate::domain::time::Window;
use crate::store::{EvidenceOwner, StoredEvidence};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// The evidence of a year is read where no instant is given.
const YEAR: TimeDelta = TimeDelta::days(365);

/// The values of a number, the outcomes of a rule or the statuses of a control, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// A value for each piece of evidence that has one.
    pub values: Vec<HistoryValue>,
    /// Pieces of evidence in that time, with a value or without.
    pub pieces: usize,
}

/// A value, and the evidence that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryValue {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The value as text; `None` with a reason.
    pub value: Option<String>,
    /// Why there is no value.
    pub reason: Option<String>,
    /// The unit, e.g. `devices`, `%` or `hours`; empty for a count without one.
    pub unit: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
    /// Whether it is from before the evidence log.
    pub unlogged: bool,
}

/// What history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRequest<'a> {
    /// A metric, a value of a signal, a rule or a control.
    pub key: &'a str,
    /// From this instant on; a year before the last one where it is not given.
    pub from: Option<DateTime<Utc>>,
    /// Up to this instant; now where it is not given.
    pub to: Option<DateTime<Utc>>,
}

/// What a key of a history stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// A metric of endpoints.
    Metric(String),
    /// A value of a signal.
    Signal(String, String),
    /// What a rule said.
    Rule(RuleId),
    /// The status of a control: framework and id.
    Control(String, String),
}

impl Key {
    /// A metric by its key, as `agents_total`; a value of a signal, as `workforce_coverage.coverage_pct`, or by its own name; a control, as `SOC 2 CC6.8` or
    /// `tsc-cc6.8`; and what is none of these is a rule, as `edr-online`.
    fn of(text: &str) -> Self {
        let map = ControlMap::current();
        if let Some(oscal_id) = map.oscal_id(text)
            && let Some(row) = map.rows().iter().find(|row| row.oscal_id.as_deref() == Some(oscal_id))
        {
            return Self::Control(row.framework.clone(), row.id.clone());
        }
        if let Some((signal, value)) = text.split_once('.')
            && [SignalKey::WorkforceCoverage, SignalKey::PhishingSimulation].iter().any(|key| key.as_str() == signal)
        {
            return Self::Signal(signal.to_owned(), value.to_owned());
        }
        match (MetricDefinition::find(text), RuleId::parse(text)) {
            (Some(metric), _) if metric.product() == Some(Product::Sat) => {
                Self::Signal(metric.evidence.as_str().to_owned(), text.to_owned())
            }
            // No metric has a hyphen in its key, and no rule of the presets is without.
            (None, Ok(rule)) if text.contains('-') => Self::Rule(rule),
            (None, Ok(rule)) if !text.contains('_') => Self::Rule(rule),
            _ => Self::Metric(text.to_owned()),
        }
    }

    fn products(&self) -> &'static [Product] {
        match self {
            Self::Metric(_) => &[Product::Edr],
            Self::Signal(..) => &[Product::Sat],
            Self::Rule(_) | Self::Control(..) => &[Product::Edr, Product::Sat],
        }
    }
}

impl EvidenceReader {
    /// The values of a number, the outcomes of a rule or the statuses of a control of an owner within a span. A status is that of the instant of each piece of
    /// evidence, under what was in force then.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn history(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        HistoryRequest { key, from, to }: HistoryRequest<'_>,
        span: Window,
    ) -> Result<History, EvidenceError> {
        let end = to.unwrap_or_else(|| self.clock.now());
        let start = from.unwrap_or_else(|| end.checked_sub_signed(YEAR).unwrap_or(Window::ALL.start));
        let window = Window { start, end }.within(span);
        let key = Key::of(key);
        let mut stored = Vec::new();
        for product in key.products() {
            stored.extend(self.store.history(company, owner, *product, window).await?);
        }
        if stored.is_empty() {
            self.check_owner(company, owner).await?;
        }
        stored.sort_by_key(|evidence| evidence.as_of);
        let values = match &key {
            Key::Metric(metric) => each(&stored, |evidence| of_metric(evidence, metric))?,
            Key::Signal(signal, value) => each(&stored, |evidence| of_signal(evidence, signal, value))?,
            Key::Rule(rule) => each(&stored, |evidence| of_rule(evidence, rule))?,
            Key::Control(framework, id) => self.of_control(company, owner, &stored, framework, id).await?,
        };
        Ok(History { values, pieces: stored.len() })
    }

    /// The status of a control at the instant of each piece of evidence: from the newest of each connection then, and from what was decided by then.
    async fn of_control(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        stored: &[StoredEvidence],
        framework: &str,
        id: &str,
    ) -> Result<Vec<HistoryValue>, EvidenceError> {
        let client = match owner {
            EvidenceOwner::Client(client) => Some(client),
            EvidenceOwner::Company => None,
        };
        let policies = PolicyHistory::read(&self.store, company, client).await?;
        let decisions = match client {
            Some(client) => self.store.decisions(company, Some(client)).await?,
            None => Vec::new(),
        };
        let ExceptionHistory { exceptions, reviews } = decisions.into_iter().collect();
        let mut newest = BTreeMap::new();
        let mut values = Vec::with_capacity(stored.len());
        for evidence in stored {
            let at = evidence.as_of;
            newest.insert(&evidence.connection, (evidence.product, at, verdicts_of(evidence)?));
            let in_force = policies.at(at)?.of(client);
            let reviews: Vec<Review> = reviews.iter().filter(|review| review.at <= at).cloned().collect();
            let decided = ExceptionHistory { exceptions: exceptions.clone(), reviews };
            let mut statuses = Statuses::new(decided, self.store.calendar(), at);
            for (product, as_of, verdicts) in newest.values() {
                statuses.add_evidence(*product, *as_of, verdicts.clone(), &in_force);
            }
            // A control of the other product's evidence says nothing new here.
            let status =
                statuses.of_control(framework, id).filter(|(_, rules)| rules.iter().any(|rule| rule.as_of == Some(at)));
            values.extend(status.map(|(status, _)| value(evidence, Some(status.text), None, "")));
        }
        Ok(values)
    }
}

/// The values of those that have one.
fn each(
    stored: &[StoredEvidence],
    of: impl Fn(&StoredEvidence) -> Result<Option<HistoryValue>, EvidenceError>,
) -> Result<Vec<HistoryValue>, EvidenceError> {
    stored.iter().filter_map(|evidence| of(evidence).transpose()).collect()
}

fn value(evidence: &StoredEvidence, value: Option<String>, reason: Option<Reason>, unit: &str) -> HistoryValue {
    HistoryValue {
        as_of: evidence.as_of,
        value,
        reason: reason.map(|reason| reason.to_string()),
        unit: unit.to_owned(),
        connection: evidence.connection.clone(),
        run_id: evidence.run_id.clone(),
        unlogged: evidence.leaf.is_none(),
    }
}

/// What a rule said.
fn of_rule(evidence: &StoredEvidence, rule: &RuleId) -> Result<Option<HistoryValue>, EvidenceError> {
    let verdict = verdicts_of(evidence)?.into_iter().find(|verdict| verdict.rule == *rule);
    Ok(verdict.map(|verdict| value(evidence, Some(verdict.outcome.to_string()), verdict.reason, "")))
}

fn of_metric(evidence: &StoredEvidence, key: &str) -> Result<Option<HistoryValue>, EvidenceError> {
    let bundle: EdrBundle = bundle(evidence)?;
    Ok(bundle
        .metric(key)
        .map(|Metric { metric_value, reason, unit, .. }| value(evidence, metric_value.clone(), *reason, unit)))
}

fn of_signal(evidence: &StoredEvidence, key: &str, name: &str) -> Result<Option<HistoryValue>, EvidenceError> {
    let bundle: SatBundle = bundle(evidence)?;
    let signal = bundle.signals.iter().find(|signal| signal.signal_key.as_str() == key);
    Ok(signal.and_then(|signal| {
        let shown = text_of(value_of(signal, name)?);
        let reason = signal.reason.filter(|_| shown.is_none());
        Some(value(evidence, shown, reason, if name.ends_with("_pct") { "%" } else { "" }))
    }))
}

/// A value of a signal by its name; `None` where it has no such value.
fn value_of(signal: &Signal, name: &str) -> Option<serde_json::Value> {
    if name == "status" {
        return Some(signal.status.to_string().into());
    }
    serde_json::to_value(&signal.values).ok()?.get(name).cloned()
}

/// A value as text; `None` for null.
fn text_of(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        number => Some(number.to_string()),
    }
}

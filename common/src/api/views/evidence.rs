//! Evidence: the bundle as it was committed, with its age.

use crate::app::evidence::{
    AttestedCoverage, Controls, Evidence, EvidenceError, History, HistoryValue, RuleResult, SupportedControl,
};
use crate::domain::control_status::ControlStatus;
use crate::domain::controls::{ControlMap, ControlRow as MapRow, Strength};
use crate::domain::failure::Failure;
use crate::domain::id::{ClientId, ConnectionId, RunId};
use crate::domain::policy::Outcome;
use crate::domain::product::Product;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// The latest evidence of an owner.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceList {
    /// A piece for each connection that has given some.
    pub evidence: Vec<EvidenceView>,
    /// Agents online against the devices that somebody attested; absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_coverage: Option<AttestedCoverage>,
}

/// A piece of evidence.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceView {
    /// The connection that it is from.
    pub connection: ConnectionId,
    /// The product.
    pub product: Product,
    /// The run that made it.
    pub run_id: RunId,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// When it became visible.
    pub committed_at: DateTime<Utc>,
    /// Whether it is from before the evidence log: then nothing proves it. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// How old it is, in seconds since `as_of`.
    pub age_seconds: i64,
    /// Whether that is more than 26 hours.
    pub stale: bool,
    /// The date of what is newer from the same connection and is passed over, since it lies ahead: a clock was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dated_ahead: Option<DateTime<Utc>>,
    /// The instant that the evidence is read as of, where that is over. The next four fields are of now, which tells what happened after it: then they are
    /// null, and `window` says what became of each day. Absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_as_of: Option<DateTime<Utc>>,
    /// When a run of the connection last started.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When one last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// When the next one is due.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Why the last run failed, until a success.
    pub last_failure: Option<Failure>,
    /// The SHA-256 of the committed bytes in hexadecimal.
    pub sha256: String,
    /// The bundle, its bytes as they were committed.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub bundle: Box<RawValue>,
}

impl TryFrom<Evidence> for EvidenceView {
    type Error = EvidenceError;

    fn try_from(evidence: Evidence) -> Result<Self, EvidenceError> {
        let age = evidence.age();
        let read_as_of = evidence.read_as_of();
        let Evidence { stored, connection, dated_ahead, .. } = evidence;
        let connection = connection.filter(|_| read_as_of.is_none());
        let run = || stored.run_id.clone();
        let bundle = RawValue::from_string(stored.body.clone());
        Ok(Self {
            bundle: bundle.map_err(|source| EvidenceError::Unreadable { run: run(), source })?,
            connection: stored.connection,
            product: stored.product,
            run_id: stored.run_id,
            as_of: stored.as_of,
            committed_at: stored.committed_at,
            unlogged: stored.leaf.is_none(),
            age_seconds: age.age.num_seconds(),
            stale: age.stale,
            dated_ahead,
            read_as_of,
            last_attempt_at: connection.as_ref().and_then(|connection| connection.last_attempt_at),
            last_success_at: connection.as_ref().and_then(|connection| connection.last_success_at),
            next_run_at: connection.as_ref().and_then(|connection| connection.next_run_at),
            last_failure: connection.and_then(|connection| connection.last_failure),
            sha256: stored.sha256,
        })
    }
}

impl TryFrom<Vec<Evidence>> for EvidenceList {
    type Error = EvidenceError;

    fn try_from(evidence: Vec<Evidence>) -> Result<Self, EvidenceError> {
        let evidence: Result<_, _> = evidence.into_iter().map(EvidenceView::try_from).collect();
        Ok(Self { evidence: evidence?, endpoint_coverage: None })
    }
}

/// The values of a number, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryList {
    /// The metric, or the value of a signal.
    pub metric_key: String,
    /// Whose evidence; null for the company's own.
    pub client_id: Option<ClientId>,
    /// A value for each piece of evidence.
    pub values: Vec<HistoryValueView>,
    /// Where to go on, if there are more than `limit`, or 100 where none is given.
    pub next_after: Option<String>,
}

/// A value, and the evidence that it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryValueView {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The value; null with a reason.
    pub metric_value: Option<String>,
    /// Why there is no value.
    pub reason: Option<String>,
    /// The unit.
    pub unit: String,
    /// The connection.
    pub connection: ConnectionId,
    /// The run.
    pub run_id: RunId,
    /// Whether it is from before the evidence log. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
}

impl HistoryList {
    /// The values of a metric.
    #[must_use]
    pub fn of(metric: String, client: Option<ClientId>, history: History) -> Self {
        let values = history.values.into_iter().map(
            |HistoryValue { as_of, value, reason, unit, connection, run_id, unlogged }| HistoryValueView {
                as_of,
                metric_value: value,
                reason,
                unit,
                connection,
                run_id,
                unlogged,
            },
        );
        Self { metric_key: metric, client_id: client, values: values.collect(), next_after: None }
    }
}

/// The controls that a client's evidence supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlList {
    /// The client.
    pub client_id: ClientId,
    /// The versions of the control map that the evidence was committed with.
    pub control_map_versions: BTreeSet<String>,
    /// A row for each control.
    pub items: Vec<ControlRow>,
    /// Always null: they are never so many.
    pub next_after: Option<String>,
    /// The same controls with what each kind of evidence and each rule behind them says.
    pub controls: Vec<ControlView>,
    /// Agents online against the devices that somebody attested; absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_coverage: Option<AttestedCoverage>,
}

/// A control, and what supports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlView {
    /// The framework.
    pub framework: String,
    /// Its version.
    pub version: String,
    /// The control's id in it.
    pub id: String,
    /// What supports it.
    pub evidence: Vec<SupportView>,
    /// The worst outcome of the rules behind it, its age and its exception; null for one that the control map no longer has.
    pub status: Option<ControlStatus>,
    /// What the rules behind it said.
    pub rules: Vec<RuleResult>,
}

/// A control in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlRow {
    /// The framework.
    pub framework: String,
    /// Its version.
    pub version: String,
    /// The control's id in it.
    pub control: String,
    /// What it is about, in a few words; null for one that the control map no longer has.
    pub title: Option<&'static str>,
    /// How far the evidence goes: the strongest of what supports it.
    pub strength: Option<Strength>,
    /// Why the evidence says something about it.
    pub rationale: Option<String>,
    /// What the rules behind it said.
    pub evidence: Vec<ControlEvidence>,
    /// The worst outcome of the rules behind it, its age and its exception; null for one that the control map no longer has.
    pub status: Option<ControlStatus>,
}

/// What a rule behind a control said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlEvidence {
    /// The metric or value that the rule is about; the kind of evidence where no rule was chosen for it.
    pub key: String,
    /// The value as it is shown.
    pub value: Option<String>,
    /// What the rule said.
    pub outcome: Outcome,
    /// The instant of the evidence; null where there is none.
    pub as_of: Option<DateTime<Utc>>,
}

impl From<&SupportedControl> for ControlRow {
    fn from(control: &SupportedControl) -> Self {
        let map = ControlMap::current();
        let is_of = |row: &&MapRow| row.framework == control.framework && row.id == control.id;
        let behind = |row: &&MapRow| control.rules.iter().any(|rule| rule.evidence == row.evidence);
        let mut rows: Vec<&MapRow> = map.rows().iter().filter(is_of).collect();
        // What says something here, before what could.
        rows.sort_by_key(|row| (!behind(row), row.strength != Strength::Direct));
        let row = rows.first();
        let evidence = control.rules.iter().map(|rule| ControlEvidence {
            key: rule.key.clone().unwrap_or_else(|| rule.evidence.as_str().to_owned()),
            value: rule.value.clone(),
            outcome: rule.outcome,
            as_of: rule.as_of,
        });
        Self {
            framework: control.framework.clone(),
            version: control.version.clone(),
            control: control.id.clone(),
            title: row.and_then(|row| map.title(row)),
            strength: row.map(|row| row.strength),
            rationale: row.map(|row| row.rationale.clone()),
            evidence: evidence.collect(),
            status: control.status.clone(),
        }
    }
}

/// Evidence that supports a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SupportView {
    /// Which evidence.
    pub evidence: String,
    /// How strongly.
    pub strength: String,
}

impl ControlList {
    /// The controls of a client.
    #[must_use]
    pub fn of(client: ClientId, controls: Controls) -> Self {
        let view = |control: SupportedControl| ControlView {
            framework: control.framework,
            version: control.version,
            id: control.id,
            evidence: control
                .evidence
                .into_iter()
                .map(|support| SupportView { evidence: support.evidence, strength: support.strength })
                .collect(),
            status: control.status,
            rules: control.rules,
        };
        Self {
            client_id: client,
            control_map_versions: controls.map_versions,
            items: controls.controls.iter().map(ControlRow::from).collect(),
            next_after: None,
            controls: controls.controls.into_iter().map(view).collect(),
            endpoint_coverage: controls.endpoint_coverage,
        }
    }
}

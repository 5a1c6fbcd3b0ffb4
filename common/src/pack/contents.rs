//! What a pack is made of: what was recorded, as it was recorded. Everything else in a pack is derived from it.

use super::layout;
use crate::domain::calendar::Calendar;
use crate::domain::controls::Evidence;
use crate::domain::decisions::{Decision, ExceptionHistory};
use crate::domain::evidence::{Metric, Tenant};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::log::Hash;
use crate::domain::log::statement::{CompanyStatement, Event, Leaf, Statement};
use crate::domain::log::tree::{Tree, leaf_hash};
use crate::domain::policy::{Outcome, Policy, PolicyRef, Verdict};
use crate::domain::product::Product;
use crate::domain::schedule::{DEFAULT_EXPRESSION, ScheduleError};
use crate::domain::window::{
    AuditWindow, BundleSummary, ConnectionHistory, EndedRun, Period, RunEnd, Tick, WindowBounds, audit_window,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whose evidence a pack has, and of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Who runs the connector.
    pub company: CompanyId,
    /// Whose evidence.
    pub client: ClientId,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The zone of these days.
    pub zone: String,
    /// The instant that everything is as of.
    pub at: DateTime<Utc>,
    /// The version of the program that makes the pack.
    pub product_version: String,
    /// The name of the log.
    pub log: String,
    /// The verifier key of the pack.
    pub key: String,
}

/// What tables and exports need of a bundle, of any version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BundleView {
    /// Absent in bundles of the first version.
    #[serde(default)]
    pub schema_version: Option<u32>,
    /// Whose evidence.
    pub tenant: Tenant,
    /// The 18 metrics of endpoints.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// What these cannot say.
    #[serde(default)]
    pub extended_metrics: Vec<Metric>,
    /// The signals of training.
    #[serde(default)]
    pub signals: Vec<Value>,
    /// Whether it has facts, as from the second version on. They are read where they are needed: see [`PackedBundle::read`].
    #[serde(default)]
    pub facts: Option<IgnoredAny>,
    /// What the policies in force said.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// How it came about.
    pub metadata: MetadataView,
}

/// What is needed of a bundle's metadata.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetadataView {
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The run.
    pub run_id: RunId,
}

/// A bundle of the client.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedBundle {
    /// Its product.
    pub product: Product,
    /// Its connection.
    pub connection: ConnectionId,
    /// The committed bytes.
    pub body: String,
    /// What they say.
    pub view: BundleView,
    /// Its place in the logs; `None` for evidence from before the log.
    pub proof: Option<BundleProof>,
}

/// `proofs/{connection}/{as_of}_{run}.json`: that a bundle is in its run's tree, and the run in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleProof {
    /// The leaf of the run.
    pub leaf_index: u64,
    /// The bundle among those of its run.
    pub bundle_index: u64,
    /// From the bundle to the statement's `bundle_root`.
    pub bundle_path: Vec<Hash>,
    /// From the statement to the root of the checkpoint.
    pub leaf_path: Vec<Hash>,
}

impl PackedBundle {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> String {
        layout::evidence(self.product, &self.connection, self.as_of(), self.run())
    }

    /// Where its proof is.
    #[must_use]
    pub fn proof_path(&self) -> String {
        layout::proof(&self.connection, self.as_of(), self.run())
    }

    /// A part of the bundle that [`BundleView`] leaves out, since a year of all of them would fill the memory.
    ///
    /// # Errors
    /// What is wrong with the part.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(&self.body)
    }

    /// The instant of its evaluation.
    #[must_use]
    pub fn as_of(&self) -> DateTime<Utc> {
        self.view.metadata.as_of
    }

    /// The run that it is of.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.view.metadata.run_id
    }

    /// The worst outcome in it; `not_evaluated` without verdicts.
    #[must_use]
    pub fn worst(&self) -> Outcome {
        let mut outcomes = self.view.verdicts.iter().map(|verdict| verdict.outcome);
        outcomes.next().map_or(Outcome::NotEvaluated, |first| first.worst(outcomes))
    }
}

/// A log up to the instant of the pack, with its signed checkpoint.
#[derive(Debug, Clone)]
pub struct PackedLog<L> {
    /// What the leaves say.
    pub statements: Vec<L>,
    /// The tree over them.
    pub tree: Tree,
    /// The signed checkpoint of exactly this size.
    pub checkpoint: String,
}

impl<L: Leaf> PackedLog<L> {
    /// The file of its statements.
    ///
    /// # Errors
    /// [`PackError::Canonical`].
    pub fn lines(&self) -> Result<Vec<u8>, PackError> {
        let mut lines = Vec::new();
        for statement in &self.statements {
            lines.extend(statement.data().map_err(|_| PackError::Canonical)?);
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// A log of these statements, whose checkpoint is not yet signed.
    ///
    /// # Errors
    /// [`PackError::Canonical`].
    pub fn unsigned(statements: Vec<L>) -> Result<Self, PackError> {
        let mut tree = Tree::default();
        for statement in &statements {
            tree.append(leaf_hash(&statement.data().map_err(|_| PackError::Canonical)?));
        }
        Ok(Self { statements, tree, checkpoint: String::new() })
    }
}

/// `window.json`: what the window is made of besides the logs. A claim of the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowForm", into = "WindowForm")]
pub struct WindowFacts {
    /// The calendar of the days.
    pub calendar: Calendar,
    /// The ticks of the stack.
    pub ticks: Vec<Tick>,
    /// The connections of the client.
    pub connections: BTreeMap<ConnectionId, ConnectionFacts>,
}

/// How that stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowForm {
    zone: String,
    /// Absent where it is every day at 07:00, and in packs from before other schedules were told.
    #[serde(default = "daily", skip_serializing_if = "is_daily")]
    schedule: String,
    ticks: Vec<Tick>,
    connections: BTreeMap<ConnectionId, ConnectionFacts>,
}

fn daily() -> String {
    DEFAULT_EXPRESSION.to_owned()
}

fn is_daily(schedule: &str) -> bool {
    schedule == DEFAULT_EXPRESSION
}

impl TryFrom<WindowForm> for WindowFacts {
    type Error = ScheduleError;

    fn try_from(WindowForm { zone, schedule, ticks, connections }: WindowForm) -> Result<Self, ScheduleError> {
        Ok(Self { calendar: Calendar::parse(&schedule, &zone)?, ticks, connections })
    }
}

impl From<WindowFacts> for WindowForm {
    fn from(WindowFacts { calendar, ticks, connections }: WindowFacts) -> Self {
        let (zone, schedule) = (calendar.zone().to_owned(), calendar.schedule().expression().to_owned());
        Self { zone, schedule, ticks, connections }
    }
}

/// What is claimed of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionFacts {
    /// Its product.
    pub product: Product,
    /// When it was first saved.
    pub connected_at: DateTime<Utc>,
    /// When it was paused.
    pub pauses: Vec<Period>,
}

/// An event of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose.
    pub company: CompanyId,
    /// Who did it.
    pub actor: String,
    /// What kind of caller that is.
    pub actor_kind: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it was before, cut to this client.
    pub before: Value,
    /// How it was after, cut to this client.
    pub after: Value,
    /// Why.
    pub reason: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
}

/// What keeps a pack from being made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// There is nothing that a pack could prove.
    #[error("there is nothing to prove: {0}")]
    NothingToProve(String),
    /// A record has no canonical form.
    #[error("a record has no canonical JSON form")]
    Canonical,
    /// Stored evidence and the log contradict each other.
    #[error("the evidence and its log contradict each other, so nothing is given out as proved: {0}")]
    Contradiction(String),
    /// A stored bundle cannot be read.
    #[error("the bundle of run {run} cannot be read: {problem}")]
    Bundle {
        /// The run.
        run: String,
        /// What is wrong.
        problem: String,
    },
    /// The zip file cannot be written.
    #[error("the pack cannot be written: {0}")]
    Zip(#[from] std::io::Error),
    /// A file cannot be written as JSON.
    #[error("a file of the pack cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The recorded part of a pack.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Of whom and when.
    pub scope: Scope,
    /// By connection and time.
    pub bundles: Vec<PackedBundle>,
    /// By connection.
    pub logs: BTreeMap<ConnectionId, PackedLog<Statement>>,
    /// The company's own.
    pub company_log: PackedLog<CompanyStatement>,
    /// Of this client, by time.
    pub decisions: Vec<Decision>,
    /// By time.
    pub events: Vec<PackedEvent>,
    /// The list of people, where it was asked for. A claim of the operator, made of nothing else that is here.
    pub people: Option<Vec<u8>>,
    /// What the window is made of.
    pub window: WindowFacts,
    /// The policies that verdicts and decisions name.
    pub policies: Vec<Arc<Policy>>,
    /// The JCS form of the control map.
    pub control_map: Vec<u8>,
}

/// A row of the control map, of any version of its form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MapRow {
    /// The framework.
    pub framework: String,
    /// Its edition.
    pub version: String,
    /// The control.
    pub id: String,
    /// The evidence that supports it.
    pub evidence: Evidence,
    /// How far it goes.
    pub strength: String,
    /// Why.
    pub rationale: String,
    /// Its OSCAL token.
    #[serde(default)]
    oscal_id: Option<String>,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// What must be true of the tenant.
    #[serde(default)]
    only_if: Option<String>,
}

impl MapRow {
    /// An OSCAL token, distinct per control.
    #[must_use]
    pub fn oscal_id(&self) -> String {
        if let Some(id) = &self.oscal_id {
            return id.clone();
        }
        let token = |text: &str| -> String {
            let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
            text.chars().map(allowed).collect::<String>().to_lowercase()
        };
        format!("{}-{}", token(&self.framework), token(&self.id))
    }
}

impl Contents {
    /// The rows of the control map.
    #[must_use]
    pub fn control_rows(&self) -> Vec<MapRow> {
        #[derive(Deserialize)]
        struct Map {
            controls: Vec<MapRow>,
        }
        serde_json::from_slice::<Map>(&self.control_map).map(|map| map.controls).unwrap_or_default()
    }

    /// The rows that hold for this client: all but those with a condition that its newest evidence does not name.
    #[must_use]
    pub fn rows_that_hold(&self) -> Vec<MapRow> {
        let named = |row: &MapRow| {
            let newest = row.evidence.product().and_then(|product| self.newest(product));
            newest.is_some_and(|bundle| bundle.body.contains(&format!("\"id\":{}", Value::from(row.id.as_str()))))
        };
        self.control_rows().into_iter().filter(|row| row.only_if.is_none() || named(row)).collect()
    }

    /// The control map that was in force when the newest logged evidence was made, by the hash in its leaf.
    #[must_use]
    pub fn logged_control_map(&self) -> Option<Hash> {
        let logged = self.bundles.iter().filter_map(|bundle| {
            let index = usize::try_from(bundle.proof.as_ref()?.leaf_index).ok()?;
            let leaf = self.logs.get(&bundle.connection)?.statements.get(index)?.evidence()?;
            Some((bundle.as_of(), bundle.run(), leaf.control_map))
        });
        logged.max_by_key(|(as_of, run, _)| (*as_of, *run)).map(|(_, _, hash)| hash)
    }

    /// The newest bundle of a product.
    #[must_use]
    pub fn newest(&self, product: Product) -> Option<&PackedBundle> {
        self.bundles
            .iter()
            .filter(|bundle| bundle.product == product)
            .max_by_key(|bundle| (bundle.as_of(), bundle.run().clone()))
    }

    /// The policy of a verdict.
    #[must_use]
    pub fn policy(&self, of: &PolicyRef) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| policy.name() == &of.policy && policy.version() == of.version)
    }

    /// The exceptions and what became of them.
    #[must_use]
    pub fn exceptions(&self) -> ExceptionHistory {
        self.decisions.iter().cloned().collect()
    }

    /// The window of the pack.
    #[must_use]
    pub fn audit_window(&self) -> AuditWindow {
        let Scope { from, to, at, .. } = self.scope;
        let bounds = WindowBounds { calendar: self.window.calendar.clone(), from, to, at };
        let ExceptionHistory { exceptions, reviews } = self.exceptions();
        let in_force = |instant| {
            exceptions.iter().any(|exception| exception.at <= instant && exception.is_in_force(&reviews, instant))
        };
        let connections: Vec<_> = self.window.connections.iter().map(|(id, facts)| self.history(id, facts)).collect();
        audit_window(&bounds, &self.window.ticks, &connections, in_force)
    }

    fn history(&self, id: &ConnectionId, facts: &ConnectionFacts) -> ConnectionHistory {
        let bundles: BTreeMap<&RunId, &PackedBundle> = self
            .bundles
            .iter()
            .filter(|bundle| bundle.connection == *id)
            .map(|bundle| (bundle.run(), bundle))
            .collect();
        let summary = |bundle: &PackedBundle| BundleSummary {
            outcome: bundle.worst(),
            policies: policies_of(bundle),
            unlogged: bundle.proof.is_none(),
        };
        let (mut runs, mut gone, mut disconnections) = (Vec::new(), None, Vec::new());
        let statements = self.logs.get(id).map(|log| log.statements.as_slice()).unwrap_or_default();
        let mut logged = BTreeSet::new();
        for statement in statements {
            match &statement.event {
                Event::Evidence(leaf) => {
                    logged.insert(leaf.run_id.clone());
                    let bundle = bundles.get(&leaf.run_id).map(|bundle| summary(bundle));
                    let (run, as_of, ended_at) = (leaf.run_id.clone(), leaf.as_of, leaf.ended_at);
                    runs.push(EndedRun { run, as_of, ended_at, end: RunEnd::Evidence { bundle } });
                }
                Event::Failure(leaf) => {
                    let end = RunEnd::Failure { code: leaf.code, request: leaf.request.clone() };
                    let (run, as_of, ended_at) = (leaf.run_id.clone(), leaf.as_of, leaf.ended_at);
                    runs.push(EndedRun { run, as_of, ended_at, end });
                }
                Event::Disconnected { ended_at } => gone = Some(*ended_at),
                Event::Reconnected { ended_at } => {
                    let back = Some(*ended_at);
                    disconnections.extend(gone.take().map(|from| Period { from, to: back }));
                }
            }
        }
        disconnections.extend(gone.map(|from| Period { from, to: None }));
        // Evidence from before the log has no statement.
        for bundle in bundles.values().filter(|bundle| !logged.contains(bundle.run())) {
            let end = RunEnd::Evidence { bundle: Some(summary(bundle)) };
            runs.push(EndedRun { run: bundle.run().clone(), as_of: bundle.as_of(), ended_at: bundle.as_of(), end });
        }
        ConnectionHistory {
            connection: id.clone(),
            product: facts.product,
            connected_at: facts.connected_at,
            pauses: facts.pauses.clone(),
            disconnections,
            runs,
        }
    }

    /// The recorded files: everything that is not derived.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn recorded(&self) -> Result<BTreeMap<String, Vec<u8>>, PackError> {
        let mut files = BTreeMap::new();
        self.each_recorded(|path, bytes| drop(files.insert(path, bytes.into_owned())))?;
        Ok(files)
    }

    /// The same, one after another.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn each_recorded(&self, mut add: impl FnMut(String, Cow<'_, [u8]>)) -> Result<(), PackError> {
        for bundle in &self.bundles {
            add(bundle.path(), bundle.body.as_bytes().into());
            if let Some(proof) = &bundle.proof {
                add(bundle.proof_path(), line(proof)?.into());
            }
        }
        for (connection, log) in &self.logs {
            add(layout::log(connection), log.lines()?.into());
            add(layout::checkpoint(connection), log.checkpoint.as_bytes().into());
        }
        add(layout::COMPANY_LOG.to_owned(), self.company_log.lines()?.into());
        add(layout::COMPANY_CHECKPOINT.to_owned(), self.company_log.checkpoint.as_bytes().into());
        for decision in &self.decisions {
            add(layout::decision(decision.id().as_str()), canonical(decision)?.into());
        }
        let mut events = Vec::new();
        for event in &self.events {
            events.extend(canonical(event)?);
            events.push(b'\n');
        }
        add(layout::EVENTS.to_owned(), events.into());
        add(layout::WINDOW.to_owned(), line(&self.window)?.into());
        for policy in &self.policies {
            let path = layout::policy(policy.name().as_str(), &policy.version().to_string());
            add(path, canonical(policy.as_ref())?.into());
        }
        add(layout::CONTROL_MAP.to_owned(), self.control_map.as_slice().into());
        if let Some(people) = &self.people {
            add(layout::PEOPLE.to_owned(), people.as_slice().into());
        }
        Ok(())
    }
}

/// The policies that gave the verdicts of a bundle, each once.
pub(super) fn policies_of(bundle: &PackedBundle) -> Vec<PolicyRef> {
    let of = |verdict: &Verdict| PolicyRef {
        policy: verdict.policy.clone(),
        version: verdict.version,
        sha256: verdict.policy_sha256.clone(),
    };
    let policies: BTreeSet<PolicyRef> = bundle.view.verdicts.iter().map(of).collect();
    policies.into_iter().collect()
}

/// A value as JSON with a line end.
pub(super) fn line(value: &impl Serialize) -> Result<Vec<u8>, PackError> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A value as JSON that people can read.
pub(super) fn pretty(value: &impl Serialize) -> Result<Vec<u8>, PackError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn canonical(value: &impl Serialize) -> Result<Vec<u8>, PackError> {
    crate::domain::log::jcs::to_bytes(value).map_err(|_| PackError::Canonical)
}

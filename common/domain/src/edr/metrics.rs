//! The 18 metrics and the extended ones, each a function of facts and limits.

use super::facts::EdrFacts;
use super::incident::Severity;
use super::{EdrSettings, facts};
use crate::controls::Category;
use crate::evidence::{Metric, MetricType, Reason};
use crate::facts::Seconds;
use crate::facts::ended::{DurationClass, Span};
use crate::number::{Decimal, Ratio};

/// The limits that the metrics depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdrRules {
    /// Limits of agent age.
    pub agents: EdrSettings,
    /// Days before the evaluation in which `incidents_opened_30d` counts.
    pub opened_within_days: u32,
    /// Days before the evaluation for what ends in `_90d`.
    pub resolved_within_days: u32,
}

impl From<EdrSettings> for EdrRules {
    fn from(agents: EdrSettings) -> Self {
        Self { agents, opened_within_days: 30, resolved_within_days: 90 }
    }
}

/// An exact value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exact {
    /// This one.
    Ratio(Ratio),
    /// A duration that is known to its class.
    Duration(DurationClass),
}

/// A metric before it is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// What it is evidence of.
    pub category: Category,
    /// Its name.
    pub key: &'static str,
    /// How it is rounded.
    pub metric_type: MetricType,
    /// Its unit.
    pub unit: &'static str,
    /// The value, or why there is none.
    pub exact: Result<Exact, Reason>,
}

impl Value {
    /// The value as text, with all its decimals.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let decimals = match self.metric_type {
            MetricType::Count => 0,
            MetricType::Percentage | MetricType::Duration => 1,
            MetricType::Number => 2,
        };
        match self.exact.ok()? {
            Exact::Ratio(ratio) => Some(ratio.rounded(decimals).to_string()),
            Exact::Duration(class) => Some(Decimal::from_units(class.tenths(), 1).to_string()),
        }
    }
}

impl From<Value> for Metric {
    fn from(value: Value) -> Self {
        Metric {
            category: value.category,
            metric_key: value.key.to_owned(),
            metric_value: value.shown(),
            reason: value.exact.err(),
            metric_type: value.metric_type,
            unit: value.unit.to_owned(),
        }
    }
}

type Computed = Result<Exact, Reason>;

fn ratio(value: Option<Ratio>) -> Computed {
    value.map(Exact::Ratio).ok_or(Reason::NothingToMeasure)
}

fn number(value: u64) -> Computed {
    ratio(Ratio::new(value, 1))
}

fn percent(part: u64, whole: u64) -> Computed {
    ratio(Ratio::percent(part, whole))
}

fn share(share: facts::Share) -> Computed {
    percent(share.these, share.of)
}

fn mean(span: &Span) -> Computed {
    ratio(Ratio::mean_hours(span.total_nanos, span.measured))
}

fn rank(span: &Span, percent: u64) -> Computed {
    span.nearest_rank(percent).map(Exact::Duration).ok_or(Reason::NothingToMeasure)
}

/// The age of the oldest of incidents that are not over. Where some are there and none has a start that can be read, it is not known.
fn age(oldest: Option<Seconds>, unfinished: u64) -> Computed {
    match oldest {
        Some(age) => ratio(Ratio::mean_hours(age.0, 1)),
        None if unfinished > 0 => Err(Reason::UnknownValues),
        None => Err(Reason::NothingToMeasure),
    }
}

const fn row(
    category: Category,
    key: &'static str,
    metric_type: MetricType,
    unit: &'static str,
    exact: Computed,
) -> Value {
    Value { category, key, metric_type, unit, exact }
}

fn devices(key: &'static str, value: u64) -> Value {
    row(Category::EndpointProtection, key, MetricType::Count, "devices", number(value))
}

fn of_devices(key: &'static str, value: Computed) -> Value {
    row(Category::EndpointProtection, key, MetricType::Percentage, "%", value)
}

fn incidents(key: &'static str, value: u64) -> Value {
    row(Category::IncidentResponse, key, MetricType::Count, "incidents", number(value))
}

fn hours(key: &'static str, value: Computed) -> Value {
    row(Category::IncidentResponse, key, MetricType::Duration, "hours", value)
}

fn organizations(key: &'static str, value: u64) -> Value {
    row(Category::AssetInventory, key, MetricType::Count, "organizations", number(value))
}

/// The 18 metrics, in the order of the contract.
#[must_use]
pub fn metrics(facts: &EdrFacts, rules: EdrRules) -> Vec<Value> {
    use Category::AssetInventory;
    let EdrFacts { agents, organizations: scope, incidents: all } = facts;
    let (states, total) = (agents.by_state(rules.agents), agents.total());
    let by_state = all.states();
    let average = ratio(Ratio::new(total, i128::from(scope.total)));
    let covered = percent(scope.with_agents, scope.total);
    vec![
        devices("agents_total", total),
        devices("agents_online", states.online),
        devices("agents_offline", states.offline),
        devices("agents_missing", states.missing),
        of_devices("agents_online_percentage", percent(states.online, total)),
        incidents("incidents_total", by_state.total()),
        incidents("incidents_open", by_state.open),
        incidents("incidents_in_progress", by_state.in_progress),
        incidents("incidents_resolved", by_state.resolved),
        incidents("incidents_critical", all.of(Severity::Critical).states.total()),
        incidents("incidents_high", all.of(Severity::High).states.total()),
        organizations("organizations_total", scope.total),
        organizations("organizations_with_agents", scope.with_agents),
        row(AssetInventory, "average_agents_per_org", MetricType::Number, "devices", average),
        row(AssetInventory, "organization_coverage_pct", MetricType::Percentage, "%", covered),
        hours("mean_time_to_detect_hours", time_to_detect(facts)),
        hours("mean_time_to_resolve_hours", mean(&all.ended.all())),
        row(
            Category::IncidentResponse,
            "incidents_auto_resolved",
            MetricType::Count,
            "incidents",
            auto_resolved(facts),
        ),
    ]
}

/// Null for want of resolved incidents, or of the two fields, which the vendor's API does not have today.
fn time_to_detect(facts: &EdrFacts) -> Computed {
    let detection = facts.incidents.detection;
    if facts.incidents.states().resolved > 0 && detection.given == 0 {
        return Err(Reason::NotProvidedBySource);
    }
    ratio(Ratio::mean_hours(detection.seconds.0, detection.measured))
}

/// Zero without resolved incidents; null when those there are say nothing of how they were resolved.
fn auto_resolved(facts: &EdrFacts) -> Computed {
    let auto = facts.incidents.auto_resolved;
    if facts.incidents.states().resolved > 0 && auto.of == 0 {
        return Err(Reason::NotProvidedBySource);
    }
    number(auto.these)
}

/// What the 18 cannot say.
#[must_use]
pub fn extended_metrics(facts: &EdrFacts, rules: EdrRules) -> Vec<Value> {
    let EdrFacts { agents, organizations: scope, incidents: all } = facts;
    let edr_installed = match (agents.total(), agents.edr.of) {
        (1.., 0) => Err(Reason::NotProvidedBySource),
        (total, _) => percent(agents.edr.these, total),
    };
    let with_online = scope.with_online(rules.agents);
    let by_state = all.states();
    let (critical, high) = (all.of(Severity::Critical), all.of(Severity::High));
    let (ended, recent) = (all.ended.all(), all.ended.within(rules.resolved_within_days));
    let opened = all.started_days.between(1, rules.opened_within_days.saturating_add(1));
    let servers = |count: u64| if agents.servers.of == 0 { Err(Reason::NotProvidedBySource) } else { number(count) };
    let server_row = |key, count| row(Category::EndpointProtection, key, MetricType::Count, "devices", servers(count));
    vec![
        devices("agents_unknown", agents.by_state(rules.agents).unknown),
        devices("agents_isolated", agents.isolated),
        of_devices("agents_edr_installed_pct", edr_installed),
        of_devices("agents_defender_healthy_pct", share(agents.defender)),
        of_devices("agents_firewall_enabled_pct", share(agents.firewall)),
        of_devices("agents_tamper_protected_pct", share(agents.tamper)),
        organizations("organizations_with_online_agents", with_online),
        incidents("incidents_dismissed", by_state.dismissed),
        incidents("incidents_low", all.of(Severity::Low).states.total()),
        incidents("incidents_unknown_status", all.unknown_status),
        hours("median_time_to_resolve_hours", rank(&ended, 50)),
        hours("p90_time_to_resolve_hours", rank(&ended, 90)),
        hours("oldest_open_incident_age_hours", age(all.oldest(), by_state.unfinished())),
        incidents("incidents_open_critical", critical.states.unfinished()),
        incidents("incidents_open_high", high.states.unfinished()),
        hours("oldest_open_critical_incident_age_hours", age(critical.oldest, critical.states.unfinished())),
        hours("oldest_open_high_incident_age_hours", age(high.oldest, high.states.unfinished())),
        incidents("incidents_opened_30d", opened),
        incidents("incidents_resolved_90d", recent.ended),
        hours("mean_time_to_resolve_hours_90d", mean(&recent)),
        hours("median_time_to_resolve_hours_90d", rank(&recent, 50)),
        hours("p90_time_to_resolve_hours_90d", rank(&recent, 90)),
        server_row("agents_servers_total", agents.servers.these),
        server_row("agents_servers_online", agents.servers_by_state(rules.agents).online),
    ]
}

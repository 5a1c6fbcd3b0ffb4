//! The 18 metrics and the extended ones, each a function of counts.

use super::tally::Counts;
use crate::domain::controls::Category;
use crate::domain::evidence::{Metric, MetricType, Reason};
use crate::domain::number::{Decimal, Ratio};
use crate::domain::time::nanos_between;
use chrono::{DateTime, Utc};

/// What the metrics of one bundle are made of.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// The sum over the organizations in scope.
    pub counts: Counts,
    /// Organizations in scope.
    pub organizations: u64,
    /// Of them, with at least one counted agent.
    pub with_agents: u64,
    /// Of them, with at least one agent online.
    pub with_online_agents: u64,
}

/// A value, or why there is none.
type Value = Result<String, Reason>;

fn count(value: u64) -> Value {
    Ok(value.to_string())
}

fn percent(part: u64, whole: u64) -> Value {
    Ratio::percent(part, whole).map(|ratio| ratio.rounded(1).to_string()).ok_or(Reason::NothingToMeasure)
}

fn mean_hours(total_nanos: i128, count: u64) -> Value {
    Ratio::mean_hours(total_nanos, count).map(|ratio| ratio.rounded(1).to_string()).ok_or(Reason::NothingToMeasure)
}

fn tenths(value: Option<i128>) -> Value {
    value.map(|tenths| Decimal::from_units(tenths, 1).to_string()).ok_or(Reason::NothingToMeasure)
}

fn metric(category: Category, key: &str, metric_type: MetricType, unit: &str, value: Value) -> Metric {
    let (metric_value, reason) = match value {
        Ok(value) => (Some(value), None),
        Err(reason) => (None, Some(reason)),
    };
    Metric { category, metric_key: key.to_owned(), metric_value, reason, metric_type, unit: unit.to_owned() }
}

/// The 18 metrics, in the order of the contract.
#[must_use]
pub fn metrics(totals: &Totals) -> Vec<Metric> {
    use Category::{AssetInventory, EndpointProtection, IncidentResponse};
    use MetricType::{Count, Duration, Number, Percentage};
    let Totals { counts, organizations, with_agents, .. } = totals;
    let average = Ratio::new(i128::from(counts.agents()), i128::from(*organizations));
    let average = average.map(|ratio| ratio.rounded(2).to_string()).ok_or(Reason::NothingToMeasure);
    vec![
        metric(EndpointProtection, "agents_total", Count, "devices", count(counts.agents())),
        metric(EndpointProtection, "agents_online", Count, "devices", count(counts.online)),
        metric(EndpointProtection, "agents_offline", Count, "devices", count(counts.offline)),
        metric(EndpointProtection, "agents_missing", Count, "devices", count(counts.missing)),
        metric(
            EndpointProtection,
            "agents_online_percentage",
            Percentage,
            "%",
            percent(counts.online, counts.agents()),
        ),
        metric(IncidentResponse, "incidents_total", Count, "incidents", count(counts.incidents())),
        metric(IncidentResponse, "incidents_open", Count, "incidents", count(counts.open)),
        metric(IncidentResponse, "incidents_in_progress", Count, "incidents", count(counts.in_progress)),
        metric(IncidentResponse, "incidents_resolved", Count, "incidents", count(counts.resolved)),
        metric(IncidentResponse, "incidents_critical", Count, "incidents", count(counts.critical)),
        metric(IncidentResponse, "incidents_high", Count, "incidents", count(counts.high)),
        metric(AssetInventory, "organizations_total", Count, "organizations", count(*organizations)),
        metric(AssetInventory, "organizations_with_agents", Count, "organizations", count(*with_agents)),
        metric(AssetInventory, "average_agents_per_org", Number, "devices", average),
        metric(AssetInventory, "organization_coverage_pct", Percentage, "%", percent(*with_agents, *organizations)),
        metric(IncidentResponse, "mean_time_to_detect_hours", Duration, "hours", time_to_detect(counts)),
        metric(
            IncidentResponse,
            "mean_time_to_resolve_hours",
            Duration,
            "hours",
            mean_hours(counts.resolve.total_nanos, counts.resolve.count),
        ),
        metric(IncidentResponse, "incidents_auto_resolved", Count, "incidents", auto_resolved(counts)),
    ]
}

/// Null for want of resolved incidents, or of the two fields, which the vendor's API does not have today.
fn time_to_detect(counts: &Counts) -> Value {
    if counts.resolved > 0 && counts.detect_given == 0 {
        return Err(Reason::NotProvidedBySource);
    }
    mean_hours(counts.detect.total_nanos, counts.detect.count)
}

/// Zero without resolved incidents; null when those there are say nothing of how they were resolved.
fn auto_resolved(counts: &Counts) -> Value {
    if counts.resolved > 0 && counts.auto_by_words + counts.auto_by_remediations == 0 {
        return Err(Reason::NotProvidedBySource);
    }
    count(counts.auto_resolved)
}

/// What the 18 cannot say.
#[must_use]
pub fn extended_metrics(totals: &Totals, as_of: DateTime<Utc>) -> Vec<Metric> {
    use Category::{AssetInventory, EndpointProtection, IncidentResponse};
    use MetricType::{Count, Duration, Percentage};
    let counts = &totals.counts;
    let edr_installed = match (counts.agents(), counts.edr_known) {
        (1.., 0) => Err(Reason::NotProvidedBySource),
        _ => percent(counts.edr_installed, counts.agents()),
    };
    let defender = percent(counts.defender_healthy, counts.defender_known);
    let firewall = percent(counts.firewall_enabled, counts.firewall_known);
    let tamper = percent(counts.tamper_on, counts.tamper_known);
    // An incident that began between `as_of` and its reading has no age yet.
    let oldest = counts.oldest_open.map(|start| nanos_between(start, as_of).max(0));
    let oldest = oldest.map_or(Err(Reason::NothingToMeasure), |nanos| mean_hours(nanos, 1));
    vec![
        metric(EndpointProtection, "agents_unknown", Count, "devices", count(counts.unknown)),
        metric(EndpointProtection, "agents_isolated", Count, "devices", count(counts.isolated)),
        metric(EndpointProtection, "agents_edr_installed_pct", Percentage, "%", edr_installed),
        metric(EndpointProtection, "agents_defender_healthy_pct", Percentage, "%", defender),
        metric(EndpointProtection, "agents_firewall_enabled_pct", Percentage, "%", firewall),
        metric(EndpointProtection, "agents_tamper_protected_pct", Percentage, "%", tamper),
        metric(
            AssetInventory,
            "organizations_with_online_agents",
            Count,
            "organizations",
            count(totals.with_online_agents),
        ),
        metric(IncidentResponse, "incidents_dismissed", Count, "incidents", count(counts.dismissed)),
        metric(IncidentResponse, "incidents_low", Count, "incidents", count(counts.low)),
        metric(IncidentResponse, "incidents_unknown_status", Count, "incidents", count(counts.incidents_unknown)),
        metric(
            IncidentResponse,
            "median_time_to_resolve_hours",
            Duration,
            "hours",
            tenths(counts.resolve.nearest_rank(50)),
        ),
        metric(
            IncidentResponse,
            "p90_time_to_resolve_hours",
            Duration,
            "hours",
            tenths(counts.resolve.nearest_rank(90)),
        ),
        metric(IncidentResponse, "oldest_open_incident_age_hours", Duration, "hours", oldest),
    ]
}

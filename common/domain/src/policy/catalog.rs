//! The metrics that a rule may be about.

use crate::controls::Evidence;
use crate::number::Ratio;
use crate::product::Product;

/// How an exact value is shown, and what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// An integer.
    Count,
    /// Percent with one decimal, at most 100.
    Percentage,
    /// A number with two decimals.
    Number,
    /// Hours with one decimal.
    Hours,
}

impl ValueKind {
    /// The value as it is shown in evidence, rounded once.
    ///
    /// ```
    /// use evidence_domain::{number::Ratio, policy::ValueKind};
    /// assert_eq!(ValueKind::Percentage.show(Ratio::percent(85, 87).unwrap()), "97.7");
    /// assert_eq!(ValueKind::Percentage.show(Ratio::percent(9, 8).unwrap()), "100.0"); // more learners trained than there are
    /// assert_eq!(ValueKind::Count.show(Ratio::new(4, 1).unwrap()), "4");
    /// ```
    #[must_use]
    pub fn show(self, value: Ratio) -> String {
        let decimals = match self {
            Self::Count => 0,
            Self::Percentage | Self::Hours => 1,
            Self::Number => 2,
        };
        let capped = if self == Self::Percentage && !value.at_most(100) { Ratio::percent(1, 1) } else { None };
        capped.unwrap_or(value).rounded(decimals).to_string()
    }

    /// The unit behind a number.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Count | Self::Number => "",
            Self::Percentage => " %",
            Self::Hours => " h",
        }
    }
}

/// A metric or a value of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Its name in records.
    pub key: &'static str,
    /// What it is evidence of.
    pub evidence: Evidence,
    /// How it is shown.
    pub kind: ValueKind,
    /// What is counted, or the numerator of a percentage: `agents online`.
    pub what: &'static str,
    /// The denominator of a percentage: `agents`.
    pub of: &'static str,
}

impl MetricDefinition {
    /// A metric by name.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        CATALOG.iter().find(|entry| entry.key == key)
    }

    /// The product that gives it.
    #[must_use]
    pub fn product(&self) -> Option<Product> {
        self.evidence.product()
    }
}

impl Evidence {
    /// The product whose bundles have metrics of this kind.
    #[must_use]
    pub fn product(self) -> Option<Product> {
        match self {
            Self::EndpointProtection | Self::AssetInventory | Self::IncidentResponse => Some(Product::Edr),
            Self::WorkforceCoverage | Self::PhishingSimulation | Self::PersonTraining => Some(Product::Sat),
        }
    }
}

const fn count(evidence: Evidence, key: &'static str, what: &'static str) -> MetricDefinition {
    MetricDefinition { key, evidence, kind: ValueKind::Count, what, of: "" }
}

const fn percentage(evidence: Evidence, key: &'static str, what: &'static str, of: &'static str) -> MetricDefinition {
    MetricDefinition { key, evidence, kind: ValueKind::Percentage, what, of }
}

const fn hours(key: &'static str, what: &'static str) -> MetricDefinition {
    MetricDefinition { key, evidence: Evidence::IncidentResponse, kind: ValueKind::Hours, what, of: "" }
}

use Evidence::{AssetInventory, EndpointProtection, IncidentResponse, PhishingSimulation, WorkforceCoverage};

/// All of them. What is computed only at reading, such as `endpoint_coverage_pct`, has no outcome at a commit and is not here.
pub const CATALOG: &[MetricDefinition] = &[
    count(EndpointProtection, "agents_total", "agents"),
    count(EndpointProtection, "agents_online", "agents online"),
    count(EndpointProtection, "agents_offline", "agents offline"),
    count(EndpointProtection, "agents_missing", "agents missing"),
    percentage(EndpointProtection, "agents_online_percentage", "agents online", "agents"),
    count(EndpointProtection, "agents_unknown", "agents of unknown state"),
    count(EndpointProtection, "agents_isolated", "isolated agents"),
    percentage(EndpointProtection, "agents_edr_installed_pct", "agents with EDR", "agents"),
    percentage(
        EndpointProtection,
        "agents_defender_healthy_pct",
        "agents with a healthy Defender",
        "agents that report Defender",
    ),
    percentage(
        EndpointProtection,
        "agents_firewall_enabled_pct",
        "agents with the firewall on",
        "agents that report a firewall",
    ),
    percentage(
        EndpointProtection,
        "agents_tamper_protected_pct",
        "agents with tamper protection",
        "agents that report tamper protection",
    ),
    count(EndpointProtection, "agents_servers_total", "agents on servers"),
    count(EndpointProtection, "agents_servers_online", "agents on servers online"),
    count(IncidentResponse, "incidents_total", "incidents"),
    count(IncidentResponse, "incidents_open", "open incidents"),
    count(IncidentResponse, "incidents_in_progress", "incidents in progress"),
    count(IncidentResponse, "incidents_resolved", "resolved incidents"),
    count(IncidentResponse, "incidents_critical", "critical incidents"),
    count(IncidentResponse, "incidents_high", "incidents of high severity"),
    count(IncidentResponse, "incidents_low", "incidents of low severity"),
    count(IncidentResponse, "incidents_dismissed", "dismissed incidents"),
    count(IncidentResponse, "incidents_unknown_status", "incidents of unknown state"),
    count(IncidentResponse, "incidents_auto_resolved", "incidents resolved automatically"),
    count(IncidentResponse, "incidents_open_critical", "open critical incidents"),
    count(IncidentResponse, "incidents_open_high", "open incidents of high severity"),
    count(IncidentResponse, "incidents_opened_30d", "incidents opened within 30 days"),
    count(IncidentResponse, "incidents_resolved_90d", "incidents resolved within 90 days"),
    hours("mean_time_to_detect_hours", "mean time to detect"),
    hours("mean_time_to_resolve_hours", "mean time to resolve"),
    hours("median_time_to_resolve_hours", "median time to resolve"),
    hours("p90_time_to_resolve_hours", "90th percentile of the time to resolve"),
    hours("oldest_open_incident_age_hours", "age of the oldest open incident"),
    hours("oldest_open_critical_incident_age_hours", "age of the oldest open critical incident"),
    hours("oldest_open_high_incident_age_hours", "age of the oldest open incident of high severity"),
    hours("mean_time_to_resolve_hours_90d", "mean time to resolve within 90 days"),
    hours("median_time_to_resolve_hours_90d", "median time to resolve within 90 days"),
    hours("p90_time_to_resolve_hours_90d", "90th percentile of the time to resolve within 90 days"),
    hours("mean_time_to_report_hours_90d", "mean time from the report's creation to its sending within 90 days"),
    count(AssetInventory, "organizations_total", "organizations"),
    count(AssetInventory, "organizations_with_agents", "organizations with agents"),
    count(AssetInventory, "organizations_with_online_agents", "organizations with agents online"),
    MetricDefinition {
        key: "average_agents_per_org",
        evidence: AssetInventory,
        kind: ValueKind::Number,
        what: "agents per organization",
        of: "",
    },
    percentage(AssetInventory, "organization_coverage_pct", "organizations with agents", "organizations"),
    percentage(WorkforceCoverage, "coverage_pct", "learners trained", "active learners"),
    count(WorkforceCoverage, "distinct_trained_learners", "learners trained"),
    count(WorkforceCoverage, "active_learners", "active learners"),
    count(WorkforceCoverage, "departed_trained_learners", "learners trained who left"),
    percentage(PhishingSimulation, "compromise_rate_pct", "messages that compromised somebody", "messages sent"),
    percentage(PhishingSimulation, "report_rate_pct", "messages reported", "messages sent"),
    count(PhishingSimulation, "sent", "messages sent"),
    count(PhishingSimulation, "compromised", "messages that compromised somebody"),
    count(PhishingSimulation, "reported", "messages reported"),
    count(PhishingSimulation, "campaigns", "campaigns"),
];

//! The bundle that a run leaves: metrics, and how they came about.

use super::completeness::ListCompleteness;
use super::controls::{Category, ControlRef, Evidence};
use super::edr::facts::EdrFacts;
use super::edr::findings::Findings;
use super::id::{ClientId, CompanyId};
use super::policy::Verdict;
use super::quality::QualityEntry;
use super::run::RecordCounts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version of a bundle's form. Bundles of every version stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum SchemaVersion {
    /// Metrics or signals alone; such a bundle does not tell its version.
    V1,
    /// With facts, findings and verdicts.
    V2,
}

/// A bundle of a version that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bundle has version {0}, and this program knows 1 and 2: use a newer one")]
pub struct UnknownSchemaVersion(u32);

impl SchemaVersion {
    /// The version that is written.
    pub const CURRENT: Self = Self::V2;

    pub(super) fn is_first(&self) -> bool {
        *self == Self::V1
    }
}

impl Default for SchemaVersion {
    /// The version of a bundle that does not tell it.
    fn default() -> Self {
        Self::V1
    }
}

impl TryFrom<u32> for SchemaVersion {
    type Error = UnknownSchemaVersion;
    fn try_from(version: u32) -> Result<Self, UnknownSchemaVersion> {
        match version {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            other => Err(UnknownSchemaVersion(other)),
        }
    }
}

impl From<SchemaVersion> for u32 {
    fn from(version: SchemaVersion) -> u32 {
        match version {
            SchemaVersion::V1 => 1,
            SchemaVersion::V2 => 2,
        }
    }
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricType {
    /// An integer.
    Count,
    /// Percent with one decimal.
    Percentage,
    /// A number with two decimals.
    Number,
    /// Hours with one decimal.
    Duration,
}

/// Why a value is null, or a status not what its numbers alone would give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The source has no such field.
    NotProvidedBySource,
    /// There is nothing to divide by.
    NothingToMeasure,
    /// There are no active learners.
    NoWorkforce,
    /// The rate is as high as it is only because of learners who left.
    InflatedByDepartedLearners,
    /// No campaign ended within the window.
    NoRecentCampaigns,
    /// A list was read only up to its cap.
    Truncated,
    /// What could not be read decides which status it would be.
    UnknownValues,
    /// The source gives the field for too few of the records.
    PartlyProvided,
    /// What a rule needs is not there, so it does not apply.
    NeedsNotMet,
    /// The account belongs to another client's organization.
    AccountOfAnotherClient,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotProvidedBySource => "not provided by source",
            Self::NothingToMeasure => "nothing to measure",
            Self::NoWorkforce => "no active learners",
            Self::InflatedByDepartedLearners => "inflated by departed learners",
            Self::NoRecentCampaigns => "no recent campaigns",
            Self::Truncated => "truncated",
            Self::UnknownValues => "decided by unknown values",
            Self::PartlyProvided => "partly provided by source",
            Self::NeedsNotMet => "too little to measure",
            Self::AccountOfAnotherClient => "account of another client",
        })
    }
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// What it is evidence of.
    pub category: Category,
    /// Its name, e.g. `agents_total`.
    pub metric_key: String,
    /// The value as text, with all its decimals; null when it is not known.
    pub metric_value: Option<String>,
    /// Why the value is null; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The kind of the value.
    pub metric_type: MetricType,
    /// The unit: `devices`, `incidents`, `organizations`, `%` or `hours`.
    pub unit: String,
}

/// Whose evidence it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The company that runs the connector.
    pub company_id: Option<CompanyId>,
    /// The client that is measured; null for the company's own evidence over all organizations.
    pub client_id: Option<ClientId>,
}

/// An organization as it is listed in evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationRef {
    /// The vendor's id.
    pub id: String,
    /// Its name, if the source gives one.
    pub name: Option<String>,
}

/// Which organizations the evidence covers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationCoverage {
    /// Organizations that the numbers cover.
    pub in_scope: u64,
    /// Organizations that no client is mapped to: in the company's own evidence, in no client's.
    #[serde(default)]
    pub unmapped_total: u64,
    /// The first [`UNMAPPED_LISTED`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmapped: Vec<OrganizationRef>,
    /// The first so many of the organizations that are mapped or ignored, or of all where all are one client's; in the company's own evidence alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OrganizationRef>,
    /// Organizations that the connection's settings ignore: in no evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Mapped or ignored organizations that the account does not list: any more, or because the id is mistyped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// Organizations of a kind listed by name in one bundle; a record of the table has a size limit.
pub const UNMAPPED_LISTED: usize = 1_000;

/// Records that were listed by the source, before any rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsRead {
    /// Organizations.
    pub organizations: u64,
    /// Agents.
    pub agents: u64,
    /// Incident reports.
    pub incident_reports: u64,
}

impl From<RecordsRead> for RecordCounts {
    fn from(read: RecordsRead) -> Self {
        [("organizations", read.organizations), ("agents", read.agents), ("incident_reports", read.incident_reports)]
            .map(|(list, count)| (list.to_owned(), count))
            .into()
    }
}

/// Metadata of the collection: requests, duration, derivation, completeness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Every HTTP request of the collection, retries too.
    pub api_calls_made: u64,
    /// Wall time of the collection.
    pub collection_duration_ms: u64,
    /// Always `collectAll`: the lists are read to their end.
    pub collection_method: String,
    /// Whether a list was cut at a cap.
    pub truncated: bool,
    /// What was odd about the source; empty for a clean one.
    pub data_quality: Vec<QualityEntry>,
    /// The instant at which every window and age was evaluated.
    pub as_of: DateTime<Utc>,
    /// Which fields and limits the values were derived from.
    pub derivation: serde_json::Value,
    /// Records that the whole collection read.
    pub records_read: RecordsRead,
    /// Which organizations are covered.
    pub organizations: OrganizationCoverage,
    /// The version of the map that named the controls.
    #[serde(default)]
    pub control_map_version: String,
    /// How completely each list of the whole account was read; absent before version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completeness: Vec<ListCompleteness>,
    /// The controls that the metrics of each category support.
    #[serde(default)]
    pub controls: BTreeMap<Evidence, Vec<ControlRef>>,
    /// The run that collected this; absent when nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<super::id::RunId>,
}

/// The endpoint evidence of one client, or of the company over all its organizations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdrBundle {
    /// `huntress`.
    pub connector_type_id: String,
    /// When the collection started.
    pub collected_at: DateTime<Utc>,
    /// Whose evidence.
    pub tenant: Tenant,
    /// The 18 metrics, always all, always in this order.
    pub metrics: Vec<Metric>,
    /// What the 18 cannot say.
    pub extended_metrics: Vec<Metric>,
    /// The version of this form.
    #[serde(default, skip_serializing_if = "SchemaVersion::is_first")]
    pub schema_version: SchemaVersion,
    /// What the numbers were computed from; since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<EdrFacts>,
    /// Which records pull a number down; since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// What the policies in force said; since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Vec<Verdict>>,
    /// How it came about.
    pub metadata: Metadata,
}

impl EdrBundle {
    /// The `connector_type_id` of endpoint evidence.
    pub const CONNECTOR: &'static str = "huntress";

    /// A metric by key, of the 18 or the extended ones.
    #[must_use]
    pub fn metric(&self, key: &str) -> Option<&Metric> {
        self.metrics.iter().chain(&self.extended_metrics).find(|metric| metric.metric_key == key)
    }
}

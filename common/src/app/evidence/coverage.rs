//! Agents online against the devices that somebody attested, computed at reading.

use super::EvidenceError;
use super::latest::bundle;
use super::now::AroundClient;
use crate::domain::decisions::{AttestationKey, Decision, EndpointCoverage, newest_attestation};
use crate::domain::evidence::EdrBundle;
use crate::domain::product::Product;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

/// `endpoint_coverage_pct`: how many of the expected devices have an agent online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttestedCoverage {
    /// Agents online of expected devices in percent, with one decimal; above 100 where more are online than were expected.
    pub endpoint_coverage_pct: String,
    /// Agents online, by the newest evidence of each connection.
    pub agents_online: u64,
    /// Devices that were attested.
    pub expected_devices: u64,
    /// By how many the agents online exceed that; above 0 it is the data quality `more_agents_than_expected`.
    pub more_agents_than_expected: u64,
    /// Where the number of devices comes from.
    pub source: String,
    /// The day that the source is of.
    pub dated: NaiveDate,
    /// Who stated it.
    pub by: String,
    /// The first instant at which it no longer counts.
    pub until: DateTime<Utc>,
    /// The instant of the oldest evidence in it.
    pub as_of: DateTime<Utc>,
}

impl AttestedCoverage {
    /// In words, as a table has it beneath.
    #[must_use]
    pub fn text(&self) -> String {
        let more = if self.more_agents_than_expected > 0 {
            format!("; {} more than expected, so the attested number is too small", self.more_agents_than_expected)
        } else {
            String::new()
        };
        format!(
            "endpoint_coverage_pct {} %: {} agents online of {} devices, as {} attested from {} of {}{more}",
            self.endpoint_coverage_pct, self.agents_online, self.expected_devices, self.by, self.source, self.dated
        )
    }
}

impl AttestedCoverage {
    /// The coverage of a client by its newest endpoint evidence and the attestation that counts then; `None` without one of the two.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub(super) fn of(around: &AroundClient) -> Result<Option<Self>, EvidenceError> {
        let mut attestations = Vec::new();
        for decision in &around.decisions {
            if let Decision::Attestation(attestation) = decision {
                attestations.push(attestation.clone());
            }
        }
        let Some(attested) = newest_attestation(&attestations, AttestationKey::ExpectedDevices, around.at) else {
            return Ok(None);
        };
        let (mut online, mut oldest) = (0_u64, None);
        for stored in around.evidence.iter().filter(|stored| stored.product == Product::Edr) {
            let bundle: EdrBundle = bundle(stored)?;
            let value = bundle.metric("agents_online").and_then(|metric| metric.metric_value.as_ref());
            online += value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
            oldest = Some(oldest.map_or(stored.as_of, |oldest: DateTime<Utc>| oldest.min(stored.as_of)));
        }
        let coverage = EndpointCoverage::of(online, attested.value);
        Ok(oldest.zip(coverage).map(|(as_of, coverage)| Self {
            endpoint_coverage_pct: coverage.pct,
            agents_online: online,
            expected_devices: attested.value,
            more_agents_than_expected: coverage.more_agents_than_expected,
            source: attested.source.clone(),
            dated: attested.dated,
            by: attested.by.clone(),
            until: attested.until,
            as_of,
        }))
    }
}

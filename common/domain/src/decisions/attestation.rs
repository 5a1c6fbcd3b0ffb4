//! An attestation states a number that Huntress cannot know, and who says so from what source.

use super::{Decider, DecisionId, InvalidText, LONGEST_SOURCE, NewRecord, Nonce, person_name, plain};
use crate::calendar::{Calendar, Until};
use crate::id::ClientId;
use crate::number::Ratio;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// What can be attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttestationKey {
    /// How many devices the client has that should run an agent, e.g. `RMM export of 2026-11-01: 52`.
    ExpectedDevices,
}

impl AttestationKey {
    /// The key as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExpectedDevices => "expected_devices",
        }
    }

    /// A key by name.
    ///
    /// # Errors
    /// [`InvalidAttestation::UnknownKey`] for another one.
    pub fn parse(text: &str) -> Result<Self, InvalidAttestation> {
        match text {
            "expected_devices" => Ok(Self::ExpectedDevices),
            _ => Err(InvalidAttestation::UnknownKey(text.to_owned())),
        }
    }
}

/// What somebody states.
#[derive(Debug, Clone)]
pub struct AttestationRequest {
    /// Whose devices.
    pub client: ClientId,
    /// What.
    pub key: AttestationKey,
    /// The number as it was written.
    pub value: String,
    /// Where it comes from.
    pub source: String,
    /// The day that the source is of.
    pub dated: NaiveDate,
    /// Who says so.
    pub by: Decider,
    /// Until when it counts.
    pub until: Until,
}

/// A statement that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttestation {
    /// No such key.
    #[error("there is no attestation {0:?}; there is expected_devices")]
    UnknownKey(String),
    /// Not a whole number above zero.
    #[error(
        "{0:?} is no number of devices: give a whole number above 0; if there are none, map no organization to the client"
    )]
    Value(String),
    /// A text is missing or cannot be kept.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// The source lies in the future.
    #[error("the source is dated {0}, which lies ahead: give the day that it is of")]
    Future(NaiveDate),
    /// It would end before the source was made, or is over already.
    #[error("the attestation would be over already: give an --until that lies ahead")]
    Over,
}

/// A number that somebody stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attestation {
    /// Its id.
    pub id: DecisionId,
    /// Whose devices.
    pub client: ClientId,
    /// What.
    pub key: AttestationKey,
    /// The number, above 0.
    pub value: u64,
    /// Where it comes from.
    pub source: String,
    /// The day that the source is of.
    pub dated: NaiveDate,
    /// Who said so.
    pub by: String,
    /// When; it counts from then on.
    pub at: DateTime<Utc>,
    /// Whether that was said on the machine that keeps the records.
    pub on_this_machine: bool,
    /// The first instant at which it no longer counts.
    pub until: DateTime<Utc>,
    /// Random, for the commitment in the log.
    pub nonce: Nonce,
}

/// More devices than this no client has; a larger number is a slip.
const MOST_DEVICES: u64 = 100_000_000;

impl AttestationRequest {
    /// The record; days are those of the calendar.
    ///
    /// # Errors
    /// [`InvalidAttestation`], which says what to do.
    pub fn state(self, new: NewRecord, calendar: &Calendar) -> Result<Attestation, InvalidAttestation> {
        let NewRecord { id, nonce, at: now } = new;
        let value = self.value.trim();
        let plain_digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = plain_digits.then(|| value.parse::<u64>().ok()).flatten();
        let Some(value) = value.filter(|value| (1..=MOST_DEVICES).contains(value)) else {
            return Err(InvalidAttestation::Value(self.value));
        };
        let source = plain(&self.source, "the source", LONGEST_SOURCE, false)?;
        let by = person_name(&self.by.name, "the name of who states it")?;
        if self.dated > calendar.day_of(now) {
            return Err(InvalidAttestation::Future(self.dated));
        }
        let until = self.until.instant(calendar);
        if until <= now || until <= calendar.start_of(self.dated) {
            return Err(InvalidAttestation::Over);
        }
        Ok(Attestation {
            id,
            client: self.client,
            key: self.key,
            value,
            source,
            dated: self.dated,
            by,
            at: now,
            on_this_machine: self.by.on_this_machine,
            until,
            nonce,
        })
    }
}

impl Attestation {
    /// Whether it counts at `instant`.
    #[must_use]
    pub fn is_in_force(&self, instant: DateTime<Utc>) -> bool {
        self.at <= instant && instant < self.until
    }
}

/// The attestation of `key` that counts at `instant`: the one made last.
pub fn newest_attestation<'a>(
    attestations: impl IntoIterator<Item = &'a Attestation>,
    key: AttestationKey,
    instant: DateTime<Utc>,
) -> Option<&'a Attestation> {
    attestations.into_iter().filter(|it| it.key == key && it.is_in_force(instant)).max_by_key(|it| it.at)
}

/// How many of the expected devices have an agent in touch. It is computed at reading and never stored.
///
/// ```
/// use evidence_domain::decisions::EndpointCoverage;
/// let coverage = EndpointCoverage::of(50, 52).unwrap();
/// assert_eq!((coverage.pct.as_str(), coverage.more_agents_than_expected), ("96.2", 0));
/// let coverage = EndpointCoverage::of(54, 52).unwrap();
/// assert_eq!((coverage.pct.as_str(), coverage.more_agents_than_expected), ("103.8", 2)); // the number that was stated is too small
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCoverage {
    /// Agents online of expected devices in percent, with one decimal. It is not cut at 100.
    pub pct: String,
    /// By how many the agents online exceed what was stated; 0 where they do not. Above 0 it is the data quality `more_agents_than_expected`.
    pub more_agents_than_expected: u64,
}

impl EndpointCoverage {
    /// The coverage; `None` when nothing is expected.
    #[must_use]
    pub fn of(online: u64, expected: u64) -> Option<Self> {
        let pct = Ratio::percent(online, expected)?.rounded(1).to_string();
        Some(Self { pct, more_agents_than_expected: online.saturating_sub(expected) })
    }
}

//! Endpoint evidence: the state of agents and incidents, and the metrics made of them.

pub mod agent;
pub mod bundle;
pub mod facts;
pub mod findings;
pub mod incident;
pub mod measures;
pub mod metrics;
pub mod serial;
pub mod tally;

use crate::id::ClientId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the endpoint rules, recorded in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "RawSettings", into = "RawSettings")]
pub struct EdrSettings {
    online_within_hours: u32,
    missing_after_days: u32,
}

/// An agent that never called back is missing when it was created longer ago than this many days; the vendor's own limit.
pub const NEVER_CALLED_BACK_DAYS: u32 = 3;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct RawSettings {
    online_within_hours: u32,
    missing_after_days: u32,
}

/// Limits that make no sense together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("online-within-hours must be at least 1 and less than missing-after-days, which is at most 3650 days")]
pub struct InvalidSettings;

impl EdrSettings {
    /// The limits that the numbers of a bundle came about under, as its derivation says.
    ///
    /// ```
    /// use evidence_domain::edr::EdrSettings;
    /// let derivation = serde_json::json!({"agent_state": {"online_within_hours": 48, "missing_after_days": 30}});
    /// assert_eq!(EdrSettings::of_derivation(&derivation), EdrSettings::new(48, 30).ok());
    /// assert_eq!(EdrSettings::of_derivation(&serde_json::json!({})), None);
    /// ```
    #[must_use]
    pub fn of_derivation(derivation: &serde_json::Value) -> Option<Self> {
        let number = |name: &str| {
            let value = derivation.get("agent_state")?.get(name)?.as_u64()?;
            u32::try_from(value).ok()
        };
        Self::new(number("online_within_hours")?, number("missing_after_days")?).ok()
    }

    /// An agent is online up to `online_within_hours` after its last call, missing `missing_after_days` after it, offline between.
    ///
    /// # Errors
    /// [`InvalidSettings`] unless 0 < online < missing ≤ 3650 days.
    pub fn new(online_within_hours: u32, missing_after_days: u32) -> Result<Self, InvalidSettings> {
        let sensible = online_within_hours > 0
            && missing_after_days <= 3650
            && u64::from(online_within_hours) < u64::from(missing_after_days) * 24;
        if sensible { Ok(Self { online_within_hours, missing_after_days }) } else { Err(InvalidSettings) }
    }

    /// The limit of `online`, in hours.
    #[must_use]
    pub fn online_within_hours(self) -> u32 {
        self.online_within_hours
    }

    /// The limit of `offline`, in days.
    #[must_use]
    pub fn missing_after_days(self) -> u32 {
        self.missing_after_days
    }

    /// The limit of `offline`, in hours.
    #[must_use]
    pub fn missing_after_hours(self) -> u32 {
        self.missing_after_days.saturating_mul(24)
    }
}

impl Default for EdrSettings {
    /// 24 hours, and 21 days, which is what the vendor calls unresponsive.
    fn default() -> Self {
        Self { online_within_hours: 24, missing_after_days: 21 }
    }
}

/// The limits of agent age of a connection: its own, and those of clients that have others. Huntress, too, lets an organization have its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLimits {
    connection: EdrSettings,
    clients: BTreeMap<ClientId, EdrSettings>,
    /// No agent is missing before this many hours, whoever's it is.
    earliest_missing_hours: u32,
}

impl AgentLimits {
    /// The limits of the connection, and those of some of its clients.
    #[must_use]
    pub fn new(connection: EdrSettings, clients: BTreeMap<ClientId, EdrSettings>) -> Self {
        let all = clients.values().chain([&connection]);
        let earliest_missing_hours = all.map(|limits| limits.missing_after_hours()).min().unwrap_or(0);
        Self { connection, clients, earliest_missing_hours }
    }

    /// The limits for a client; `None` is the company itself.
    #[must_use]
    pub fn of(&self, client: Option<&ClientId>) -> EdrSettings {
        client.and_then(|client| self.clients.get(client)).copied().unwrap_or(self.connection)
    }
}

impl From<EdrSettings> for AgentLimits {
    fn from(connection: EdrSettings) -> Self {
        Self::new(connection, BTreeMap::new())
    }
}

impl TryFrom<RawSettings> for EdrSettings {
    type Error = InvalidSettings;
    fn try_from(raw: RawSettings) -> Result<Self, InvalidSettings> {
        Self::new(raw.online_within_hours, raw.missing_after_days)
    }
}

impl From<EdrSettings> for RawSettings {
    fn from(settings: EdrSettings) -> Self {
        Self { online_within_hours: settings.online_within_hours, missing_after_days: settings.missing_after_days }
    }
}

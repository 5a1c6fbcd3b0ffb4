//! A connection: one Huntress credential of a company, for one product.

use super::edr::{AgentLimits, EdrSettings};
use super::expiry::CredentialTerm;
use super::failure::Failure;
use super::id::{ClientId, CompanyId, ConnectionId};
use super::mapping::Mapping;
use super::people::person::PeopleSettings;
use super::product::Product;
use super::sat::SatSettings;
use super::sat::id::SatId;
use super::schedule::Schedule;
use super::time::is_ahead;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How the connection fared last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// No run has ended yet.
    New,
    /// The last run succeeded.
    Ok,
    /// Huntress refused the credential; scheduled runs wait 24 hours.
    AuthFailed,
    /// The last run failed for another reason; the next tick tries again.
    Error,
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Ok => "ok",
            Self::AuthFailed => "auth_failed",
            Self::Error => "error",
        })
    }
}

impl Connection {
    /// A connection that is saved at `now` and due at the next tick of the default schedule, with the settings that everybody starts from.
    #[must_use]
    pub fn new(company: CompanyId, id: ConnectionId, product: Product, mapping: Mapping, now: DateTime<Utc>) -> Self {
        Self {
            company,
            id,
            product,
            edr: EdrSettings::default(),
            edr_clients: BTreeMap::new(),
            sat: SatSettings::default(),
            people: PeopleSettings::default(),
            account_id: None,
            mapping,
            paused: false,
            status: ConnectionStatus::New,
            created_at: now,
            last_attempt_at: None,
            last_success_at: None,
            next_run_at: Some(Schedule::default().next_after(now)),
            last_failure: None,
            last_test: None,
            credential_term: CredentialTerm::default(),
            revision: 0,
        }
    }
}

impl Connection {
    /// The limits of agent age for each client.
    #[must_use]
    pub fn agent_limits(&self) -> AgentLimits {
        AgentLimits::new(self.edr, self.edr_clients.clone())
    }
}

/// How long scheduled runs wait after an auth failure.
pub const AUTH_BACKOFF: TimeDelta = TimeDelta::hours(24);

/// Evidence older than this is stale: a day, and two hours for a late run.
pub const STALE_AFTER: TimeDelta = TimeDelta::hours(26);

/// A stored connection. It holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// Who runs it.
    pub company: CompanyId,
    /// Its id within the company.
    pub id: ConnectionId,
    /// The product it reads.
    pub product: Product,
    /// Settings of the endpoint rules.
    #[serde(default)]
    pub edr: EdrSettings,
    /// Clients whose agents have limits of age of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub edr_clients: BTreeMap<ClientId, EdrSettings>,
    /// Settings of the training rules.
    #[serde(default)]
    pub sat: SatSettings,
    /// What is kept of people, and the assignments that count.
    #[serde(default)]
    pub people: PeopleSettings,
    /// The account at Huntress, once it is known: a run of training finds it, and a test of an endpoint key.
    #[serde(default)]
    pub account_id: Option<SatId>,
    /// Whose evidence it gathers.
    pub mapping: Mapping,
    /// Whether the daily tick passes it over.
    #[serde(default)]
    pub paused: bool,
    /// How it fared last.
    pub status: ConnectionStatus,
    /// When it was saved first.
    pub created_at: DateTime<Utc>,
    /// When a run last started.
    #[serde(default)]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When a run last succeeded.
    #[serde(default)]
    pub last_success_at: Option<DateTime<Utc>>,
    /// From when on the daily tick takes it; absent while it is paused.
    #[serde(default)]
    pub next_run_at: Option<DateTime<Utc>>,
    /// The last failure, until a success.
    #[serde(default)]
    pub last_failure: Option<Failure>,
    /// The outcome of the last connection test.
    #[serde(default)]
    pub last_test: Option<TestOutcome>,
    /// How its credential came, and how long it is good for.
    #[serde(default)]
    pub credential_term: CredentialTerm,
    /// How often somebody changed it; a run does not count.
    #[serde(default)]
    pub revision: u64,
}

/// The outcome of a connection test, as it is kept on the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TestOutcome {
    /// When it was tested.
    pub tested_at: DateTime<Utc>,
    /// Whether every permission was there.
    pub passed: bool,
}

/// How old evidence is at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Time since the evidence's `as_of`.
    pub age: TimeDelta,
    /// Whether that is more than [`STALE_AFTER`].
    pub stale: bool,
}

impl Age {
    /// The age of evidence of `as_of` at `now`.
    #[must_use]
    pub fn at(as_of: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let age = now.signed_duration_since(as_of);
        // What a wrong clock has dated ahead has no age, and is nothing to go by.
        Self { age: age.max(TimeDelta::zero()), stale: age > STALE_AFTER || is_ahead(as_of, now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    #[test]
    fn what_is_dated_ahead_has_no_age_and_is_never_fresh() {
        let now = parse("2026-03-22T12:00:00Z").unwrap();
        let of = |age: TimeDelta| {
            let Age { age, stale } = Age::at(now - age, now);
            (age, stale)
        };
        assert_eq!(of(TimeDelta::hours(26)), (TimeDelta::hours(26), false));
        assert_eq!(of(TimeDelta::seconds(26 * 3600 + 1)), (TimeDelta::seconds(26 * 3600 + 1), true));
        assert_eq!(of(TimeDelta::minutes(-5)), (TimeDelta::zero(), false), "clocks differ");
        assert_eq!(of(TimeDelta::seconds(-301)), (TimeDelta::zero(), true));
        assert_eq!(of(TimeDelta::days(-200)), (TimeDelta::zero(), true));
    }
}

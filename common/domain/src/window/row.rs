//! One day of one connection.

use crate::failure::FailureCode;
use crate::id::{ConnectionId, RunId};
use crate::policy::{Outcome, PolicyRef};
use crate::product::Product;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a day has no evidence, in the order in which the reasons are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoEvidence {
    /// It was connected after that day's tick, and no run was asked for.
    BeforeConnection,
    /// It was removed.
    Disconnected,
    /// The day's tick lies ahead, or its run may be under way.
    NotYet,
    /// It was paused at that day's tick.
    Paused,
    /// A run failed.
    Failed,
    /// The tick passed it over, because Huntress had refused the credential within a day.
    AuthBackoff,
    /// A run left evidence, but none of this client.
    NotMapped,
    /// The stack took no tick on that day.
    NoTick,
    /// Nothing of the above.
    Unexplained,
}

impl NoEvidence {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::BeforeConnection,
        Self::Disconnected,
        Self::NotYet,
        Self::Paused,
        Self::Failed,
        Self::AuthBackoff,
        Self::NotMapped,
        Self::NoTick,
        Self::Unexplained,
    ];

    /// The reason as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeConnection => "before_connection",
            Self::Disconnected => "disconnected",
            Self::NotYet => "not_yet",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::AuthBackoff => "auth_backoff",
            Self::NotMapped => "not_mapped",
            Self::NoTick => "no_tick",
            Self::Unexplained => "unexplained",
        }
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::BeforeConnection => "the connection was made after that day's sync",
            Self::Disconnected => "the connection was removed",
            Self::NotYet => "the day's sync lies ahead, or is under way",
            Self::Paused => "the connection was paused at the time of the sync",
            Self::Failed => "the sync failed",
            Self::AuthBackoff => "Huntress had refused the credential, so the sync waited a day",
            Self::NotMapped => "no evidence of this client is kept of that sync",
            Self::NoTick => "the collector did not run at all on that day",
            Self::Unexplained => "no record explains it",
        }
    }
}

impl fmt::Display for NoEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a run of that day failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowFailure {
    /// The closed code.
    pub code: FailureCode,
    /// The request that failed; null where it was none.
    pub request: Option<String>,
}

/// Evidence, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowEvidence {
    /// The newest evidence of the day.
    There {
        /// Its instant.
        as_of: DateTime<Utc>,
        /// The run that left it.
        run: RunId,
        /// The worst outcome in it.
        outcome: Outcome,
        /// The policies that it was evaluated under.
        policies: Vec<PolicyRef>,
        /// Whether it is from before the log.
        unlogged: bool,
    },
    /// None.
    Missing {
        /// Why.
        reason: NoEvidence,
        /// How the run failed, if that is why.
        failure: Option<WindowFailure>,
    },
}

/// A row of the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WindowRow {
    /// The day, in the zone of the schedule.
    pub day: NaiveDate,
    /// The connection.
    pub connection: ConnectionId,
    /// Its product.
    pub product: Product,
    /// The instant of the newest evidence of the day; null without.
    pub as_of: Option<DateTime<Utc>>,
    /// The run that left it.
    pub run: Option<RunId>,
    /// Why there is none; null with evidence.
    pub reason: Option<NoEvidence>,
    /// The worst outcome of the evidence.
    pub outcome: Option<Outcome>,
    /// How the run failed, where the reason is `failed`.
    pub failure: Option<WindowFailure>,
    /// True when the evidence is from before the log; absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// The policies of the evidence, which the totals name.
    #[serde(skip)]
    pub(super) policies: Vec<PolicyRef>,
}

impl WindowRow {
    pub(super) fn new(day: NaiveDate, connection: ConnectionId, product: Product, evidence: RowEvidence) -> Self {
        let empty = Self {
            day,
            connection,
            product,
            as_of: None,
            run: None,
            reason: None,
            outcome: None,
            failure: None,
            unlogged: false,
            policies: Vec::new(),
        };
        match evidence {
            RowEvidence::There { as_of, run, outcome, policies, unlogged } => {
                Self { as_of: Some(as_of), run: Some(run), outcome: Some(outcome), policies, unlogged, ..empty }
            }
            RowEvidence::Missing { reason, failure } => Self { reason: Some(reason), failure, ..empty },
        }
    }

    /// Whether the day has evidence.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.as_of.is_some()
    }
}

//! A run: one sync of one connection.

use super::failure::Failure;
use super::id::{CompanyId, ConnectionId, RunId};
use super::time::is_ahead;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A run that cannot be brought to its end within this, from its first start, has no evidence to give: the next one is due.
pub const LONGEST_RUN: TimeDelta = TimeDelta::hours(23);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Asked for, not begun.
    Queued,
    /// A worker has it.
    Running,
    /// Checkpointed until the request limit allows more.
    Waiting,
    /// Its evidence is visible.
    Succeeded,
    /// It ended without evidence.
    Failed,
    /// It ended because Huntress refused the credential.
    AuthFailed,
}

impl RunStatus {
    /// Whether the run is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::AuthFailed)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::AuthFailed => "auth_failed",
        })
    }
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The daily tick.
    Schedule,
    /// A person, now.
    OnDemand,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schedule => "schedule",
            Self::OnDemand => "on_demand",
        })
    }
}

/// Records read, by the name of their list.
pub type RecordCounts = BTreeMap<String, u64>;

impl Run {
    /// Whether it was asked for, or begun, more than 5 minutes later than now: by a clock that was wrong.
    #[must_use]
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        is_ahead(self.requested_at, now) || self.as_of.is_some_and(|as_of| is_ahead(as_of, now))
    }
}

/// A stored run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
    /// Who asked for it.
    pub trigger: Trigger,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// Its first start, the instant that everything is evaluated at.
    #[serde(default)]
    pub as_of: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<DateTime<Utc>>,
    /// HTTP requests made.
    #[serde(default)]
    pub api_calls: u64,
    /// Records read, by list.
    #[serde(default)]
    pub records: RecordCounts,
    /// Pages read, by list, of a run that succeeded.
    #[serde(default, skip_serializing_if = "RecordCounts::is_empty")]
    pub pages: RecordCounts,
    /// Bundles made visible.
    #[serde(default)]
    pub bundles: u64,
    /// Why it failed.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// From when on it goes on, while it waits; or begins, where the runs of a tick are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<DateTime<Utc>>,
}

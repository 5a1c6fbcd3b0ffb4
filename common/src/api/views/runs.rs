//! A run.

use crate::app::runs::plan::Asked;
use crate::domain::failure::Failure;
use crate::domain::forecast::Forecast;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::{RecordCounts, Run, RunStatus, Trigger};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// One sync of one connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Whose run.
    pub company: CompanyId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// Who asked for it.
    pub trigger: Trigger,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// The instant that it evaluates at: its first start.
    pub as_of: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Requests to Huntress, retries too.
    pub api_calls: u64,
    /// Records read of each list.
    pub records: RecordCounts,
    /// Pages read of each list, of a run that succeeded.
    #[serde(skip_serializing_if = "RecordCounts::is_empty")]
    pub pages: RecordCounts,
    /// Bundles committed.
    pub bundles: u64,
    /// Why it has no evidence.
    pub failure: Option<Failure>,
    /// From when on it goes on, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<DateTime<Utc>>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            company: run.company,
            connection: run.connection,
            trigger: run.trigger,
            status: run.status,
            requested_at: run.requested_at,
            as_of: run.as_of,
            finished_at: run.finished_at,
            api_calls: run.api_calls,
            records: run.records,
            pages: run.pages,
            bundles: run.bundles,
            failure: run.failure,
            waiting_until: run.waiting_until,
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunAnswer {
    /// As it is now.
    pub run: RunView,
}

/// Runs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunList {
    /// Each of them.
    pub runs: Vec<RunView>,
    /// Where to go on, if there are older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_after: Option<String>,
}

impl From<Vec<Run>> for RunList {
    fn from(runs: Vec<Run>) -> Self {
        Self { runs: runs.into_iter().map(Into::into).collect(), next_after: None }
    }
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncAnswer {
    /// Its id.
    pub run_id: RunId,
    /// Whether it was there already.
    pub joined: bool,
    /// As it is now.
    pub run: RunView,
}

impl From<Asked> for SyncAnswer {
    fn from(Asked { run, joined }: Asked) -> Self {
        Self { run_id: run.id.clone(), joined, run: run.into() }
    }
}

/// What the next run will ask of Huntress; null if none has succeeded lately.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ForecastAnswer {
    /// Told from the last run.
    pub forecast: Option<Forecast>,
}

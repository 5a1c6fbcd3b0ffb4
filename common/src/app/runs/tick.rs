//! The daily tick: asks for a run of every connection that is due. And the hourly look after the runs that have not ended.

use super::freshness::freshness;
use super::plan::{PlanError, Planned, Planner};
use super::reconcile::Reconciled;
use crate::aws::telemetry::Telemetry;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What EventBridge Scheduler sends; the template fills in the time that the schedule meant, which a retry repeats.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Tick {
    /// The scheduled time.
    pub scheduled_at: DateTime<Utc>,
    /// What is to be done.
    #[serde(default)]
    pub task: Task,
}

/// What a tick is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Plan the day, after the runs that have not ended were looked after.
    #[default]
    Daily,
    /// Look after the runs that have not ended.
    Reconcile,
}

impl Tick {
    /// The tick of a day.
    #[must_use]
    pub fn daily(scheduled_at: DateTime<Utc>) -> Self {
        Self { scheduled_at, task: Task::Daily }
    }

    /// The tick of an hour.
    #[must_use]
    pub fn hourly(scheduled_at: DateTime<Utc>) -> Self {
        Self { scheduled_at, task: Task::Reconcile }
    }
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TickAnswer {
    /// The runs that it asked for, if it was to.
    #[serde(flatten)]
    pub planned: Option<Planned>,
    /// What became of those that have not ended; `None` if they could not be looked after.
    pub reconciled: Option<Reconciled>,
}

/// Does what the tick is for.
///
/// # Errors
/// [`PlanError`]; Scheduler tries the same tick again, which makes no second run.
pub async fn handle(planner: &Planner, telemetry: &Telemetry, tick: Tick) -> Result<TickAnswer, PlanError> {
    // First of all: a run that is too old to be gone on with is not to be joined by the tick.
    let reconciled = reconcile(planner, telemetry).await;
    match tick.task {
        Task::Reconcile => {
            let retried = planner.retry_failed().await?;
            if retried.new > 0 {
                tracing::info!(new = retried.new, "runs that failed are tried again");
            }
            Ok(TickAnswer { planned: None, reconciled: Some(reconciled?) })
        }
        Task::Daily => {
            let planned = plan(planner, telemetry, tick.scheduled_at).await?;
            // The day is planned; the next hour looks after the others.
            Ok(TickAnswer { planned: Some(planned), reconciled: reconciled.ok() })
        }
    }
}

async fn reconcile(planner: &Planner, telemetry: &Telemetry) -> Result<Reconciled, PlanError> {
    let reconciled = planner.reconcile().await.inspect_err(|error| {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the runs that have not ended could not be looked after"
        );
    })?;
    tracing::info!(
        stalled = reconciled.stalled,
        resent = reconciled.resent,
        abandoned = reconciled.abandoned,
        "runs looked after"
    );
    telemetry.reconciled(planner.clock.now(), reconciled);
    Ok(reconciled)
}

/// Plans the tick, and counts the connections without fresh evidence.
async fn plan(planner: &Planner, telemetry: &Telemetry, scheduled_at: DateTime<Utc>) -> Result<Planned, PlanError> {
    let planned = planner.tick(scheduled_at).await?;
    tracing::info!(%scheduled_at, due = planned.due, new = planned.new, joined = planned.joined, passed_over = planned.passed_over, "tick planned");
    let now = planner.clock.now();
    let counted = freshness(&planner.store, now).await.inspect_err(|error| {
        // The runs are on their way, so the tick is not repeated for a number.
        tracing::error!(error = error as &dyn std::error::Error, "stale connections could not be counted");
    });
    telemetry.ticked(now, planned, counted.ok());
    Ok(planned)
}

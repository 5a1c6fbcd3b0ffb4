//! The daily tick: asks for a run of every connection that is due.

use chrono::{DateTime, Utc};
use common::sync::freshness::freshness;
use common::sync::plan::{PlanError, Planned, Planner};
use common::telemetry::Telemetry;
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};

/// What EventBridge Scheduler sends; the template fills in the time that the schedule meant, which a retry repeats.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Tick {
    /// The scheduled time.
    pub scheduled_at: DateTime<Utc>,
}

/// Plans the tick, and counts the connections without fresh evidence.
///
/// # Errors
/// [`PlanError`]; Scheduler tries the same tick again, which makes no second run.
pub async fn handle(planner: &Planner, telemetry: &Telemetry, event: LambdaEvent<Tick>) -> Result<Planned, PlanError> {
    let planned = planner.tick(event.payload.scheduled_at).await?;
    tracing::info!(scheduled_at = %event.payload.scheduled_at, due = planned.due, new = planned.new, joined = planned.joined, "tick planned");
    let now = planner.clock.now();
    let counted = freshness(&planner.store, now).await.inspect_err(|error| {
        // The runs are on their way, so the tick is not repeated for a number.
        tracing::error!(error = error as &dyn std::error::Error, "stale connections could not be counted");
    });
    telemetry.ticked(now, planned, counted.ok());
    Ok(planned)
}

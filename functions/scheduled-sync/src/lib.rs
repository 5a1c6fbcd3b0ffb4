//! The daily tick: asks for a run of every connection that is due.

use chrono::{DateTime, Utc};
use common::sync::plan::{PlanError, Planned, Planner};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};

/// What EventBridge Scheduler sends; the template fills in the time that the schedule meant, which a retry repeats.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Tick {
    /// The scheduled time.
    pub scheduled_at: DateTime<Utc>,
}

/// Plans the tick.
///
/// # Errors
/// [`PlanError`]; Scheduler tries the same tick again, which makes no second run.
pub async fn handle(planner: &Planner, event: LambdaEvent<Tick>) -> Result<Planned, PlanError> {
    let planned = planner.tick(event.payload.scheduled_at).await?;
    tracing::info!(scheduled_at = %event.payload.scheduled_at, due = planned.due, new = planned.new, joined = planned.joined, "tick planned");
    Ok(planned)
}

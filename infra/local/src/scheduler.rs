//! The scheduler of one machine: what EventBridge Scheduler is in AWS.

use chrono::TimeDelta;
use common::app::runs::plan::Planner;
use common::app::runs::tick::{self, Tick};
use common::aws::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

/// How often runs without an end are looked after.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// The longest sleep at once, so that a machine that slept or changed its clock is not late by more.
const STEP: TimeDelta = TimeDelta::seconds(20);

/// Plans the last tick, in case it was missed while nothing ran here, and then every one that comes; several that were missed are planned as one. A tick
/// that was planned before makes no second run.
pub async fn run(planner: Planner, stop: CancellationToken) {
    let (clock, schedule) = (&planner.clock, &planner.schedule);
    let mut daily = schedule.last_at(clock.now());
    let mut hourly = clock.now() + HOUR;
    loop {
        let now = clock.now();
        // A clock that was ahead, and was set right, has planned days that are still to come.
        (daily, hourly) = (daily.min(schedule.next_after(now)), hourly.min(now + HOUR));
        let tick = if daily <= now { Some(Tick::daily(daily)) } else { (hourly <= now).then(|| Tick::hourly(hourly)) };
        if let Some(tick) = tick
            && handled(&planner, tick).await
        {
            daily = if daily <= now { schedule.tick_after(daily, clock.now()) } else { daily };
            hourly = clock.now() + HOUR;
            continue;
        }
        let next = daily.min(hourly);
        // One that could not be handled is over already, and is tried again after the step.
        let wake = if next > now { next.min(now + STEP) } else { now + STEP };
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(wake) => {}
        }
    }
}

async fn handled(planner: &Planner, tick: Tick) -> bool {
    let handled = tick::handle(planner, &Telemetry::none(), tick).await;
    if let Err(error) = &handled {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, scheduled_at = %tick.scheduled_at, "the tick failed; it is tried again");
    }
    handled.is_ok()
}

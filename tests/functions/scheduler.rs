//! The scheduler of one machine, over days in which the machine slept.

use super::{World, company, connection};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::runs::plan::Planner;
use common::aws::queue::{Queue, Queued};
use common::clock::Clock;
use common::domain::connection::Connection;
use common::domain::failure::{Failure, FailureCode};
use common::domain::run::RecordCounts;
use common::domain::time::parse;
use common::store::{LeaseOutcome, RunFailure, Store};
use huntress_evidence::scheduler;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::CancellationToken;

/// Time passes while the scheduler sleeps. Meanwhile every run that it asked for fails, so that its connection stays due; at some instants the machine is
/// asleep until another one.
struct Days {
    now: Mutex<DateTime<Utc>>,
    sleeps: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    end: DateTime<Utc>,
    stop: CancellationToken,
    store: Store,
    messages: tokio::sync::Mutex<UnboundedReceiver<Queued>>,
}

impl Clock for Days {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn sleep_until(&self, instant: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut messages = self.messages.lock().await;
            while let Ok(Queued { message, .. }) = messages.try_recv() {
                let now = self.now();
                let lease_for = TimeDelta::minutes(1);
                let (company, connection, run) = (&message.company, &message.connection, &message.run);
                let taken = self.store.take(company, connection, run, "worker", now, lease_for).await.unwrap();
                let LeaseOutcome::Acquired { lease, .. } = taken else { continue };
                let failure = Failure::new(FailureCode::Refused, "Huntress did not answer");
                let failed = RunFailure {
                    finished_at: now,
                    failure,
                    api_calls: 1,
                    records: RecordCounts::default(),
                    next_run_at: None,
                };
                self.store.fail(&lease, failed).await.unwrap();
            }
            let asleep = |instant| self.sleeps.iter().find(|(from, to)| (*from..*to).contains(&instant));
            let instant = asleep(instant).map_or(instant, |(_, to)| *to);
            *self.now.lock().unwrap() = instant;
            if instant >= self.end {
                self.stop.cancel();
                // The scheduler looks at that first.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// When runs were asked for between two instants, on a machine that slept.
async fn asked_for(from: &str, to: &str, sleeps: &[(&str, &str)]) -> Vec<String> {
    let world = World::with(&[]).await;
    let at = |text: &str| parse(text).unwrap();
    world.add("edr").await;
    let there = world.store.connection(&company(), &connection("edr")).await.unwrap().unwrap();
    world.store.remove_connection(&company(), &connection("edr"), at(from)).await.unwrap();
    let due = Connection { next_run_at: Some(at(from) - TimeDelta::days(2)), ..there };
    world.store.add_connection(&due).await.unwrap();
    let (sender, messages) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let clock = Days {
        now: Mutex::new(at(from)),
        sleeps: sleeps.iter().map(|(from, to)| (at(from), at(to))).collect(),
        end: at(to),
        stop: stop.clone(),
        store: world.store.clone(),
        messages: tokio::sync::Mutex::new(messages),
    };
    let planner = Planner {
        store: world.store.clone(),
        queue: Arc::new(Queue::InProcess(sender)),
        clock: Arc::new(clock),
        jitter: TimeDelta::zero(),
        schedule: Default::default(),
        cool_down: TimeDelta::zero(),
    };
    scheduler::run(planner, stop).await;
    let mut runs = world.store.runs(&company(), &connection("edr"), 100).await.unwrap();
    runs.reverse();
    runs.iter().map(|run| run.requested_at.format("%m-%d %H:%M").to_string()).collect()
}

#[tokio::test]
async fn every_day_has_its_tick_at_seven_in_new_york() {
    // The clocks go forward in the night to the 8th, from UTC-5 to UTC-4. What was missed before the start is made up for at once.
    let asked = asked_for("2026-03-06T20:00:00Z", "2026-03-09T20:00:00Z", &[]).await;
    assert_eq!(asked, ["03-06 20:00", "03-07 12:00", "03-08 11:00", "03-09 11:00"]);
    // And back in the night to the 1st.
    let asked = asked_for("2026-10-30T20:00:00Z", "2026-11-02T20:00:00Z", &[]).await;
    assert_eq!(asked, ["10-30 20:00", "10-31 11:00", "11-01 12:00", "11-02 12:00"]);
}

#[tokio::test]
async fn days_that_a_machine_slept_through_are_made_up_for_once() {
    let asleep = [("2026-03-06T10:00:00Z", "2026-03-10T15:30:00Z")];
    let asked = asked_for("2026-03-05T20:00:00Z", "2026-03-11T20:00:00Z", &asleep).await;
    assert_eq!(asked, ["03-05 20:00", "03-10 15:30", "03-11 11:00"]);
    // Over one tick, and awake before the next.
    let asleep = [("2026-06-01T10:59:50Z", "2026-06-01T11:20:00Z")];
    let asked = asked_for("2026-05-31T20:00:00Z", "2026-06-02T10:00:00Z", &asleep).await;
    assert_eq!(asked, ["05-31 20:00", "06-01 11:20"]);
}

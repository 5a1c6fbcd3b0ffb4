//! Time for tests: it passes only when somebody waits for it.

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

/// A clock that stands still until somebody sleeps, and then is there at once. Clones share one time.
#[derive(Clone)]
pub struct SteppingClock(Arc<State>);

struct State {
    started_at: DateTime<Utc>,
    now: Mutex<DateTime<Utc>>,
    idle: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl SteppingClock {
    /// A clock that stands at `instant`.
    #[must_use]
    pub fn at(instant: DateTime<Utc>) -> Self {
        Self(Arc::new(State { started_at: instant, now: Mutex::new(instant), idle: OnceLock::new() }))
    }

    /// No sleep ends while `idle` says no: what is under way happens before the time goes on. It counts from the first call on.
    pub fn steps_when(&self, idle: impl Fn() -> bool + Send + Sync + 'static) {
        assert!(self.0.idle.set(Box::new(idle)).is_ok(), "one rule a clock");
    }

    /// Lets the time pass until `instant`, unless that is over.
    pub fn move_to(&self, instant: DateTime<Utc>) {
        let mut now = self.0.now.lock().unwrap();
        *now = instant.max(*now);
    }

    /// The same time for a simulator.
    #[must_use]
    pub fn for_simulator(&self) -> simulator::Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    /// How much time was slept away.
    #[must_use]
    pub fn passed(&self) -> TimeDelta {
        self.now() - self.0.started_at
    }

    fn is_idle(&self) -> bool {
        self.0.idle.get().is_none_or(|idle| idle())
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.now.lock().unwrap()
    }

    fn sleep_until(&self, instant: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            while !self.is_idle() {
                // To ask costs more than to wait a little.
                for _ in 0..16 {
                    tokio::task::yield_now().await;
                }
            }
            self.move_to(instant);
        })
    }
}

impl fmt::Debug for SteppingClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SteppingClock({})", self.now())
    }
}

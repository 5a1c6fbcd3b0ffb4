//! A run survives anything: trouble at every step, by seed; workers that are late; a proxy that loses answers; SIGKILL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod aws;
mod decisions;
mod executor;
mod killed;
#[cfg(target_os = "linux")]
mod killed_exchange;
mod outages;
mod plan;
mod proxied;
mod queue;
mod scenario;
mod seeded;
mod snapshot;
mod workers;

/// A number that whoever runs the tests has given in the environment.
fn number(name: &str) -> Option<u64> {
    std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value.parse().expect("a number"))
}

//! A run survives anything: trouble at every step, by seed; workers that are late; a proxy that loses answers; SIGKILL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod aws;
mod drive;
mod plan;
mod seeded;
mod sight;
mod world;

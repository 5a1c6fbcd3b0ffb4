//! What the acceptance tests share.
#![warn(missing_docs)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a failure here is a failed test"
)]

pub mod aws;
pub mod clock;
pub mod edr;
pub mod engine;
pub mod gateway;
pub mod log;
pub mod many;
pub mod people;
pub mod sat;
pub mod tamper;

pub use gateway::behind_the_gateway;

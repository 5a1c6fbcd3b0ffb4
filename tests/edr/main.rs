//! Endpoint evidence over real HTTP: from a simulated Huntress account to the bundle, or to a failure that says why there is none.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests: a failure here is a failed test, and a skipped one says so"
)]

mod agents;
mod auto_resolved;
mod clients;
mod incidents;
mod kinds;
mod odd_records;
mod paging;
mod properties;
mod rate;
mod records;
mod refusals;
mod retries;
mod schema;
mod secrets;
mod versions;
mod worked_example;

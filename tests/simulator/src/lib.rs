//! A Huntress account over real HTTP, generated from a seed or written by hand, for acceptance tests, the demo and
//! benchmarks.
//!
//! It follows the rules that the vendor publishes (HTTP Basic, keyset paging, closed sets of filter values, 60 requests in
//! any 60 seconds) and can break any of them on request, at a chosen request, so that a client meets the failures of a
//! real network without waiting for them.

mod account;
mod generated;
mod listing;
mod query;
mod stored;
mod token;
mod worked_example;

pub use account::{Account, List};
pub use generated::{AccountSpec, Shape};

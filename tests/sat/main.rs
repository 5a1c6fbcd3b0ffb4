//! Training evidence over real HTTP: from a simulated account to the signals, or to a failure that says why there are none.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests: a failure here is a failed test")]

mod accounts;
mod connection_test;
mod coverage;
mod kinds;
mod paging;
mod people;
mod phishing;
mod rate;
mod records;
mod stored;
mod token;
mod versions;

//! The vendor: where it is, how it is asked, and what its answers mean.
//!
//! A crate of its own, so that the path of a record is compiled for speed, and everything around it for size.
#![warn(missing_docs)]

pub mod clock;
pub mod collection;
pub mod connection_test;
pub mod edr;
mod encoding;
pub mod error;
pub mod origin;
mod page;
mod pagination;
pub mod progress;
pub mod rate_limit;
pub mod request;
pub mod retry;
pub mod sat;
pub mod tls;
pub mod wire;

//! Collecting: one run of a connection, from its lease to its commit.

pub mod batch;
mod checkpoint;
pub mod collect;
pub mod worker;

//! What is done with a connection: planned, collected, committed, tested.

mod checkpoint;
pub mod collect;
pub mod freshness;
pub mod plan;
pub mod test;
pub mod work;

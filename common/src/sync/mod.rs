//! What is done with a connection: planned, collected, committed, tested.

mod checkpoint;
pub mod collect;
pub mod disconnect;
pub mod forecast;
pub mod freshness;
pub mod people;
pub mod plan;
pub mod reconcile;
pub mod redrive;
pub mod test;
pub mod work;

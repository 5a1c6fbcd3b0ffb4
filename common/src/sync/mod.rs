//! What is done with a connection: planned, collected, committed, tested.

pub mod collect;

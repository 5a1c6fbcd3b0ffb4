//! Runs.

mod forecast;
pub mod list;
pub mod redrive;
pub mod sync;

//! Runs: planned at a tick or on demand, forecast, and resent or abandoned if no worker finishes them.

pub mod forecast;
pub mod freshness;
mod list;
mod metrics;
pub mod plan;
pub mod reconcile;
pub mod redrive;
pub mod tick;

pub(in crate::app) use reconcile::begun_ahead;

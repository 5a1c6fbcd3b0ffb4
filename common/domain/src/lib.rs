//! The rules: facts in, evidence out. Nothing here reads a clock, a network or an environment.
#![warn(missing_docs)]

pub mod audit;
pub mod calendar;
pub mod completeness;
pub mod connection;
pub mod control_status;
pub mod controls;
pub mod decisions;
pub mod edr;
pub mod evidence;
pub mod expiry;
pub mod facts;
pub mod failure;
pub mod forecast;
pub mod guidance;
pub mod hold;
pub mod id;
pub mod log;
pub mod mapping;
pub mod note;
pub mod number;
#[cfg(feature = "openapi")]
mod openapi;
pub mod people;
pub mod policy;
pub mod portfolio;
pub mod product;
pub mod quality;
pub mod rate_limit;
pub mod run;
pub mod sat;
pub mod schedule;
pub mod scope;
pub mod seen;
pub mod stalled;
pub mod strict_json;
pub mod text;
pub mod time;
pub mod token;
pub mod window;
pub mod zone;

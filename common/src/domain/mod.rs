//! The rules: facts in, evidence out. Nothing here reads a clock, a network or an environment.

pub mod connection;
pub mod controls;
pub mod edr;
pub mod evidence;
pub mod facts;
pub mod failure;
pub mod forecast;
pub mod guidance;
pub mod id;
pub mod log;
pub mod mapping;
pub mod note;
pub mod number;
pub mod people;
pub mod policy;
pub mod product;
pub mod quality;
pub mod run;
pub mod sat;
pub mod schedule;
pub mod seen;
pub mod stalled;
pub mod strict_json;
pub mod text;
pub mod time;

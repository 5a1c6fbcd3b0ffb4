//! What the numbers of a bundle were computed from, reduced until it names nobody: counts by age, never a record.
//!
//! [`Histogram`] and [`EndedIncidents`] hold them; their JSON form is a text of [numbers](numbers).

pub mod ended;
pub mod histogram;
pub mod numbers;
pub mod seconds;

pub use ended::EndedIncidents;
pub use histogram::Histogram;
pub use seconds::Seconds;

/// The JSON Schema (2020-12) of the facts of both products.
pub const SCHEMA: &str = include_str!("facts.schema.json");

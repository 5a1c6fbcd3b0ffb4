//! The assignments that count for the training of people.

pub mod list;
pub mod select;

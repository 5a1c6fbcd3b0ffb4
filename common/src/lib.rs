//! What the functions of huntress-evidence share.
//!
//! [`domain`] is pure: the rules of the evidence, with no clock, network or AWS. Everything else needs the feature `runtime`.
#![warn(missing_docs)]

pub mod domain;
#[cfg(feature = "runtime")]
pub mod store;

//! What the functions of huntress-evidence share.
//!
//! [`domain`] is pure: the rules of the evidence, with no clock, network or AWS. Everything else needs the feature `runtime`.
#![warn(missing_docs)]

#[cfg(feature = "runtime")]
pub mod api;
#[cfg(feature = "runtime")]
pub mod clock;
#[cfg(feature = "runtime")]
pub mod dead_letters;
#[cfg(feature = "runtime")]
pub mod documents;
pub mod domain;
#[cfg(feature = "runtime")]
pub mod huntress;
#[cfg(feature = "runtime")]
pub mod lambda;
#[cfg(feature = "runtime")]
pub mod queue;
#[cfg(feature = "runtime")]
pub mod sdk_http;
#[cfg(feature = "runtime")]
pub mod secrets;
#[cfg(feature = "runtime")]
pub mod settings;
#[cfg(feature = "runtime")]
pub mod signed;
#[cfg(feature = "runtime")]
pub mod store;
#[cfg(feature = "runtime")]
pub mod sync;
#[cfg(feature = "runtime")]
pub mod telemetry;
#[cfg(feature = "runtime")]
mod tls;

//! What the functions of huntress-evidence share.
//!
//! [`domain`] is a crate of its own, since it is pure: the rules of the evidence, with no clock, network or AWS. So is [`huntress`], which is compiled for speed.
//! Almost everything else needs the feature `runtime`.
#![warn(missing_docs)]

pub use evidence_domain as domain;
#[cfg(feature = "runtime")]
pub use evidence_huntress::{self as huntress, clock, tls};

#[cfg(feature = "runtime")]
pub mod api;
#[cfg(feature = "runtime")]
pub mod app;
#[cfg(feature = "runtime")]
pub mod aws;
#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "pack")]
pub mod pack;
#[cfg(feature = "runtime")]
pub mod request;
#[cfg(feature = "runtime")]
pub mod settings;
#[cfg(feature = "signing")]
pub mod signing;
#[cfg(feature = "runtime")]
pub mod store;

//! What the functions of huntress-evidence share.
//!
//! [`domain`] is pure: the rules of the evidence, with no clock, network or AWS. Everything else needs the feature `runtime`.
#![warn(missing_docs)]

#[cfg(feature = "runtime")]
pub mod api;
#[cfg(feature = "runtime")]
pub mod app;
#[cfg(feature = "runtime")]
pub mod aws;
#[cfg(feature = "runtime")]
pub mod clock;
#[cfg(feature = "console")]
pub mod console;
pub mod domain;
#[cfg(feature = "runtime")]
pub mod huntress;
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
#[cfg(feature = "runtime")]
mod tls;

//! The console over real HTTP: who gets in, what pages show, and what they refuse.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failed test"
)]

mod access;
mod hostile;
mod integrations;
mod issuer;
mod login;
mod pages;
mod people;
mod world;

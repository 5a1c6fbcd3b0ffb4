//! Evidence packs: a zip file that an auditor can check without this program, and the check that this program offers.
//!
//! Bytes in, bytes out: no clock, no network, no store.

pub mod contents;
pub mod csv;
pub mod layout;
pub mod make;
pub mod manifest;
pub mod render;
pub mod verify;
pub mod zip;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod pack_tests;

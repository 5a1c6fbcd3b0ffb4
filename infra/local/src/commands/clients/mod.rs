//! Clients.

pub mod list;
pub mod provider;

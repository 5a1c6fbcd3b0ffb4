//! Clients.

pub mod provider;

//! Clients.

pub mod hold;
pub mod list;
pub mod provider;

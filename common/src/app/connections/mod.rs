//! Connections: tested and removed.

pub mod disconnect;
pub mod test;

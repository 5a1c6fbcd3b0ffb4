//! The vendor: where it is, how it is asked, and what its answers mean.

pub mod edr;
pub mod error;
pub mod limits;
pub mod origin;
pub mod sat;
pub mod transport;
pub mod wire;

//! The evidence log: an RFC 6962 Merkle tree per connection, and one of the company's decisions.
//!
//! A leaf is the JCS form (RFC 8785) of a [`statement`]. [`tree`] has the hashes and the proofs; [`checkpoint`] what is signed about a tree.

pub mod checkpoint;
pub mod hash;
pub mod jcs;
pub mod proof;
pub mod statement;
pub mod tree;

pub use checkpoint::{Checkpoint, LogId, Origin};
pub use hash::Hash;

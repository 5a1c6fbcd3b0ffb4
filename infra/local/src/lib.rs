//! The functions of huntress-evidence on one machine: an embedded table, sealed credentials, an in-process queue.
#![warn(missing_docs)]

pub mod dispatcher;
pub mod engine;
pub mod scheduler;
pub mod stack;

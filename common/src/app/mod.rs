//! Use cases by noun, called by the command line, HTTP and the functions alike. [`stack`] composes them.

pub mod assignments;
pub mod collection;
pub mod connections;
pub mod decisions;
pub mod evidence;
pub mod holds;
pub mod log;
#[cfg(feature = "pack")]
pub mod packs;
pub mod people;
pub mod runs;
pub mod stack;
pub mod tokens;

//! Use cases by noun, called by the command line, HTTP and the functions alike.

pub mod collection;
pub mod connections;
pub mod people;
pub mod runs;

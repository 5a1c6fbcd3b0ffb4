//! The training of people: read without a memory, and followed on a connection that opted in.

mod collect;
mod follow;
mod privacy;
mod world;

//! The training of people: read without a memory, and followed on a connection that opted in.

mod certificates;
mod collect;
mod measure;
mod parts;
mod privacy;
mod track;
mod visibility;
mod world;

//! AWS beside the table: its clients, secrets, documents, queue, telemetry, and the start of a function.

pub mod client;
pub mod dead_letters;
pub mod documents;
pub mod lambda;
pub mod queue;
pub mod sdk_http;
pub mod secrets;
pub mod signing;
pub mod telemetry;

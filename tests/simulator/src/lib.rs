//! A Huntress account over real HTTP, generated from a seed or written by hand, for acceptance tests, the demo and
//! benchmarks.
//!
//! It follows the rules that the vendor publishes (HTTP Basic, keyset paging, closed sets of filter values, 60 requests in
//! any 60 seconds) and can break any of them on request, at a chosen request, so that a client meets the failures of a
//! real network without waiting for them.
//!
//! ```no_run
//! # async fn example(as_of: chrono::DateTime<chrono::Utc>) -> std::io::Result<()> {
//! use simulator::{Account, Fault, FaultKind, List, Simulator};
//!
//! let simulator = Simulator::builder(Account::demo(as_of))
//!     .fault(Fault::once(Some(List::Agents), 2, FaultKind::Reset))
//!     .start()
//!     .await?;
//! println!("{}", simulator.origin());
//! # Ok(())
//! # }
//! ```

mod account;
mod fault;
mod generated;
mod listing;
mod query;
mod rate;
mod server;
mod stored;
mod token;
mod worked_example;

pub use account::{Account, List};
pub use fault::{Fault, FaultKind, Patch};
pub use generated::{AccountSpec, Shape};
pub use server::{API_KEY, API_SECRET, Clock, Request, Simulator, SimulatorBuilder};

//! A Huntress account over real HTTP, generated from a seed or written by hand, for acceptance tests, the demo and
//! benchmarks: the endpoint API (`/v1/…`), the training API (`/oauth/token`, `/api/v1/…`), or both from one server.
//!
//! It follows the rules that the vendor publishes (HTTP Basic, keyset paging, closed sets of filter values, 60 requests in
//! any 60 seconds; OAuth client credentials, JSON:API pages, 200 requests a minute and 1,500 an hour) and can break any of
//! them on request, at a chosen request, so that a client meets the failures of a real network without waiting for them.
//!
//! ```no_run
//! # async fn example(as_of: chrono::DateTime<chrono::Utc>) -> std::io::Result<()> {
//! use simulator::{Account, Fault, FaultKind, List, SatAccount, Simulator};
//!
//! let simulator = Simulator::builder(Account::demo(as_of))
//!     .sat(SatAccount::demo(as_of))
//!     .fault(Fault::once(Some(List::Agents), 2, FaultKind::Reset))
//!     .fault(Fault::always(None, FaultKind::Status(404)).at(&List::LearnerActivity.path_of("a8Rt2")))
//!     .start()
//!     .await?;
//! println!("{}", simulator.origin());
//! # Ok(())
//! # }
//! ```

mod account;
mod fault;
mod generated;
mod hostile;
mod list;
mod listing;
mod past;
mod query;
mod rate;
mod sat;
mod server;
mod stored;
mod token;
mod worked_example;

pub use account::Account;
pub use fault::{Fault, FaultKind, Patch};
pub use generated::{AccountSpec, Shape};
pub use list::List;
pub use sat::{LearnerIdAs, SatAccount, SatAccounts, SatRecords, SatSpec};
pub use server::{
    API_KEY, API_SECRET, CertificateAnswer, ClientAuthentication, Clock, Consent, CountsAt, ErrorShape,
    OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, Request, Rotation, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SCOPES, Simulator,
    SimulatorBuilder, TokenMode, TokenRequest,
};

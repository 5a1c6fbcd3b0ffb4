//! The table: connections, runs with their leases, and evidence.
//!
//! There is one implementation, DynamoDB; on one machine and in tests an embedded engine answers behind the same client. Nothing here
//! has a clock: who calls says what time it is. Reads that decide something are consistent ones.

mod active;
mod audit;
mod body;
mod checkpoints;
mod client;
mod connections;
mod credentials;
mod decisions;
mod ending;
mod error;
mod evidence;
mod history;
mod holds;
mod lease;
mod links;
mod log;
mod logged;
mod once;
mod packs;
mod people;
mod planning;
mod portfolio;
mod provider;
mod redirects;
mod request_usage;
mod runs;
mod schedule;
mod sessions;
mod signed;
mod stalled;
mod table;
mod timeline;
mod together;
mod tokens;

pub use active::{ActiveRun, CheckpointRef, MESSAGE_LOST_AFTER};
pub use audit::PlacedEvent;
pub use checkpoints::{CHECKPOINT_KEPT, Suspension};
pub use client::{ClientNow, ClientSeries};
pub use connections::{AuditedChange, ConnectionChange, DueConnection, Scheduling};
pub use credentials::SealedCredential;
pub use ending::{RunFailure, RunSuccess};
pub use error::StoreError;
pub use evidence::{BundlePlace, EvidenceOwner, EvidenceRecord, StoredEvidence};
pub use holds::OUTLIVES_EVIDENCE;
pub use lease::{Lease, LeaseOutcome};
pub use links::{KeptLink, LinkEnd, LinkOfPerson};
pub use log::LogHead;
pub use once::Claim;
pub use packs::{PackRecord, PackState};
pub use people::{
    Access, LoggedEvent, PeopleKeyRecord, PeopleWritten, PersonRecord, PersonWrite, SealedProfile, StoredPerson,
};
pub use planning::PLANNED_TOGETHER;
pub use portfolio::{ConnectionSummary, Whereabouts};
pub use provider::Provider;
pub use redirects::{Exchange, ExchangeOutcome, PendingRedirect, RedirectStep};
pub use runs::{REQUEST_KEPT, Requested, RunRequest};
pub use signed::{KeptCheckpoint, KeptLogKey};
pub use stalled::StalledRun;
pub use table::items::{BODY_LIMIT, SCHEMA_VERSION};
pub use table::keys::{DUE_INDEX, DUE_SHARDS};
pub use timeline::Timeline;
pub use together::Decided;

use crate::domain::calendar::Calendar;
use aws_sdk_dynamodb::Client;
use chrono::TimeDelta;

/// How often a read and the write that depends on it are tried when others change the record in between.
const ATTEMPTS: u32 = 5;

/// The one table of the application.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    page_size: Option<i32>,
    retention: Option<TimeDelta>,
    calendar: Calendar,
}

impl Store {
    /// The store in a table.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), page_size: None, retention: None, calendar: Calendar::default() }
    }

    /// Days are those of this calendar; without it those of New York.
    #[must_use]
    pub fn with_calendar(mut self, calendar: impl Into<Calendar>) -> Self {
        self.calendar = calendar.into();
        self
    }

    /// The calendar whose days everything here is told in.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Reads at most this many records in one request; without it a page is 1 MB.
    #[must_use]
    pub fn with_page_size(mut self, records: i32) -> Self {
        self.page_size = Some(records);
        self
    }
}

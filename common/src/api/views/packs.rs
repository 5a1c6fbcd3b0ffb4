//! Packs that were asked for.

use crate::domain::id::{ClientId, PackId};
use crate::store::{PackRecord, PackState};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

/// The packs of a client, the newest instant first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackList {
    /// The packs.
    pub items: Vec<PackView>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
}

/// Where a pack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PackStatus {
    /// It is being made.
    Making,
    /// It can be fetched.
    Ready,
    /// It could not be made.
    Failed,
}

/// A pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PackView {
    /// Its id.
    pub id: PackId,
    /// Whose evidence.
    pub client: ClientId,
    /// The first day, in the zone of the schedule.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The instant that everything in it is as of.
    pub at: DateTime<Utc>,
    /// Where it stands.
    pub status: PackStatus,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// When it was made.
    pub made_at: Option<DateTime<Utc>>,
    /// Its size.
    pub bytes: Option<u64>,
    /// Its SHA-256, in hexadecimal.
    pub sha256: Option<String>,
    /// The key that checks it, as `name+hash+base64`.
    pub key: Option<String>,
    /// Why it could not be made, and what to do.
    pub problem: Option<String>,
}

impl From<PackRecord> for PackView {
    fn from(record: PackRecord) -> Self {
        let PackRecord { id, client, from, to, at, requested_by, requested_at, state } = record;
        let mut view = Self {
            id,
            client,
            from,
            to,
            at,
            status: PackStatus::Making,
            requested_by,
            requested_at,
            made_at: None,
            bytes: None,
            sha256: None,
            key: None,
            problem: None,
        };
        match state {
            PackState::Making => {}
            PackState::Ready { bytes, sha256, key, made_at } => {
                view.status = PackStatus::Ready;
                (view.bytes, view.sha256, view.key, view.made_at) =
                    (Some(bytes), Some(sha256), Some(key), Some(made_at));
            }
            PackState::Failed { problem } => {
                view.status = PackStatus::Failed;
                view.problem = Some(problem);
            }
        }
        view
    }
}

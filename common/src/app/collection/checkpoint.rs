//! How far a run has come, as it is kept between its parts.

use crate::huntress::edr::EdrState;
use crate::huntress::progress::ProgressSnapshot;
use crate::huntress::sat::SatState;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The version that checkpoints are written in. One of another version is not taken up: its run begins anew.
const VERSION: u8 = 9;

/// So many parts in a row may come to an end without a new page.
pub(super) const IDLE_PARTS: u32 = 3;

/// What a later part of a run goes on from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub started_at: DateTime<Utc>,
    pub done: ProgressSnapshot,
    /// Parts in a row that read no page.
    pub idle: u32,
    pub lists: Lists,
}

/// The lists of a product, as far as they are read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Lists {
    Edr(Box<EdrState>),
    Sat(SatLists),
}

/// The lists of a training account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SatLists {
    /// Those of the signals.
    pub signals: Box<SatState>,
    /// Those of the people who are tracked, sealed.
    pub people: Option<Vec<u8>>,
}

impl Checkpoint {
    /// The beginning of a run.
    pub fn begin(lists: Lists, started_at: DateTime<Utc>) -> Self {
        Self { started_at, done: ProgressSnapshot::default(), idle: 0, lists }
    }

    /// The bytes to keep; `None` if there are none, which no state is known to lead to.
    pub fn encode(&self) -> Option<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).ok()
    }

    /// What was kept; `None` for another version, or bytes that are none of it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        postcard::from_bytes(rest).ok()
    }
}

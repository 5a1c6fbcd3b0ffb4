//! What collections of both products have in common.

use chrono::{DateTime, Utc};

/// More pages than any account can have: a list that goes on is broken.
pub const MAX_PAGES: u32 = 100_000;

/// When the collection evaluates, and when its pages count as read.
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    /// The instant of evaluation.
    pub as_of: DateTime<Utc>,
    /// Set when an operator fixes the time; otherwise pages count as read when they are.
    pub observed_at: Option<DateTime<Utc>>,
}

impl Instants {
    /// For lists of which nothing is evaluated by time.
    pub(super) fn live() -> Self {
        Self { as_of: DateTime::UNIX_EPOCH, observed_at: None }
    }
}

/// How a part of a collection ended that did not fail; `State` is what it goes on from.
#[derive(Debug)]
pub enum PartOutcome<Whole, State> {
    /// Everything is read.
    Complete(Whole),
    /// It may go on later, from where it is.
    Paused {
        /// How far it has come.
        state: State,
        /// From when on it may.
        until: DateTime<Utc>,
    },
}

impl<Whole, State> PartOutcome<Whole, State> {
    /// The same with something made of the whole.
    pub fn map<T>(self, make: impl FnOnce(Whole) -> T) -> PartOutcome<T, State> {
        match self {
            Self::Complete(whole) => PartOutcome::Complete(make(whole)),
            Self::Paused { state, until } => PartOutcome::Paused { state, until },
        }
    }
}

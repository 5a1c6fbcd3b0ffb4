//! What a collection has done so far, counted for displays and for the records of a run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a collection has done so far, for a display that looks in from outside.
#[derive(Debug)]
pub struct Progress {
    requests: AtomicU64,
    pages: AtomicU64,
    records: AtomicU64,
    lowest_remaining: AtomicU64,
    pages_of: Mutex<BTreeMap<String, u64>>,
}

impl Default for Progress {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let lowest_remaining = AtomicU64::new(u64::MAX);
        Self { requests: zero(), pages: zero(), records: zero(), lowest_remaining, pages_of: Mutex::default() }
    }
}

impl Progress {
    /// HTTP requests made, retries too.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Pages read.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Records read.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The fewest requests that the training API said are left; `None` if it has not said.
    pub fn lowest_remaining(&self) -> Option<u64> {
        Some(self.lowest_remaining.load(Ordering::Relaxed)).filter(|lowest| *lowest != u64::MAX)
    }

    /// What an earlier part of the same run has done.
    pub fn resume(&self, before: ProgressSnapshot) {
        self.requests.fetch_add(before.requests, Ordering::Relaxed);
        self.pages.fetch_add(before.pages, Ordering::Relaxed);
        self.records.fetch_add(before.records, Ordering::Relaxed);
        self.lowest_remaining.fetch_min(before.lowest_remaining.unwrap_or(u64::MAX), Ordering::Relaxed);
        *self.lists() = before.pages_of;
    }

    /// What was done so far, for a later part of the same run.
    pub fn done(&self) -> ProgressSnapshot {
        ProgressSnapshot {
            requests: self.requests(),
            pages: self.pages(),
            records: self.records(),
            lowest_remaining: self.lowest_remaining(),
            pages_of: self.pages_of(),
        }
    }

    /// Counts a request, or a retry of one.
    pub fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the training API said how many requests are left.
    pub fn observe_remaining(&self, remaining: u32) {
        self.lowest_remaining.fetch_min(u64::from(remaining), Ordering::Relaxed);
    }

    /// Pages read, by list, under the names that a run's records have.
    pub fn pages_of(&self) -> BTreeMap<String, u64> {
        self.lists().clone()
    }

    /// Counts a page of the list that people call `noun`.
    pub fn add_page(&self, noun: &str, records: u64) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
        *self.lists().entry(noun.replace(' ', "_")).or_default() += 1;
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        // A count stays usable whatever a panicking holder was at.
        self.pages_of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a part of a run has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressSnapshot {
    /// HTTP requests, retries too.
    pub requests: u64,
    /// Pages read.
    pub pages: u64,
    /// Records read.
    pub records: u64,
    /// The fewest requests that the training API said are left.
    pub lowest_remaining: Option<u64>,
    /// Pages read, by list.
    pub pages_of: BTreeMap<String, u64>,
}

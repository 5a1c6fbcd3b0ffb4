//! Request limits as sliding windows: the arithmetic that sending and predicting have in common.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;

/// At most `requests` in any `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub period: TimeDelta,
}

/// A request limit of an account, and what is used of it.
///
/// ```
/// use chrono::{DateTime, TimeDelta, Utc};
/// use evidence_domain::rate_limit::{Limit, RateLimitStatus};
/// let at = |seconds| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds);
/// let mut window = RateLimitStatus::new(Limit { requests: 2, period: TimeDelta::seconds(60) });
/// window.record(at(0), 1);
/// window.record(at(5), 1);
/// assert_eq!(window.opens_at(at(55)), at(60));
/// assert_eq!(window.opens_at(at(61)), at(61));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitStatus {
    limit: Limit,
    used: VecDeque<DateTime<Utc>>,
}

impl RateLimitStatus {
    /// A limit of which nothing is used.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self { limit, used: VecDeque::new() }
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Counts requests that were sent at `at`, in whatever order they become known.
    pub fn record(&mut self, at: DateTime<Utc>, requests: usize) {
        let place = self.used.partition_point(|used| *used <= at);
        let later = self.used.split_off(place);
        self.used.extend(std::iter::repeat_n(at, requests));
        self.used.extend(later);
    }

    /// Forgets requests that no window after `now` holds.
    pub fn forget_before(&mut self, now: DateTime<Utc>) {
        while self.used.front().is_some_and(|first| *first + self.limit.period <= now) {
            self.used.pop_front();
        }
    }

    /// When the next request may go: `now`, or when the oldest that fills the window leaves it.
    #[must_use]
    pub fn opens_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let surplus = self.used.len().checked_sub(self.limit.requests.max(1) as usize);
        let leaves = surplus.and_then(|surplus| self.used.get(surplus));
        leaves.map_or(now, |first| (*first + self.limit.period).max(now))
    }

    /// Requests that are left at `now`.
    #[must_use]
    pub fn left(&self, now: DateTime<Utc>) -> u32 {
        let used = self.used.iter().filter(|at| **at + self.limit.period > now).count();
        self.limit.requests.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }
}

//! Request limits: sliding windows, shared by everything that asks one account.

use crate::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use evidence_domain::product::Product;
use evidence_domain::rate_limit::{Limit, RateLimitStatus};
use evidence_domain::time::is_ahead;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// 60 requests in any 60 seconds, of all keys of an account together: the introduction of `https://api.huntress.io/v1/swagger_doc.json`.
pub const EDR_LIMITS: [Limit; 1] = [Limit { requests: 60, period: TimeDelta::seconds(60) }];

/// 200 requests a minute and 1,500 an hour, of all clients of an organization together. The vendor's documentation,
/// `https://curricula.stoplight.io/docs/curricula-api`, names no limits; these are what compliance platforms tell their users.
pub const SAT_LIMITS: [Limit; 2] =
    [Limit { requests: 200, period: TimeDelta::minutes(1) }, Limit { requests: 1_500, period: TimeDelta::hours(1) }];

/// A request leaves later than it is counted here and arrives later still; the vendor's window ends by that much later than ours.
const MARGIN: TimeDelta = TimeDelta::milliseconds(250);

#[derive(Default)]
struct State {
    windows: Vec<RateLimitStatus>,
    blocked_until: Option<DateTime<Utc>>,
    /// What this process sent.
    own: Usage,
    /// What is counted already of what others sent.
    known: HashMap<String, Usage>,
}

/// Requests sent to one account, counted per Unix second. A request counts as sent at the end of its second, so the window never undercounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage(pub BTreeMap<i64, u32>);

impl Usage {
    fn forget_before(&mut self, second: i64) {
        self.0 = self.0.split_off(&second);
    }
}

impl State {
    fn longest(&self) -> TimeDelta {
        self.windows.iter().map(|window| window.limit().period).max().unwrap_or_default()
    }
}

/// The requests that one account still allows, as far as is known: our own, and what its answers say of others'.
pub struct RateLimiter {
    state: Mutex<State>,
}

impl RateLimiter {
    /// A limiter under all the given limits; with none, nothing is held back but for what the server says.
    #[must_use]
    pub fn new(limits: &[Limit]) -> Self {
        let with_margin = |limit: &Limit| Limit { period: limit.period + MARGIN, ..*limit };
        let windows = limits.iter().map(|limit| RateLimitStatus::new(with_margin(limit))).collect();
        Self { state: Mutex::new(State { windows, ..State::default() }) }
    }

    /// The vendor's limits of a product.
    #[must_use]
    pub fn of(product: Product) -> Self {
        match product {
            Product::Edr => Self::new(&EDR_LIMITS),
            Product::Sat => Self::new(&SAT_LIMITS),
        }
    }

    /// What this process sent within the longest window.
    #[must_use]
    pub fn own_usage(&self, now: DateTime<Utc>) -> Usage {
        let mut state = self.state();
        let longest = state.longest();
        state.own.forget_before((now - longest).timestamp());
        state.own.clone()
    }

    /// How long usage matters.
    #[must_use]
    pub fn longest_period(&self) -> TimeDelta {
        self.state().longest()
    }

    /// Counts what another process, `owner`, has sent; a later word of the same owner counts for what it adds.
    pub fn merge_usage(&self, now: DateTime<Utc>, owner: &str, usage: &Usage) {
        let mut state = self.state();
        let State { windows, known, .. } = &mut *state;
        let known = known.entry(owner.to_owned()).or_default();
        for (second, count) in &usage.0 {
            // A clock that was wrong has counted them; when they were sent is not known.
            if DateTime::from_timestamp(*second, 0).is_none_or(|at| is_ahead(at, now)) {
                continue;
            }
            let before = known.0.insert(*second, *count).unwrap_or_default();
            let Some(at) = DateTime::from_timestamp(second + 1, 0).map(|at| at.min(now)) else { continue };
            let added = count.saturating_sub(before) as usize;
            windows.iter_mut().for_each(|window| window.record(at, added));
        }
        state.windows.iter_mut().for_each(|window| window.forget_before(now));
    }

    /// The vendor's limit of the endpoint API with `requests` a minute; 0 for no limiter of our own.
    #[must_use]
    pub fn per_minute(requests: u32) -> Self {
        let limit = Limit { requests, period: TimeDelta::seconds(60) };
        Self::new(if requests == 0 { &[] } else { std::slice::from_ref(&limit) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The counts stay usable whatever a panicking holder was at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of one request, waiting for it; if that would last beyond `deadline`, says how long.
    ///
    /// # Errors
    /// The wait that the deadline does not allow.
    pub async fn acquire(&self, clock: &dyn Clock, deadline: DateTime<Utc>) -> Result<(), TimeDelta> {
        loop {
            let now = clock.now();
            let opens_at = self.reserve(now);
            if opens_at <= now {
                return Ok(());
            }
            if opens_at > deadline {
                return Err(opens_at.signed_duration_since(now));
            }
            clock.sleep_until(opens_at).await;
        }
    }

    /// Takes a place now if there is one, or says when there may be.
    fn reserve(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut state = self.state();
        state.windows.iter_mut().for_each(|window| window.forget_before(now));
        let opens = state.windows.iter().map(|window| window.opens_at(now));
        let opens_at = opens.chain(state.blocked_until).max().unwrap_or(now);
        if opens_at <= now {
            state.windows.iter_mut().for_each(|window| window.record(now, 1));
            *state.own.0.entry(now.timestamp()).or_default() += 1;
        }
        opens_at
    }

    /// Holds every request back until `instant`: the server said that the limit is used up.
    pub fn block_until(&self, instant: DateTime<Utc>) {
        let mut state = self.state();
        state.blocked_until = Some(state.blocked_until.map_or(instant, |until| until.max(instant)));
    }

    /// Takes note of what the server says is left of the first limit. What is missing was used by the account's other tools, at some time up to now.
    pub fn observe(&self, now: DateTime<Utc>, remaining: u32) {
        let mut state = self.state();
        if let Some(window) = state.windows.first_mut() {
            window.forget_before(now);
            let others = window.left(now).saturating_sub(remaining);
            window.record(now, others as usize);
        }
    }

    /// Every limit, with what is known to be used of it.
    #[must_use]
    pub fn allowances(&self) -> Vec<RateLimitStatus> {
        self.state().windows.clone()
    }

    /// Requests left in the first window; `None` without a limit.
    #[must_use]
    pub fn remaining(&self, now: DateTime<Utc>) -> Option<u32> {
        self.state().windows.first().map(|window| window.left(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_domain::time::parse;

    fn at(seconds: i64) -> DateTime<Utc> {
        parse("2026-03-22T12:00:00Z").unwrap() + TimeDelta::seconds(seconds)
    }

    #[test]
    fn the_window_slides() {
        let limiter = RateLimiter::per_minute(60);
        assert_eq!(limiter.reserve(at(0)), at(0));
        assert_eq!(limiter.reserve(at(5)), at(5));
        for _ in 3..=60 {
            assert_eq!(limiter.reserve(at(10)), at(10));
        }
        assert_eq!(limiter.remaining(at(55)), Some(0));
        assert_eq!(limiter.reserve(at(55)), at(60) + MARGIN);
        assert_eq!(limiter.reserve(at(61)), at(61));
        assert_eq!(limiter.reserve(at(61)), at(65) + MARGIN);
    }

    #[test]
    fn what_a_wrong_clock_has_counted_takes_nothing() {
        let limiter = RateLimiter::per_minute(60);
        let second = |seconds| at(seconds).timestamp();
        let usage = Usage([(second(-1), 10), (second(60), 10), (second(200 * 86_400), 40)].into());
        limiter.merge_usage(at(0), "other", &usage);
        assert_eq!(limiter.remaining(at(0)), Some(40), "a clock may differ by some minutes");
    }

    #[test]
    fn what_others_use_is_missing_from_ours() {
        let limiter = RateLimiter::per_minute(60);
        limiter.reserve(at(0));
        limiter.observe(at(1), 59); // the server agrees: nothing changes
        assert_eq!(limiter.remaining(at(1)), Some(59));
        limiter.observe(at(2), 0); // another tool took the rest
        assert_eq!(limiter.reserve(at(3)), at(60) + MARGIN); // ours leaves the window first
        assert_eq!(limiter.reserve(at(61)), at(61));
        assert_eq!(limiter.reserve(at(61)), at(62) + MARGIN);
    }

    #[test]
    fn every_limit_counts_and_a_block_holds_all() {
        let minute = Limit { requests: 2, period: TimeDelta::seconds(60) };
        let hour = Limit { requests: 3, period: TimeDelta::hours(1) };
        let limiter = RateLimiter::new(&[minute, hour]);
        limiter.reserve(at(0));
        limiter.reserve(at(0));
        assert_eq!(limiter.reserve(at(1)), at(60) + MARGIN);
        assert_eq!(limiter.reserve(at(61)), at(61));
        assert_eq!(limiter.reserve(at(62)), at(3600) + MARGIN);
        let free = RateLimiter::per_minute(0);
        free.block_until(at(9));
        assert_eq!(free.reserve(at(1)), at(9));
        assert_eq!(free.reserve(at(9)), at(9));
    }
}

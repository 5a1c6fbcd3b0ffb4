//! The vendor's limits: at most so many requests in any minute, or in any hour.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// When each request was accepted that still counts.
pub(crate) struct Window {
    span: TimeDelta,
    accepted: VecDeque<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted { remaining: u32 },
    Refused { retry_after: TimeDelta },
}

impl Window {
    pub(crate) fn minute() -> Self {
        Self { span: TimeDelta::seconds(60), accepted: VecDeque::new() }
    }

    pub(crate) fn hour() -> Self {
        Self { span: TimeDelta::hours(1), accepted: VecDeque::new() }
    }

    /// Refused requests do not count.
    pub(crate) fn ask(&mut self, limit: u32, now: DateTime<Utc>) -> Verdict {
        let verdict = self.evaluate(limit, now);
        if matches!(verdict, Verdict::Accepted { .. }) {
            self.count(now);
        }
        verdict
    }

    /// What a request would be answered, which does not count yet.
    pub(crate) fn evaluate(&mut self, limit: u32, now: DateTime<Utc>) -> Verdict {
        while self.accepted.front().is_some_and(|oldest| now - oldest >= self.span) {
            self.accepted.pop_front();
        }
        let used = u32::try_from(self.accepted.len()).unwrap_or(u32::MAX);
        if used >= limit {
            let retry_after = self.accepted.front().map_or(self.span, |oldest| self.span - (now - oldest));
            return Verdict::Refused { retry_after };
        }
        Verdict::Accepted { remaining: limit - used - 1 }
    }

    pub(crate) fn count(&mut self, now: DateTime<Utc>) {
        self.accepted.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the vendor's documentation.
    #[test]
    fn slides_as_documented() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut window = Window::minute();
        let mut ask = |second| window.ask(60, start + TimeDelta::seconds(second));
        assert_eq!(ask(0), Verdict::Accepted { remaining: 59 });
        assert_eq!(ask(5), Verdict::Accepted { remaining: 58 });
        for request in 3..=60 {
            assert_eq!(ask(10), Verdict::Accepted { remaining: 60 - request });
        }
        assert_eq!(ask(55), Verdict::Refused { retry_after: TimeDelta::seconds(5) });
        assert_eq!(ask(61), Verdict::Accepted { remaining: 0 });
        assert_eq!(ask(61), Verdict::Refused { retry_after: TimeDelta::seconds(4) });
        assert_eq!(ask(64), Verdict::Refused { retry_after: TimeDelta::seconds(1) });
        assert_eq!(ask(65), Verdict::Accepted { remaining: 0 });
    }
}

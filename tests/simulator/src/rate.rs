//! The vendor's limit: at most so many requests in any 60 seconds.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

const SPAN: TimeDelta = TimeDelta::seconds(60);

/// When each request was accepted that still counts.
#[derive(Default)]
pub(crate) struct Window(VecDeque<DateTime<Utc>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted { remaining: u32 },
    Refused { retry_after: TimeDelta },
}

impl Window {
    /// Refused requests do not count.
    pub(crate) fn ask(&mut self, limit: u32, now: DateTime<Utc>) -> Verdict {
        while self.0.front().is_some_and(|oldest| now - oldest >= SPAN) {
            self.0.pop_front();
        }
        let used = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if used >= limit {
            let retry_after = self.0.front().map_or(SPAN, |oldest| SPAN - (now - oldest));
            return Verdict::Refused { retry_after };
        }
        self.0.push_back(now);
        Verdict::Accepted { remaining: limit - used - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the vendor's documentation.
    #[test]
    fn slides_as_documented() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut window = Window::default();
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

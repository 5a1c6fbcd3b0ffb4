//! When the daily sync is due.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::America::New_York;

/// The hour of the daily sync, in New York.
pub const DAILY_HOUR: u32 = 7;

/// The first 07:00 in New York after `instant`.
///
/// 07:00 exists exactly once on every day there: clocks change at 02:00.
///
/// ```
/// use common::domain::{schedule::next_daily, time::parse};
/// let next = |text| next_daily(parse(text).unwrap()).to_rfc3339();
/// assert_eq!(next("2026-03-07T13:00:00Z"), "2026-03-08T11:00:00+00:00"); // the clocks went forward that night
/// assert_eq!(next("2026-10-31T12:00:00Z"), "2026-11-01T12:00:00+00:00"); // and back
/// ```
#[must_use]
pub fn next_daily(instant: DateTime<Utc>) -> DateTime<Utc> {
    let local = instant.with_timezone(&New_York);
    let seven = NaiveTime::from_hms_opt(DAILY_HOUR, 0, 0).unwrap_or_default();
    (0..=2)
        .filter_map(|days| local.date_naive().checked_add_days(Days::new(days)))
        .filter_map(|date| New_York.from_local_datetime(&date.and_time(seven)).earliest())
        .map(|candidate| candidate.to_utc())
        .find(|candidate| *candidate > instant)
        // Only at the end of the calendar, in the year 262142.
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The last 07:00 in New York that is not after `instant`.
#[must_use]
pub fn last_daily(instant: DateTime<Utc>) -> DateTime<Utc> {
    // No day there is longer than 25 hours, so one or two ticks lie between.
    let mut tick = next_daily(instant - TimeDelta::hours(26));
    while next_daily(tick) <= instant {
        tick = next_daily(tick);
    }
    tick
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use chrono::Timelike;

    #[test]
    fn a_year_of_days_has_one_tick_each_at_seven_local_time() {
        let mut tick = parse("2026-01-01T00:00:00Z").unwrap();
        let mut gaps = std::collections::BTreeMap::new();
        for _ in 0..365 {
            let next = next_daily(tick);
            let local = next.with_timezone(&New_York);
            assert_eq!((local.hour(), local.minute(), local.second()), (7, 0, 0));
            *gaps.entry((next - tick).num_hours()).or_insert(0) += 1;
            tick = next;
        }
        // From midnight UTC to 07:00 EST are 12 hours; then one day of 23 hours in March, one of 25 in November.
        assert_eq!(gaps, [(12, 1), (23, 1), (24, 362), (25, 1)].into());
    }

    #[test]
    fn the_tick_itself_is_over_when_it_strikes() {
        let tick = parse("2026-06-01T11:00:00Z").unwrap();
        assert_eq!(next_daily(tick - TimeDelta::seconds(1)), tick);
        assert_eq!(next_daily(tick), tick + TimeDelta::hours(24));
        assert_eq!(last_daily(tick), tick);
        assert_eq!(last_daily(tick - TimeDelta::seconds(1)), tick - TimeDelta::hours(24));
    }

    #[test]
    fn the_last_tick_of_every_hour_of_a_year_is_the_one_before_the_next() {
        let mut hour = parse("2026-01-01T00:30:00Z").unwrap();
        for _ in 0..365 * 24 {
            let last = last_daily(hour);
            assert!(last <= hour && next_daily(last) > hour, "{hour}");
            hour += TimeDelta::hours(1);
        }
    }
}

//! When the daily sync is due.

use super::id::{CompanyId, ConnectionId};
use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::America::New_York;
use sha2::{Digest, Sha256};

/// No tick is further away: the day in autumn on which clocks are set back has 25 hours, and whoever Huntress refuses waits for 24. What is planned for later was
/// planned by a clock that was wrong.
pub const LONGEST_PERIOD: TimeDelta = TimeDelta::hours(25);

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

/// The tick to plan once `planned` is: the next one, or the last of those that were missed since. A tick takes all that is due, so the others would add nothing.
///
/// ```
/// use common::domain::{schedule::tick_after, time::parse};
/// let after = |planned, now| tick_after(parse(planned).unwrap(), parse(now).unwrap()).to_rfc3339();
/// assert_eq!(after("2026-06-01T11:00:00Z", "2026-06-01T11:00:05Z"), "2026-06-02T11:00:00+00:00");
/// assert_eq!(after("2026-06-01T11:00:00Z", "2026-06-05T10:00:00Z"), "2026-06-04T11:00:00+00:00"); // asleep for three ticks
/// ```
#[must_use]
pub fn tick_after(planned: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    next_daily(planned).max(last_daily(now))
}

/// How long after a tick a connection's run begins, so that the runs of a tick do not all begin at once: from zero up to `window`, in whole seconds, and
/// the same on every day, so that a connection's evidence is a day apart.
///
/// ```
/// use chrono::TimeDelta;
/// use common::domain::{id::{CompanyId, ConnectionId}, schedule::jitter};
/// let (company, connection) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("edr").unwrap());
/// let quarter = TimeDelta::minutes(15);
/// assert!(jitter(&company, &connection, quarter) < quarter);
/// assert_eq!(jitter(&company, &connection, TimeDelta::zero()), TimeDelta::zero());
/// ```
#[must_use]
pub fn jitter(company: &CompanyId, connection: &ConnectionId, window: TimeDelta) -> TimeDelta {
    let hash = Sha256::digest(format!("jitter#{company}#{connection}"));
    let hash = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let seconds = u64::try_from(window.num_seconds()).ok().and_then(|window| hash.checked_rem(window));
    TimeDelta::seconds(seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;
    use chrono::Timelike;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn however_long_it_slept_one_tick_is_planned_and_none_that_is_to_come(minutes in 0_i64..1_000_000, asleep in 0_i64..100_000) {
            let planned = last_daily(parse("2026-01-01T00:00:00Z").unwrap() + TimeDelta::minutes(minutes));
            let now = planned + TimeDelta::minutes(asleep);
            let tick = tick_after(planned, now);
            prop_assert!(tick > planned);
            // Once that one is planned, none is left over.
            prop_assert!(tick_after(tick, now.max(tick)) > now);
            prop_assert!(tick <= now || tick == next_daily(now));
        }

        #[test]
        fn jitter_stays_in_its_window(id in "[a-z]{1,8}", seconds in 0_i64..100_000) {
            let (company, connection) = (CompanyId::parse("acme").unwrap(), ConnectionId::parse(id).unwrap());
            let jitter = jitter(&company, &connection, TimeDelta::seconds(seconds));
            prop_assert!(jitter >= TimeDelta::zero() && jitter < TimeDelta::seconds(seconds.max(1)));
        }
    }

    #[test]
    fn connections_are_spread_over_the_whole_window() {
        let company = CompanyId::parse("acme").unwrap();
        let mut minutes = [0_u32; 15];
        for number in 0..3_000 {
            let connection = ConnectionId::parse(format!("edr-{number}")).unwrap();
            minutes[jitter(&company, &connection, TimeDelta::minutes(15)).num_minutes() as usize] += 1;
        }
        // 200 each, give or take four times the standard deviation.
        assert!(minutes.iter().all(|number| (145..=255).contains(number)), "{minutes:?}");
    }

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

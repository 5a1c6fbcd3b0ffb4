//! Days as people mean them, in the zone that records name.

use super::zone::Zone;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::sync::LazyLock;

/// The zone's name, as it stands in records.
pub const ZONE: &str = "America/New_York";

/// Read once in a process. The database has it: that it is not universal time, the examples below show.
static NEW_YORK: LazyLock<Zone> = LazyLock::new(|| Zone::named(ZONE).unwrap_or(Zone::UTC));

/// What clocks show there at an instant.
#[must_use]
pub fn local(instant: DateTime<Utc>) -> NaiveDateTime {
    NEW_YORK.local(instant)
}

/// The hour by which a day is measured in windows that people are shown, whatever the schedule.
const DAILY_HOUR: u32 = 7;

/// The day that `instant` lies in.
///
/// ```
/// use common::domain::{calendar::day_of, time::parse};
/// assert_eq!(day_of(parse("2026-12-02T04:59:59Z").unwrap()).to_string(), "2026-12-01");
/// assert_eq!(day_of(parse("2026-12-02T05:00:00Z").unwrap()).to_string(), "2026-12-02");
/// ```
#[must_use]
pub fn day_of(instant: DateTime<Utc>) -> NaiveDate {
    local(instant).date()
}

/// The first instant of a day. Midnight exists exactly once on every day there: clocks change at 02:00.
#[must_use]
pub fn start_of(day: NaiveDate) -> DateTime<Utc> {
    at(day, 0)
}

/// The first instant after a day.
///
/// ```
/// use common::domain::calendar::{end_of, start_of};
/// let length = |day: &str| { let day = day.parse().unwrap(); (end_of(day) - start_of(day)).num_hours() };
/// assert_eq!((length("2026-03-07"), length("2026-03-08"), length("2026-11-01")), (24, 23, 25));
/// ```
#[must_use]
pub fn end_of(day: NaiveDate) -> DateTime<Utc> {
    day.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, start_of)
}

/// The first day that lies wholly at or after an instant: who may see what is from then on sees no part of the day before.
///
/// ```
/// use common::domain::{calendar::first_day_from, time::parse};
/// let first = |at| first_day_from(parse(at).unwrap()).to_string();
/// // Midnight there is 04:00 in universal time.
/// assert_eq!(first("2026-10-28T04:00:00Z"), "2026-10-28");
/// assert_eq!(first("2026-10-28T00:00:00Z"), "2026-10-28");
/// assert_eq!(first("2026-10-28T04:00:01Z"), "2026-10-29");
/// ```
#[must_use]
pub fn first_day_from(instant: DateTime<Utc>) -> NaiveDate {
    let day = day_of(instant);
    if start_of(day) < instant { day.succ_opt().unwrap_or(day) } else { day }
}

/// The daily tick of a day.
#[must_use]
pub fn tick_of(day: NaiveDate) -> DateTime<Utc> {
    at(day, DAILY_HOUR)
}

/// The last day that ends at or before `end`, when `end` is where something stops: an exception until the end of 1 December ends at the first instant of 2 December.
#[must_use]
pub fn last_day_before(end: DateTime<Utc>) -> NaiveDate {
    day_of(end.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(end))
}

/// The days from `from` to `to`, both included; none when they are the other way round.
pub fn days(from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    from.iter_days().take_while(move |day| *day <= to)
}

/// How many calendar days lie between two days.
#[must_use]
pub fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

/// `days` after a day, or the last one of the calendar.
#[must_use]
pub fn days_after(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}

fn at(day: NaiveDate, hour: u32) -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default();
    // Only outside the calendar is there none.
    NEW_YORK.earliest(day.and_time(time)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::schedule::Schedule;

    #[test]
    fn the_days_of_three_years_follow_each_other_without_a_gap_and_have_one_tick_each() {
        let (from, to) = ("2025-01-01".parse().unwrap(), "2027-12-31".parse().unwrap());
        let (mut end, daily) = (start_of(from), Schedule::default());
        for day in days(from, to) {
            assert_eq!(start_of(day), end);
            end = end_of(day);
            assert_eq!((day_of(start_of(day)), last_day_before(end)), (day, day));
            assert_eq!(daily.next_after(start_of(day)), tick_of(day));
            assert!(tick_of(day) < end && daily.next_after(tick_of(day)) > end);
        }
        assert_eq!(days(from, to).count(), 3 * 365);
        assert_eq!(days(to, from).count(), 0);
    }
}

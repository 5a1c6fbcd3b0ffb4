//! Days as people mean them: those of the zone that the schedule is in.

use super::schedule::{Schedule, ScheduleError};
use super::time::{self, Window};
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::Serialize;
use std::sync::Arc;

/// The days of a schedule's zone, and their ticks. By default those of every day at 07:00 in New York.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar(Arc<Schedule>);

impl From<Schedule> for Calendar {
    fn from(schedule: Schedule) -> Self {
        Self(Arc::new(schedule))
    }
}

impl Calendar {
    /// The days of a schedule that is written as an expression and a zone.
    ///
    /// # Errors
    /// [`ScheduleError`]
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        Schedule::parse(expression, zone).map(Self::from)
    }

    /// The schedule.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.0
    }

    /// The zone's name, as it stands in records.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.0.zone().name()
    }

    /// What clocks show there at an instant.
    #[must_use]
    pub fn local(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        self.0.zone().local(instant)
    }

    /// The day that `instant` lies in.
    ///
    /// ```
    /// use evidence_domain::{calendar::Calendar, time::parse};
    /// let day = |at| Calendar::default().day_of(parse(at).unwrap()).to_string();
    /// assert_eq!(day("2026-12-02T04:59:59Z"), "2026-12-01");
    /// assert_eq!(day("2026-12-02T05:00:00Z"), "2026-12-02");
    /// let kolkata = Calendar::parse("cron(0 6 * * ? *)", "Asia/Kolkata").unwrap();
    /// assert_eq!(kolkata.day_of(parse("2026-12-01T18:30:00Z").unwrap()).to_string(), "2026-12-02");
    /// ```
    #[must_use]
    pub fn day_of(&self, instant: DateTime<Utc>) -> NaiveDate {
        self.local(instant).date()
    }

    /// The first instant of a day: midnight, unless the clocks are put forward over it.
    #[must_use]
    pub fn start_of(&self, day: NaiveDate) -> DateTime<Utc> {
        // Only outside the calendar is there none.
        self.0.zone().start_of(day).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The first instant after a day.
    ///
    /// ```
    /// use evidence_domain::calendar::Calendar;
    /// let length = |zone: &str, day: &str| {
    ///     let (calendar, day) = (Calendar::parse("cron(0 7 * * ? *)", zone).unwrap(), day.parse().unwrap());
    ///     (calendar.end_of(day) - calendar.start_of(day)).num_hours()
    /// };
    /// assert_eq!(["2026-03-07", "2026-03-08", "2026-11-01"].map(|day| length("America/New_York", day)), [24, 23, 25]);
    /// assert_eq!(["2026-03-29", "2026-10-25"].map(|day| length("Europe/Vienna", day)), [23, 25]);
    /// ```
    #[must_use]
    pub fn end_of(&self, day: NaiveDate) -> DateTime<Utc> {
        day.succ_opt().map_or(DateTime::<Utc>::MAX_UTC, |next| self.start_of(next))
    }

    /// The first day that lies wholly at or after an instant: who may see what is from then on sees no part of the day before.
    ///
    /// ```
    /// use evidence_domain::{calendar::Calendar, time::parse};
    /// let first = |at| Calendar::default().first_day_from(parse(at).unwrap()).to_string();
    /// // Midnight there is 04:00 in universal time.
    /// assert_eq!(first("2026-10-28T04:00:00Z"), "2026-10-28");
    /// assert_eq!(first("2026-10-28T00:00:00Z"), "2026-10-28");
    /// assert_eq!(first("2026-10-28T04:00:01Z"), "2026-10-29");
    /// ```
    #[must_use]
    pub fn first_day_from(&self, instant: DateTime<Utc>) -> NaiveDate {
        let day = self.day_of(instant);
        if self.start_of(day) < instant { day.succ_opt().unwrap_or(day) } else { day }
    }

    /// Reads `from/to`, as ISO 8601 writes an interval: instants with a zone, or days of the calendar, the last one whole.
    ///
    /// ```
    /// use evidence_domain::{calendar::Calendar, time::parse};
    /// let of = |text| Calendar::default().window(text).map(|window| window.start);
    /// assert_eq!(of("2026-01-01/2026-03-31"), parse("2026-01-01T05:00:00Z"));
    /// assert_eq!(of("2026-03-31/2026-01-01"), None);
    /// ```
    #[must_use]
    pub fn window(&self, text: &str) -> Option<Window> {
        let (from, to) = text.trim().split_once('/')?;
        let day = |text: &str| text.trim().parse::<NaiveDate>().ok();
        let start = day(from).map(|day| self.start_of(day)).or_else(|| time::parse(from))?;
        let last_of = |day| self.end_of(day) - TimeDelta::milliseconds(1);
        let end = day(to).map(last_of).or_else(|| time::parse(to))?;
        (start <= end).then_some(Window { start, end })
    }

    /// The tick of a day as it stands at an instant: the last one that has come, or else the first. `None` on a day that the schedule leaves out.
    ///
    /// ```
    /// use evidence_domain::{calendar::Calendar, time::parse};
    /// let twice = Calendar::parse("cron(0 6,18 ? * MON-FRI *)", "Europe/Vienna").unwrap();
    /// let tick = |day: &str, at| twice.tick_of(day.parse().unwrap(), parse(at).unwrap()).map(|tick| tick.to_rfc3339());
    /// assert_eq!(tick("2026-03-20", "2026-03-20T03:00:00Z").as_deref(), Some("2026-03-20T05:00:00+00:00"));
    /// assert_eq!(tick("2026-03-20", "2026-03-20T16:59:59Z").as_deref(), Some("2026-03-20T05:00:00+00:00"));
    /// assert_eq!(tick("2026-03-20", "2026-04-01T00:00:00Z").as_deref(), Some("2026-03-20T17:00:00+00:00"));
    /// assert_eq!(tick("2026-03-21", "2026-04-01T00:00:00Z"), None); // a Saturday
    /// ```
    #[must_use]
    pub fn tick_of(&self, day: NaiveDate, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let end = self.end_of(day);
        let first = self.0.next_after(just_before(self.start_of(day)));
        (first < end).then(|| self.0.last_at(just_before(end).min(at)).max(first))
    }

    /// The last day that ends at or before `end`, when `end` is where something stops: an exception until the end of 1 December ends at the first instant of 2 December.
    #[must_use]
    pub fn last_day_before(&self, end: DateTime<Utc>) -> NaiveDate {
        self.day_of(just_before(end))
    }
}

/// Days of a calendar, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DayRange {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
}

/// When something stops, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With the end of a day.
    EndOf(NaiveDate),
    /// At an instant, the first at which it no longer counts.
    Instant(DateTime<Utc>),
}

impl Until {
    /// A day or an instant; `None` for what is neither.
    ///
    /// ```
    /// use evidence_domain::calendar::{Calendar, Until};
    /// let vienna = Calendar::parse("cron(0 7 * * ? *)", "Europe/Vienna").unwrap();
    /// let ends = |text| Until::parse(text).map(|until| until.instant(&vienna).to_rfc3339());
    /// assert_eq!(ends("2026-12-01").as_deref(), Some("2026-12-01T23:00:00+00:00"));
    /// assert_eq!(ends("2026-12-01T17:00:00Z").as_deref(), Some("2026-12-01T17:00:00+00:00"));
    /// assert_eq!(ends("tomorrow"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let day = text.parse().ok().map(Self::EndOf);
        day.or_else(|| time::parse(text).map(Self::Instant))
    }

    /// The first instant at which it no longer counts.
    #[must_use]
    pub fn instant(self, calendar: &Calendar) -> DateTime<Utc> {
        match self {
            Self::EndOf(day) => calendar.end_of(day),
            Self::Instant(instant) => instant,
        }
    }
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

fn just_before(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    /// Zones without a change of clocks, with one at night, and with one that leaves midnight out.
    const ZONES: [&str; 5] =
        ["America/New_York", "Europe/Vienna", "Asia/Kolkata", "Africa/Cairo", "Australia/Lord_Howe"];

    #[test]
    fn the_days_of_three_years_follow_each_other_without_a_gap_and_have_one_tick_each() {
        let (from, to) = ("2025-01-01".parse().unwrap(), "2027-12-31".parse().unwrap());
        for zone in ZONES {
            let daily = Calendar::parse("cron(0 7 * * ? *)", zone).unwrap();
            let mut end = daily.start_of(from);
            for day in days(from, to) {
                assert_eq!(daily.start_of(day), end, "{zone}");
                end = daily.end_of(day);
                assert_eq!((daily.day_of(daily.start_of(day)), daily.last_day_before(end)), (day, day), "{zone}");
                let tick = daily.tick_of(day, end).unwrap();
                assert_eq!(daily.schedule().next_after(daily.start_of(day)), tick);
                assert_eq!(daily.local(tick).to_string(), format!("{day} 07:00:00"), "{zone}");
                assert!(tick < end && daily.schedule().next_after(tick) > end);
            }
        }
        assert_eq!(days(from, to).count(), 3 * 365);
        assert_eq!(days(to, from).count(), 0);
        assert_eq!(Calendar::default().zone(), "America/New_York");
    }

    #[test]
    fn a_day_whose_midnight_is_left_out_begins_when_the_clocks_go_on() {
        // On 24 April 2026 clocks in Cairo went from 23:59 to 01:00.
        let cairo = Calendar::parse("cron(0 7 * * ? *)", "Africa/Cairo").unwrap();
        let day = "2026-04-24".parse().unwrap();
        assert_eq!(cairo.start_of(day), parse("2026-04-23T22:00:00Z").unwrap());
        assert_eq!((cairo.end_of(day) - cairo.start_of(day)).num_hours(), 23);
    }

    #[test]
    fn a_day_that_was_left_out_has_no_instant() {
        let apia = Calendar::parse("cron(0 7 * * ? *)", "Pacific/Apia").unwrap();
        let day = "2011-12-30".parse().unwrap();
        assert_eq!(apia.start_of(day), apia.end_of(day));
        assert_eq!(apia.tick_of(day, parse("2020-01-01T00:00:00Z").unwrap()), None);
    }
}

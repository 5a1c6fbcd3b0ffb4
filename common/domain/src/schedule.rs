//! When scheduled syncs are due: at the ticks of an expression in a time zone, as Amazon EventBridge Scheduler has them.

mod cron;

use super::id::{CompanyId, ConnectionId};
use super::zone::Zone;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use cron::Cron;
use sha2::{Digest, Sha256};

/// The schedule that everybody starts from: 07:00 every day in New York.
pub const DEFAULT_EXPRESSION: &str = "cron(0 7 * * ? *)";

/// Its time zone.
pub const DEFAULT_ZONE: &str = "America/New_York";

/// Failed runs whose cause may have passed are tried again so long after their tick, the same day.
pub const RETRIES: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(3), TimeDelta::hours(6)];

/// A connection that is due later than this was planned by a wrong clock. The longest real period is a day of 25 hours.
pub const LONGEST_PERIOD: TimeDelta = TimeDelta::hours(25);

/// No tick lies further away: an expression whose years are over has none.
const HORIZON_DAYS: u64 = 366 * 9;

/// Ticks of an expression in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    expression: String,
    rule: Rule,
    zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Cron(Box<Cron>),
    /// Every so often, counted from 1970; in AWS a rate is counted from when the schedule was made.
    Rate(TimeDelta),
}

/// Why a schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The zone.
    #[error("there is no time zone {0:?}; name one of the IANA database, e.g. Europe/Berlin")]
    Zone(String),
    /// The expression.
    #[error(
        "{0}; write it as cron(minutes hours day-of-month month day-of-week year), e.g. cron(0 7 * * ? *), or as rate(12 hours)"
    )]
    Expression(String),
}

impl Default for Schedule {
    fn default() -> Self {
        // Both are checked by a test.
        Self::parse(DEFAULT_EXPRESSION, DEFAULT_ZONE).unwrap_or(Self {
            expression: "rate(1 day)".to_owned(),
            rule: Rule::Rate(TimeDelta::days(1)),
            zone: Zone::UTC,
        })
    }
}

impl Schedule {
    /// The schedule of an expression, `cron(…)` or `rate(…)`, in a zone of the IANA database.
    ///
    /// ```
    /// use evidence_domain::{schedule::Schedule, time::parse};
    /// let twice = Schedule::parse("cron(30 6,18 ? * MON-FRI *)", "Asia/Kolkata").unwrap();
    /// let next = |text| twice.next_after(parse(text).unwrap()).to_rfc3339();
    /// assert_eq!(next("2026-03-20T02:00:00Z"), "2026-03-20T13:00:00+00:00"); // Friday evening there
    /// assert_eq!(next("2026-03-20T13:00:00Z"), "2026-03-23T01:00:00+00:00"); // Monday morning
    /// ```
    ///
    /// # Errors
    /// [`ScheduleError`]
    pub fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone = Zone::named(zone).ok_or_else(|| ScheduleError::Zone(zone.to_owned()))?;
        let inside = |name: &str| expression.trim().strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let rule = if let Some(fields) = inside("cron") {
            Rule::Cron(Box::new(Cron::parse(fields).map_err(ScheduleError::Expression)?))
        } else if let Some(rate) = inside("rate") {
            Rule::Rate(rate_of(rate).ok_or_else(|| ScheduleError::Expression(format!("{expression:?} is no rate")))?)
        } else {
            return Err(ScheduleError::Expression(format!("{expression:?} is neither a cron nor a rate")));
        };
        Ok(Self { expression: expression.trim().to_owned(), rule, zone })
    }

    /// The expression that it was read from.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone that it is in.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The first tick after `instant`.
    ///
    /// A local time that the change of clocks leaves out has no tick, and one that comes twice has one, at the first.
    ///
    /// ```
    /// use evidence_domain::{schedule::Schedule, time::parse};
    /// let daily = Schedule::default();
    /// let next = |text| daily.next_after(parse(text).unwrap()).to_rfc3339();
    /// assert_eq!(next("2026-03-07T13:00:00Z"), "2026-03-08T11:00:00+00:00"); // the clocks went forward that night
    /// assert_eq!(next("2026-10-31T12:00:00Z"), "2026-11-01T12:00:00+00:00"); // and back
    /// ```
    #[must_use]
    pub fn next_after(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let cron = match &self.rule {
            Rule::Rate(every) => return multiple(instant, *every) + *every,
            Rule::Cron(cron) => cron,
        };
        let first = self.zone.local(instant).date();
        (0..HORIZON_DAYS)
            .filter_map(|days| first.checked_add_days(Days::new(days)))
            .filter(|date| cron.is_on(*date))
            .flat_map(|date| self.ticks_on(cron, date))
            .find(|tick| *tick > instant)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The last tick that is not after `instant`.
    #[must_use]
    pub fn last_at(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let cron = match &self.rule {
            Rule::Rate(every) => return multiple(instant, *every),
            Rule::Cron(cron) => cron,
        };
        let last = self.zone.local(instant).date();
        (0..HORIZON_DAYS)
            .filter_map(|days| last.checked_sub_days(Days::new(days)))
            .filter(|date| cron.is_on(*date))
            .find_map(|date| self.ticks_on(cron, date).filter(|tick| *tick <= instant).last())
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    fn ticks_on<'a>(&'a self, cron: &'a Cron, date: NaiveDate) -> impl Iterator<Item = DateTime<Utc>> + 'a {
        cron.times().filter_map(move |time| self.zone.earliest(date.and_time(time)))
    }

    /// The tick to plan once `planned` is: the next one, or the last of those that were missed since. A tick takes all that is due, so the others would add nothing.
    ///
    /// ```
    /// use evidence_domain::{schedule::Schedule, time::parse};
    /// let after = |planned, now| Schedule::default().tick_after(parse(planned).unwrap(), parse(now).unwrap()).to_rfc3339();
    /// assert_eq!(after("2026-06-01T11:00:00Z", "2026-06-01T11:00:05Z"), "2026-06-02T11:00:00+00:00");
    /// assert_eq!(after("2026-06-01T11:00:00Z", "2026-06-05T10:00:00Z"), "2026-06-04T11:00:00+00:00"); // asleep for three ticks
    /// ```
    #[must_use]
    pub fn tick_after(&self, planned: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        self.next_after(planned).max(self.last_at(now))
    }

    /// From when on a connection is due again that Huntress refused at `instant`: the first tick after a day. Two hours are to spare, since a run ends after
    /// its tick, and one day of the year has 23 hours: a day from the end of a tick's run would swallow the next tick, too.
    ///
    /// ```
    /// use evidence_domain::{schedule::Schedule, time::parse};
    /// let again = |text| Schedule::default().a_day_later(parse(text).unwrap()).to_rfc3339();
    /// assert_eq!(again("2026-06-01T11:09:00Z"), "2026-06-02T11:00:00+00:00");
    /// assert_eq!(again("2026-03-07T12:20:00Z"), "2026-03-08T11:00:00+00:00");
    /// ```
    #[must_use]
    pub fn a_day_later(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        self.next_after(instant + TimeDelta::hours(22) - TimeDelta::seconds(1))
    }

    /// When a run is tried again that failed at `instant` for a cause that may pass: by the retries of its tick, or at the next one.
    #[must_use]
    pub fn next_attempt(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let (tick, next) = (self.last_at(instant), self.next_after(instant));
        RETRIES.into_iter().map(|after| tick + after).find(|at| *at > instant).map_or(next, |at| at.min(next))
    }

    /// The last tick before `now`, and how many of its retries are due since; `None` before the first of them.
    #[must_use]
    pub fn retry_at(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, usize)> {
        let tick = self.last_at(now);
        let due = RETRIES.into_iter().filter(|after| tick + *after <= now).count();
        (due > 0).then_some((tick, due))
    }
}

/// The last multiple of `every` that is not after `instant`.
fn multiple(instant: DateTime<Utc>, every: TimeDelta) -> DateTime<Utc> {
    let seconds = every.num_seconds().max(1);
    DateTime::from_timestamp(instant.timestamp().div_euclid(seconds) * seconds, 0).unwrap_or(instant)
}

fn rate_of(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number: i64 = number.parse().ok().filter(|number| (1..=10_000).contains(number))?;
    match unit.trim() {
        "minute" | "minutes" => Some(TimeDelta::minutes(number)),
        "hour" | "hours" => Some(TimeDelta::hours(number)),
        "day" | "days" => Some(TimeDelta::days(number)),
        _ => None,
    }
}

/// How long after a tick a connection's run begins, so that the runs of a tick do not all begin at once: from zero up to `window`, in whole seconds, and
/// the same on every day, so that a connection's evidence is a day apart.
///
/// ```
/// use chrono::TimeDelta;
/// use evidence_domain::{id::{CompanyId, ConnectionId}, schedule::jitter};
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
    use crate::time::parse;
    use chrono::Timelike;
    use proptest::prelude::*;

    fn daily() -> Schedule {
        Schedule::parse(DEFAULT_EXPRESSION, DEFAULT_ZONE).unwrap()
    }

    /// Schedules of several ticks a day, none, and of zones with odd offsets and changes of clocks.
    fn schedules() -> Vec<Schedule> {
        [
            (DEFAULT_EXPRESSION, DEFAULT_ZONE),
            ("cron(0 0/6 * * ? *)", "Europe/Berlin"),
            ("cron(30 2 * * ? *)", "America/New_York"),
            ("cron(15,45 1-3 ? * * *)", "Australia/Lord_Howe"),
            ("cron(5 9 1,L * ? *)", "Asia/Kathmandu"),
            ("cron(0 12 ? * MON#1 *)", "Pacific/Chatham"),
            ("rate(12 hours)", "UTC"),
        ]
        .map(|(expression, zone)| Schedule::parse(expression, zone).unwrap())
        .into()
    }

    proptest! {
        #[test]
        fn the_last_tick_and_the_next_have_none_between_them(at in 0_usize..7, minutes in 0_i64..2_000_000) {
            let schedule = &schedules()[at];
            let instant = parse("2026-01-01T00:00:30Z").unwrap() + TimeDelta::minutes(minutes);
            let (last, next) = (schedule.last_at(instant), schedule.next_after(instant));
            prop_assert!(last <= instant && instant < next);
            prop_assert_eq!(schedule.next_after(last), next);
            prop_assert_eq!(schedule.last_at(next), next);
            prop_assert_eq!(schedule.last_at(next - TimeDelta::seconds(1)), last);
        }

        #[test]
        fn however_long_it_slept_one_tick_is_planned_and_none_that_is_to_come(at in 0_usize..7, minutes in 0_i64..1_000_000, asleep in 0_i64..100_000) {
            let schedule = &schedules()[at];
            let planned = schedule.last_at(parse("2026-01-01T00:00:00Z").unwrap() + TimeDelta::minutes(minutes));
            let now = planned + TimeDelta::minutes(asleep);
            let tick = schedule.tick_after(planned, now);
            prop_assert!(tick > planned);
            // Once that one is planned, none is left over.
            prop_assert!(schedule.tick_after(tick, now.max(tick)) > now);
            prop_assert!(tick <= now || tick == schedule.next_after(now));
        }

        #[test]
        fn who_was_refused_by_a_tick_misses_no_other_of_a_daily_schedule(day in 0_i64..730, seconds in 0_i64..=3_600) {
            let tick = daily().next_after(parse("2026-01-01T00:00:00Z").unwrap() + TimeDelta::days(day));
            let next = daily().next_after(tick);
            prop_assert_eq!(daily().a_day_later(tick + TimeDelta::seconds(seconds)), next);
            // On demand, whenever it is: nearly a day without a request, and at most one tick left out.
            let asked = tick + TimeDelta::seconds(seconds * 23);
            let again = daily().a_day_later(asked);
            prop_assert!(again - asked >= TimeDelta::hours(22) && again <= daily().next_after(daily().next_after(asked)));
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
            let next = daily().next_after(tick);
            let local = next.with_timezone(&chrono_tz::America::New_York);
            assert_eq!((local.hour(), local.minute(), local.second()), (7, 0, 0));
            *gaps.entry((next - tick).num_hours()).or_insert(0) += 1;
            tick = next;
        }
        // From midnight UTC to 07:00 EST are 12 hours; then one day of 23 hours in March, one of 25 in November.
        assert_eq!(gaps, [(12, 1), (23, 1), (24, 362), (25, 1)].into());
        assert_eq!(Schedule::default(), daily());
    }

    #[test]
    fn a_local_time_that_is_left_out_has_no_tick_and_one_that_comes_twice_has_one() {
        let [_, _, gap, ..] = &schedules()[..] else { panic!() };
        let next = |text: &str| gap.next_after(parse(text).unwrap()).to_rfc3339();
        // 02:30 on 8 March 2026 does not exist in New York.
        assert_eq!(next("2026-03-07T12:00:00Z"), "2026-03-09T06:30:00+00:00");
        let twice = Schedule::parse("cron(30 1 * * ? *)", "America/New_York").unwrap();
        assert_eq!(twice.next_after(parse("2026-11-01T05:00:00Z").unwrap()).to_rfc3339(), "2026-11-01T05:30:00+00:00");
        assert_eq!(twice.next_after(parse("2026-11-01T05:30:00Z").unwrap()).to_rfc3339(), "2026-11-02T06:30:00+00:00");
    }

    #[test]
    fn a_refused_connection_of_several_ticks_a_day_waits_for_a_day_of_them() {
        let berlin = &schedules()[1];
        let ended = parse("2026-06-01T04:09:00Z").unwrap();
        assert_eq!(berlin.a_day_later(ended).to_rfc3339(), "2026-06-02T04:00:00+00:00");
    }

    #[test]
    fn what_failed_is_tried_again_the_same_day() {
        let at = |text: &str| daily().next_attempt(parse(text).unwrap()).to_rfc3339();
        assert_eq!(at("2026-06-01T11:09:00Z"), "2026-06-01T12:00:00+00:00");
        assert_eq!(at("2026-06-01T12:31:00Z"), "2026-06-01T14:00:00+00:00");
        assert_eq!(at("2026-06-01T17:00:00Z"), "2026-06-02T11:00:00+00:00");
        let due = |text: &str| daily().retry_at(parse(text).unwrap()).map(|(_, number)| number);
        let looks = [
            "2026-06-01T11:30:00Z",
            "2026-06-01T12:30:00Z",
            "2026-06-01T13:30:00Z",
            "2026-06-01T14:30:00Z",
            "2026-06-02T10:30:00Z",
        ];
        assert_eq!(looks.map(due), [None, Some(1), Some(1), Some(2), Some(3)]);
        // Where the next tick comes first, it is the next attempt.
        assert_eq!(
            schedules()[6].next_attempt(parse("2026-06-01T11:30:00Z").unwrap()).to_rfc3339(),
            "2026-06-01T12:00:00+00:00"
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_to_write() {
        for expression in [
            "0 7 * * *",
            "cron(0 7 * * *)",
            "cron(60 7 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 7 32 * ? *)",
            "cron(0 7 * 13 ? *)",
            "cron(0 7 ? * 8 *)",
            "cron(0 7 * * MON *)",
            "cron(0 7 ? * ? *)",
            "cron(0 7 15W * ? *)",
            "cron(9-3 7 * * ? *)",
            "rate(0 hours)",
            "rate(5 weeks)",
            "at(2026-01-01T00:00:00)",
            "cron(é)",
        ] {
            let error = Schedule::parse(expression, "UTC").unwrap_err();
            assert!(error.to_string().contains("cron(0 7 * * ? *)"), "{expression}: {error}");
        }
        let error = Schedule::parse(DEFAULT_EXPRESSION, "Europe/Atlantis").unwrap_err();
        assert!(error.to_string().contains("Europe/Atlantis"), "{error}");
    }

    #[test]
    fn an_expression_whose_years_are_over_has_no_next_tick() {
        let over = Schedule::parse("cron(0 7 * * ? 2020)", "UTC").unwrap();
        assert_eq!(over.next_after(parse("2026-01-01T00:00:00Z").unwrap()), DateTime::<Utc>::MAX_UTC);
    }
}

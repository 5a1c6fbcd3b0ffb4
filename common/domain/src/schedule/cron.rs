//! Cron expressions as EventBridge Scheduler writes them: minutes, hours, day of month, month, day of week, year.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based>

use chrono::{Datelike, Days, NaiveDate, NaiveTime};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// From 1.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Numbers that a field takes, one bit each.
type Set = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: DayRule,
    months: Set,
    /// From and to, both included.
    years: Vec<(i32, i32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DayRule {
    /// Days of the month, and whether the last one is among them.
    OfMonth(Set, bool),
    /// Days of the week, from Sunday as 1.
    OfWeek(Set),
    /// The nth of a day of the week in the month; the last one as 0.
    Nth(u32, u32),
}

impl Cron {
    /// # Errors
    /// What is wrong, as the beginning of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields[..] else {
            return Err(format!("a cron expression has six fields, and not {}", fields.len()));
        };
        let days = match (days, weekdays) {
            (days, "?") => day_of_month(days)?,
            ("?", weekdays) => day_of_week(weekdays)?,
            _ => return Err("one of day of month and day of week has to be ?".to_owned()),
        };
        Ok(Self {
            minutes: set("minutes", minutes, 0, 59, &[])?,
            hours: set("hours", hours, 0, 23, &[])?,
            days,
            months: set("month", months, 1, 12, &MONTHS)?,
            years: years_of(years)?,
        })
    }

    /// Whether there are ticks on a day.
    pub fn is_on(&self, date: NaiveDate) -> bool {
        let year = self.years.iter().any(|(from, to)| (*from..=*to).contains(&date.year()));
        year && has(self.months, date.month()) && self.days.is_on(date)
    }

    /// The times of such a day, in order.
    pub fn times(&self) -> impl Iterator<Item = NaiveTime> + '_ {
        let hours = (0..24).filter(|hour| has(self.hours, *hour));
        let minutes = |hour| (0..60).filter(|minute| has(self.minutes, *minute)).map(move |minute| (hour, minute));
        hours.flat_map(minutes).filter_map(|(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0))
    }
}

impl DayRule {
    fn is_on(&self, date: NaiveDate) -> bool {
        let weekday = date.weekday().number_from_sunday();
        match self {
            Self::OfMonth(days, last) => has(*days, date.day()) || (*last && is_in_last(date, 1)),
            Self::OfWeek(days) => has(*days, weekday),
            Self::Nth(day, 0) => *day == weekday && is_in_last(date, 7),
            Self::Nth(day, nth) => *day == weekday && date.day().div_ceil(7) == *nth,
        }
    }
}

/// Whether a day is among the last ones of its month.
fn is_in_last(date: NaiveDate, days: u64) -> bool {
    date.checked_add_days(Days::new(days)).is_none_or(|later| later.month() != date.month())
}

fn has(set: Set, number: u32) -> bool {
    set.checked_shr(number).is_some_and(|rest| rest & 1 == 1)
}

fn day_of_month(field: &str) -> Result<DayRule, String> {
    let last = field.split(',').any(|part| part == "L");
    let others: Vec<&str> = field.split(',').filter(|part| *part != "L").collect();
    let days = if others.is_empty() { 0 } else { set("day of month", &others.join(","), 1, 31, &[])? };
    Ok(DayRule::OfMonth(days, last))
}

fn day_of_week(field: &str) -> Result<DayRule, String> {
    let one = |text: &str| number("day of week", text, 1, 7, &WEEKDAYS);
    if let Some((day, nth)) = field.split_once('#') {
        return Ok(DayRule::Nth(one(day)?, number("day of week", nth, 1, 5, &[])?));
    }
    match field.strip_suffix('L') {
        Some("") => Ok(DayRule::OfWeek(1 << 7)),
        Some(day) => Ok(DayRule::Nth(one(day)?, 0)),
        None => Ok(DayRule::OfWeek(set("day of week", field, 1, 7, &WEEKDAYS)?)),
    }
}

/// The numbers of a field: `*`, or numbers, ranges and steps, divided by commas.
fn set(name: &str, field: &str, first: u32, last: u32, names: &[&str]) -> Result<Set, String> {
    let mut found = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(name, step, 1, last, &[])?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(name, from, first, last, names)?, number(name, to, first, last, names)?),
            None if range == "*" => (first, last),
            None => {
                let from = number(name, range, first, last, names)?;
                (from, if step.is_some() { last } else { from })
            }
        };
        if from > to {
            return Err(format!("{range:?} of {name} runs backwards"));
        }
        for value in (from..=to).step_by(step.unwrap_or(1) as usize) {
            found |= 1 << value;
        }
    }
    Ok(found)
}

fn number(name: &str, text: &str, first: u32, last: u32, names: &[&str]) -> Result<u32, String> {
    let named = names.iter().zip(1..).find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, number)| number);
    let found = named.or_else(|| text.parse().ok());
    found
        .filter(|found| (first..=last).contains(found))
        .ok_or_else(|| format!("{text:?} is none of {name} from {first} to {last}"))
}

fn years_of(field: &str) -> Result<Vec<(i32, i32)>, String> {
    const FIRST: i32 = 1970;
    const LAST: i32 = 2199;
    let year = |text: &str| text.parse().ok().filter(|year| (FIRST..=LAST).contains(year));
    let part = |part: &str| match part.split_once('-') {
        None if part == "*" => Some((FIRST, LAST)),
        None => year(part).map(|year| (year, year)),
        Some((from, to)) => year(from).zip(year(to)).filter(|(from, to)| from <= to),
    };
    let years = field.split(',').map(part).collect::<Option<Vec<_>>>();
    years.ok_or_else(|| format!("{field:?} is none of years from {FIRST} to {LAST}"))
}

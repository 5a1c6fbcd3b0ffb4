//! When incidents ended, and how long they took.

use super::numbers::{InvalidNumbers, Reader, Writer};
use crate::number::{Ratio, tenths_of_an_hour};
use crate::time::nanos_between;
use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Nanoseconds in a tenth of an hour.
const TENTH: i128 = 360_000_000_000;

/// Nanoseconds in a second.
const SECOND: i128 = 1_000_000_000;

/// Nanoseconds in a day.
const DAY: i128 = 86_400 * SECOND;

/// An age in whole days and 1 more: ⌈days since `moment`⌉ + 1, or 0 for what lies after `as_of`.
///
/// ```
/// use evidence_domain::{facts::ended::day_since, time::parse};
/// let at = |text| parse(text).unwrap();
/// let as_of = at("2026-03-22T12:00:00Z");
/// assert_eq!(day_since(at("2026-03-22T12:00:01Z"), as_of), 0);
/// assert_eq!(day_since(as_of, as_of), 1);
/// assert_eq!(day_since(at("2026-03-21T12:00:00Z"), as_of), 2); // a day to the second
/// assert_eq!(day_since(at("2026-03-21T11:59:59.999999999Z"), as_of), 3);
/// ```
#[must_use]
pub fn day_since(moment: DateTime<Utc>, as_of: DateTime<Utc>) -> u32 {
    match nanos_between(moment, as_of) {
        nanos if nanos < 0 => 0,
        nanos => u32::try_from((nanos + DAY - 1) / DAY).unwrap_or(u32::MAX - 1) + 1,
    }
}

/// A duration as far as a percentile needs it: to the tenth of an hour that it is rounded to, and on which side of that tenth it lies.
///
/// So its rounded value is known, and how it compares with any limit of whole tenths of an hour.
///
/// ```
/// use evidence_domain::facts::ended::DurationClass;
/// let class = DurationClass::of(86_399_000_000_000); // a second less than a day
/// assert_eq!(class.tenths(), 240);
/// assert_eq!(class.bounds().shortest, 86_220_000_000_000);
/// assert_eq!(class.bounds().longest, 86_399_999_999_999);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationClass(u32);

impl DurationClass {
    /// The class of a duration of so many nanoseconds, which is not negative.
    #[must_use]
    pub fn of(nanos: i128) -> Self {
        let tenths = tenths_of_an_hour(nanos);
        let side = match nanos.cmp(&(tenths * TENTH)) {
            Ordering::Less => 0,
            Ordering::Equal => 1,
            Ordering::Greater => 2,
        };
        Self(u32::try_from(tenths * 3 + side).unwrap_or(u32::MAX))
    }

    /// Tenths of an hour, rounded half away from zero.
    #[must_use]
    pub fn tenths(self) -> i128 {
        i128::from(self.0 / 3)
    }

    /// The shortest and the longest duration of the class, in nanoseconds.
    #[must_use]
    pub fn bounds(self) -> ClassBounds<i128> {
        let middle = self.tenths() * TENTH;
        match self.0 % 3 {
            0 => ClassBounds { shortest: middle - TENTH / 2, longest: middle - 1 },
            1 => ClassBounds { shortest: middle, longest: middle },
            _ => ClassBounds { shortest: middle + 1, longest: middle + TENTH / 2 - 1 },
        }
    }

    /// The same in hours.
    #[must_use]
    pub fn hours(self) -> ClassBounds<Option<Ratio>> {
        let ClassBounds { shortest, longest } = self.bounds();
        ClassBounds { shortest: Ratio::mean_hours(shortest, 1), longest: Ratio::mean_hours(longest, 1) }
    }
}

/// The shortest and the longest duration of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassBounds<T> {
    /// The shortest.
    pub shortest: T,
    /// The longest.
    pub longest: T,
}

/// Ended incidents as they are read, at 8 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndedTally {
    incidents: Vec<Ended<u16>>,
    /// Those that ended on a day beyond 65,535, as times that were never set may say.
    ancient: Vec<Ended<u32>>,
    /// Parts of a second, which sources hardly ever give, by day.
    fractions: Vec<(u32, u32)>,
}

/// The day of the end; what the duration is more than the tenth of its class, in seconds; and its class, unless it is not known.
type Ended<Day> = (Day, i16, Option<DurationKey>);

/// Not zero, so that an absent one takes no room.
type DurationKey = std::num::NonZeroU32;

impl EndedTally {
    /// Adds an incident that ended on that [day](day_since) after so many nanoseconds, if that is known.
    pub fn push(&mut self, day: u32, nanos: Option<i128>) {
        let (mut seconds, mut key) = (0, None);
        if let Some(nanos) = nanos {
            let class = DurationClass::of(nanos);
            let rest = nanos - class.tenths() * TENTH;
            let fraction = rest.rem_euclid(SECOND);
            if fraction > 0 {
                self.fractions.push((day, u32::try_from(fraction).unwrap_or(0)));
            }
            // Half a tenth of an hour has 180 seconds.
            seconds = i16::try_from(rest.div_euclid(SECOND)).unwrap_or(0);
            key = DurationKey::new(class.0.saturating_add(1));
        }
        match u16::try_from(day) {
            Ok(day) => {
                // In small steps: there is one of these for every organization.
                if self.incidents.len() == self.incidents.capacity() {
                    self.incidents.reserve_exact(4 + self.incidents.len() / 4);
                }
                self.incidents.push((day, seconds, key));
            }
            Err(_) => self.ancient.push((day, seconds, key)),
        }
    }

    /// Adds those of another organization.
    pub fn add(&mut self, other: &Self) {
        self.incidents.extend_from_slice(&other.incidents);
        self.ancient.extend_from_slice(&other.ancient);
        self.fractions.extend_from_slice(&other.fractions);
    }

    /// By day.
    #[must_use]
    pub fn by_day(&self) -> EndedIncidents {
        let mut incidents = self.incidents.clone();
        incidents.sort_unstable_by_key(|(day, seconds, key)| (*day, *key, *seconds));
        let mut ancient = self.ancient.clone();
        ancient.sort_unstable_by_key(|(day, seconds, key)| (*day, *key, *seconds));
        let incidents = incidents.into_iter().map(|(day, seconds, key)| (u32::from(day), seconds, key));
        let mut days: Vec<EndedDay> = Vec::new();
        for (day, seconds, key) in incidents.chain(ancient) {
            if days.last().is_none_or(|last| last.day != day) {
                days.push(EndedDay { day, ..EndedDay::default() });
            }
            let Some(last) = days.last_mut() else { continue };
            last.ended += 1;
            if let Some(key) = key {
                let class = DurationClass(key.get() - 1);
                last.total_nanos += class.tenths() * TENTH + i128::from(seconds) * SECOND;
                last.classes.push(class);
            }
        }
        for (day, nanos) in &self.fractions {
            if let Ok(found) = days.binary_search_by_key(day, |day| day.day)
                && let Some(found) = days.get_mut(found)
            {
                found.total_nanos += i128::from(*nanos);
            }
        }
        EndedIncidents { days }
    }
}

/// The incidents that ended on one day before the evaluation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct EndedDay {
    day: u32,
    ended: u64,
    /// The exact sum of the known durations.
    total_nanos: i128,
    /// Known durations, ascending.
    classes: Vec<DurationClass>,
}

/// Ended incidents by the day of their end, with what the mean, the median and the percentiles of any window need.
///
/// In JSON it is a text of [numbers](super::numbers). First the unit of the sums: 0 for seconds, 1 for nanoseconds. Then for each
/// [day](day_since), ascending: twice its distance from the day before (for the first: the day itself; for others the distance less 1), and 1
/// more if some durations are not known; how many ended, less 1; if some durations are not known, how many are; and unless none is, what their sum
/// is more than the sum of the tenths of an hour that they are rounded to, with a sign; and their classes, ascending: the first, and the
/// distance of each from the one before. A class is three times the tenths, and 0, 1 or 2 for a duration below, at or above them.
///
/// ```
/// use evidence_domain::facts::ended::EndedTally;
/// let mut tally = EndedTally::default();
/// tally.push(2, Some(86_399_000_000_000)); // ended within a day, after a second less than a day
/// tally.push(5, None);
/// let ended = tally.by_day();
/// assert_eq!(serde_json::to_string(&ended).unwrap(), r#""AEABwWFAA""#);
/// assert_eq!(ended.within(1).measured, 1);
/// assert_eq!(ended.within(4).ended, 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedIncidents {
    days: Vec<EndedDay>,
}

/// The incidents that ended in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// How many ended.
    pub ended: u64,
    /// Of them, those whose duration is known.
    pub measured: u64,
    /// The exact sum of those durations.
    pub total_nanos: i128,
    classes: Vec<DurationClass>,
}

impl Span {
    /// The ⌈`percent`·n/100⌉-th shortest of the known durations; `None` without any.
    #[must_use]
    pub fn nearest_rank(&self, percent: u64) -> Option<DurationClass> {
        let rank = (u128::from(self.measured) * u128::from(percent)).div_ceil(100).max(1);
        self.classes.get(usize::try_from(rank - 1).ok()?).copied()
    }
}

impl EndedIncidents {
    /// Those that ended up to `days` × 24 hours before the evaluation, both ends included.
    #[must_use]
    pub fn within(&self, days: u32) -> Span {
        let last = days.saturating_add(1);
        Self::span(self.days.iter().filter(|day| (1..=last).contains(&day.day)))
    }

    /// All of them, also those that ended between the evaluation and their reading.
    #[must_use]
    pub fn all(&self) -> Span {
        Self::span(self.days.iter())
    }

    fn span<'a>(days: impl Iterator<Item = &'a EndedDay>) -> Span {
        let mut span = Span::default();
        for day in days {
            span.ended += day.ended;
            span.total_nanos += day.total_nanos;
            span.classes.extend_from_slice(&day.classes);
        }
        span.measured = span.classes.len() as u64;
        span.classes.sort_unstable();
        span
    }

    /// Whether none has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    fn to_text(&self) -> String {
        let rest =
            |day: &EndedDay| day.total_nanos - day.classes.iter().map(|class| class.tenths() * TENTH).sum::<i128>();
        let mut text = Writer::default();
        if self.days.is_empty() {
            return text.finish();
        }
        let unit = if self.days.iter().all(|day| rest(day) % SECOND == 0) { SECOND } else { 1 };
        text.push(u128::from(unit == 1));
        let mut next = 0;
        for day in &self.days {
            let unknown = day.ended != day.classes.len() as u64;
            text.push(u128::from(day.day - next) << 1 | u128::from(unknown));
            text.push(u128::from(day.ended.saturating_sub(1)));
            if unknown {
                text.push(day.classes.len() as u128);
            }
            if !day.classes.is_empty() {
                text.push_signed(rest(day) / unit);
                let mut before = 0;
                for DurationClass(class) in &day.classes {
                    text.push(u128::from(class - before));
                    before = *class;
                }
            }
            next = day.day.saturating_add(1);
        }
        text.finish()
    }

    fn from_text(text: &str) -> Result<Self, InvalidNumbers> {
        let mut reader = Reader::new(text);
        let mut days = Vec::new();
        if reader.is_empty() {
            return Ok(Self { days });
        }
        let unit = match reader.take()? {
            0 => SECOND,
            1 => 1,
            _ => return Err(InvalidNumbers),
        };
        let mut next = 0_u64;
        while !reader.is_empty() {
            let step: u64 = reader.take_as()?;
            let day = next.checked_add(step >> 1).and_then(|day| u32::try_from(day).ok()).ok_or(InvalidNumbers)?;
            let ended = reader.take_as::<u64>()?.checked_add(1).ok_or(InvalidNumbers)?;
            let known = if step & 1 == 1 { reader.take_as::<u64>()? } else { ended };
            if known > ended {
                return Err(InvalidNumbers);
            }
            let mut read = EndedDay { day, ended, ..EndedDay::default() };
            if known > 0 {
                read.total_nanos = reader.take_signed()?.checked_mul(unit).ok_or(InvalidNumbers)?;
                let mut class = 0_u32;
                for _ in 0..known {
                    class = class.checked_add(reader.take_as()?).ok_or(InvalidNumbers)?;
                    read.classes.push(DurationClass(class));
                    let tenths = DurationClass(class).tenths() * TENTH;
                    read.total_nanos = read.total_nanos.checked_add(tenths).ok_or(InvalidNumbers)?;
                }
            }
            days.push(read);
            next = u64::from(day) + 1;
        }
        Ok(Self { days })
    }
}

impl Serialize for EndedIncidents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for EndedIncidents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_text(&Cow::<'de, str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_end_to_the_nanosecond() {
        let as_of = crate::time::parse("2026-03-22T12:00:00Z").unwrap();
        let day = |nanos| day_since(as_of - chrono::TimeDelta::nanoseconds(nanos), as_of);
        let days = 86_400_000_000_000;
        assert_eq!([-1, 0, 1, days - 1, days, days + 1, 2 * days].map(day), [0, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn what_is_no_list_of_ended_incidents_is_refused() {
        // A unit of 2, a day without a count, more known than ended, a class that is missing, a day beyond 32 bits.
        for bad in ["C", "AE", "AFAD", "AEA", "AEAA", "A//////////BA"] {
            assert!(serde_json::from_str::<EndedIncidents>(&format!("\"{bad}\"")).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<EndedIncidents>("\"\"").unwrap().is_empty());
    }

    #[test]
    fn nearest_rank_is_the_shortest_that_covers_the_share() {
        let mut tally = EndedTally::default();
        assert_eq!(tally.by_day().all().nearest_rank(50), None);
        for hours in [4, 1, 3, 2] {
            tally.push(3, Some(hours * 3_600 * SECOND));
        }
        let span = tally.by_day().all();
        let rank = |percent| span.nearest_rank(percent).map(DurationClass::tenths);
        assert_eq!([rank(50), rank(51), rank(90), rank(100)], [Some(20), Some(30), Some(40), Some(40)]);
    }

    fn duration() -> impl Strategy<Value = i128> {
        let near = (0_i128..50, -1_i128..2).prop_map(|(halves, nanos)| (halves * TENTH / 2 + nanos).max(0));
        prop_oneof![near, (0_i128..2_000_000).prop_map(|seconds| seconds * SECOND), 0..TENTH * 1_000_000]
    }

    proptest! {
        #[test]
        fn a_class_tells_how_a_duration_compares_with_any_tenth(nanos in duration(), tenths in 0_i128..60) {
            let class = DurationClass::of(nanos);
            prop_assert_eq!(class.tenths(), tenths_of_an_hour(nanos));
            let ClassBounds { shortest: least, longest: greatest } = class.bounds();
            prop_assert!((least..=greatest).contains(&nanos));
            prop_assert_eq!(DurationClass::of(least.max(0)), class);
            prop_assert_eq!(DurationClass::of(greatest), class);
            let limit = tenths * TENTH;
            prop_assert_eq!(nanos <= limit, greatest <= limit);
            prop_assert_eq!(nanos <= limit, least <= limit);
            prop_assert_eq!(nanos >= limit, least >= limit);
        }

        #[test]
        fn a_window_has_what_ended_in_it(incidents in proptest::collection::vec((0_u32..12, proptest::option::of(duration())), 0..30), days in 0_u32..12) {
            let (mut first, mut second) = (EndedTally::default(), EndedTally::default());
            for (index, (day, nanos)) in incidents.iter().enumerate() {
                if index % 2 == 0 { &mut first } else { &mut second }.push(*day, *nanos);
            }
            first.add(&second);
            let ended = first.by_day();
            let text = serde_json::to_string(&ended).unwrap();
            prop_assert_eq!(&serde_json::from_str::<EndedIncidents>(&text).unwrap(), &ended);
            for (span, inside) in [(ended.within(days), 1..=days + 1), (ended.all(), 0..=u32::MAX)] {
                let in_it: Vec<_> = incidents.iter().filter(|(day, _)| inside.contains(day)).collect();
                let mut known: Vec<i128> = in_it.iter().filter_map(|(_, nanos)| *nanos).collect();
                known.sort_unstable();
                prop_assert_eq!(span.ended, in_it.len() as u64);
                prop_assert_eq!(span.measured, known.len() as u64);
                prop_assert_eq!(span.total_nanos, known.iter().sum::<i128>());
                for percent in [1, 50, 90, 100] {
                    let rank = (known.len() * percent).div_ceil(100).max(1);
                    let expected = known.get(rank - 1).map(|nanos| DurationClass::of(*nanos));
                    prop_assert_eq!(span.nearest_rank(percent as u64), expected);
                }
            }
        }
    }
}

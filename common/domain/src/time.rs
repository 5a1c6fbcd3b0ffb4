//! Timestamps as sources write them. All are read as UTC.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// How far a timestamp may lie after its reading before it is called a future one; clocks differ.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Whether an instant that was written down by a clock of ours lies ahead of another one of ours: then the one was wrong, or the other is.
///
/// ```
/// use evidence_domain::time::{is_ahead, parse};
/// let (now, noted) = (parse("2026-03-22T12:00:00Z").unwrap(), parse("2026-03-22T12:05:00Z").unwrap());
/// assert!(!is_ahead(noted, now));
/// assert!(is_ahead(noted, now - chrono::TimeDelta::seconds(1)));
/// ```
#[must_use]
pub fn is_ahead(instant: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    instant.signed_duration_since(now) > CLOCK_TOLERANCE
}

/// Times of before this year are zero dates of the source's software, such as `0001-01-01T00:00:00Z` and `1970-01-01T00:00:00Z`.
const FIRST_YEAR: i32 = 2000;

/// A timestamp field as the source gave it, not yet read: most are never needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RawTimestamp<'a> {
    /// The field is absent or null.
    #[default]
    Absent,
    /// The field holds this text.
    Text(&'a str),
    /// The field holds something that is not text.
    NotText,
}

/// A timestamp after reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParsedTimestamp {
    /// Nothing was given.
    Absent,
    /// Something was given that is no timestamp, or one of before the year 2000, which stands for none.
    Unreadable,
    /// This instant.
    At(DateTime<Utc>),
}

impl RawTimestamp<'_> {
    /// Reads the timestamp.
    #[must_use]
    pub fn read(self) -> ParsedTimestamp {
        match self {
            Self::Absent => ParsedTimestamp::Absent,
            Self::NotText => ParsedTimestamp::Unreadable,
            Self::Text(text) => match parse(text) {
                Some(instant) if instant.year() >= FIRST_YEAR => ParsedTimestamp::At(instant),
                _ => ParsedTimestamp::Unreadable,
            },
        }
    }

    /// Whether the source carries the field at all.
    #[must_use]
    pub fn is_given(self) -> bool {
        self != Self::Absent
    }
}

/// Reads `2022-03-01T20:05:10Z`, the same with fractions or an offset (`+00:00` or `+0000`), and `2026-01-22 01:07:08 UTC`.
///
/// ```
/// use evidence_domain::time::parse;
/// assert_eq!(parse("2022-03-01T21:05:10+01:00"), parse("2022-03-01T20:05:10Z"));
/// assert_eq!(parse("2022-03-01 20:05:10 UTC"), parse("2022-03-01T20:05:10Z"));
/// assert_eq!(parse("2022-03-01T20:05:10"), None); // no zone: not guessed
/// assert_eq!(parse("yesterday"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Some(instant) = parse_plain(text.as_bytes()) {
        return Some(instant);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.to_utc());
    }
    if let Ok(instant) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z") {
        return Some(instant.to_utc());
    }
    let local = text.strip_suffix(" UTC")?;
    NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S%.f").ok().map(|naive| naive.and_utc())
}

/// The form that nearly every field has, `YYYY-MM-DDTHH:MM:SSZ`, without the general parser: it is read some 300,000 times in a large account.
fn parse_plain(text: &[u8]) -> Option<DateTime<Utc>> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'Z'] = text else {
        return None;
    };
    let two = |high: u8, low: u8| -> Option<u32> {
        (high.is_ascii_digit() && low.is_ascii_digit()).then(|| u32::from(high - b'0') * 10 + u32::from(low - b'0'))
    };
    let year = i32::try_from(two(y1, y2)? * 100 + two(y3, y4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, two(m1, m2)?, two(d1, d2)?)?;
    Some(date.and_hms_opt(two(h1, h2)?, two(i1, i2)?, two(s1, s2)?)?.and_utc())
}

/// Whether `moment` lies so far after its reading that it is no time to trust.
#[must_use]
pub fn is_future(moment: DateTime<Utc>, observed_at: DateTime<Utc>) -> bool {
    moment.signed_duration_since(observed_at) > CLOCK_TOLERANCE
}

/// A period, both ends included: of a signal, of the evidence that is read, of what a token may see.
///
/// ```
/// use evidence_domain::time::{Window, parse};
/// let at = |text| parse(text).unwrap();
/// let window = Window::of_days(365, at("2026-03-22T12:00:00Z"));
/// assert!(window.contains(at("2025-03-22T12:00:00Z")));
/// assert!(!window.contains(at("2025-03-22T11:59:59Z")));
/// assert!(!window.contains(at("2026-03-22T12:00:01Z")));
/// let of_march = Window { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-31T23:59:59Z") };
/// assert_eq!(window.within(of_march), Window { start: of_march.start, end: window.end });
/// assert_eq!(of_march.until(Some(window.end)), window.within(of_march));
/// assert_eq!(Window::ALL.within(of_march).until(None), of_march);
/// assert!(of_march.until(Some(at("2026-02-28T00:00:00Z"))).is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// The first instant that counts.
    pub start: DateTime<Utc>,
    /// The last instant that counts.
    pub end: DateTime<Utc>,
}

impl Window {
    /// All of time.
    pub const ALL: Self = Self { start: DateTime::<Utc>::MIN_UTC, end: DateTime::<Utc>::MAX_UTC };

    /// The `days` × 24 hours up to `as_of`.
    #[must_use]
    pub fn of_days(days: u32, as_of: DateTime<Utc>) -> Self {
        let start = as_of.checked_sub_signed(TimeDelta::days(i64::from(days)));
        Self { start: start.unwrap_or(DateTime::<Utc>::MIN_UTC), end: as_of }
    }

    /// Whether `moment` lies in the window.
    #[must_use]
    pub fn contains(&self, moment: DateTime<Utc>) -> bool {
        (self.start..=self.end).contains(&moment)
    }

    /// Whether no instant lies in it, because it ends before it begins.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start > self.end
    }

    /// What lies in both.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        Self { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// What is not after an instant, if there is one.
    #[must_use]
    pub fn until(self, instant: Option<DateTime<Utc>>) -> Self {
        Self { end: instant.map_or(self.end, |instant| instant.min(self.end)), ..self }
    }
}

/// A window as records of tokens and sessions hold it: its first and its last instant in a list.
///
/// ```
/// use evidence_domain::time::{Window, parse};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Record {
///     #[serde(default, with = "evidence_domain::time::as_list")]
///     window: Option<Window>,
/// }
/// let text = r#"{"window":["2026-03-01T00:00:00Z","2026-03-22T12:00:00Z"]}"#;
/// let record: Record = serde_json::from_str(text).unwrap();
/// assert_eq!(record.window.map(|window| window.end), parse("2026-03-22T12:00:00Z"));
/// assert_eq!(serde_json::to_string(&record).unwrap(), text);
/// assert_eq!(serde_json::from_str::<Record>("{}").unwrap().window, None);
/// ```
pub mod as_list {
    use super::{DateTime, Utc, Window};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the list, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(window: &Option<Window>, to: S) -> Result<S::Ok, S::Error> {
        window.map(|window| [window.start, window.end]).serialize(to)
    }

    /// Reads the list, or null.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Window>, D::Error> {
        let instants = Option::<[DateTime<Utc>; 2]>::deserialize(from)?;
        Ok(instants.map(|[start, end]| Window { start, end }))
    }
}

/// `earlier` to `later` in nanoseconds, exact over the whole range of dates; negative when they are the other way round.
#[must_use]
pub fn nanos_between(earlier: DateTime<Utc>, later: DateTime<Utc>) -> i128 {
    let delta = later.signed_duration_since(earlier);
    i128::from(delta.num_seconds()) * 1_000_000_000 + i128::from(delta.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn impossible_dates_are_unreadable() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00+0000",
            "1999-12-31T23:59:59Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "0000",
            "",
            "2026-13-01T00:00:00Z",
            "1767225600",
        ] {
            assert_eq!(RawTimestamp::Text(text).read(), ParsedTimestamp::Unreadable, "{text}");
        }
        let first = parse("2000-01-01T00:00:00Z").unwrap();
        assert_eq!(RawTimestamp::Text("2000-01-01T01:00:00.0+0100").read(), ParsedTimestamp::At(first));
        assert_eq!(RawTimestamp::NotText.read(), ParsedTimestamp::Unreadable);
        assert_eq!(RawTimestamp::Absent.read(), ParsedTimestamp::Absent);
    }

    #[test]
    fn differences_are_exact_at_the_ends_of_the_calendar() {
        let first = parse("0001-01-01T00:00:00Z").unwrap();
        let last = parse("9999-12-31T23:59:59.999999999Z").unwrap();
        assert_eq!(nanos_between(first, last), 315_537_897_599_999_999_999);
        assert_eq!(nanos_between(last, first), -315_537_897_599_999_999_999);
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_general_parser(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9]Z") {
            prop_assert_eq!(parse(&text), DateTime::parse_from_rfc3339(&text).ok().map(|t| t.to_utc()));
        }
    }
}

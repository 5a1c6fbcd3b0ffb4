use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Serialize, Serializer};

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const YEAR: i64 = 365 * DAY;

/// Seconds since 1970 that are written as the vendor writes them: `2022-03-01T20:05:10Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Timestamp {
    pub(crate) fn text(self) -> String {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// Seconds since 1970 that are written as the SAT API writes them, with an offset: `2026-05-14T10:12:33+00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OffsetTimestamp {
    pub(crate) at: i64,
    pub(crate) hours_east: i32,
}

impl OffsetTimestamp {
    pub(crate) fn utc(at: i64) -> Self {
        Self { at, hours_east: 0 }
    }

    pub(crate) fn text(self) -> String {
        let utc = DateTime::from_timestamp(self.at, 0).unwrap_or_default();
        match FixedOffset::east_opt(self.hours_east * 3600) {
            Some(offset) => utc.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Secs, false),
            None => utc.to_rfc3339_opts(SecondsFormat::Secs, false),
        }
    }
}

impl Serialize for OffsetTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

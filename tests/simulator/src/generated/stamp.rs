use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const YEAR: i64 = 365 * DAY;

/// Seconds since 1970 that are written as the vendor writes them: `2022-03-01T20:05:10Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) i64);

impl Stamp {
    pub(crate) fn text(self) -> String {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

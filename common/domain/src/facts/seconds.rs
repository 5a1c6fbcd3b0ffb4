//! Exact durations.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

/// A duration in nanoseconds. In JSON it is a number of seconds, or, for a part of a second, a text with nine decimals, so that none is lost.
///
/// ```
/// use evidence_domain::facts::Seconds;
/// let text = |nanos| serde_json::to_string(&Seconds(nanos)).unwrap();
/// assert_eq!(text(86_400_000_000_000), "86400");
/// assert_eq!(text(1_500_000_000), r#""1.500000000""#);
/// assert_eq!(serde_json::from_str::<Seconds>(r#""1.500000000""#).unwrap(), Seconds(1_500_000_000));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub i128);

impl Seconds {
    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (i64::try_from(self.0 / NANOS), self.0 % NANOS) {
            (Ok(seconds), 0) => serializer.serialize_i64(seconds),
            _ => {
                let sign = if self.0 < 0 { "-" } else { "" };
                let magnitude = self.0.unsigned_abs();
                let nanos = NANOS.unsigned_abs();
                serializer.serialize_str(&format!("{sign}{}.{:09}", magnitude / nanos, magnitude % nanos))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Whole(i64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Whole(seconds) => Ok(Self(i128::from(seconds) * NANOS)),
            Form::Text(text) => parse(&text).ok_or_else(|| D::Error::custom("not a number of seconds")),
        }
    }
}

fn parse(text: &str) -> Option<Seconds> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.')?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || fraction.len() != 9 {
        return None;
    }
    let nanos = whole.parse::<i128>().ok()?.checked_mul(NANOS)?.checked_add(fraction.parse().ok()?)?;
    Some(Seconds(if negative { -nanos } else { nanos }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_spelling_is_read() {
        for bad in ["\"1\"", "\"1.5\"", "\".500000000\"", "\"+1.500000000\"", "1.5", "null", "\"--1.000000000\""] {
            assert!(serde_json::from_str::<Seconds>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn none_is_lost(nanos in prop_oneof![any::<i64>().prop_map(i128::from), -(1_i128 << 100)..1 << 100, (-9_i128..9).prop_map(|s| s * NANOS)]) {
            let text = serde_json::to_string(&Seconds(nanos)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Seconds>(&text).unwrap(), Seconds(nanos));
        }
    }
}

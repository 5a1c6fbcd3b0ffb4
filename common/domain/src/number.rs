//! Exact numbers, rounded once when they are shown.

use std::cmp::Ordering;
use std::fmt;

/// A fraction that is kept exact until it is shown. The denominator is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

/// Nanoseconds in an hour.
const NANOS_PER_HOUR: i128 = 3_600_000_000_000;

impl Ratio {
    /// `numerator / denominator`; `None` when there is nothing to divide by.
    #[must_use]
    pub fn new(numerator: impl Into<i128>, denominator: impl Into<i128>) -> Option<Self> {
        let (numerator, denominator) = (numerator.into(), denominator.into());
        (denominator > 0).then_some(Self { numerator, denominator })
    }

    /// `part` of `whole` in percent.
    ///
    /// ```
    /// use evidence_domain::number::Ratio;
    /// assert_eq!(Ratio::percent(85, 87).unwrap().rounded(1).to_string(), "97.7");
    /// assert_eq!(Ratio::percent(5, 5).unwrap().rounded(1).to_string(), "100.0");
    /// assert_eq!(Ratio::percent(0, 0), None);
    /// ```
    #[must_use]
    pub fn percent(part: u64, whole: u64) -> Option<Self> {
        Self::new(i128::from(part) * 100, i128::from(whole))
    }

    /// The mean of `count` durations that add up to `nanos`, in hours.
    #[must_use]
    pub fn mean_hours(nanos: i128, count: u64) -> Option<Self> {
        Self::new(nanos, i128::from(count) * NANOS_PER_HOUR)
    }

    /// The numerator as it was given, not reduced.
    #[must_use]
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator as it was given, not reduced; above zero.
    #[must_use]
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// Compares the exact value with `units` of the last of `decimals` places.
    #[must_use]
    pub fn compare(self, units: i128, decimals: u32) -> Ordering {
        let value = self.numerator.saturating_mul(10_i128.saturating_pow(decimals));
        value.cmp(&units.saturating_mul(self.denominator))
    }

    /// Whether the exact value is greater than another.
    ///
    /// ```
    /// use evidence_domain::number::Ratio;
    /// assert!(Ratio::percent(2, 3).unwrap().exceeds(Ratio::percent(3, 5).unwrap()));
    /// assert!(!Ratio::percent(1, 2).unwrap().exceeds(Ratio::percent(2, 4).unwrap()));
    /// ```
    #[must_use]
    pub fn exceeds(self, other: Self) -> bool {
        self.numerator.saturating_mul(other.denominator) > other.numerator.saturating_mul(self.denominator)
    }

    /// Rounds to `decimals` places, half away from zero.
    ///
    /// ```
    /// use evidence_domain::number::Ratio;
    /// assert_eq!(Ratio::new(1_i64, 8_i64).unwrap().rounded(2).to_string(), "0.13");
    /// assert_eq!(Ratio::new(-1_i64, 8_i64).unwrap().rounded(2).to_string(), "-0.13");
    /// assert_eq!(Ratio::new(15_i64, 2_i64).unwrap().rounded(2).to_string(), "7.50");
    /// ```
    #[must_use]
    pub fn rounded(self, decimals: u32) -> Decimal {
        let scaled = self.numerator.saturating_mul(10_i128.pow(decimals));
        Decimal { units: round_half_away(scaled, self.denominator), decimals }
    }

    /// Whether the exact value is at most `limit`.
    #[must_use]
    pub fn at_most(self, limit: i128) -> bool {
        self.numerator <= limit.saturating_mul(self.denominator)
    }

    /// Whether the exact value is at least `limit`.
    #[must_use]
    pub fn at_least(self, limit: i128) -> bool {
        self.numerator >= limit.saturating_mul(self.denominator)
    }
}

/// A duration in tenths of an hour, rounded half away from zero.
///
/// Rounding keeps the order of values, so the rounded value at a rank is the value at that rank of the rounded ones.
#[must_use]
pub fn tenths_of_an_hour(nanos: i128) -> i128 {
    round_half_away(nanos.saturating_mul(10), NANOS_PER_HOUR)
}

/// `numerator / denominator` to the nearest integer, halves away from zero. The denominator is positive.
fn round_half_away(numerator: i128, denominator: i128) -> i128 {
    let magnitude = (numerator.unsigned_abs() * 2 + denominator.unsigned_abs()) / (denominator.unsigned_abs() * 2);
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    if numerator < 0 { -magnitude } else { magnitude }
}

/// A rounded number, shown with all its decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    decimals: u32,
}

impl Decimal {
    /// `units` of the last decimal place.
    #[must_use]
    pub fn from_units(units: i128, decimals: u32) -> Self {
        Self { units, decimals }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = 10_u128.pow(self.decimals);
        let magnitude = self.units.unsigned_abs();
        if self.units < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", magnitude / scale)?;
        if self.decimals > 0 {
            write!(f, ".{:0width$}", magnitude % scale, width = self.decimals as usize)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_go_away_from_zero() {
        let shown = |n: i128, d: i128, p| Ratio::new(n, d).unwrap().rounded(p).to_string();
        assert_eq!(shown(1, 20, 1), "0.1");
        assert_eq!(shown(-1, 20, 1), "-0.1");
        assert_eq!(shown(1, 21, 1), "0.0");
        assert_eq!(shown(-1, 21, 1), "0.0");
        assert_eq!(shown(999, 10, 0), "100");
        assert_eq!(tenths_of_an_hour(180_000_000_000), 1); // 3 minutes are half a tenth
        assert_eq!(tenths_of_an_hour(179_999_999_999), 0);
    }

    #[test]
    fn thresholds_compare_the_exact_value() {
        let just_below = Ratio::percent(899_999, 1_000_000).unwrap();
        assert_eq!(just_below.rounded(1).to_string(), "90.0");
        assert!(!just_below.at_least(90));
        assert!(Ratio::percent(9, 10).unwrap().at_least(90));
        assert!(Ratio::percent(1, 20).unwrap().at_most(5));
        assert!(!Ratio::percent(50_001, 1_000_000).unwrap().at_most(5));
    }

    proptest! {
        #[test]
        fn a_part_never_exceeds_its_whole(whole in 1_u64.., share in 0_u64..=100) {
            let part = (u128::from(whole) * u128::from(share) / 100) as u64;
            let ratio = Ratio::percent(part, whole).unwrap();
            prop_assert!(ratio.at_most(100) && ratio.at_least(0));
        }

        #[test]
        fn rounding_keeps_order(a in -1_000_000_000_000_000_i128..1_000_000_000_000_000, b in -1_000_000_000_000_000_i128..1_000_000_000_000_000) {
            let (low, high) = if a <= b { (a, b) } else { (b, a) };
            prop_assert!(tenths_of_an_hour(low) <= tenths_of_an_hour(high));
        }
    }
}

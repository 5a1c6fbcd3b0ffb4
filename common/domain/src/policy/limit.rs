//! A limit on a value, compared exactly.

use crate::number::Ratio;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A decimal as somebody wrote it: up to nine digits, and up to six behind a point. Its text is kept, so that a policy is hashed as it was written.
///
/// ```
/// use evidence_domain::policy::DecimalText;
/// assert_eq!(DecimalText::parse("99.5").unwrap().to_string(), "99.5");
/// for bad in ["", "95%", "-1", "+1", "1e3", ".5", "5.", "1,5", "0x10", "05", "1234567890", "0.1234567", "NaN"] {
///     assert!(DecimalText::parse(bad).is_err(), "{bad}");
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecimalText {
    text: String,
    units: i128,
    decimals: u32,
}

/// A text that is no decimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no decimal: write it as text, like \"95\" or \"99.5\", with at most 9 digits before the point and 6 behind"
)]
pub struct NoDecimal(pub String);

impl DecimalText {
    /// Reads a decimal.
    ///
    /// # Errors
    /// [`NoDecimal`] for anything else, a sign or an exponent too.
    pub fn parse(text: impl Into<String>) -> Result<Self, NoDecimal> {
        let text = text.into();
        let digits = |part: &str, most: usize| {
            !part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole, 9) || leading_zero || fraction.is_some_and(|fraction| !digits(fraction, 6)) {
            return Err(NoDecimal(text));
        }
        let fraction = fraction.unwrap_or_default();
        let decimals = u32::try_from(fraction.len()).unwrap_or(0);
        let Ok(units) = format!("{whole}{fraction}").parse() else { return Err(NoDecimal(text)) };
        Ok(Self { text, units, decimals })
    }

    /// Compares an exact value with this one.
    #[must_use]
    pub fn compare(&self, value: Ratio) -> Ordering {
        value.compare(self.units, self.decimals)
    }

    /// The number, exactly.
    #[must_use]
    pub fn ratio(&self) -> Option<Ratio> {
        Ratio::new(self.units, 10_i128.pow(self.decimals))
    }

    /// Compares two limits by their numbers: `95` and `95.0` are equal.
    #[must_use]
    pub fn compare_with(&self, other: &Self) -> Ordering {
        let scaled = |it: &Self| it.units * 10_i128.pow(6_u32.saturating_sub(it.decimals));
        scaled(self).cmp(&scaled(other))
    }
}

impl fmt::Display for DecimalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for DecimalText {
    type Error = NoDecimal;
    fn try_from(text: String) -> Result<Self, NoDecimal> {
        Self::parse(text)
    }
}

impl From<DecimalText> for String {
    fn from(decimal: DecimalText) -> String {
        decimal.text
    }
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// This or more.
    AtLeast(DecimalText),
    /// This or less.
    AtMost(DecimalText),
}

impl Limit {
    /// Whether the exact value keeps the limit. What is shown as `90.0` may be a hair below 90, and then it does not.
    ///
    /// ```
    /// use evidence_domain::{number::Ratio, policy::{DecimalText, Limit}};
    /// let limit = Limit::AtLeast(DecimalText::parse("90").unwrap());
    /// assert!(limit.holds(Ratio::percent(9, 10).unwrap()));
    /// assert!(!limit.holds(Ratio::percent(899_999, 1_000_000).unwrap()));
    /// ```
    #[must_use]
    pub fn holds(&self, value: Ratio) -> bool {
        match self {
            Self::AtLeast(limit) => limit.compare(value).is_ge(),
            Self::AtMost(limit) => limit.compare(value).is_le(),
        }
    }

    /// The number.
    #[must_use]
    pub fn decimal(&self) -> &DecimalText {
        match self {
            Self::AtLeast(limit) | Self::AtMost(limit) => limit,
        }
    }

    /// Whether more is better.
    #[must_use]
    pub fn is_at_least(&self) -> bool {
        matches!(self, Self::AtLeast(_))
    }

    /// Whether some value that keeps `other` breaks this one.
    #[must_use]
    pub fn is_stricter_than(&self, other: &Self) -> bool {
        let order = self.decimal().compare_with(other.decimal());
        if self.is_at_least() { order.is_gt() } else { order.is_lt() }
    }

    /// The same limit at another number.
    #[must_use]
    pub fn at(&self, decimal: DecimalText) -> Self {
        match self {
            Self::AtLeast(_) => Self::AtLeast(decimal),
            Self::AtMost(_) => Self::AtMost(decimal),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(limit) => write!(f, "at least {limit}"),
            Self::AtMost(limit) => write!(f, "at most {limit}"),
        }
    }
}

/// The two limits of a rule: what passes, and what only warns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    /// Values that keep it pass.
    pub pass: Limit,
    /// Values that keep only this one warn; all others fail. Without it there is no warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Limit>,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pass {}", self.pass)?;
        match &self.warning {
            Some(warning) => write!(f, ", warning {warning}"),
            None => Ok(()),
        }
    }
}

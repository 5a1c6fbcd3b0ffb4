//! A value as rules see it: exact, and with what it might be if the unknown were known.

use crate::evidence::Reason;
use crate::number::Ratio;
use std::collections::BTreeMap;

/// A value, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// This value, exactly.
    At(Ratio),
    /// There is none.
    Null(Reason),
    /// Nobody knows how far it might go.
    Open,
}

/// Why a value is not certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Agents of unknown state, learners with an unknown status word, times that cannot be read.
    UnknownValues,
    /// A list was read only up to its cap.
    Truncated,
}

/// A metric of one bundle: the exact value that is shown, and the least and greatest value that the source allows.
///
/// Of 87 agents 83 are online and 2 unknown: the share is 83/87, at the least too, and 85/87 at the most.
///
/// ```
/// use evidence_domain::{number::Ratio, policy::{Measure, Reading}};
/// let share = |online| Ratio::percent(online, 87).unwrap();
/// let measure = Measure::exact(share(83)).between(Reading::At(share(83)), Reading::At(share(85)));
/// assert!(!measure.is_certain());
/// assert!(Measure::count(4).is_certain());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// What is shown. It may lie above `greatest` only where learners who left lift it.
    pub value: Reading,
    /// The least that it may be.
    pub least: Reading,
    /// The most that it may be.
    pub greatest: Reading,
    /// Why these lie apart.
    pub doubt: Doubt,
}

impl Measure {
    /// A value without doubt.
    #[must_use]
    pub fn exact(value: Ratio) -> Self {
        Self::certain(Reading::At(value))
    }

    /// A count without doubt.
    #[must_use]
    pub fn count(value: u64) -> Self {
        // A denominator of 1 is above zero.
        Self::of(Ratio::new(value, 1).ok_or(Reason::NothingToMeasure))
    }

    /// No value, without doubt.
    #[must_use]
    pub fn null(reason: Reason) -> Self {
        Self::certain(Reading::Null(reason))
    }

    /// A value, or why there is none.
    #[must_use]
    pub fn of(value: Result<Ratio, Reason>) -> Self {
        value.map_or_else(Self::null, Self::exact)
    }

    fn certain(value: Reading) -> Self {
        Self { value, least: value, greatest: value, doubt: Doubt::UnknownValues }
    }

    /// The same value, of which something is unknown.
    #[must_use]
    pub fn between(self, least: Reading, greatest: Reading) -> Self {
        Self { least, greatest, ..self }
    }

    /// The same value, made of a list that was cut at its cap.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { doubt: Doubt::Truncated, ..self }
    }

    /// Whether nothing about it is unknown.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.doubt == Doubt::UnknownValues && self.least == self.value && self.greatest == self.value
    }

    /// The exact value, if there is one.
    #[must_use]
    pub fn ratio(&self) -> Option<Ratio> {
        match self.value {
            Reading::At(ratio) => Some(ratio),
            Reading::Null(_) | Reading::Open => None,
        }
    }
}

/// The measures of one bundle by metric key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures(BTreeMap<String, Measure>);

impl Measures {
    /// Adds a measure; one of the same key is replaced.
    pub fn insert(&mut self, key: impl Into<String>, measure: Measure) {
        self.0.insert(key.into(), measure);
    }

    /// A measure by metric key. What the bundle does not have is null.
    #[must_use]
    pub fn get(&self, key: &str) -> Measure {
        self.0.get(key).copied().unwrap_or_else(|| Measure::null(Reason::NotProvidedBySource))
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Measure)> {
        self.0.iter().map(|(key, measure)| (key.as_str(), measure))
    }
}

impl<K: Into<String>> FromIterator<(K, Measure)> for Measures {
    fn from_iter<T: IntoIterator<Item = (K, Measure)>>(measures: T) -> Self {
        Self(measures.into_iter().map(|(key, measure)| (key.into(), measure)).collect())
    }
}

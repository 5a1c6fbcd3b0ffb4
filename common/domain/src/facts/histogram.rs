//! How many records have which age.

use super::numbers::{InvalidNumbers, Reader, Writer};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Counts by a whole number, at 4 bytes for each number that occurs, or at 8 once a number or a count is beyond 65,535.
///
/// In JSON it is a text of [numbers](super::numbers). For each number that occurs, in ascending order, stands twice its distance from the one
/// before (for the first: the number itself; for others the distance less 1), and 1 more if it occurs several times; then how often
/// follows, less 2.
///
/// ```
/// use evidence_domain::facts::Histogram;
/// let ages: Histogram = [3, 3, 3, 4, 24].into_iter().collect();
/// assert_eq!(serde_json::to_string(&ages).unwrap(), r#""HBAmB""#); // 2·3 + 1, then 3 − 2; 2·0; 2·19
/// assert_eq!(ages.up_to(4), 4);
/// assert_eq!(ages.total(), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    cells: Cells,
}

/// Numbers, ascending, and how often each occurs, which is not 0. Wide only where they have to be, so that equal ones are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cells {
    Narrow(Vec<(u16, u16)>),
    Wide(Vec<(u32, u32)>),
}

impl Default for Histogram {
    fn default() -> Self {
        Self { cells: Cells::Narrow(Vec::new()) }
    }
}

/// What became of counting a number.
#[derive(PartialEq, Eq)]
enum Counted {
    Yes,
    /// The sum is beyond what the cell holds.
    TooMany,
}

/// Counts `count` of a number in cells of one width.
fn add_to<T>(cells: &mut Vec<(T, T)>, number: T, count: T, sum: impl Fn(T, T) -> Option<T>) -> Counted
where
    T: Copy + Ord,
{
    match cells.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(found) => {
            let Some((_, mine)) = cells.get_mut(found) else { return Counted::Yes };
            match sum(*mine, count) {
                Some(sum) => *mine = sum,
                None => return Counted::TooMany,
            }
        }
        Err(place) => {
            // In small steps: there is one of these for every organization.
            if cells.len() == cells.capacity() {
                cells.reserve_exact(4 + cells.len() / 4);
            }
            cells.insert(place, (number, count));
        }
    }
    Counted::Yes
}

impl Histogram {
    /// Of cells in ascending order.
    fn of(cells: Vec<(u32, u32)>) -> Self {
        let narrow = |(number, count): &(u32, u32)| Some((u16::try_from(*number).ok()?, u16::try_from(*count).ok()?));
        let narrowed: Option<Vec<_>> = cells.iter().map(narrow).collect();
        Self { cells: narrowed.map_or(Cells::Wide(cells), Cells::Narrow) }
    }

    /// Counts one.
    pub fn add(&mut self, number: u32) {
        self.add_many(number, 1);
    }

    /// Counts `count` of the same number.
    pub fn add_many(&mut self, number: u32, count: u32) {
        if count == 0 {
            return;
        }
        if let Cells::Narrow(cells) = &mut self.cells
            && let (Ok(number), Ok(count)) = (u16::try_from(number), u16::try_from(count))
            && add_to(cells, number, count, u16::checked_add) == Counted::Yes
        {
            return;
        }
        if let Cells::Narrow(_) = self.cells {
            self.cells = Cells::Wide(self.iter().collect());
        }
        if let Cells::Wide(cells) = &mut self.cells {
            add_to(cells, number, count, |mine, count| Some(mine.saturating_add(count)));
        }
    }

    /// Adds the counts of another one.
    pub fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            self.cells.clone_from(&other.cells);
            return;
        }
        // A few numbers are found one by one sooner than by going through all of these.
        if other.iter().len() <= 4.max(self.iter().len() / 8) {
            other.iter().for_each(|(number, count)| self.add_many(number, count));
            return;
        }
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.iter().len() + other.iter().len());
        let (mut mine, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let next = match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.0 > b.0 => theirs.next(),
                (Some(_), _) => mine.next(),
                (None, _) => theirs.next(),
            };
            let Some((number, count)) = next else { break };
            match merged.last_mut() {
                Some((last, sum)) if *last == number => *sum = sum.saturating_add(count),
                _ => merged.push((number, count)),
            }
        }
        drop((mine, theirs));
        *self = Self::of(merged);
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| u64::from(count)).sum()
    }

    /// How many are at most `limit`.
    #[must_use]
    pub fn up_to(&self, limit: u32) -> u64 {
        self.iter().take_while(|(number, _)| *number <= limit).map(|(_, count)| u64::from(count)).sum()
    }

    /// How many lie in `from..=to`.
    #[must_use]
    pub fn between(&self, from: u32, to: u32) -> u64 {
        let inside = self.iter().filter(|(number, _)| (from..=to).contains(number));
        inside.map(|(_, count)| u64::from(count)).sum()
    }

    /// The smallest number that occurs.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.iter().next().map(|(number, _)| number)
    }

    /// Numbers and how often each occurs, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        let count = match &self.cells {
            Cells::Narrow(cells) => cells.len(),
            Cells::Wide(cells) => cells.len(),
        };
        (0..count).map(|place| self.at(place))
    }

    fn at(&self, place: usize) -> (u32, u32) {
        match &self.cells {
            Cells::Narrow(cells) => cells.get(place).map(|(number, count)| (u32::from(*number), u32::from(*count))),
            Cells::Wide(cells) => cells.get(place).copied(),
        }
        .unwrap_or_default()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().len() == 0
    }

    fn to_text(&self) -> String {
        let mut text = Writer::default();
        let mut next = 0_u128;
        for (number, count) in self.iter() {
            let number = u128::from(number);
            text.push((number - next) << 1 | u128::from(count > 1));
            if count > 1 {
                text.push(u128::from(count) - 2);
            }
            next = number + 1;
        }
        text.finish()
    }

    fn from_text(text: &str) -> Result<Self, InvalidNumbers> {
        let mut reader = Reader::new(text);
        let (mut cells, mut next) = (Vec::new(), 0_u64);
        while !reader.is_empty() {
            let step: u64 = reader.take_as()?;
            let number = u32::try_from(next + (step >> 1)).map_err(|_| InvalidNumbers)?;
            let count =
                if step & 1 == 0 { 1 } else { reader.take_as::<u32>()?.checked_add(2).ok_or(InvalidNumbers)? };
            cells.push((number, count));
            next = u64::from(number) + 1;
        }
        Ok(Self::of(cells))
    }
}

impl FromIterator<u32> for Histogram {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut histogram = Self::default();
        numbers.into_iter().for_each(|number| histogram.add(number));
        histogram
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_text())
        } else {
            serializer.collect_seq(self.iter())
        }
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Self::from_text(&Cow::<'de, str>::deserialize(deserializer)?).map_err(D::Error::custom)
        } else {
            Ok(Self::of(Vec::deserialize(deserializer)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn counted(numbers: &[u32]) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        numbers.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
        counts
    }

    /// Around the widths of cells.
    fn near() -> impl Strategy<Value = u32> {
        prop_oneof![0_u32..4, 32_766_u32..32_769, 65_534_u32..65_538]
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        // Beyond 32 bits, a count without its rest, a count beyond 32 bits, another alphabet.
        for bad in ["ggggggI", "H", "H////////B", "?"] {
            assert!(serde_json::from_str::<Histogram>(&format!("\"{bad}\"")).is_err(), "{bad}");
        }
        assert_eq!(serde_json::from_str::<Histogram>("\"\"").unwrap(), Histogram::default());
    }

    proptest! {
        #[test]
        fn counts_as_a_map_does(a in proptest::collection::vec(0_u32..40, 0..60), b in proptest::collection::vec(prop_oneof![0_u32..40, Just(u32::MAX)], 0..60)) {
            let mut histogram: Histogram = a.iter().copied().collect();
            histogram.merge(&b.iter().copied().collect());
            let all = [a, b].concat();
            prop_assert_eq!(histogram.iter().collect::<BTreeMap<_, _>>(), counted(&all));
            prop_assert_eq!(histogram.up_to(17), all.iter().filter(|number| **number <= 17).count() as u64);
            prop_assert_eq!(histogram.between(3, 17), all.iter().filter(|number| (3..=17).contains(*number)).count() as u64);
            prop_assert_eq!(histogram.first(), all.iter().min().copied());
            let text = serde_json::to_string(&histogram).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram.clone());
            let bytes = postcard::to_allocvec(&histogram).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Histogram>(&bytes).unwrap(), histogram);
        }

        #[test]
        fn wide_numbers_and_counts_are_kept_and_equal_ones_are_the_same(
            a in proptest::collection::vec((near(), near()), 0..12),
            b in proptest::collection::vec((near(), near()), 0..12),
        ) {
            let of = |cells: &[(u32, u32)]| {
                let mut histogram = Histogram::default();
                cells.iter().for_each(|(number, count)| histogram.add_many(*number, *count));
                histogram
            };
            let mut counts = BTreeMap::new();
            for (number, count) in a.iter().chain(&b).filter(|(_, count)| *count > 0) {
                *counts.entry(*number).or_insert(0) += *count;
            }
            let at_once = of(&[a.as_slice(), &b].concat());
            let (mut merged, mut other) = (of(&a), of(&b));
            merged.merge(&other);
            other.merge(&of(&a));
            prop_assert_eq!(at_once.iter().collect::<BTreeMap<_, _>>(), counts);
            prop_assert_eq!(&merged, &at_once);
            prop_assert_eq!(&other, &at_once);
            let bytes = postcard::to_allocvec(&at_once).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Histogram>(&bytes).unwrap(), at_once);
        }
    }
}

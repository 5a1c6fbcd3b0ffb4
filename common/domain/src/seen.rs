//! The ids of one list that were already counted.

use super::id::RecordKey;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A set of record ids at one to two bytes each, for lists that arrive in order.
///
/// Lists are read sorted by id, so nearly every number is larger than the last one. Those are appended, and kept in blocks of the differences between
/// neighbours. What comes out of order is collected apart and merged when it has grown to an eighth of the rest, so that any order stays correct and no order
/// is slow.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SeenIds {
    sorted: Ascending,
    unsorted: HashSet<u64>,
    texts: HashSet<u128>,
}

/// Below this many, out-of-order ids are not worth a merge.
const MERGE_FLOOR: usize = 4096;

impl SeenIds {
    /// Remembers the id; false if it was there before.
    pub fn insert(&mut self, key: RecordKey) -> bool {
        let number = match key {
            RecordKey::Number(number) => number,
            RecordKey::Text(text) => return self.texts.insert(text),
        };
        if self.sorted.last.is_none_or(|last| last < number) {
            if self.unsorted.contains(&number) {
                return false;
            }
            self.sorted.push(number);
            return true;
        }
        if self.sorted.contains(number) || !self.unsorted.insert(number) {
            return false;
        }
        if self.unsorted.len() > MERGE_FLOOR.max(self.sorted.count / 8) {
            let mut all: Vec<u64> = self.sorted.iter().chain(self.unsorted.drain()).collect();
            all.sort_unstable();
            self.sorted = Ascending::default();
            all.into_iter().for_each(|number| self.sorted.push(number));
            self.unsorted.shrink_to(MERGE_FLOOR);
        }
        true
    }

    /// How many different ids were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.count + self.unsorted.len() + self.texts.len()
    }

    /// Whether no id was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Numbers of a block that is searched as a whole.
const BLOCK: usize = 1024;

/// Ascending numbers: blocks of differences, and the newest numbers as they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Ascending {
    blocks: Vec<Block>,
    open: Vec<u64>,
    last: Option<u64>,
    count: usize,
}

/// The first number of a block, and the differences between the others: seven bits a byte, the lowest first, all but the last of a number with the top bit.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Block {
    first: u64,
    differences: Box<[u8]>,
}

impl Ascending {
    /// Appends a number that is larger than all before it.
    fn push(&mut self, number: u64) {
        if self.open.len() == BLOCK {
            let full = std::mem::take(&mut self.open);
            self.blocks.extend(Block::of(&full));
            self.open = full;
            self.open.clear();
        }
        self.open.push(number);
        self.last = Some(number);
        self.count += 1;
    }

    fn contains(&self, number: u64) -> bool {
        if self.open.first().is_some_and(|first| *first <= number) {
            return self.open.binary_search(&number).is_ok();
        }
        let after = self.blocks.partition_point(|block| block.first <= number);
        let block = after.checked_sub(1).and_then(|index| self.blocks.get(index));
        block.is_some_and(|block| block.iter().any(|it| it == number))
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().flat_map(Block::iter).chain(self.open.iter().copied())
    }
}

impl Block {
    fn of(numbers: &[u64]) -> Option<Self> {
        let (first, rest) = numbers.split_first()?;
        let mut differences = Vec::with_capacity(2 * rest.len());
        let mut last = *first;
        for number in rest {
            let mut difference = number - last;
            while difference >= 0x80 {
                differences.push(low_bits(difference) | 0x80);
                difference >>= 7;
            }
            differences.push(low_bits(difference));
            last = *number;
        }
        Some(Self { first: *first, differences: differences.into_boxed_slice() })
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        let (mut last, mut difference, mut shift) = (self.first, 0_u64, 0_u32);
        let rest = self.differences.iter().filter_map(move |byte| {
            difference |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 != 0 {
                return None;
            }
            last += difference;
            (difference, shift) = (0, 0);
            Some(last)
        });
        std::iter::once(self.first).chain(rest)
    }
}

fn low_bits(number: u64) -> u8 {
    let [lowest, ..] = number.to_le_bytes();
    lowest & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn answers_as_a_plain_set_does(numbers in proptest::collection::vec(0_u64..40, 0..200)) {
            let (mut seen, mut plain) = (SeenIds::default(), HashSet::new());
            for number in numbers {
                prop_assert_eq!(seen.insert(RecordKey::Number(number)), plain.insert(number));
            }
            prop_assert_eq!(seen.len(), plain.len());
        }
    }

    proptest! {
        #[test]
        fn blocks_give_back_what_was_put_in(differences in proptest::collection::vec(prop_oneof![1_u64..3, 1_u64..1 << 40], 1..3_000), start in 0_u64..1 << 50) {
            let numbers: Vec<u64> = differences
                .iter()
                .scan(start, |last, difference| {
                    *last += difference;
                    Some(*last)
                })
                .collect();
            let mut ascending = Ascending::default();
            numbers.iter().for_each(|number| ascending.push(*number));
            prop_assert_eq!(ascending.iter().collect::<Vec<_>>(), numbers.clone());
            for number in &numbers {
                prop_assert!(ascending.contains(*number));
                prop_assert_eq!(ascending.contains(number + 1), numbers.binary_search(&(number + 1)).is_ok());
            }
            prop_assert!(!ascending.contains(start));
        }
    }

    #[test]
    fn numbers_at_both_ends_are_kept() {
        let mut seen = SeenIds::default();
        let numbers: Vec<u64> = std::iter::once(0).chain(1..1_500).chain([u64::MAX - 1, u64::MAX]).collect();
        assert!(numbers.iter().all(|number| seen.insert(RecordKey::Number(*number))));
        assert!(numbers.iter().all(|number| !seen.insert(RecordKey::Number(*number))));
    }

    #[test]
    fn a_list_in_order_costs_little() {
        let mut seen = SeenIds::default();
        (0..100_000).for_each(|number| assert!(seen.insert(RecordKey::Number(4_000_000 + 3 * number))));
        let bytes: usize = seen.sorted.blocks.iter().map(|block| block.differences.len()).sum();
        assert!(bytes <= 100_000, "{bytes}");
    }

    #[test]
    fn descending_order_is_merged_and_stays_correct() {
        let mut seen = SeenIds::default();
        for number in (0..20_000).rev() {
            assert!(seen.insert(RecordKey::Number(number)));
        }
        assert!(seen.unsorted.len() <= MERGE_FLOOR);
        for number in 0..20_000 {
            assert!(!seen.insert(RecordKey::Number(number)));
        }
        assert_eq!(seen.len(), 20_000);
    }

    #[test]
    fn an_id_seen_out_of_order_is_known_when_order_returns() {
        let mut seen = SeenIds::default();
        for number in [10, 5, 7, 11] {
            assert!(seen.insert(RecordKey::Number(number)));
        }
        for number in [5, 7, 10, 11] {
            assert!(!seen.insert(RecordKey::Number(number)));
        }
    }
}

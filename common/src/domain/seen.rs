//! The ids of one list that were already counted.

use super::id::RecordKey;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A set of record ids at 8 bytes each, for lists that arrive in order.
///
/// Lists are read sorted by id, so nearly every number is larger than the last one and is appended. What comes out of order
/// is collected apart and merged when it has grown to an eighth of the rest, so that any order stays correct and no order is slow.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SeenIds {
    sorted: Vec<u64>,
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
        if self.sorted.last().is_none_or(|last| *last < number) {
            if self.unsorted.contains(&number) {
                return false;
            }
            self.sorted.push(number);
            return true;
        }
        if self.sorted.binary_search(&number).is_ok() || !self.unsorted.insert(number) {
            return false;
        }
        if self.unsorted.len() > MERGE_FLOOR.max(self.sorted.len() / 8) {
            self.sorted.extend(self.unsorted.drain());
            self.sorted.sort_unstable();
            self.unsorted.shrink_to(MERGE_FLOOR);
        }
        true
    }

    /// How many different ids were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len() + self.unsorted.len() + self.texts.len()
    }

    /// Whether no id was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
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

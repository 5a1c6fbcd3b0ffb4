//! Ids that look like hashes and can be read back by us: a prefix and 42 bits that are a permutation of the index.

use crate::generated::{Draw, Stream};

const BITS: u32 = 42;
const MASK: u64 = (1 << BITS) - 1;
const MULTIPLIER: u64 = 0x2c1_b3c6_d4e5_f12d & MASK;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Clone, Copy)]
pub(crate) struct OpaqueIds {
    prefix: char,
}

impl OpaqueIds {
    pub(crate) const ACCOUNT: Self = Self { prefix: 'p' };
    pub(crate) const ASSIGNMENT: Self = Self { prefix: 'a' };
    pub(crate) const LEARNER: Self = Self { prefix: 'L' };
    pub(crate) const ACTIVITY: Self = Self { prefix: 'v' };
    pub(crate) const CAMPAIGN: Self = Self { prefix: 'c' };

    /// Of an index below 2⁴², 8 characters.
    pub(crate) fn id(self, seed: u64, index: u64) -> String {
        let mut value = (index ^ self.mask(seed)) & MASK;
        value = value.wrapping_mul(MULTIPLIER) & MASK;
        value ^= value >> (BITS / 2);
        value = value.wrapping_mul(MULTIPLIER) & MASK;
        let character = |place: u32| {
            let at = usize::try_from(value >> (6 * place) & 63).unwrap_or(0);
            char::from(ALPHABET.get(at).copied().unwrap_or(b'A'))
        };
        std::iter::once(self.prefix).chain((0..BITS / 6).map(character)).collect()
    }

    pub(crate) fn index_of(self, seed: u64, id: &str) -> Option<u64> {
        let text = id.strip_prefix(self.prefix)?;
        if text.len() != 7 {
            return None;
        }
        let mut value = 0;
        for (place, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|it| *it == byte)? as u64;
            value |= digit << (6 * place);
        }
        value = value.wrapping_mul(inverse(MULTIPLIER)) & MASK;
        value ^= value >> (BITS / 2);
        value = value.wrapping_mul(inverse(MULTIPLIER)) & MASK;
        Some((value ^ self.mask(seed)) & MASK)
    }

    fn mask(self, seed: u64) -> u64 {
        Draw::new(seed, Stream::SatId, u64::from(u32::from(self.prefix))).next()
    }
}

/// Of an odd number, modulo 2⁶⁴ and so modulo any smaller power: Newton's iteration doubles the right bits each time.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_read_back() {
        let mut seen = HashSet::new();
        for ids in [OpaqueIds::LEARNER, OpaqueIds::ASSIGNMENT] {
            for index in (0..3000).chain([1 << 30, 1 << 41, MASK]) {
                let id = ids.id(5, index);
                assert!(id.len() == 8 && id.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)));
                assert_eq!(ids.index_of(5, &id), Some(index));
                assert!(seen.insert(id));
            }
        }
        for foreign in ["", "L", "LAAAAAA", "LAAAAAAAA", "LAAAAAA.", "LAAAAA\u{e9}", "xAAAAAAA"] {
            assert_eq!(OpaqueIds::LEARNER.index_of(5, foreign), None, "{foreign}");
        }
    }
}

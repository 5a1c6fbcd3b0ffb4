//! Agents that were reinstalled: the old record stays, and the new one has the same serial number.

use serde::{Deserialize, Serialize};

/// The serial numbers of the agents of one organization, five bytes each: two of ten thousand different ones fall together with a probability below 10⁻⁴.
///
/// They are kept in pieces of one size, which are never moved: growing all of these side by side would leave holes as large as themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialNumbers(Vec<Vec<[u8; 5]>>);

/// Serial numbers in one piece.
const PIECE: usize = 64;

impl SerialNumbers {
    /// Adds the serial number of an agent, in any letter case, unless it is one that devices share which have none.
    pub fn add(&mut self, serial_number: &str) {
        if is_junk(serial_number) {
            return;
        }
        // FNV-1a: the numbers are only compared with each other, and there is one for each of a large account's agents.
        let letters = serial_number.trim().bytes();
        let hash = letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3)
        });
        let [a, b, c, d, e, ..] = (hash ^ (hash >> 40)).to_le_bytes();
        let number = [a, b, c, d, e];
        match self.0.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(number),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(number);
                self.0.push(piece);
            }
        }
    }

    /// How many agents share their serial number with a newer one, so that all but one of each count; nothing is left.
    pub fn take_repeated(&mut self) -> u64 {
        let mut numbers = std::mem::take(&mut self.0).concat();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        (all - numbers.len()) as u64
    }
}

/// Whether this is what makers put where they have not put a number: a phrase, one character again and again, or a count.
///
/// ```
/// use evidence_domain::edr::serial::is_junk;
/// assert!(is_junk("To be filled by O.E.M.") && is_junk("0000000") && is_junk("123456789") && is_junk(""));
/// assert!(!is_junk("PF3K9ABC") && !is_junk("MXLNOPQR"));
/// ```
#[must_use]
pub fn is_junk(serial_number: &str) -> bool {
    const PHRASES: [&str; 13] = [
        "filled", "default", "serial", "system", "none", "not ", "not_", "unknown", "invalid", "oem", "o.e.m",
        "chassis", "empty",
    ];
    // In one pass: there is one for each of a large account's agents.
    let mut signs = serial_number.bytes().filter(u8::is_ascii_alphanumeric);
    let Some(mut last) = signs.next() else { return true };
    let (mut count, mut digits) = (1, usize::from(last.is_ascii_digit()));
    let (mut one_sign, mut counts_up) = (true, true);
    for sign in signs {
        one_sign &= sign == last;
        counts_up &= sign == if last == b'9' { b'0' } else { last + 1 };
        digits += usize::from(sign.is_ascii_digit());
        (last, count) = (sign, count + 1);
    }
    if one_sign || count < 4 {
        return true;
    }
    if digits == count {
        return counts_up;
    }
    // Real numbers have digits, phrases have none.
    digits == 0 && {
        let lower = serial_number.to_lowercase();
        PHRASES.iter().any(|phrase| lower.contains(phrase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(serial_numbers: &[&str]) -> u64 {
        let mut seen = SerialNumbers::default();
        serial_numbers.iter().for_each(|number| seen.add(number));
        seen.take_repeated()
    }

    #[test]
    fn all_but_the_newest_count() {
        assert_eq!(repeated(&["PF3K9ABC", "pf3k9abc ", "PF3K9ABD", "PF3K9ABC"]), 2);
        assert_eq!(repeated(&["PF3K9ABC"]), 0);
    }

    #[test]
    fn pieces_count_as_one() {
        let mut seen = SerialNumbers::default();
        let numbers = (0..3 * PIECE).map(|number| format!("PF{number:06}"));
        numbers.clone().for_each(|number| seen.add(&number));
        let bytes = postcard::to_allocvec(&seen).unwrap();
        let mut seen: SerialNumbers = postcard::from_bytes(&bytes).unwrap();
        numbers.step_by(PIECE / 2).for_each(|number| seen.add(&number));
        assert_eq!(seen.take_repeated(), 6);
        assert_eq!(seen.take_repeated(), 0);
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        for junk in [
            "To be filled by O.E.M.",
            "Default string",
            "System Serial Number",
            "None",
            "Not Specified",
            "Not Applicable",
            "N/A",
            "0",
            "00000000",
            "xxxxxxxx",
            "1234567890",
            "123456789",
            "INVALID",
            "Unknown",
            "OEM",
            "",
            "-",
        ] {
            assert_eq!(repeated(&[junk, junk]), 0, "{junk}");
        }
        assert_eq!(repeated(&["VMware-56 4d 2f", "VMware-56 4d 2f", "C02XG0FDJGH5", "C02XG0FDJGH5"]), 2);
    }
}

//! A sequence of whole numbers as a short text: the Base64 VLQ of source maps (<https://tc39.es/ecma426/>), without its sign bit.
//!
//! Each character of `A-Za-z0-9+/` stands for 6 bits: the lower five belong to the number, least significant first; the sixth says that the
//! number goes on in the next character. So 0 to 31 take one character, up to 1,023 two, up to 32,767 three.

/// The alphabet, by value.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bits of a number in one character.
const BITS: u32 = 5;

/// The bit that says that the number goes on.
const MORE: u8 = 1 << BITS;

/// A text that is no sequence of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence of numbers in Base64 VLQ")]
pub struct InvalidNumbers;

/// Writes numbers.
#[derive(Debug, Default)]
pub struct Writer(String);

impl Writer {
    /// Appends a number.
    ///
    /// ```
    /// use evidence_domain::facts::numbers::Writer;
    /// let mut text = Writer::default();
    /// [0, 31, 32, 1_023].into_iter().for_each(|number| text.push(number));
    /// assert_eq!(text.finish(), "AfgB/f");
    /// ```
    pub fn push(&mut self, mut number: u128) {
        loop {
            let low = (number & 31) as u8;
            number >>= BITS;
            let digit = if number > 0 { low | MORE } else { low };
            // The digit has six bits, so there is a character for it.
            self.0.push(ALPHABET.get(usize::from(digit)).copied().map_or('A', char::from));
            if number == 0 {
                return;
            }
        }
    }

    /// Appends a number with a sign: 0, −1, 1, −2, … as 0, 1, 2, 3, …
    pub fn push_signed(&mut self, number: i128) {
        self.push(((number << 1) ^ (number >> 127)).cast_unsigned());
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

/// Reads numbers.
#[derive(Debug)]
pub struct Reader<'a>(std::slice::Iter<'a, u8>);

impl<'a> Reader<'a> {
    /// Reads `text` from its beginning.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text.as_bytes().iter())
    }

    /// Whether all numbers are read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// The next number.
    ///
    /// # Errors
    /// [`InvalidNumbers`] at the end, in a number that does not end, at a character of another alphabet, and for more than 128 bits.
    pub fn take(&mut self) -> Result<u128, InvalidNumbers> {
        let (mut number, mut shift) = (0_u128, 0);
        loop {
            let digit = self.0.next().and_then(|byte| value_of(*byte)).ok_or(InvalidNumbers)?;
            let low = u128::from(digit & (MORE - 1));
            if shift >= u128::BITS || (low << shift) >> shift != low {
                return Err(InvalidNumbers);
            }
            number |= low << shift;
            shift += BITS;
            if digit & MORE == 0 {
                return Ok(number);
            }
        }
    }

    /// The next number with a sign.
    ///
    /// # Errors
    /// [`InvalidNumbers`] as [`Self::take`].
    pub fn take_signed(&mut self) -> Result<i128, InvalidNumbers> {
        let number = self.take()?;
        let half = (number >> 1).cast_signed();
        Ok(if number & 1 == 1 { !half } else { half })
    }

    /// The next number, in a type that may be too small for it.
    ///
    /// # Errors
    /// [`InvalidNumbers`] as [`Self::take`], and for a number that is too large.
    pub fn take_as<T: TryFrom<u128>>(&mut self) -> Result<T, InvalidNumbers> {
        T::try_from(self.take()?).map_err(|_| InvalidNumbers)
    }
}

fn value_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["g", "-", "A ", "é", &"/".repeat(40), &format!("{}I", "/".repeat(25))] {
            let mut reader = Reader::new(bad);
            let read = std::iter::from_fn(|| (!reader.is_empty()).then(|| reader.take())).take(50);
            assert!(read.collect::<Result<Vec<_>, _>>().is_err(), "{bad}");
        }
        assert_eq!(Reader::new("").take(), Err(InvalidNumbers));
        assert_eq!(Reader::new("gI").take_as::<u8>(), Err(InvalidNumbers));
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec((any::<u128>(), any::<i128>()), 0..20)) {
            let mut writer = Writer::default();
            for (plain, signed) in &numbers {
                writer.push(*plain);
                writer.push_signed(*signed);
            }
            let text = writer.finish();
            let mut reader = Reader::new(&text);
            for (plain, signed) in numbers {
                prop_assert_eq!(reader.take(), Ok(plain));
                prop_assert_eq!(reader.take_signed(), Ok(signed));
            }
            prop_assert!(reader.is_empty());
        }
    }
}

//! The content codings of answers: none, and gzip.

use flate2::{Decompress, FlushDecompress, Status};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Plain,
    /// gzip, of one member or several.
    Gzip,
}

impl Coding {
    /// The coding that an answer says it has.
    ///
    /// # Errors
    /// What is wrong, for any coding that was not asked for: the body is not looked at then, even if it could be read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut coding = Self::Plain;
        for value in headers.get_all(CONTENT_ENCODING) {
            for word in value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|word| !word.is_empty()) {
                coding = match coding {
                    _ if word.eq_ignore_ascii_case("identity") => coding,
                    Self::Plain if word.eq_ignore_ascii_case("gzip") || word.eq_ignore_ascii_case("x-gzip") => {
                        Self::Gzip
                    }
                    _ => return Err("it has a content coding that was not asked for; only gzip is understood"),
                };
            }
        }
        Ok(coding)
    }
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyProblem {
    /// It expands to more than the bound.
    TooLarge,
    /// It is not all there.
    CutOff,
    /// It is no gzip, or its checksum is wrong.
    Damaged,
}

/// Output grows by so much at a time at least.
const STEP: usize = 64 * 1024;

/// The first two bytes of every member.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses gzip piece by piece, member after member.
#[derive(Default)]
pub(super) struct Inflater {
    /// The member that is being read; none before the first byte and between two members.
    member: Option<Decompress>,
    /// Whether a member has ended.
    any: bool,
    /// Whether what follows is padding.
    padding: bool,
    /// The first byte of a member whose second is in the next piece.
    first: Option<u8>,
}

impl Inflater {
    /// Decompresses a piece onto the end of `out`, which may grow to `most` bytes.
    pub(super) fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>, most: usize) -> Result<(), BodyProblem> {
        while !piece.is_empty() {
            let Some(member) = &mut self.member else {
                piece = self.between(piece)?;
                continue;
            };
            if out.len() == out.capacity() {
                // In small steps: three lists are read at a time, and each keeps its buffer from page to page.
                out.reserve_exact(STEP);
            }
            let before = (member.total_in(), member.total_out());
            let status = member.decompress_vec(piece, out, FlushDecompress::None).map_err(|_| BodyProblem::Damaged)?;
            if out.len() > most {
                return Err(BodyProblem::TooLarge);
            }
            let taken = usize::try_from(member.total_in() - before.0).unwrap_or(usize::MAX);
            piece = piece.get(taken..).unwrap_or_default();
            match status {
                Status::StreamEnd => (self.member, self.any) = (None, true),
                Status::Ok => {}
                // It can go on only with more output or more input. Without either it is stuck.
                Status::BufError if taken == 0 && member.total_out() == before.1 && out.len() < out.capacity() => {
                    return Err(BodyProblem::Damaged);
                }
                Status::BufError => {}
            }
        }
        self.drain(out, most)
    }

    /// Writes what a member still holds back for want of room.
    fn drain(&mut self, out: &mut Vec<u8>, most: usize) -> Result<(), BodyProblem> {
        while let Some(member) = &mut self.member {
            if out.len() < out.capacity() {
                return Ok(());
            }
            out.reserve_exact(STEP);
            let status = member.decompress_vec(&[], out, FlushDecompress::None).map_err(|_| BodyProblem::Damaged)?;
            if out.len() > most {
                return Err(BodyProblem::TooLarge);
            }
            if status == Status::StreamEnd {
                (self.member, self.any) = (None, true);
            }
        }
        Ok(())
    }

    /// Begins the next member, or passes over padding: zeros may follow the last one, as gzip itself allows.
    fn between<'p>(&mut self, piece: &'p [u8]) -> Result<&'p [u8], BodyProblem> {
        if self.any && (self.padding || piece.first() == Some(&0)) && self.first.is_none() {
            self.padding = true;
            return if piece.iter().all(|byte| *byte == 0) { Ok(&[]) } else { Err(BodyProblem::Damaged) };
        }
        let (first, rest) = match (self.first.take(), piece.split_first()) {
            (Some(first), _) => (first, piece),
            (None, Some((first, rest))) => (*first, rest),
            (None, None) => return Ok(piece),
        };
        let Some((second, rest)) = rest.split_first() else {
            self.first = Some(first);
            return Ok(rest);
        };
        if [first, *second] != MAGIC {
            return Err(BodyProblem::Damaged);
        }
        let mut member = Decompress::new_gzip(15);
        member.decompress(&MAGIC, &mut [], FlushDecompress::None).map_err(|_| BodyProblem::Damaged)?;
        self.member = Some(member);
        Ok(rest)
    }

    /// Says that the body has ended.
    pub(super) fn finish(self) -> Result<(), BodyProblem> {
        if self.any && self.member.is_none() && self.first.is_none() { Ok(()) } else { Err(BodyProblem::CutOff) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflated in pieces of `size` bytes.
    fn inflate(bytes: &[u8], size: usize, most: usize) -> Result<Vec<u8>, BodyProblem> {
        let (mut inflater, mut out) = (Inflater::default(), Vec::new());
        for piece in bytes.chunks(size.max(1)) {
            inflater.push(piece, &mut out, most)?;
        }
        inflater.finish().map(|()| out)
    }

    fn coding(values: &[&str]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        Coding::of(&headers).ok()
    }

    #[test]
    fn only_gzip_is_a_coding() {
        for plain in [&[][..], &["identity"], &[""], &["Identity", ""]] {
            assert_eq!(coding(plain), Some(Coding::Plain), "{plain:?}");
        }
        for gzip in [&["gzip"][..], &["x-gzip"], &["GZIP"], &["X-GZip"], &["identity, gzip"], &["gzip", "identity"]] {
            assert_eq!(coding(gzip), Some(Coding::Gzip), "{gzip:?}");
        }
        for other in [&["br"][..], &["zstd"], &["foo"], &["deflate"], &["gzip, br"], &["gzip, gzip"], &["gzip", "zstd"]]
        {
            assert_eq!(coding(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_or_damaged_is_told() {
        let whole = gzip(b"some text that is long enough to be cut");
        for length in 0..whole.len() {
            assert_eq!(inflate(&whole[..length], 7, 1_000), Err(BodyProblem::CutOff), "{length}");
        }
        let mut wrong = whole.clone();
        let place = wrong.len() - 6;
        wrong[place] ^= 1; // of the checksum
        assert_eq!(inflate(&wrong, 9, 1_000), Err(BodyProblem::Damaged));
        assert_eq!(inflate(b"{\"agents\":[]}", 5, 1_000), Err(BodyProblem::Damaged));
        assert_eq!(inflate(&[whole.as_slice(), b"rest"].concat(), 5, 1_000), Err(BodyProblem::Damaged));
        assert_eq!(inflate(&[whole.as_slice(), &[0; 9], b"x"].concat(), 5, 1_000), Err(BodyProblem::Damaged));
    }

    #[test]
    fn a_bomb_stays_small() {
        let bomb = gzip(&vec![b'0'; 50_000_000]);
        let (mut inflater, mut out) = (Inflater::default(), Vec::new());
        assert_eq!(inflater.push(&bomb, &mut out, 1_000_000), Err(BodyProblem::TooLarge));
        assert!(out.capacity() < 3_000_000, "{}", out.capacity());
    }

    proptest! {
        #[test]
        fn members_and_pieces_of_any_size_give_the_same_text(
            parts in proptest::collection::vec("[a-c]{0,300}", 1..5),
            size in 1_usize..400,
            padding in 0_usize..20,
        ) {
            let mut bytes: Vec<u8> = parts.iter().flat_map(|part| gzip(part.as_bytes())).collect();
            bytes.extend(vec![0; padding]);
            prop_assert_eq!(inflate(&bytes, size, 10_000), Ok(parts.concat().into_bytes()));
        }

        #[test]
        fn large_texts_are_inflated_whole(seed in any::<u64>(), size in 1_usize..100_000) {
            let mut random = seed | 1;
            let text: Vec<u8> = (0..300_000).map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                b'a' + u8::try_from(random >> 60).unwrap_or(0)
            }).collect();
            prop_assert_eq!(inflate(&gzip(&text), size, 300_000), Ok(text));
        }
    }
}

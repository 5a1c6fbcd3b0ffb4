//! Ids of training records: those that become part of a path, and those of people, which are never kept as they are.

use crate::id::as_text;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// An id that cannot be part of a path. The id itself is not told: it comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id must be 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
pub struct InvalidSatId;

/// The id of an account or assignment, opaque, and safe as one segment of a path.
///
/// ```
/// use evidence_domain::sat::id::SatId;
/// assert!(SatId::parse("pXk93Lq").is_ok());
/// assert!(SatId::parse("../users").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
#[serde(try_from = "String", into = "String")]
pub struct SatId(String);

impl SatId {
    /// Accepts 1 to 64 characters of `A-Za-z0-9_-`.
    ///
    /// # Errors
    /// [`InvalidSatId`] for anything else.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidSatId> {
        let text = text.into();
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if good { Ok(Self(text)) } else { Err(InvalidSatId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

as_text!(SatId, InvalidSatId);

/// A learner, as 16 bytes for comparing within one run: the first 128 bits of the SHA-256 of the run and the learner's id.
///
/// The run goes in so that the keys of two runs cannot be joined. Written as 32 hexadecimal digits.
///
/// ```
/// use evidence_domain::sat::id::LearnerKey;
/// assert_eq!(LearnerKey::of("run-1", " L9x2 "), LearnerKey::of("run-1", "L9x2"));
/// assert_ne!(LearnerKey::of("run-1", "L9x2"), LearnerKey::of("run-2", "L9x2"));
/// assert_eq!(LearnerKey::of("run-1", " "), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LearnerKey([u8; 16]);

impl LearnerKey {
    /// The key of a learner's id in the run `seed`; `None` for a blank id, which is none.
    #[must_use]
    pub fn of(seed: &str, id: &str) -> Option<Self> {
        let id = id.trim();
        if id.is_empty() {
            return None;
        }
        let digest = Sha256::new_with_prefix(seed).chain_update([0]).chain_update(id).finalize();
        digest.first_chunk().copied().map(Self)
    }
}

impl fmt::Display for LearnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LearnerKey {
    /// Nothing that would tell two people apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LearnerKey")
    }
}

/// A text that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a learner key")]
pub struct InvalidLearnerKey;

impl TryFrom<String> for LearnerKey {
    type Error = InvalidLearnerKey;
    fn try_from(text: String) -> Result<Self, InvalidLearnerKey> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = digits.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        value.map(|value| Self(value.to_be_bytes())).ok_or(InvalidLearnerKey)
    }
}

impl From<LearnerKey> for String {
    fn from(key: LearnerKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_anything_that_means_something_in_a_path_is_refused() {
        let long = "x".repeat(65);
        for bad in ["", "a/b", "..", "a%2Fb", "a?b", "a#b", "a b", "a.b", "ä", "a\n", &long] {
            assert_eq!(SatId::parse(bad), Err(InvalidSatId), "{bad:?}");
        }
        for good in ["57777", "-a_B9", &"x".repeat(64)] {
            assert_eq!(SatId::parse(good).map(String::from), Ok(good.to_owned()));
        }
    }

    #[test]
    fn a_key_survives_a_checkpoint_and_shows_nothing_in_a_log() {
        let key = LearnerKey::of("run", "57777").unwrap();
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text.len(), 34);
        assert_eq!(serde_json::from_str::<LearnerKey>(&text).unwrap(), key);
        assert_eq!(format!("{key:?}"), "LearnerKey");
        for bad in ["\"57777\"", "\"+0000000000000000000000000000000\""] {
            assert!(serde_json::from_str::<LearnerKey>(bad).is_err(), "{bad}");
        }
        assert_eq!(std::mem::size_of::<LearnerKey>(), 16);
    }
}

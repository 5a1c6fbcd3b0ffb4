//! Ids with parsing constructors: our own, which become parts of table keys, and those of vendor records, which are only compared.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A text that cannot be used as an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-', starting with a letter or digit")]
pub struct InvalidId {
    /// Which id was wrong, e.g. `client id`.
    pub kind: &'static str,
}

fn check(text: &str, kind: &'static str) -> Result<(), InvalidId> {
    let good = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if good { Ok(()) } else { Err(InvalidId { kind }) }
}

/// Lets a text with a parsing constructor be shown, read and stored as that text.
macro_rules! as_text {
    ($name:ident, $error:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}
pub(crate) use as_text;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 64 characters of `A-Za-z0-9._-`, the first a letter or digit.
            ///
            /// # Errors
            /// [`InvalidId`] for anything else.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check(&text, $kind)?;
                Ok(Self(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        as_text!($name, InvalidId);
    };
}

id!(
    /// Who runs the connector: an MSP, or one business.
    CompanyId,
    "company id"
);
id!(
    /// The tenant whose compliance is measured.
    ClientId,
    "client id"
);
id!(
    /// One Huntress credential of a company, for one product.
    ConnectionId,
    "connection id"
);
id!(
    /// One sync of one connection; a UUIDv7, so that text order is time order.
    RunId,
    "run id"
);

id!(
    /// The name of an access token, which is also who calls with it.
    TokenName,
    "token name"
);
id!(
    /// The name of a policy, e.g. `baseline`.
    PolicyName,
    "policy name"
);
id!(
    /// A rule of a policy, e.g. `edr-online`.
    RuleId,
    "rule id"
);

id!(
    /// A decision: an exception, what became of it, an attestation, or the choice of a policy.
    DecisionId,
    "decision id"
);

id!(
    /// A pack of evidence that was asked for: its instant, and a hash of what was asked.
    PackId,
    "pack id"
);

/// One connection of one company: what names it in the table, in messages and in the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
}

impl ConnectionKey {
    /// The key of a company's connection.
    #[must_use]
    pub fn of(company: &CompanyId, connection: &ConnectionId) -> Self {
        Self { company: company.clone(), connection: connection.clone() }
    }
}

/// A person as they are kept: a keyed hash of the company's of the learner's id, 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(String);

/// A text that is no id of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a person is named by 32 hexadecimal digits in lower case")]
pub struct InvalidPersonId;

impl PersonId {
    /// Accepts 32 hexadecimal digits in lower case.
    ///
    /// # Errors
    /// [`InvalidPersonId`] for anything else.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidPersonId> {
        let text = text.into();
        let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        if good { Ok(Self(text)) } else { Err(InvalidPersonId) }
    }

    /// The person of a keyed hash.
    #[must_use]
    pub fn from_hash(hash: u128) -> Self {
        Self(format!("{hash:032x}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

as_text!(PersonId, InvalidPersonId);

/// The id of a vendor record, in a fixed size, for comparing only.
///
/// The vendor sends numbers, other sources send strings; `7` and `"7"` are the same id. Anything but a plain number is kept as the
/// first 128 bits of its SHA-256: two of a billion ids collide with a probability below 10⁻²⁰.
///
/// ```
/// use evidence_domain::id::RecordKey;
/// assert_eq!(RecordKey::from_text("7"), Some(RecordKey::Number(7)));
/// assert_ne!(RecordKey::from_text("07"), RecordKey::from_text("7"));
/// assert_eq!(RecordKey::from_text("  "), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKey {
    /// A decimal number without leading zeros.
    Number(u64),
    /// Anything else.
    Text(u128),
}

impl RecordKey {
    /// The key of a textual id; `None` for a blank one, which is no id.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if canonical && let Ok(number) = text.parse() {
            return Some(Self::Number(number));
        }
        Some(Self::Text(first_of(&Sha256::digest(text.as_bytes()))))
    }

    /// A key that tells ids apart in one run and names none of them: of people, and stored between the parts of the run.
    ///
    /// ```
    /// use evidence_domain::id::RecordKey;
    /// let learner = RecordKey::Number(57_777);
    /// assert_eq!(learner.in_run("run-1"), learner.in_run("run-1"));
    /// assert_ne!(learner.in_run("run-1"), learner.in_run("run-2"));
    /// assert_ne!(learner.in_run("run-1"), RecordKey::Text(57_777).in_run("run-1"));
    /// ```
    #[must_use]
    pub fn in_run(self, seed: &str) -> Self {
        let (kind, id) = match self {
            Self::Number(number) => (0, u128::from(number)),
            Self::Text(hash) => (1, hash),
        };
        let hash = Sha256::new_with_prefix(seed).chain_update([0, kind]).chain_update(id.to_be_bytes());
        Self::Text(first_of(&hash.finalize()))
    }
}

/// The first 128 bits.
fn first_of(digest: &[u8]) -> u128 {
    digest.iter().take(16).fold(0_u128, |value, byte| value << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_not_fit_into_a_key() {
        for bad in ["", "a#b", "a/b", " a", "-a", "ä", &"x".repeat(65)] {
            assert!(ClientId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "client-acme-corp", "0197f0a8.b_c", &"x".repeat(64)] {
            assert_eq!(ClientId::parse(good).map(String::from), Ok(good.to_owned()));
        }
    }

    #[test]
    fn an_id_is_checked_when_a_record_is_read() {
        assert!(serde_json::from_str::<CompanyId>("\"a#b\"").is_err());
    }

    #[test]
    fn a_number_too_large_for_64_bits_is_still_an_id() {
        assert!(matches!(RecordKey::from_text("18446744073709551616"), Some(RecordKey::Text(_))));
        assert_eq!(RecordKey::from_text("18446744073709551615"), Some(RecordKey::Number(u64::MAX)));
    }
}

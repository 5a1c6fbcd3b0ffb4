//! What people decided about a client: which policy counts, which failing outcome is accepted for a time, and numbers that Huntress cannot know.
//!
//! A record is never changed. What happens to an exception later is a record of its own, so that the state at any instant can be told from the records made by
//! then.

mod attestation;
mod exception;

pub use attestation::{
    Attestation, AttestationKey, AttestationRequest, EndpointCoverage, InvalidAttestation, newest_attestation,
};
pub use exception::{
    Exception, ExceptionRequest, ExceptionState, ExceptionSubject, InvalidException, InvalidReview, LONGEST_DAYS,
    Review, ReviewKind, SHORTEST_REASON, exception_in_force, exceptions_at,
};

use super::audit::{Actor, AuditAction, AuditEvent};
use super::id::{ClientId, CompanyId, DecisionId};
use super::policy::PolicyChoice;
use super::text::is_hidden;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// 16 random bytes in lower-case hex. A record has one, so that nobody can guess the record from its hash in the log.
///
/// ```
/// use evidence_domain::decisions::Nonce;
/// assert_eq!(Nonce::from_bytes([7; 16]).as_str(), "07070707070707070707070707070707");
/// assert!(Nonce::parse("0707").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

/// A text that is no nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nonce is 32 hexadecimal digits in lower case")]
pub struct InvalidNonce;

impl Nonce {
    /// Of 16 bytes that a caller drew at random.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`InvalidNonce`] for anything but 32 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidNonce> {
        let good = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidNonce) }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Nonce {
    type Error = InvalidNonce;
    fn try_from(text: String) -> Result<Self, InvalidNonce> {
        Self::parse(&text)
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.0
    }
}

/// What a new record gets from its surroundings.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Its id.
    pub id: DecisionId,
    /// Drawn at random.
    pub nonce: Nonce,
    /// Now.
    pub at: DateTime<Utc>,
}

/// A decision about one client, as it is kept and as the log commits to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decision {
    /// A policy was chosen.
    Policy(PolicyChoice),
    /// An exception was proposed.
    Exception(Exception),
    /// An exception was approved, rejected or revoked.
    Review(Review),
    /// A number was stated.
    Attestation(Attestation),
}

/// Exceptions, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExceptionHistory {
    /// As they were proposed.
    pub exceptions: Vec<Exception>,
    /// Whether they were approved, rejected or revoked.
    pub reviews: Vec<Review>,
}

impl FromIterator<Decision> for ExceptionHistory {
    fn from_iter<T: IntoIterator<Item = Decision>>(decisions: T) -> Self {
        let mut history = Self::default();
        for decision in decisions {
            match decision {
                Decision::Exception(exception) => history.exceptions.push(exception),
                Decision::Review(review) => history.reviews.push(review),
                Decision::Policy(_) | Decision::Attestation(_) => {}
            }
        }
        history
    }
}

impl Decision {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &DecisionId {
        match self {
            Self::Policy(it) => &it.id,
            Self::Exception(it) => &it.id,
            Self::Review(it) => &it.id,
            Self::Attestation(it) => &it.id,
        }
    }

    /// Whose evidence it is about.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        match self {
            Self::Policy(it) => &it.client,
            Self::Exception(it) => &it.client,
            Self::Review(it) => &it.client,
            Self::Attestation(it) => &it.client,
        }
    }

    /// When it was made.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Policy(it) => it.at,
            Self::Exception(it) => it.at,
            Self::Review(it) => it.at,
            Self::Attestation(it) => it.at,
        }
    }

    /// Who made it.
    #[must_use]
    pub fn by(&self) -> &str {
        match self {
            Self::Policy(it) => &it.by,
            Self::Exception(it) => &it.proposed_by,
            Self::Review(it) => &it.by,
            Self::Attestation(it) => &it.by,
        }
    }
}

impl Decision {
    /// What the audit log says of it. An exception for a person names nobody, not even by their hash.
    #[must_use]
    pub fn event(&self, company: &CompanyId) -> AuditEvent {
        let (action, subject, after, reason) = match self {
            Self::Policy(it) => {
                (AuditAction::PolicyChosen, it.client.as_str(), serde_json::to_value(&it.chosen), it.reason.clone())
            }
            Self::Exception(it) => {
                let names_nobody = !matches!(it.subject, ExceptionSubject::Person(_));
                let of = names_nobody.then_some(&it.subject);
                let reason = names_nobody.then(|| it.reason.clone());
                (AuditAction::ExceptionProposed, it.id.as_str(), serde_json::to_value(of), reason)
            }
            Self::Review(it) => {
                let action = match it.decision {
                    ReviewKind::Approved => AuditAction::ExceptionApproved,
                    ReviewKind::Rejected => AuditAction::ExceptionRejected,
                    ReviewKind::Revoked => AuditAction::ExceptionRevoked,
                };
                (action, it.exception.as_str(), Ok(serde_json::Value::Null), None)
            }
            Self::Attestation(it) => {
                let stated = Stated { key: it.key, value: it.value, source: &it.source };
                (AuditAction::AttestationMade, it.client.as_str(), serde_json::to_value(stated), None)
            }
        };
        let by = Decider { name: self.by().to_owned(), on_this_machine: self.is_of_this_machine() };
        let event = AuditEvent::new(&by.actor(), action, company.clone(), subject, self.at());
        let after = after.ok().filter(|after| !after.is_null());
        AuditEvent { client: Some(self.client().clone()), after, reason, ..event }
    }

    fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Policy(it) => it.on_this_machine,
            Self::Exception(it) => it.on_this_machine,
            Self::Review(it) => it.on_this_machine,
            Self::Attestation(it) => it.on_this_machine,
        }
    }
}

/// What an attestation states, as the audit log has it.
#[derive(Serialize)]
struct Stated<'a> {
    key: AttestationKey,
    value: u64,
    source: &'a str,
}

/// Who decides, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The name: what `--by` gives, or the caller of the API.
    pub name: String,
    /// Whether it was said on the machine that keeps the records, where names are claims.
    pub on_this_machine: bool,
}

impl Decider {
    /// The same as the audit log names them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        if self.on_this_machine { Actor::cli(&self.name) } else { Actor::api(&self.name) }
    }
}

/// A text that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing but blanks.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Too long.
    #[error("{what} has {length} characters; at most {most} are kept")]
    TooLong {
        /// What the text is.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// A control, escape or bidirectional character.
    #[error("{0} has control characters; write it as plain text")]
    Hidden(&'static str),
}

/// The longest reason, in characters.
const LONGEST_REASON: usize = 4_000;
/// The longest name of a person.
const LONGEST_NAME: usize = 200;
/// The longest source or link.
const LONGEST_SOURCE: usize = 1_000;

/// A text as it is kept: trimmed, with `\n` as the only line end, and nothing that changes what a terminal shows around it.
fn plain(text: &str, what: &'static str, most: usize, lines: bool) -> Result<String, InvalidText> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidText::Missing(what));
    }
    let length = text.chars().count();
    if length > most {
        return Err(InvalidText::TooLong { what, length, most });
    }
    if text.chars().any(|c| is_hidden(c) && !(lines && matches!(c, '\n' | '\t'))) {
        return Err(InvalidText::Hidden(what));
    }
    Ok(text.to_owned())
}

fn person_name(text: &str, what: &'static str) -> Result<String, InvalidText> {
    plain(text, what, LONGEST_NAME, false)
}

/// Whether two names mean one person: letter case and blanks around do not tell them apart.
fn is_same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
#[path = "decisions_tests.rs"]
mod tests;

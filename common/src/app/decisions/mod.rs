//! What people decide about a client: which policy counts, which failing outcome is accepted, and what is attested.

mod attestations;
mod exceptions;
mod policies;

pub use exceptions::{ExceptionSpec, ExceptionView};
pub use policies::PolicySummary;
pub(crate) use policies::{PolicyHistory, all_policies, policies_at};

use crate::clock::Clock;
use crate::domain::decisions::{InvalidAttestation, InvalidException, InvalidReview, NewRecord, Nonce};
use crate::domain::id::ClientId;
use crate::domain::id::DecisionId;
use crate::domain::policy::{InvalidPolicy, RuleInUse, VersionChanged};
use crate::store::{Store, StoreError};
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;

/// Policies, exceptions and attestations of a company's clients.
pub struct Decisions {
    /// Where they are kept.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why something was not decided.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// A file that is no policy.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// A version that exists with other content.
    #[error(transparent)]
    VersionChanged(#[from] VersionChanged),
    /// A rule id that would stand for two rules.
    #[error(transparent)]
    RuleInUse(#[from] RuleInUse),
    /// No such policy.
    #[error("there is no policy {named}; there are {known}")]
    UnknownPolicy {
        /// What was asked for.
        named: String,
        /// What there is.
        known: String,
    },
    /// No such rule in force.
    #[error("no rule {rule} is in force for {client}; there are {known}")]
    UnknownRule {
        /// What was asked for.
        rule: String,
        /// Whose.
        client: ClientId,
        /// What there is.
        known: String,
    },
    /// No such control.
    #[error(
        "the control map has no {0:?}: name it like \"SOC 2 CC6.8\" or tsc-cc6.8; see: huntress-evidence controls CLIENT"
    )]
    UnknownControl(String),
    /// No such person.
    #[error("no training connection of {client} keeps a person {person}; see: huntress-evidence people CONNECTION")]
    UnknownPerson {
        /// What was asked for.
        person: String,
        /// Whose.
        client: ClientId,
    },
    /// No such exception.
    #[error("there is no exception {0}; see: huntress-evidence exception list")]
    UnknownException(DecisionId),
    /// An exception that is refused.
    #[error(transparent)]
    Exception(#[from] InvalidException),
    /// A decision about an exception that is refused.
    #[error(transparent)]
    Review(#[from] InvalidReview),
    /// An attestation that is refused.
    #[error(transparent)]
    Attestation(#[from] InvalidAttestation),
}

impl DecisionError {
    /// Whether what was asked for is wrong, and not the place where it is kept.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Store(StoreError::UnknownClient(_))) || !matches!(self, Self::Store(_) | Self::Random)
    }
}

impl Decisions {
    fn new_record(&self) -> Result<NewRecord, DecisionError> {
        let (mut id, mut nonce) = ([0; 6], [0; 16]);
        let random = SystemRandom::new();
        random.fill(&mut id).and_then(|()| random.fill(&mut nonce)).map_err(|_| DecisionError::Random)?;
        let digits = id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let id = DecisionId::parse(digits).map_err(|_| DecisionError::Random)?;
        // Whole milliseconds, as keys have them.
        let at = chrono::SubsecRound::trunc_subsecs(self.clock.now(), 3);
        Ok(NewRecord { id, nonce: Nonce::from_bytes(nonce), at })
    }
}

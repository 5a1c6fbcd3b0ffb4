//! What the signing function does: every hour, and for a pack.

use super::{MakePackError, PackMaker, PackServiceError, PackWanted, Shelf};
use crate::app::log::{EvidenceLog, LogError};
use crate::store::StoreError;
use serde::{Deserialize, Serialize};

/// An event of the signing function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A pack was asked for.
    Pack {
        /// Which.
        pack: PackWanted,
    },
    /// The hour.
    Hour {
        /// The scheduled instant, for the log alone.
        scheduled_at: String,
    },
}

/// The signing function: its key, and where packs go.
pub struct Signing {
    /// Signs logs.
    pub log: EvidenceLog,
    /// Makes packs.
    pub maker: PackMaker,
    /// Where they are kept.
    pub shelf: Shelf,
}

/// Why an event has to be handled again.
#[derive(Debug, thiserror::Error)]
pub enum SigningFailed {
    /// The logs that grew cannot be told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some logs could not be signed; the others were.
    #[error("{failed} logs could not be signed; they are tried again in the next hour")]
    Logs {
        /// How many.
        failed: usize,
        /// What was wrong with one of them.
        #[source]
        source: LogError,
    },
    /// A pack could not be made now.
    #[error(transparent)]
    Pack(#[from] PackServiceError),
}

impl From<MakePackError> for SigningFailed {
    fn from(error: MakePackError) -> Self {
        Self::Pack(error.into())
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Logs that were signed.
    pub signed: usize,
    /// Packs that were made, or found that they cannot be.
    pub packs: usize,
}

/// Handles an event. Handled twice it does the same again.
///
/// # Errors
/// [`SigningFailed`]: then it is worth another try.
pub async fn handle(signing: &Signing, event: Event) -> Result<Done, SigningFailed> {
    match event {
        Event::Pack { pack } => {
            // What is in a pack is locked away at once, and not in an hour. What cannot be now, is then.
            for (log, error) in signing.log.sign_grown().await?.failed {
                tracing::error!(%log, error = &error as &dyn std::error::Error, "a log was not signed");
            }
            signing.maker.fulfil(&signing.shelf, &pack).await?;
            Ok(Done { signed: 0, packs: 1 })
        }
        Event::Hour { .. } => {
            let mut outcome = signing.log.sign_grown().await?;
            for (log, error) in &outcome.failed {
                tracing::error!(%log, error = error as &dyn std::error::Error, "a log was not signed");
            }
            let failed = outcome.failed.len();
            match outcome.failed.pop() {
                Some((_, source)) => Err(SigningFailed::Logs { failed, source }),
                None => Ok(Done { signed: outcome.signed, packs: 0 }),
            }
        }
    }
}

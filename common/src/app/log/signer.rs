//! Who signs: a key in a file, or one of KMS.

use crate::aws::secrets::sealing::write_private;
use crate::aws::signing::{KmsKey, SigningError};
use crate::domain::log::proof::TreeHead;
use crate::domain::log::{Checkpoint, LogId};
use crate::domain::note::{Note, VerifierKey};
use crate::signing::{LogKey, LogKeyError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Who signs checkpoints and packs.
pub enum LogSigner {
    /// A key of this machine.
    Key(LogKey),
    /// A key of KMS.
    Kms(Box<KmsKey>),
    /// A key of KMS in place of another, which announces it in the log of each company.
    Replacing {
        /// The one that signs.
        key: Box<KmsKey>,
        /// The one that signed before.
        before: Box<KmsKey>,
    },
}

/// Why the key of a machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is damaged. It is left as it is.
    #[error(
        "{path} is no key of the evidence log ({problem}); restore it from a backup: checkpoints are only worth something under the same key"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: LogKeyError,
    },
}

impl LogSigner {
    /// The key of a file, which is made on first use and readable by its owner alone.
    ///
    /// # Errors
    /// [`KeyFileError`]; a damaged key is never replaced.
    pub fn of_file(path: &Path) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        let damaged = |problem| KeyFileError::Damaged { path: path.to_owned(), problem };
        match fs::read_to_string(path) {
            Ok(text) => LogKey::parse(&text).map(Self::Key).map_err(damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (key, text) = LogKey::generate(None).map_err(damaged)?;
                write_private(path, text.as_bytes()).map_err(io)?;
                Ok(Self::Key(key))
            }
            Err(error) => Err(io(error)),
        }
    }

    /// The key that checks its signatures. Its name is the log's.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        match self {
            Self::Key(key) => key.verifier(),
            Self::Kms(key) | Self::Replacing { key, .. } => key.verifier(),
        }
    }

    /// A note of this text, signed.
    ///
    /// # Errors
    /// [`SigningError`], of a key of KMS.
    pub async fn note(&self, text: String) -> Result<Note, SigningError> {
        match self {
            Self::Key(key) => Ok(key.note(text)),
            Self::Kms(key) | Self::Replacing { key, .. } => {
                let signature = key.sign(text.as_bytes()).await?;
                Note::signed(text, key.verifier(), |_| Ok(signature))
            }
        }
    }

    /// The signed checkpoint of a log at a head.
    ///
    /// # Errors
    /// As for [`LogSigner::note`].
    pub async fn checkpoint(&self, log: &LogId, head: TreeHead) -> Result<Note, SigningError> {
        let origin = log.origin(self.verifier().name());
        self.note(Checkpoint { origin, head }.text()).await
    }
}

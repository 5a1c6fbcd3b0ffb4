//! The evidence log as it is read and signed.

use crate::aws::secrets::sealing::write_private;
use crate::clock::Clock;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::log::proof::TreeHead;
use crate::domain::log::tree::empty_root;
use crate::domain::log::{Checkpoint, Origin};
use crate::domain::note::{Note, VerifierKey};
use crate::signing::{LogKey, LogKeyError};
use crate::store::{KeptCheckpoint, Store, StoreError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who signs checkpoints and packs.
pub enum LogSigner {
    /// A key of this machine.
    Key(LogKey),
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
        }
    }

    /// A note of this text, signed.
    #[must_use]
    pub fn note(&self, text: String) -> Note {
        match self {
            Self::Key(key) => key.note(text),
        }
    }

    /// The signed checkpoint of a connection's log, or of the company's own, at a head.
    #[must_use]
    pub fn checkpoint(&self, company: &CompanyId, connection: Option<&ConnectionId>, head: TreeHead) -> Note {
        let name = self.verifier().name();
        let origin = match connection {
            Some(connection) => Origin::of_connection(name, company, connection),
            None => Origin::of_company(name, company),
        };
        self.note(Checkpoint { origin, head }.text())
    }
}

/// Reads and signs logs.
#[derive(Clone)]
pub struct EvidenceLog {
    /// The table.
    pub store: Store,
    /// The key.
    pub signer: Arc<LogSigner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// A log and its newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Its leaves, JCS texts.
    pub leaves: Vec<String>,
    /// Its head.
    pub head: TreeHead,
    /// The newest checkpoint that is kept.
    pub checkpoint: Option<KeptCheckpoint>,
}

impl EvidenceLog {
    /// The log of a connection.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its leaves are not those of its head.
    pub async fn of_connection(&self, company: &CompanyId, connection: &ConnectionId) -> Result<LogState, StoreError> {
        let head = self.store.log_head(company, connection).await?;
        let head = head
            .map_or(TreeHead { size: 0, root: empty_root() }, |head| TreeHead { size: head.size(), root: head.root() });
        let leaves = self.store.log_leaves(company, connection, 0, head.size).await?;
        let checkpoint = self.store.kept_checkpoint(company, connection).await?;
        Ok(LogState { leaves, head, checkpoint })
    }

    /// Signs the log of a connection as it is now and keeps the checkpoint, unless the newest one is of the same size.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<KeptCheckpoint>, StoreError> {
        let Some(head) = self.store.log_head(company, connection).await? else { return Ok(None) };
        let kept = self.store.kept_checkpoint(company, connection).await?;
        if let Some(kept) = kept.filter(|kept| kept.size == head.size()) {
            return Ok(Some(kept));
        }
        let head = TreeHead { size: head.size(), root: head.root() };
        let note = self.signer.checkpoint(company, Some(connection), head).to_string();
        let checkpoint = KeptCheckpoint { size: head.size, note, signed_at: self.clock.now() };
        self.store.keep_checkpoint(company, connection, &checkpoint).await?;
        Ok(Some(checkpoint))
    }

    /// Signs every log of a company's connections that grew since its last checkpoint, and says how many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_all(&self, company: &CompanyId) -> Result<usize, StoreError> {
        let mut signed = 0;
        for connection in self.store.connections(company).await? {
            let before = self.store.kept_checkpoint(company, &connection.id).await?.map(|kept| kept.size);
            let after = self.sign(company, &connection.id).await?.map(|kept| kept.size);
            signed += usize::from(before != after);
        }
        Ok(signed)
    }
}

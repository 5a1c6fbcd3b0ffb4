//! The evidence log as it is read and signed.

use crate::aws::documents::{DocumentError, Documents};
use crate::aws::secrets::sealing::write_private;
use crate::aws::signing::{KmsKey, SigningError};
use crate::clock::Clock;
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::id::CompanyId;
use crate::domain::log::proof::TreeHead;
use crate::domain::log::statement::{CompanyEvent, CompanyStatement, VERSION};
use crate::domain::log::{Checkpoint, LogId};
use crate::domain::note::{Note, VerifierKey};
use crate::signing::{self, LogKey, LogKeyError};
use crate::store::{KeptCheckpoint, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound, Utc};
use futures_util::{StreamExt, stream};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who signs checkpoints and packs.
pub enum LogSigner {
    /// A key of this machine.
    Key(LogKey),
    /// A key of KMS.
    Kms(Box<KmsKey>),
}

/// Why a log does not go on under another key.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceKeyError {
    /// The key files.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a log was not signed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The bucket under Object Lock.
    #[error("the checkpoint could not be kept in the bucket under Object Lock")]
    Archive(#[source] DocumentError),
    /// What is there is shorter than what was signed before.
    #[error(
        "the log {log} has {size} leaves, and a checkpoint was signed over {signed}: the data was put back from an older copy; nothing is signed, so that no log forks. Restore the newest copy"
    )]
    Shorter {
        /// Which log.
        log: LogId,
        /// How many leaves there are.
        size: u64,
        /// How many were signed.
        signed: u64,
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

    /// Has a log go on under another key, which the old one announces in the company's own log: whoever has the old key's verifier can follow. The old
    /// key file stays, under the id of its key. Stopped in between, a repetition goes on with the same new key.
    ///
    /// # Errors
    /// [`ReplaceKeyError`]; then the old key is still in use.
    pub async fn replace_file(
        path: &Path,
        store: &Store,
        company: &CompanyId,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Self, ReplaceKeyError> {
        let io = |source| KeyFileError::Io { path: path.to_owned(), source };
        let old_text = fs::read_to_string(path).map_err(io)?;
        let damaged = |problem| KeyFileError::Damaged { path: path.to_owned(), problem };
        let old = LogKey::parse(&old_text).map_err(damaged)?;
        let next = path.with_extension("key.next");
        if !next.exists() {
            let (_, text) = LogKey::generate(Some(old.verifier().name())).map_err(damaged)?;
            write_private(&next, text.as_bytes()).map_err(io)?;
        }
        let new = LogKey::parse(&fs::read_to_string(&next).map_err(io)?).map_err(damaged)?;
        let key = new.verifier().to_string();
        let announced = store.company_log(company).await?.iter().any(|leaf| leaf.contains(&key));
        if !announced {
            let event = AuditEvent::new(actor, AuditAction::LogKeyReplaced, company.clone(), company.as_str(), now);
            store.add_audit_event(&event.changing(&old.verifier().to_string(), &key)).await?;
            let event = CompanyEvent::Key { key: key.clone(), signature: String::new() };
            let at = now.trunc_subsecs(3);
            let mut leaf = CompanyStatement { v: VERSION, company: company.clone(), at, event };
            let form = leaf.signed_form().unwrap_or_default();
            leaf.event = CompanyEvent::Key { key: key.clone(), signature: STANDARD.encode(old.sign(&form)) };
            store.append_to_company_log(&leaf).await?;
        }
        let kept = path.with_extension(format!("key.{:08x}", old.verifier().id()));
        write_private(&kept, old_text.as_bytes()).map_err(io)?;
        fs::rename(&next, path).map_err(io)?;
        store.keep_log_key(&key, now).await?;
        Ok(Self::Key(new))
    }

    /// The key that checks its signatures. Its name is the log's.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        match self {
            Self::Key(key) => key.verifier(),
            Self::Kms(key) => key.verifier(),
        }
    }

    /// A note of this text, signed.
    ///
    /// # Errors
    /// [`SigningError`], of a key of KMS.
    pub async fn note(&self, text: String) -> Result<Note, SigningError> {
        match self {
            Self::Key(key) => Ok(key.note(text)),
            Self::Kms(key) => {
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

impl LogError {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Unavailable { .. }),
            Self::Signing(error) => error.may_pass(),
            Self::Archive(_) => true,
            Self::Shorter { .. } => false,
        }
    }
}

/// Logs that are signed at the same time.
const CONCURRENCY: usize = 8;

/// Signs logs.
#[derive(Clone)]
pub struct EvidenceLog {
    /// The table.
    pub store: Store,
    /// The key.
    pub signer: Arc<LogSigner>,
    /// A bucket under Object Lock, where each checkpoint is kept for good.
    pub archive: Option<Arc<Documents>>,
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

impl LogState {
    /// A log as it is, which takes no key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its leaves are not those of its head.
    pub async fn read(store: &Store, log: &LogId) -> Result<Self, StoreError> {
        let (head, leaves) = (store.tree_head(log).await?, store.leaves(log).await?);
        Ok(Self { leaves, head, checkpoint: store.kept_checkpoint(log).await? })
    }
}

/// What came of signing the logs that grew.
#[derive(Debug, Default)]
pub struct Signed {
    /// How many were signed.
    pub signed: usize,
    /// Those that could not be, and why.
    pub failed: Vec<(LogId, LogError)>,
}

/// Where the checkpoint of a log over so many leaves is kept in a bucket.
#[must_use]
pub fn archived(log: &LogId, size: u64) -> String {
    // In this order, names are in the order of sizes.
    format!("checkpoints/{log}/{size:020}")
}

impl EvidenceLog {
    /// Signs a log as it is now and keeps the checkpoint, unless the newest one is of the same size. `None` for a log without a leaf.
    ///
    /// # Errors
    /// [`LogError`]
    pub async fn sign(&self, log: &LogId) -> Result<Option<KeptCheckpoint>, LogError> {
        Ok(self.signed(log).await?.map(|(kept, _)| kept))
    }

    /// The checkpoint, and whether it is new.
    async fn signed(&self, log: &LogId) -> Result<Option<(KeptCheckpoint, bool)>, LogError> {
        let head = self.store.tree_head(log).await?;
        if head.size == 0 {
            return Ok(None);
        }
        // By another key it has to be signed anew.
        let verifier = self.signer.verifier();
        let by_this_key = |kept: &KeptCheckpoint| {
            Note::parse(kept.note.as_bytes()).is_ok_and(|note| note.is_signed_by(verifier, signing::verify))
        };
        if let Some(kept) = self.store.kept_checkpoint(log).await? {
            if kept.size > head.size {
                return Err(LogError::Shorter { log: log.clone(), size: head.size, signed: kept.size });
            }
            if kept.size == head.size && by_this_key(&kept) {
                return Ok(Some((kept, false)));
            }
        }
        let size = head.size;
        let note = self.signer.checkpoint(log, head).await?.to_string();
        // Whoever signs says by which key, so that readers can tell it.
        self.store.keep_log_key(&verifier.to_string(), self.clock.now()).await?;
        if let Some(archive) = &self.archive {
            archive.put(&archived(log, size), note.clone().into_bytes()).await.map_err(LogError::Archive)?;
        }
        let checkpoint = KeptCheckpoint { size, note, signed_at: self.clock.now() };
        self.store.keep_checkpoint(log, &checkpoint).await?;
        Ok(Some((checkpoint, true)))
    }

    /// Signs every log, of all companies, that grew since its last checkpoint. One that fails is no reason to leave out another; it is tried again in
    /// the next hour.
    ///
    /// # Errors
    /// [`StoreError`], where it cannot be told which have grown.
    pub async fn sign_grown(&self) -> Result<Signed, StoreError> {
        let grown = self.store.grown_logs().await?;
        let mut outcome = Signed::default();
        let mut signing = stream::iter(grown)
            .map(async |log| {
                let signed = self.signed(&log).await;
                // Whoever signed it in between may have been stopped before it was taken off the list.
                let signed = match signed {
                    Ok(Some((kept, false))) => match self.store.keep_checkpoint(&log, &kept).await {
                        Ok(()) => Ok(false),
                        Err(error) => Err(error.into()),
                    },
                    other => other.map(|signed| signed.is_some()),
                };
                (log, signed)
            })
            .buffer_unordered(CONCURRENCY);
        while let Some((log, signed)) = signing.next().await {
            match signed {
                Ok(is_new) => outcome.signed += usize::from(is_new),
                Err(error) => outcome.failed.push((log, error)),
            }
        }
        Ok(outcome)
    }

    /// Signs every log of a company that grew since its last checkpoint, those too that grew under a release that kept no list; says how many there are.
    ///
    /// # Errors
    /// [`LogError`]
    pub async fn sign_all(&self, company: &CompanyId) -> Result<usize, LogError> {
        let mut signed = self.sign_grown().await?;
        if let Some((_, error)) = signed.failed.pop() {
            return Err(error);
        }
        let mut logs = vec![LogId::of_company(company)];
        let connections = self.store.connections(company).await?;
        logs.extend(connections.iter().map(|connection| LogId::of_connection(company, &connection.id)));
        for log in logs {
            signed.signed += usize::from(self.signed(&log).await?.is_some_and(|(_, is_new)| is_new));
        }
        Ok(signed.signed)
    }
}

//! A log that goes on under another key. The old one announces it in the company's own log, so that whoever holds the old one's verifier can follow.

use super::{KeyFileError, LogError, LogSigner};
use crate::aws::secrets::sealing::write_private;
use crate::aws::signing::{KmsKey, SigningError};
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::id::CompanyId;
use crate::domain::log::statement::{CompanyEvent, CompanyStatement, Leaf, VERSION};
use crate::domain::note::VerifierKey;
use crate::signing::LogKey;
use crate::store::{Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SubsecRound, Utc};
use std::fs;
use std::path::Path;

/// Who announces a key of KMS, as it stands in the audit log.
const SIGNING_FUNCTION: &str = "log-signing";

/// How often a leaf is tried again that others overtake.
const ATTEMPTS: u32 = 10;

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

/// Whether a company's own log announces a key.
async fn is_announced(store: &Store, company: &CompanyId, new: &str) -> Result<bool, StoreError> {
    let leaves = store.company_log(company).await?;
    let mut statements = leaves.iter().filter_map(|leaf| CompanyStatement::parse(leaf.as_bytes()).ok());
    Ok(statements.any(|statement| matches!(statement.event, CompanyEvent::Key { key, .. } if key == new)))
}

/// The leaf of an announcement, and the bytes that the old key has to sign.
fn announcement(company: &CompanyId, new: &VerifierKey, now: DateTime<Utc>) -> (CompanyStatement, Vec<u8>) {
    let event = CompanyEvent::Key { key: new.to_string(), signature: String::new() };
    let leaf = CompanyStatement { v: VERSION, company: company.clone(), at: now.trunc_subsecs(3), event };
    let form = leaf.signed_form().unwrap_or_default();
    (leaf, form)
}

fn signed(leaf: CompanyStatement, new: &VerifierKey, signature: [u8; 64]) -> CompanyStatement {
    let event = CompanyEvent::Key { key: new.to_string(), signature: STANDARD.encode(signature) };
    CompanyStatement { event, ..leaf }
}

/// The keys of a log before and after.
struct KeyChange<'a> {
    old: &'a VerifierKey,
    new: &'a VerifierKey,
}

/// Appends an announcement, unless somebody else has.
async fn append(
    store: &Store,
    leaf: &CompanyStatement,
    KeyChange { old, new }: KeyChange<'_>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (company, new) = (&leaf.company, new.to_string());
    let event = AuditEvent::new(actor, AuditAction::LogKeyReplaced, company.clone(), company.as_str(), now);
    let event = event.changing(&old.to_string(), &new);
    for _ in 0..ATTEMPTS {
        if is_announced(store, company, &new).await? || store.append_key(leaf, &event).await? {
            return Ok(());
        }
    }
    Err(StoreError::Conflict { record: "log of decisions" })
}

/// Sees to it that a company's own log announces the key that signs, where it takes the place of another.
pub(super) async fn announced(
    signer: &LogSigner,
    store: &Store,
    company: &CompanyId,
    now: DateTime<Utc>,
) -> Result<(), LogError> {
    let LogSigner::Replacing { key, before } = signer else { return Ok(()) };
    let (old, new) = (before.verifier(), key.verifier());
    let signed_by = store.log_key().await?.map(|kept| kept.key);
    if let Some(signed) = signed_by.filter(|it| *it != old.to_string() && *it != new.to_string()) {
        return Err(LogError::AnotherKey { signed });
    }
    if is_announced(store, company, &new.to_string()).await? {
        return Ok(());
    }
    let leaf = announced_by(before, company, new, now).await?;
    append(store, &leaf, KeyChange { old, new }, &Actor::api(SIGNING_FUNCTION), now).await?;
    Ok(())
}

async fn announced_by(
    before: &KmsKey,
    company: &CompanyId,
    new: &VerifierKey,
    now: DateTime<Utc>,
) -> Result<CompanyStatement, SigningError> {
    let (leaf, form) = announcement(company, new, now);
    let signature = before.sign(&form).await?;
    Ok(signed(leaf, new, signature))
}

impl LogSigner {
    /// Has the log of a machine go on under another key. The old key file stays, under the id of its key. Stopped in between, a repetition goes on with the
    /// same new key.
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
        let (leaf, form) = announcement(company, new.verifier(), now);
        let leaf = signed(leaf, new.verifier(), old.sign(&form));
        append(store, &leaf, KeyChange { old: old.verifier(), new: new.verifier() }, actor, now).await?;
        let kept = path.with_extension(format!("key.{:08x}", old.verifier().id()));
        write_private(&kept, old_text.as_bytes()).map_err(io)?;
        fs::rename(&next, path).map_err(io)?;
        store.keep_log_key(&new.verifier().to_string(), now).await?;
        Ok(Self::Key(new))
    }
}

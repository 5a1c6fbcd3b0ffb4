//! Sealing with AES-256-GCM, and keyed hashes: what is sealed opens only under its key and for what it was bound to.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A key has so many bytes.
pub const KEY_BYTES: usize = 32;

/// The cipher library failed, so the value is not stored at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher library failed")]
pub struct CipherFailed;

/// What was sealed does not open: another key, another binding, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: it was sealed for something else, or is damaged")]
pub struct DoesNotOpen;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key file is damaged. It is left as it is.
    #[error("{path} is not a sealing key of 32 bytes; restore it, or move it and what it sealed away and begin again")]
    DamagedKey {
        /// Which file.
        path: PathBuf,
    },
    /// The random numbers or the cipher of the machine fail.
    #[error("the cipher library failed")]
    Cipher,
}

impl From<CipherFailed> for SealingError {
    fn from(_: CipherFailed) -> Self {
        Self::Cipher
    }
}

/// Random bytes for a new key.
///
/// # Errors
/// [`CipherFailed`]
pub fn random_key() -> Result<[u8; KEY_BYTES], CipherFailed> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| CipherFailed)?;
    Ok(bytes)
}

/// A key that seals. It cannot be printed, copied or serialized.
///
/// Nonces are 96 random bits: at the 2³² values that one key may seal so, two of them are equal with a probability below 2⁻³².
pub struct SealingKey(Box<LessSafeKey>);

impl SealingKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// [`CipherFailed`] unless there are [`KEY_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, CipherFailed> {
        UnboundKey::new(&AES_256_GCM, bytes).map(|key| Self(Box::new(LessSafeKey::new(key)))).map_err(|_| CipherFailed)
    }

    /// The key of a file, which is made on first use and readable by its owner alone, as its folder is.
    ///
    /// # Errors
    /// [`SealingError`]; a damaged key is never replaced.
    pub fn of_file(path: &Path) -> Result<Self, SealingError> {
        let io = |source| SealingError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            private_folder(folder).map_err(io)?;
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = random_key()?.to_vec();
                write_private(path, &bytes).map_err(io)?;
                bytes
            }
            Err(error) => return Err(io(error)),
        };
        if bytes.len() != KEY_BYTES {
            return Err(SealingError::DamagedKey { path: path.to_owned() });
        }
        Ok(Self::new(&bytes)?)
    }

    /// Seals bytes for `binding`: a random nonce, the sealed bytes and their tag.
    ///
    /// # Errors
    /// [`CipherFailed`]
    pub fn seal(&self, binding: &str, plain: &[u8]) -> Result<Vec<u8>, CipherFailed> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| CipherFailed)?;
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(binding), &mut sealed).map_err(|_| CipherFailed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for `binding`.
    ///
    /// # Errors
    /// [`DoesNotOpen`]
    pub fn open(&self, binding: &str, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let mut bytes = sealed.to_vec();
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
        let opened = self.0.open_in_place(nonce, Aad::from(binding), sealed).map_err(|_| DoesNotOpen)?;
        Ok(opened.to_vec())
    }
}

/// A key that hashes. It cannot be printed, copied or serialized.
pub struct HashingKey(hmac::Key);

impl HashingKey {
    /// The key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The first 128 bits of the HMAC-SHA-256 of some parts, which are told apart by their lengths.
    #[must_use]
    pub fn hash(&self, parts: &[&str]) -> u128 {
        let first = self.mac(parts).as_ref().first_chunk().copied();
        u128::from_be_bytes(first.unwrap_or_default())
    }

    /// A key of its own for what some parts say, which are told apart by their lengths.
    ///
    /// # Errors
    /// [`CipherFailed`]
    pub fn derive(&self, parts: &[&str]) -> Result<SealingKey, CipherFailed> {
        SealingKey::new(self.mac(parts).as_ref())
    }

    fn mac(&self, parts: &[&str]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

/// Makes a folder that its owner alone can enter, unless it is there.
///
/// # Errors
/// Those of the file system.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file that its owner alone can read, beside the place and then onto it, so that a crash leaves the old content or the new one.
///
/// # Errors
/// Those of the file system.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_key_and_for_its_binding_only() {
        let (key, other) = (SealingKey::new(&[1; 32]).unwrap(), SealingKey::new(&[2; 32]).unwrap());
        let sealed = key.seal("person/a/b/c/name", b"Ada").unwrap();
        assert_eq!(key.open("person/a/b/c/name", &sealed), Ok(b"Ada".to_vec()));
        assert_eq!(key.open("person/a/b/c/email", &sealed), Err(DoesNotOpen));
        assert_eq!(other.open("person/a/b/c/name", &sealed), Err(DoesNotOpen));
        assert_ne!(key.seal("person/a/b/c/name", b"Ada").unwrap(), sealed, "equal names must not look equal");
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(key.open("person/a/b/c/name", &damaged), Err(DoesNotOpen));
        assert_eq!(key.open("person/a/b/c/name", b"short"), Err(DoesNotOpen));
    }

    #[test]
    fn a_hash_depends_on_its_key_and_on_where_parts_end() {
        let (key, other) = (HashingKey::new(&[1; 32]), HashingKey::new(&[2; 32]));
        assert_eq!(key.hash(&["person", "L1"]), key.hash(&["person", "L1"]));
        assert_ne!(key.hash(&["person", "L1"]), other.hash(&["person", "L1"]));
        assert_ne!(key.hash(&["person", "L1"]), key.hash(&["personL", "1"]));
    }
}

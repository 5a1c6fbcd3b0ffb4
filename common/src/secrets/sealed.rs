//! Credentials on one machine: one file each, sealed with AES-256-GCM under a key file.

use super::{Binding, SecretError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Sealed files in a folder.
pub struct SealedFiles {
    folder: PathBuf,
    key: RandomizedNonceKey,
}

/// Why the folder of sealed files cannot be used.
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
    #[error(
        "{path} is not a sealing key of 32 bytes; restore it, or move it and the credentials away and connect again"
    )]
    DamagedKey {
        /// Which file.
        path: PathBuf,
    },
    /// The random numbers or the cipher of the machine fail.
    #[error("the cipher library failed")]
    Cipher,
}

impl SealedFiles {
    /// Opens `folder`, making it and its key on first use; both can be read by their owner alone.
    ///
    /// # Errors
    /// [`SealingError`]; a damaged key is never replaced.
    pub fn open(folder: &Path) -> Result<Self, SealingError> {
        let key_file = folder.join("sealing.key");
        let io = |source| SealingError::Io { path: key_file.clone(), source };
        private_folder(folder).map_err(io)?;
        let bytes = match fs::read(&key_file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = vec![0; 32];
                aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealingError::Cipher)?;
                write_private(&key_file, &bytes).map_err(io)?;
                bytes
            }
            Err(error) => return Err(io(error)),
        };
        if bytes.len() != 32 {
            return Err(SealingError::DamagedKey { path: key_file });
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| SealingError::Cipher)?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The ids have no characters that mean anything in a file name, and `@` is in none of them.
    fn file(&self, binding: Binding<'_>) -> PathBuf {
        self.folder.join(format!("{}@{}.sealed", binding.connection, binding.company))
    }

    pub(super) fn get(&self, binding: Binding<'_>) -> Result<SecretString, SecretError> {
        let mut bytes = match fs::read(self.file(binding)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretError::Missing),
            Err(error) => return Err(SecretError::Unavailable(error.into())),
        };
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(SecretError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Malformed)?;
        let opened = self.key.open_in_place(nonce, associated(binding), sealed).map_err(|_| SecretError::Malformed)?;
        let text = std::str::from_utf8(opened).map_err(|_| SecretError::Malformed)?;
        Ok(SecretString::from(text))
    }

    pub(super) fn put(&self, binding: Binding<'_>, content: &SecretString) -> Result<(), SecretError> {
        let mut sealed = content.expose_secret().as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(associated(binding), &mut sealed);
        let nonce = nonce.map_err(|_| SecretError::Unavailable("the cipher library failed".into()))?;
        let bytes = [nonce.as_ref().as_slice(), &sealed].concat();
        write_private(&self.file(binding), &bytes).map_err(|error| SecretError::Unavailable(error.into()))
    }
}

/// What a sealed file is bound to: renamed to another connection's, it does not open.
fn associated(binding: Binding<'_>) -> Aad<String> {
    Aad::from(format!("credential/{}/{}/{}", binding.company, binding.connection, binding.product))
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes beside the file and renames, so that a crash leaves the old content or the new one.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
    use crate::domain::connection::Product;
    use crate::domain::id::{CompanyId, ConnectionId};

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("huntress-evidence-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_sealed_file_opens_for_its_own_connection_only() {
        let folder = Folder::new("sealed");
        let files = SealedFiles::open(&folder.0).unwrap();
        let company = CompanyId::parse("acme").unwrap();
        let (one, two) = (ConnectionId::parse("one").unwrap(), ConnectionId::parse("two").unwrap());
        let binding = |connection| Binding { company: &company, connection, product: Product::Edr };
        assert!(matches!(files.get(binding(&one)), Err(SecretError::Missing)));
        files.put(binding(&one), &"marker-secret".into()).unwrap();
        assert_eq!(files.get(binding(&one)).unwrap().expose_secret(), "marker-secret");
        let bytes = fs::read(files.file(binding(&one))).unwrap();
        assert!(!bytes.windows(13).any(|part| part == b"marker-secret"));
        fs::copy(files.file(binding(&one)), files.file(binding(&two))).unwrap();
        assert!(matches!(files.get(binding(&two)), Err(SecretError::Malformed)));
        // The same key opens it again after a restart.
        let again = SealedFiles::open(&folder.0).unwrap();
        assert_eq!(again.get(binding(&one)).unwrap().expose_secret(), "marker-secret");
    }

    #[test]
    fn a_damaged_key_is_named_and_kept() {
        let folder = Folder::new("damaged");
        drop(SealedFiles::open(&folder.0).unwrap());
        fs::write(folder.0.join("sealing.key"), b"short").unwrap();
        assert!(matches!(SealedFiles::open(&folder.0), Err(SealingError::DamagedKey { .. })));
        assert_eq!(fs::read(folder.0.join("sealing.key")).unwrap(), b"short");
    }
}

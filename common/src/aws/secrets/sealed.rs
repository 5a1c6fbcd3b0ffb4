//! Credentials on one machine: one file each, sealed with AES-256-GCM under a key file.

use super::sealing::{SealingError, SealingKey, write_private};
use super::{Binding, SecretError, utf8};
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Sealed files in a folder.
pub struct SealedFiles {
    folder: PathBuf,
    key: SealingKey,
}

impl SealedFiles {
    /// Opens `folder`, making it and its key on first use; both can be read by their owner alone.
    ///
    /// # Errors
    /// [`SealingError`]; a damaged key is never replaced.
    pub fn open(folder: &Path) -> Result<Self, SealingError> {
        let key = SealingKey::of_file(&folder.join("sealing.key"))?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// The ids have no characters that mean anything in a file name, and `@` is in none of them.
    fn file(&self, binding: Binding<'_>) -> PathBuf {
        self.folder.join(format!("{}@{}.sealed", binding.connection, binding.company))
    }

    pub(super) fn get(&self, binding: Binding<'_>) -> Result<SecretString, SecretError> {
        let bytes = match fs::read(self.file(binding)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SecretError::Missing),
            Err(error) => return Err(SecretError::Unavailable(error.into())),
        };
        let opened = self.key.open(&associated(binding), &bytes).map_err(|_| SecretError::Malformed)?;
        utf8(opened)
    }

    pub(super) fn put(&self, binding: Binding<'_>, content: &SecretString) -> Result<(), SecretError> {
        let sealed = self.key.seal(&associated(binding), content.expose_secret().as_bytes());
        let sealed = sealed.map_err(|error| SecretError::Unavailable(error.into()))?;
        write_private(&self.file(binding), &sealed).map_err(|error| SecretError::Unavailable(error.into()))
    }

    pub(super) fn remove(&self, binding: Binding<'_>) -> Result<(), SecretError> {
        match fs::remove_file(self.file(binding)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SecretError::Unavailable(error.into())),
            _ => Ok(()),
        }
    }
}

/// What a sealed file is bound to: renamed to another connection's, it does not open.
fn associated(binding: Binding<'_>) -> String {
    format!("credential/{}/{}/{}", binding.company, binding.connection, binding.product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{CompanyId, ConnectionId};
    use crate::domain::product::Product;

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

//! Credentials in the table, each sealed with AES-256-GCM under a data key of its own, which is stored beside it, wrapped by KMS.
//!
//! A key for each credential costs no more than one for many: a connection is read once a day, by whatever process, so every read would unwrap
//! a key in any case. Nothing is cached, a new credential comes with a new key, and a key that leaks opens one credential.

use super::sealing::SealingKey;
use super::wrapping::{PlainKey, Purpose, WrapError, Wrapping};
use super::{Binding, SecretError, utf8};
use crate::store::{SealedCredential, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// Sealed credentials in the table.
pub struct SealedTable {
    store: Store,
    wrapping: Wrapping,
}

impl SealedTable {
    /// Credentials in this table, under keys that are wrapped so.
    #[must_use]
    pub fn new(store: Store, wrapping: Wrapping) -> Self {
        Self { store, wrapping }
    }

    pub(super) async fn get(&self, binding: Binding<'_>) -> Result<SecretString, SecretError> {
        let stored = self.store.credential(binding.company, binding.connection).await?.ok_or(SecretError::Missing)?;
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SecretError::Malformed);
        let key = sealing(&self.wrapping.unwrap(purpose(binding), &bytes(&stored.data_key)?).await?)?;
        let opened = key.open(&associated(binding), &bytes(&stored.content)?).map_err(|_| SecretError::Malformed)?;
        utf8(opened)
    }

    pub(super) async fn put(&self, binding: Binding<'_>, content: &SecretString) -> Result<(), SecretError> {
        let (key, wrapped) = self.wrapping.generate(purpose(binding)).await?;
        let sealed = sealing(&key)?.seal(&associated(binding), content.expose_secret().as_bytes());
        let sealed = sealed.map_err(|error| SecretError::Unavailable(error.into()))?;
        let stored = SealedCredential { data_key: STANDARD.encode(wrapped), content: STANDARD.encode(sealed) };
        Ok(self.store.keep_credential(binding.company, binding.connection, &stored).await?)
    }

    pub(super) async fn remove(&self, binding: Binding<'_>) -> Result<(), SecretError> {
        Ok(self.store.remove_credential(binding.company, binding.connection).await?)
    }
}

/// What the data key is for: KMS opens it for no other connection.
fn purpose(binding: Binding<'_>) -> Purpose<'_> {
    Purpose::Credential(binding.company, binding.connection)
}

/// What the column is bound to: copied to another connection's record, or to another column, it does not open.
fn associated(binding: Binding<'_>) -> String {
    format!("credential/{}/{}/{}/content", binding.company, binding.connection, binding.product)
}

fn sealing(key: &PlainKey) -> Result<SealingKey, SecretError> {
    SealingKey::new(key.bytes()).map_err(|error| SecretError::Unavailable(error.into()))
}

impl From<WrapError> for SecretError {
    fn from(error: WrapError) -> Self {
        match error {
            WrapError::DoesNotOpen => Self::Malformed,
            error @ WrapError::Unavailable(_) => Self::Unavailable(error.into()),
        }
    }
}

impl From<StoreError> for SecretError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::Malformed,
            error => Self::Unavailable(error.into()),
        }
    }
}

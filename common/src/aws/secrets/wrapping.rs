//! Keys that are stored wrapped: under a key of AWS KMS, or under a key file on one machine.

use super::sealing::{KEY_BYTES, SealingKey, random_key};
use crate::aws::client::{Operation, Service, ServiceError};
use crate::domain::id::{CompanyId, ConnectionId};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What a wrapped key is for. It opens for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// Hashes the learner ids of a company.
    PersonHash(&'a CompanyId),
    /// Seals the people of a connection.
    People(&'a CompanyId, &'a ConnectionId),
    /// Seals the credential of a connection.
    Credential(&'a CompanyId, &'a ConnectionId),
}

impl Purpose<'_> {
    /// The pairs that KMS binds and logs.
    fn context(&self) -> Vec<(&'static str, String)> {
        let (purpose, company, connection) = match self {
            Self::PersonHash(company) => ("person-hash", company, None),
            Self::People(company, connection) => ("people", company, Some(connection)),
            Self::Credential(company, connection) => ("credential", company, Some(connection)),
        };
        let pairs = [("purpose", purpose.to_owned()), ("company", company.to_string())];
        pairs.into_iter().chain(connection.map(|connection| ("connection", connection.to_string()))).collect()
    }

    fn encryption_context(&self) -> Value {
        let mut pairs = Map::new();
        for (name, value) in self.context() {
            pairs.insert(name.to_owned(), Value::String(value));
        }
        Value::Object(pairs)
    }

    fn binding(&self) -> String {
        let pairs: Vec<String> = self.context().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("key/{}", pairs.join("/"))
    }
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    /// KMS does not answer, or refuses.
    #[error("the key service does not answer, or refuses the key")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The stored key does not open.
    #[error("a stored key does not open: it was made for something else, under another key, or is damaged")]
    DoesNotOpen,
}

/// A key in the clear. It is wiped from memory by nobody but the cipher, so it is turned into one at once.
pub struct PlainKey([u8; KEY_BYTES]);

impl PlainKey {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What wraps keys.
pub enum Wrapping {
    /// A key of AWS KMS, which never leaves it.
    Kms {
        /// KMS.
        service: Box<Service>,
        /// The key's id, ARN or alias.
        key_id: String,
    },
    /// A key file on one machine.
    File(SealingKey),
}

impl Wrapping {
    /// A new key, in the clear and wrapped.
    ///
    /// # Errors
    /// [`WrapError::Unavailable`]
    pub async fn generate(&self, purpose: Purpose<'_>) -> Result<(PlainKey, Vec<u8>), WrapError> {
        match self {
            Self::Kms { service, key_id } => {
                let input =
                    json!({"KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": purpose.encryption_context()});
                let answer = service.call(GENERATE_DATA_KEY, &input).await;
                let answer = answer.map_err(|error| WrapError::Unavailable(error.into()))?;
                let wrapped = bytes_at(&answer, "CiphertextBlob");
                let wrapped = wrapped.ok_or_else(|| WrapError::Unavailable("no key came".into()))?;
                Ok((plain(bytes_at(&answer, "Plaintext").as_deref())?, wrapped))
            }
            Self::File(key) => {
                let cipher = |_| WrapError::Unavailable("the cipher library failed".into());
                let bytes = random_key().map_err(cipher)?;
                let wrapped = key.seal(&purpose.binding(), &bytes).map_err(cipher)?;
                Ok((PlainKey(bytes), wrapped))
            }
        }
    }

    /// A key in the clear.
    ///
    /// # Errors
    /// [`WrapError::DoesNotOpen`] for one that was made for something else.
    pub async fn unwrap(&self, purpose: Purpose<'_>, wrapped: &[u8]) -> Result<PlainKey, WrapError> {
        match self {
            Self::Kms { service, key_id } => {
                let input = json!({
                    "KeyId": key_id,
                    "CiphertextBlob": STANDARD.encode(wrapped),
                    "EncryptionContext": purpose.encryption_context(),
                });
                let answer = service.call(DECRYPT, &input).await.map_err(|error| match &error {
                    ServiceError::Refused { code, .. } if DOES_NOT_OPEN.contains(&code.as_str()) => {
                        WrapError::DoesNotOpen
                    }
                    _ => WrapError::Unavailable(error.into()),
                })?;
                plain(bytes_at(&answer, "Plaintext").as_deref())
            }
            Self::File(key) => {
                let opened = key.open(&purpose.binding(), wrapped).map_err(|_| WrapError::DoesNotOpen)?;
                plain(Some(&opened))
            }
        }
    }
}

const GENERATE_DATA_KEY: Operation = Operation { target: "TrentService.GenerateDataKey", version: "1.1" };
const DECRYPT: Operation = Operation { target: "TrentService.Decrypt", version: "1.1" };

/// What KMS answers for a wrapped key that is damaged, for something else, or under another key.
const DOES_NOT_OPEN: [&str; 2] = ["InvalidCiphertextException", "IncorrectKeyException"];

fn bytes_at(answer: &Value, field: &str) -> Option<Vec<u8>> {
    STANDARD.decode(answer.get(field)?.as_str()?).ok()
}

fn plain(bytes: Option<&[u8]>) -> Result<PlainKey, WrapError> {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(PlainKey).ok_or(WrapError::DoesNotOpen)
}

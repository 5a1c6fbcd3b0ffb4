//! The Ed25519 key of KMS that signs checkpoints and packs. It never leaves KMS; only the signing function may use it.

use crate::aws::client::{Operation, Service, ServiceError};
use crate::domain::note::{InvalidKey, VerifierKey, default_log_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The most that KMS signs as it is. A checkpoint has three lines, a manifest's note one.
const LARGEST_MESSAGE: usize = 4096;

/// What an Ed25519 public key in DER begins with (RFC 8410); 32 bytes follow.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const GET_PUBLIC_KEY: Operation = Operation { target: "TrentService.GetPublicKey", version: "1.1" };
const SIGN: Operation = Operation { target: "TrentService.Sign", version: "1.1" };

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// KMS does not answer, or refuses.
    #[error("the signing key cannot be used")]
    Service(#[from] ServiceError),
    /// KMS answers something else than was asked for.
    #[error("the signing key cannot be used: {0}")]
    Answer(&'static str),
    /// The name of the log cannot stand in a signature.
    #[error(transparent)]
    Name(#[from] InvalidKey),
}

impl SigningError {
    /// Whether it may pass by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Service(error) if error.may_pass())
    }
}

/// A key of KMS: `ECC_NIST_EDWARDS25519`, for `SIGN_VERIFY`.
pub struct KmsKey {
    service: Service,
    key_id: String,
    verifier: VerifierKey,
}

impl KmsKey {
    /// A key by its id, ARN or alias, whose public half is asked for. Without a name the log gets the default one.
    ///
    /// # Errors
    /// [`SigningError`]
    pub async fn open(service: Service, key_id: String, name: Option<&str>) -> Result<Self, SigningError> {
        let answer = service.call(GET_PUBLIC_KEY, &json!({"KeyId": key_id})).await?;
        let der = bytes_at(&answer, "PublicKey").ok_or(SigningError::Answer("it has no public key"))?;
        let public = der.strip_prefix(SPKI.as_slice()).and_then(|key| <[u8; 32]>::try_from(key).ok());
        let public = public.ok_or(SigningError::Answer("it is no Ed25519 key (ECC_NIST_EDWARDS25519)"))?;
        let name = name.map_or_else(|| default_log_name(&public), str::to_owned);
        Ok(Self { service, key_id, verifier: VerifierKey::new(name, public)? })
    }

    /// A key, and the one that signed `before` it, if another one does now. Both are named as the log, by default after the first of them.
    ///
    /// # Errors
    /// [`SigningError`]
    pub async fn open_with(
        services: [Service; 2],
        key_id: String,
        before: Option<String>,
        name: Option<&str>,
    ) -> Result<(Self, Option<Self>), SigningError> {
        let [service, of_before] = services;
        let Some(before) = before else { return Ok((Self::open(service, key_id, name).await?, None)) };
        let before = Self::open(of_before, before, name).await?;
        let key = Self::open(service, key_id, Some(before.verifier.name())).await?;
        Ok((key, Some(before)))
    }

    /// The key that checks its signatures. Its name is the log's.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature over these bytes.
    ///
    /// # Errors
    /// [`SigningError`]; also for a signature that is not one of this key.
    pub async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SigningError> {
        if message.len() > LARGEST_MESSAGE {
            return Err(SigningError::Answer("KMS signs at most 4096 bytes"));
        }
        let input = json!({
            "KeyId": self.key_id,
            "Message": STANDARD.encode(message),
            "MessageType": "RAW",
            "SigningAlgorithm": "ED25519_SHA_512",
        });
        let answer = self.service.call(SIGN, &input).await?;
        let signature = bytes_at(&answer, "Signature").and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let signature = signature.ok_or(SigningError::Answer("it gave no Ed25519 signature"))?;
        // What would not verify must not be kept.
        if !crate::signing::verify(self.verifier.public_key(), message, &signature) {
            return Err(SigningError::Answer("it gave a signature that its public key does not verify"));
        }
        Ok(signature)
    }
}

fn bytes_at(answer: &Value, field: &str) -> Option<Vec<u8>> {
    STANDARD.decode(answer.get(field)?.as_str()?).ok()
}

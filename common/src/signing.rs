//! The Ed25519 key that signs checkpoints and packs, and the check of its signatures.

use crate::domain::note::{InvalidKey, Note, VerifierKey, default_log_name};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::convert::Infallible;

/// Whether a signature over `message` is that of the Ed25519 key.
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

/// What a key file begins with: the form of golang.org/x/mod/sumdb/note.
const PREFIX: &str = "PRIVATE+KEY+";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
    /// The text is no key.
    #[error("it is not PRIVATE+KEY+name+hash+base64 with an Ed25519 seed")]
    Form,
    /// Its name or hash is wrong.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The random numbers of the machine fail.
    #[error("the cipher library failed")]
    Random,
}

/// A key that signs, with the name of the log. It cannot be printed, copied or serialized.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl LogKey {
    /// The key of a seed. Without a name the log gets the default one.
    ///
    /// # Errors
    /// [`InvalidKey::Name`] for a name that cannot stand in a signature line.
    pub fn of_seed(seed: &[u8; 32], name: Option<&str>) -> Result<Self, LogKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| LogKeyError::Form)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| LogKeyError::Form)?;
        let name = name.map_or_else(|| default_log_name(&public), str::to_owned);
        Ok(Self { pair, verifier: VerifierKey::new(name, public)? })
    }

    /// A new key, and the text that [`LogKey::parse`] reads.
    ///
    /// # Errors
    /// [`LogKeyError`].
    pub fn generate(name: Option<&str>) -> Result<(Self, String), LogKeyError> {
        let seed: [u8; 32] = ring::rand::generate(&SystemRandom::new()).map_err(|_| LogKeyError::Random)?.expose();
        let key = Self::of_seed(&seed, name)?;
        let encoded = STANDARD.encode([&[1], seed.as_slice()].concat());
        let text = format!("{PREFIX}{}+{:08x}+{encoded}\n", key.verifier.name(), key.verifier.id());
        Ok((key, text))
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`, the base64 of 01 and the seed.
    ///
    /// # Errors
    /// [`LogKeyError`].
    pub fn parse(text: &str) -> Result<Self, LogKeyError> {
        let (name, rest) =
            text.trim().strip_prefix(PREFIX).and_then(|it| it.split_once('+')).ok_or(LogKeyError::Form)?;
        let (hash, encoded) = rest.split_once('+').ok_or(LogKeyError::Form)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| LogKeyError::Form)?;
        let seed = match bytes.split_first() {
            Some((1, seed)) => seed.try_into().map_err(|_| LogKeyError::Form)?,
            _ => return Err(LogKeyError::Form),
        };
        let key = Self::of_seed(seed, Some(name))?;
        if format!("{:08x}", key.verifier.id()) == hash { Ok(key) } else { Err(InvalidKey::Hash.into()) }
    }

    /// The key that checks its signatures. Its name is the log's.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The signature over these bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        // Every Ed25519 signature has 64 bytes.
        signature.as_ref().try_into().unwrap_or([0; 64])
    }

    /// A note of this text, signed.
    #[must_use]
    pub fn note(&self, text: String) -> Note {
        let Ok(note) = Note::signed(text, &self.verifier, |bytes| Ok::<_, Infallible>(self.sign(bytes)));
        note
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;

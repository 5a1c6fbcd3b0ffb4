//! Signed notes: the form of <https://c2sp.org/signed-note>, with Ed25519 keys (type 0x01).
//!
//! Text, an empty line, and a line per signature. Who signs and who checks is given: nothing here has a key.

use super::log::Hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The signature type of Ed25519.
const ED25519: u8 = 0x01;

/// Signature lines that are read; a note with more is refused.
const MOST_SIGNATURES: usize = 100;

/// The start of a signature line: an em dash and a blank.
const MARK: &str = "\u{2014} ";

/// A key that checks signatures: `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It does not have the three parts.
    #[error("a verifier key is name+hash+base64, as `log-key` prints it")]
    Form,
    /// Its name cannot stand in a signature line.
    #[error("the name of a key must not be empty, nor have blanks or a plus")]
    Name,
    /// It is not of type 0x01 with 32 bytes.
    #[error("the key is no Ed25519 key (type 1)")]
    Type,
    /// A letter was lost on the way.
    #[error("the key does not have the hash that stands in it: it was copied wrongly")]
    Hash,
}

/// Whether a name can stand in a signature line.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl VerifierKey {
    /// The key of this name.
    ///
    /// # Errors
    /// [`InvalidKey::Name`].
    pub fn new(name: impl Into<String>, public_key: [u8; 32]) -> Result<Self, InvalidKey> {
        let name = name.into();
        if is_name(&name) { Ok(Self { name, public_key }) } else { Err(InvalidKey::Name) }
    }

    /// Reads `name+hash+base64`.
    ///
    /// ```
    /// use evidence_domain::note::*;
    /// let key = VerifierKey::new("log.example", [7; 32]).unwrap();
    /// assert_eq!(VerifierKey::parse(&key.to_string()), Ok(key));
    /// assert_eq!(VerifierKey::parse("log.example"), Err(InvalidKey::Form));
    /// ```
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let (name, rest) = text.split_once('+').ok_or(InvalidKey::Form)?;
        let (hash, encoded) = rest.split_once('+').ok_or(InvalidKey::Form)?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hash.len() != 8 || !hash.bytes().all(lower_hex) {
            return Err(InvalidKey::Form);
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidKey::Form)?;
        let public_key = match bytes.split_first() {
            Some((&ED25519, key)) => key.try_into().map_err(|_| InvalidKey::Type)?,
            _ => return Err(InvalidKey::Type),
        };
        let key = Self::new(name, public_key)?;
        if format!("{:08x}", key.id()) == hash { Ok(key) } else { Err(InvalidKey::Hash) }
    }

    /// The name, which stands in signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The first 32 bits of SHA-256 over name, line end, type and public key.
    #[must_use]
    pub fn id(&self) -> u32 {
        let hashed = [self.name.as_bytes(), b"\n", &[ED25519], &self.public_key].concat();
        let [a, b, c, d, ..] = Hash::of(&hashed).0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[ED25519], self.public_key.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(typed))
    }
}

/// The name of a log that was given none: `huntress-evidence.local/` and the first 8 hexadecimal digits of the SHA-256 of its public key.
#[must_use]
pub fn default_log_name(public_key: &[u8; 32]) -> String {
    let hex = Hash::of(public_key).hex();
    format!("huntress-evidence.local/{}", hex.get(..8).unwrap_or(&hex))
}

/// A signature of a note, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub id: u32,
    /// What follows the id: 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

/// A note with its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text, with the line end that it has to end with.
    pub text: String,
    /// The signatures, in their order.
    pub signatures: Vec<NoteSignature>,
}

/// Bytes that are no signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no signed note (c2sp.org/signed-note)")]
pub struct InvalidNote;

impl Note {
    /// A note with one signature. `sign` gives the Ed25519 signature over the text.
    ///
    /// # Errors
    /// What `sign` says.
    pub fn signed<E>(
        text: String,
        key: &VerifierKey,
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<Self, E> {
        let signature = sign(text.as_bytes())?.to_vec();
        Ok(Self { text, signatures: vec![NoteSignature { name: key.name.clone(), id: key.id(), signature }] })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`InvalidNote`] for what the format does not allow.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidNote> {
        let whole = std::str::from_utf8(bytes).map_err(|_| InvalidNote)?;
        if whole.contains(|c: char| c < ' ' && c != '\n') {
            return Err(InvalidNote);
        }
        let split = whole.rfind("\n\n").ok_or(InvalidNote)?;
        let (text, lines) = (whole.get(..=split).ok_or(InvalidNote)?, whole.get(split + 2..).ok_or(InvalidNote)?);
        let lines = lines.strip_suffix('\n').ok_or(InvalidNote)?;
        let signatures = lines.split('\n').take(MOST_SIGNATURES + 1).map(parse_signature);
        let signatures: Vec<_> = signatures.collect::<Result<_, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(InvalidNote);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Whether `key` has signed the text. `verify` says whether a signature over these bytes is that of a public key.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifierKey, verify: impl Fn(&[u8; 32], &[u8], &[u8]) -> bool) -> bool {
        let mut of_key = self.signatures.iter().filter(|it| it.name == key.name && it.id == key.id()).peekable();
        // Every one of them, so that a wrong one cannot hide behind a right one.
        of_key.peek().is_some() && of_key.all(|it| verify(key.public_key(), self.text.as_bytes(), &it.signature))
    }
}

fn parse_signature(line: &str) -> Result<NoteSignature, InvalidNote> {
    let (name, encoded) = line.strip_prefix(MARK).and_then(|line| line.split_once(' ')).ok_or(InvalidNote)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| InvalidNote)?;
    let (id, signature) = bytes.split_first_chunk().ok_or(InvalidNote)?;
    if !is_name(name) || signature.is_empty() {
        return Err(InvalidNote);
    }
    Ok(NoteSignature { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() })
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, id, signature } in &self.signatures {
            let encoded = STANDARD.encode([&id.to_be_bytes(), signature.as_slice()].concat());
            writeln!(f, "{MARK}{name} {encoded}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation of golang.org/x/mod/sumdb/note.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
         \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_of_another_program_is_read_and_written() {
        let key = VerifierKey::parse(PETER).unwrap();
        assert_eq!(key.to_string(), PETER);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.to_string(), NOTE);
        assert_eq!((note.signatures[0].name.as_str(), note.signatures[0].id), ("PeterNeumann", key.id()));
        assert!(note.is_signed_by(&key, |_, text, signature| text == note.text.as_bytes() && signature.len() == 64));
        assert!(!note.is_signed_by(&key, |_, _, _| false));
        let other = VerifierKey::new("PeterNeumann", [1; 32]).unwrap();
        assert!(!note.is_signed_by(&other, |_, _, _| true));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let bad = [
            NOTE.trim_end().to_owned(),
            NOTE.replace('\u{2014}', "-"),
            NOTE.replace("\n\n", "\n"),
            NOTE.replace("=\n", "\n"),
            NOTE.replace("PeterNeumann", "Peter+Neumann"),
            NOTE.replace("PeterNeumann", ""),
            NOTE.replace("If", "I\tf"),
            format!("{NOTE}\n"),
            format!("{NOTE}more\n"),
            "a\n\n\u{2014} n AAAAAA==\n".to_owned(),
            String::new(),
            format!("a\n\n{}", "\u{2014} n AAAAAAA=\n".repeat(101)),
        ];
        for bad in bad {
            assert_eq!(Note::parse(bad.as_bytes()), Err(InvalidNote), "{bad:?}");
        }
        assert_eq!(Note::parse(b"\xff\n\n"), Err(InvalidNote));
        assert!(Note::parse(format!("a\n\n{}", "\u{2014} n AAAAAAA=\n".repeat(100)).as_bytes()).is_ok());
    }

    #[test]
    fn a_key_that_was_copied_wrongly_is_refused() {
        let cases = [
            (PETER.replace("c74f20a3", "c74f20a4"), InvalidKey::Hash),
            (PETER.replace("10TW", "10TX"), InvalidKey::Hash),
            (PETER.replace("ARpc", "AhpC"), InvalidKey::Type),
            (PETER.replace("10TW", ""), InvalidKey::Type),
            (PETER.replace("c74f20a3", "C74F20A3"), InvalidKey::Form),
            (PETER.replace("Peter", "Peter "), InvalidKey::Name),
            (PETER.replace("PeterNeumann", ""), InvalidKey::Name),
        ];
        for (text, error) in cases {
            assert_eq!(VerifierKey::parse(&text), Err(error), "{text}");
        }
    }
}

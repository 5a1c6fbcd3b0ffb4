//! The list of a pack's files, whose hash is what is signed.

use crate::domain::id::{ClientId, CompanyId};
use crate::domain::log::Hash;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// The layout of packs that this program makes and reads.
pub const FORMAT: u32 = 1;

/// What this program makes of the same evidence: another number where a table or an export changes.
pub const RENDERER: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The layout: 1.
    pub format: u32,
    /// What made the tables and exports: see [`RENDERER`].
    pub renderer: u32,
    /// The version of the program that made it.
    pub product_version: String,
    /// Who runs the connector.
    pub company: CompanyId,
    /// Whose evidence.
    pub client: ClientId,
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The zone that these days are of.
    pub zone: String,
    /// The instant that everything is as of.
    pub at: DateTime<Utc>,
    /// The name of the log.
    pub log: String,
    /// The key that signed: `name+hash+base64`.
    pub key: String,
    /// Every file but this one and its signature, by path.
    pub files: Vec<FileEntry>,
}

/// A file of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Where it is.
    pub path: String,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// What it is.
    pub media_type: String,
    /// What it was made of; empty for what was recorded.
    pub derived_from: Vec<String>,
    /// Whether it is evidence from before the log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
}

impl Manifest {
    /// The file.
    ///
    /// # Errors
    /// None that the fields could cause.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// What is signed: the hash of the file, as `sha256sum` prints it.
    #[must_use]
    pub fn signed_text(bytes: &[u8]) -> String {
        format!("{}  {}\n", Hash::of(bytes).hex(), super::layout::MANIFEST)
    }
}

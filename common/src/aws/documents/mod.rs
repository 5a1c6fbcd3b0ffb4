//! Where certificates are kept: an S3 bucket, or a folder on one machine. What comes here is sealed already.

mod answer;
mod s3;

pub use s3::Bucket;

use crate::aws::secrets::sealing::{private_folder, write_private};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::people::person::PersonId;
use crate::domain::sat::id::SatId;
use chrono::{DateTime, Utc};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use url::Url;

/// Why a document cannot be kept, read or erased.
#[derive(Debug, thiserror::Error)]
#[error("the store of certificates does not answer, or refuses")]
pub struct DocumentError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl From<io::Error> for DocumentError {
    fn from(error: io::Error) -> Self {
        Self(error.into())
    }
}

/// A place for documents.
pub enum Documents {
    /// An S3 bucket.
    Bucket(Bucket),
    /// A folder.
    Folder(PathBuf),
}

/// The name of one certificate: everything of a person, and everything of a connection, has a prefix of its own.
///
/// Ids hold no `/`, and none of them is `.` or `..`.
#[must_use]
pub fn certificate_key(
    company: &CompanyId,
    connection: &ConnectionId,
    person: &PersonId,
    assignment: &SatId,
    earned_at: DateTime<Utc>,
) -> String {
    format!("{}{assignment}/{}", prefix_of_person(company, connection, person), earned_at.format("%Y%m%dT%H%M%S%3fZ"))
}

/// What the names of all certificates of a person begin with.
#[must_use]
pub fn prefix_of_person(company: &CompanyId, connection: &ConnectionId, person: &PersonId) -> String {
    format!("{}{person}/", prefix_of_connection(company, connection))
}

/// What the names of all certificates of a connection begin with.
#[must_use]
pub fn prefix_of_connection(company: &CompanyId, connection: &ConnectionId) -> String {
    format!("{company}/{connection}/")
}

impl Documents {
    /// Keeps a document. The same again under the same name is the same document.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), DocumentError> {
        match self {
            Self::Bucket(bucket) => bucket.put(key, bytes).await,
            Self::Folder(folder) => {
                let path = folder.join(key);
                private_folder(path.parent().unwrap_or(folder))?;
                Ok(write_private(&path, &bytes)?)
            }
        }
    }

    /// A document, if it is there.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, DocumentError> {
        match self {
            Self::Bucket(bucket) => bucket.get(key).await,
            Self::Folder(folder) => match fs::read(folder.join(key)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// A presigned URL of a document, valid for the given time; `None` for a folder.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub async fn link(&self, key: &str, lasts: Duration) -> Result<Option<Url>, DocumentError> {
        match self {
            Self::Bucket(bucket) => bucket.link(key, lasts).await.map(Some),
            Self::Folder(_) => Ok(None),
        }
    }

    /// Erases what a folder has kept since before an instant, and says how many that were. A bucket does that by itself, by its lifecycle.
    ///
    /// # Errors
    /// [`DocumentError`]; a repetition goes on with what is left.
    pub fn erase_older(&self, than: DateTime<Utc>) -> Result<usize, DocumentError> {
        match self {
            Self::Bucket(_) => Ok(0),
            Self::Folder(folder) => Ok(erase_older(folder, than.into())?),
        }
    }

    /// Erases every document whose name begins with `prefix`, which ends with `/`, in all its versions.
    ///
    /// # Errors
    /// [`DocumentError`]; a repetition goes on with what is left.
    pub async fn erase(&self, prefix: &str) -> Result<(), DocumentError> {
        match self {
            Self::Bucket(bucket) => bucket.erase(prefix).await,
            Self::Folder(folder) => erase_folder(&folder.join(prefix)),
        }
    }
}

fn erase_older(folder: &Path, than: SystemTime) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut erased = 0;
    for entry in entries {
        let entry = entry?;
        // A link is erased as such, and never followed.
        if entry.file_type()?.is_dir() {
            erased += erase_older(&entry.path(), than)?;
        } else if entry.metadata()?.modified()? < than {
            fs::remove_file(entry.path())?;
            erased += 1;
        }
    }
    Ok(erased)
}

fn erase_folder(folder: &Path) -> Result<(), DocumentError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

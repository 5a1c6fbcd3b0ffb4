//! Why the place of the data cannot be written to, in words for people.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What keeps files from being written, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Self {
        Self(match error.kind() {
            ErrorKind::StorageFull => "the disk is full; make room and repeat".to_owned(),
            ErrorKind::QuotaExceeded => "the disk quota is used up; make room and repeat".to_owned(),
            ErrorKind::FileTooLarge => {
                "a file would be larger than this process may write (see ulimit -f); raise the limit and repeat"
                    .to_owned()
            }
            ErrorKind::ReadOnlyFilesystem => "the file system is read-only; make it writable and repeat".to_owned(),
            ErrorKind::PermissionDenied => {
                "this user may not write there; give them the right to and repeat".to_owned()
            }
            _ => error.to_string(),
        })
    }
}

/// What is written to find out: more than any one write of the engine.
static PROBE: [u8; 64 * 1024] = [0; 64 * 1024];

/// Tries to write beside a file as far out as the file and its journal reach. `None` if that is possible.
#[must_use]
pub fn trouble(file: &Path) -> Option<Trouble> {
    let name = file.as_os_str();
    let length = |suffix: &str| {
        let mut beside = name.to_owned();
        beside.push(suffix);
        fs::metadata(PathBuf::from(beside)).map_or(0, |it| it.len())
    };
    let end = ["", "-wal", "-shm"].map(length).into_iter().max().unwrap_or(0);
    let probe = file.with_extension("probe");
    let written = fs::File::create(&probe).and_then(|mut file| {
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&PROBE)?;
        file.sync_all()
    });
    // It may not have been made.
    drop(fs::remove_file(&probe));
    written.err().as_ref().map(Trouble::from)
}

/// What the engine says when it could not write, in words for people; `None` for anything else.
#[must_use]
pub fn trouble_in(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // SQLite's own texts, see https://www.sqlite.org/rescode.html.
        if text.contains("database or disk is full") {
            return Some(
                "the disk is full, or a file reached the limit of this process (ulimit -f); make room, or raise the limit, and repeat",
            );
        }
        if text.contains("attempt to write a readonly database") {
            return Some("it can only be read: its file system or its permissions allow no writing");
        }
        if text.contains("disk I/O error") {
            return Some(
                "the disk does not take or give the data: it may be full, failing, or a file reached the limit of this process (ulimit -f)",
            );
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_trouble_is_left_as_it_was() {
        let folder = std::env::temp_dir().join(format!("huntress-evidence-trouble-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        assert_eq!(trouble(&folder.join("evidence.db")), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn each_cause_has_its_own_words() {
        let nowhere = trouble(Path::new("/no/such/folder/evidence.db")).unwrap();
        assert!(nowhere.to_string().contains("No such file"), "{nowhere}");
        // No file can be made there, whoever asks.
        let in_proc = trouble(Path::new("/proc/evidence.db")).unwrap();
        assert!(!in_proc.to_string().is_empty());
        for (kind, word) in [
            (ErrorKind::StorageFull, "disk is full"),
            (ErrorKind::FileTooLarge, "ulimit -f"),
            (ErrorKind::ReadOnlyFilesystem, "read-only"),
            (ErrorKind::PermissionDenied, "may not write"),
        ] {
            let said = Trouble::from(&io::Error::from(kind)).to_string();
            assert!(said.contains(word) && said.contains("; "), "{said}");
        }
    }
}

//! The embedded DynamoDB engine: in this process, behind HTTP on a loopback port that only lives as long as it.

use crate::storage::{self, Trouble};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::{Client, Config};
use dynoxide::Database;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running engine.
pub struct Engine {
    endpoint: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), String>>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The data file is no database, or is damaged. It is left as it is.
    #[error("the data file {path} cannot be opened: {why}; restore it from a copy, or move it away to begin anew")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the engine says.
        why: String,
    },
    /// The data file is sound, as far as is known, and its place cannot be written to.
    #[error("the data file {path} cannot be written: {trouble}; nothing in it is lost")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        trouble: Trouble,
    },
    /// There is no loopback port.
    #[error("no loopback port for the engine")]
    Port(#[from] std::io::Error),
}

impl Engine {
    /// An engine that forgets everything when it ends.
    ///
    /// # Errors
    /// [`EngineError`]
    pub async fn memory() -> Result<Self, EngineError> {
        let database = Database::memory();
        Self::start(database.map_err(|error| EngineError::Damaged { path: ":memory:".into(), why: error.to_string() })?)
            .await
    }

    /// An engine over a data file, which is made if it is not there.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] for a file that is no database, and [`EngineError::Unwritable`]; it is not touched.
    pub async fn file(path: &Path) -> Result<Self, EngineError> {
        let text = checked(path)?;
        let database = Database::new(text).map_err(|error| unopened(path, &error.to_string()))?;
        Self::start(database).await
    }

    /// An engine over a copy of a data file in memory, for who only reads: it needs no place to write to. What is written to it is lost.
    ///
    /// # Errors
    /// [`EngineError::Damaged`]
    pub async fn copy_of(path: &Path) -> Result<Self, EngineError> {
        let text = checked(path)?;
        // The engine opens the copy by its name, which lives as long as somebody has it open.
        let name = format!("file:evidence-{:032x}?mode=memory&cache=shared", fastrand::u128(..));
        let copied = Connection::open(&name).and_then(|mut copy| {
            let source = readable(text)?;
            Backup::new(&source, &mut copy)?.run_to_completion(PAGES_AT_ONCE, std::time::Duration::ZERO, None)?;
            Ok(copy)
        });
        let damaged = |why: String| EngineError::Damaged { path: path.to_owned(), why };
        let copy = copied.map_err(|error| damaged(error.to_string()))?;
        let database = Database::new(&name).map_err(|error| damaged(error.to_string()))?;
        drop(copy);
        Self::start(database).await
    }

    async fn start(database: Database) -> Result<Self, EngineError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            // A sender that is dropped stops it too.
            drop(stopped.await);
        };
        let served = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, stopped));
        Ok(Self { endpoint, stop, served })
    }

    /// A client of the engine. It takes nothing from the environment.
    #[must_use]
    pub fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(common::aws::sdk_http::SdkHttp::loopback())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "embedded engine"));
        Client::from_conf(config.build())
    }

    /// Ends the engine once every request is answered.
    pub async fn stop(self) {
        drop(self.stop);
        drop(self.served.await);
    }
}

/// Pages that are copied in one step; there is nobody to let in between.
const PAGES_AT_ONCE: i32 = 1024;

/// The path as text, unless the file there is not ours to write into.
fn checked(path: &Path) -> Result<&str, EngineError> {
    let damaged = |why: &str| EngineError::Damaged { path: path.to_owned(), why: why.to_owned() };
    check_header(path).map_err(damaged)?;
    let text = path.to_str().ok_or_else(|| damaged("its path is not UTF-8"))?;
    if is_foreign(text) {
        return Err(damaged("it is the database of another program"));
    }
    Ok(text)
}

/// Why a data file did not open: its place, if nothing can be written there, or the file itself.
fn unopened(path: &Path, why: &str) -> EngineError {
    let path = path.to_owned();
    match storage::trouble(&path) {
        Some(trouble) => EngineError::Unwritable { path, trouble },
        None => EngineError::Damaged { path, why: why.to_owned() },
    }
}

/// Writes a data file anew, so that nothing that was deleted is in it or in its journal any more. No engine may have it open.
///
/// # Errors
/// [`EngineError`]; the file is as it was.
pub fn compact(path: &Path) -> Result<(), EngineError> {
    let compacted = Connection::open(path).and_then(|database| {
        // The journal first, which the file is to swallow, and once more after, because writing anew goes through it.
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
    });
    compacted.map_err(|error| unopened(path, &error.to_string()))
}

/// A data file, opened so that no file is changed or made.
fn readable(path: &str) -> rusqlite::Result<Connection> {
    // What a killed process left in the journal is read with the help of the index beside it, which is there, too. Without a journal nothing but the file
    // itself is looked at.
    let journal = std::fs::metadata(format!("{path}-wal")).is_ok_and(|journal| journal.len() > 0);
    if journal {
        return Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(immutable(path), flags)
}

/// The name under which a file is opened with no lock, no journal, not even a file beside it.
fn immutable(path: &str) -> String {
    format!("file:{}?immutable=1", path.replace('%', "%25").replace('?', "%3f").replace('#', "%23"))
}

/// Whether a file is a sound database without the engine's tables, into which it would write its own.
fn is_foreign(path: &str) -> bool {
    // What a killed process left may not be readable so; the engine reads that.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let foreign = Connection::open_with_flags(immutable(path), flags).and_then(|database| {
        let query = "SELECT count(*) > 0 AND total(name = '_tables') = 0 FROM sqlite_schema";
        database.query_row(query, [], |row| row.get(0))
    });
    foreign.unwrap_or(false)
}

/// A file that is there and not empty must begin as a SQLite database does: anything else is not ours to write into.
fn check_header(path: &Path) -> Result<(), &'static str> {
    use std::io::Read;
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let mut header = [0; 16];
    match file.read(&mut header) {
        Ok(0) => Ok(()),
        Ok(_) if header == *b"SQLite format 3\0" => Ok(()),
        Ok(_) => Err("it is no data file of huntress-evidence"),
        Err(_) => Err("it cannot be read"),
    }
}

//! Everything that AWS is for the functions, on one machine: table, credentials and queue. Or AWS itself, for who looks after a deployed stack.

use crate::engine::{Engine, EngineError, compact};
use crate::storage::{self, Trouble};
use chrono::TimeDelta;
use common::app::collection::batch::{self, Attributes, Batch, Delivery};
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Worker;
use common::app::connections::OauthSettings;
use common::app::people::PeopleKeyring;
use common::app::stack::{Parts, Stack};
use common::aws::documents::Documents;
use common::aws::lambda::Aws;
use common::aws::queue::{Queue, Queued, RunMessage};
use common::aws::secrets::sealing::SealingKey;
use common::aws::secrets::wrapping::Wrapping;
use common::aws::secrets::{Credentials, SealedFiles, SealingError};
use common::aws::telemetry::Telemetry;
use common::domain::schedule::Schedule;
use common::store::Store;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// The data file, below the data folder.
const DATA_FILE: &str = "evidence.db";

/// The table's name.
const TABLE: &str = "huntress-evidence";

/// Every worker of this machine has one name: the lock on the data folder makes sure that there is one process, so what carries this name and is
/// not in this process is dead, and its run can be taken up at once.
pub const OWNER: &str = "local";

/// The stack of one process.
pub struct LocalStack {
    /// What use cases are composed of.
    pub parts: Parts,
    data: PathBuf,
    /// Both are missing where the table is AWS's.
    engine: Option<Engine>,
    _lock: Option<File>,
}

/// Why there is no stack.
#[derive(Debug, thiserror::Error)]
pub enum LocalStackError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The sealed credentials.
    #[error(transparent)]
    Sealing(SealingError),
    /// A key file cannot be read or made.
    #[error("the key file {path} cannot be used: {trouble}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        trouble: Trouble,
    },
    /// Another process has the folder.
    #[error("the data folder {0} is in use by another huntress-evidence; stop it, or use its HTTP interface")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("the data folder {path} cannot be used: {trouble}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        trouble: Trouble,
    },
}

impl From<SealingError> for LocalStackError {
    fn from(error: SealingError) -> Self {
        match error {
            SealingError::Io { path, source } => Self::Key { path, trouble: Trouble::from(&source) },
            other => Self::Sealing(other),
        }
    }
}

/// Makes a folder that its owner alone can enter, unless it is there.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
    builder.create(folder)
}

impl LocalStack {
    /// The stack over a data folder, with the receiving end of its queue.
    ///
    /// # Errors
    /// [`LocalStackError`]; nothing that is there is overwritten.
    pub async fn open(data: &Path, huntress: Huntress) -> Result<(Self, UnboundedReceiver<Queued>), LocalStackError> {
        Self::opened(data, huntress, Purpose::Change).await
    }

    /// The same for who only reads. Where nothing can be written, it is a copy in memory of what is there.
    ///
    /// # Errors
    /// [`LocalStackError`]
    pub async fn open_to_read(
        data: &Path,
        huntress: Huntress,
    ) -> Result<(Self, UnboundedReceiver<Queued>), LocalStackError> {
        Self::opened(data, huntress, Purpose::Read).await
    }

    async fn opened(
        data: &Path,
        huntress: Huntress,
        purpose: Purpose,
    ) -> Result<(Self, UnboundedReceiver<Queued>), LocalStackError> {
        // First of all: two processes that begin at the same time must not both make a sealing key.
        let lock = locked(data, purpose)?;
        let credentials = SealedFiles::open(&data.join("credentials"))?;
        let people = data.join("people");
        let wrapping = Wrapping::File(SealingKey::of_file(&people.join("people.key"))?);
        let keyring = PeopleKeyring { wrapping, documents: Documents::Folder(people.join("certificates")) };
        let (engine, store) = opened_engine(&data.join(DATA_FILE), purpose).await?;
        let schedule = match store.schedule().await {
            Ok(kept) => kept.unwrap_or_default(),
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "the schedule of the data file");
                return Err(unusable(&data.join(DATA_FILE)).into());
            }
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        let parts = Parts {
            store: store.with_calendar(schedule.clone()),
            credentials: Arc::new(Credentials::Sealed(credentials)),
            huntress,
            keyring: Arc::new(keyring),
            queue: Arc::new(Queue::InProcess(sender)),
            limiters: Arc::default(),
            jitter: TimeDelta::zero(),
            schedule,
            oauth: OauthSettings::none(),
        };
        let stack = Self { parts, data: data.to_owned(), engine: Some(engine), _lock: lock };
        Ok((stack, receiver))
    }

    /// A deployed stack: the table `TABLE_NAME`, the secrets below `SECRET_PREFIX` or the key `CREDENTIAL_KEY_ID` of its sealed credentials, the key `PEOPLE_KEY_ID` and the bucket `CERTIFICATE_BUCKET_URL`,
    /// as it is reached from here.
    ///
    /// Its queue and its workers are its own; what is sent here reaches nobody.
    ///
    /// # Errors
    /// A setting that is missing or wrong, by its variable.
    pub fn deployed(
        aws: &Aws<'_>,
        huntress: Huntress,
    ) -> Result<(Self, UnboundedReceiver<Queued>), Box<dyn Error + Send + Sync>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let parts = Parts {
            store: aws.store()?,
            credentials: aws.credentials()?,
            huntress,
            keyring: aws.keyring()?,
            queue: Arc::new(Queue::InProcess(sender)),
            limiters: aws.limiters(),
            jitter: TimeDelta::zero(),
            schedule: aws.schedule()?,
            oauth: aws.oauth()?,
        };
        Ok((Self { parts, data: PathBuf::new(), engine: None, _lock: None }, receiver))
    }

    /// Puts everything under another schedule, which the commands that come later know, too.
    ///
    /// # Errors
    /// [`StoreError`](common::store::StoreError) when it cannot be kept.
    pub async fn follow(&mut self, schedule: Schedule) -> Result<(), common::store::StoreError> {
        self.parts.store.keep_schedule(&schedule).await?;
        self.parts.store = self.parts.store.clone().with_calendar(schedule.clone());
        self.parts.schedule = schedule;
        Ok(())
    }

    /// The data folder; empty for a deployed stack.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Sends messages to the queue.
    ///
    /// # Errors
    /// When the process is ending.
    pub async fn send(&self, messages: &[Queued]) -> Result<(), common::aws::queue::QueueError> {
        self.parts.queue.send(messages).await
    }

    /// Ends the engine once every request is answered.
    pub async fn close(self) {
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }

    /// Ends the engine and writes the data file anew, without what was deleted: until then its bytes stay in free pages.
    ///
    /// # Errors
    /// [`EngineError`]; what was deleted stays so, and its bytes go with the next compaction.
    pub async fn close_and_compact(self) -> Result<(), EngineError> {
        // AWS's table is looked after by AWS.
        let Some(engine) = self.engine else { return Ok(()) };
        engine.stop().await;
        compact(&self.data.join(DATA_FILE))
    }
}

/// What a data folder is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Change,
    Read,
}

/// The lock on a data folder, which is made if it is not there. Who reads does without where no file can be made.
fn locked(data: &Path, purpose: Purpose) -> Result<Option<File>, LocalStackError> {
    let folder = |error| LocalStackError::Folder { path: data.to_owned(), trouble: Trouble::from(&error) };
    private_folder(data).map_err(folder)?;
    let path = data.join("lock");
    let lock = match (File::create(&path), purpose) {
        (Ok(lock), _) => lock,
        (Err(_), Purpose::Read) => match File::open(&path) {
            Ok(lock) => lock,
            Err(_) => return Ok(None),
        },
        (Err(error), Purpose::Change) => return Err(folder(error)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Err(LocalStackError::InUse(data.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(folder(error)),
    }
}

/// The engine over a data file, and its table.
async fn opened_engine(path: &Path, purpose: Purpose) -> Result<(Engine, Store), LocalStackError> {
    if fs::metadata(path).map_or(true, |file| file.len() == 0) {
        make_data_file(path).await?;
    }
    let engine = match (Engine::file(path).await, purpose) {
        (Err(EngineError::Unwritable { .. }), Purpose::Read) => Engine::copy_of(path).await?,
        (opened, _) => opened?,
    };
    let store = Store::new(engine.client(), TABLE);
    let usable = async {
        store.create_table().await?;
        store.check_table().await
    };
    if let Err(error) = usable.await {
        tracing::error!(error = &error as &dyn Error, "the table of the data file");
        return Err(unusable(path).into());
    }
    Ok((engine, store))
}

/// Why the table of a data file cannot be used.
fn unusable(path: &Path) -> EngineError {
    let path = path.to_owned();
    match storage::trouble(&path) {
        Some(trouble) => EngineError::Unwritable { path, trouble },
        // An earlier release made it where it stands, and was stopped before it was whole.
        None => EngineError::Damaged { path, why: "its table is not whole".to_owned() },
    }
}

/// Makes a data file with its table, whole or not at all: beside its place, and then into it.
async fn make_data_file(path: &Path) -> Result<(), LocalStackError> {
    let beside = path.with_extension("db.new");
    let forget = || {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = beside.clone().into_os_string();
            file.push(suffix);
            // It may not be there.
            drop(fs::remove_file(file));
        }
    };
    forget();
    let made = async {
        let engine = Engine::file(&beside).await?;
        let store = Store::new(engine.client(), TABLE);
        let created = store.create_table().await;
        // The engine may have made a part of it before it failed, and called it made when it was asked again.
        let created = if created.is_ok() { store.check_table().await } else { created };
        engine.stop().await;
        created.map_err(|_| unusable(&beside))?;
        compact(&beside)?;
        let renamed = File::open(&beside).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&beside, path));
        renamed.map_err(|error| EngineError::Unwritable { path: path.to_owned(), trouble: Trouble::from(&error) })
    };
    let made = made.await.map_err(|error| match error {
        EngineError::Unwritable { trouble, .. } => EngineError::Unwritable { path: path.to_owned(), trouble },
        other => other,
    });
    if made.is_err() {
        forget();
    }
    Ok(made?)
}

/// Hands one message to the handler of `sync-worker`. True if the message is done with.
pub async fn deliver(worker: &Worker, message: &RunMessage, time: TimeDelta) -> bool {
    let Ok(body) = serde_json::to_string(message) else { return false };
    let (receipt_handle, attributes) = (String::new(), Attributes::default());
    // The worker takes the lease in the name of the message: here all of them have that of the process.
    let delivery = Delivery { message_id: OWNER.to_owned(), body, receipt_handle, attributes };
    let until = worker.huntress.clock.now() + time;
    let response = batch::handle(worker, &Telemetry::none(), Batch { records: vec![delivery] }, until).await;
    response.batch_item_failures.is_empty()
}

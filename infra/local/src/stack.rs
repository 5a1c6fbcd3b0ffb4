//! Everything that AWS is for the functions, on one machine: table, credentials and queue. Or AWS itself, for who looks after a deployed stack.

use crate::engine::{Engine, EngineError, compact};
use chrono::TimeDelta;
use common::app::collection::batch::{self, Attributes, Batch, Delivery};
use common::app::collection::collect::Huntress;
use common::app::collection::worker::Worker;
use common::app::people::PeopleKeyring;
use common::app::stack::{Parts, Stack};
use common::aws::documents::Documents;
use common::aws::lambda::Aws;
use common::aws::queue::{Queue, Queued, RunMessage};
use common::aws::secrets::sealing::SealingKey;
use common::aws::secrets::wrapping::Wrapping;
use common::aws::secrets::{Credentials, SealedFiles, SealingError};
use common::aws::telemetry::Telemetry;
use common::settings::Lookup;
use common::store::{Store, StoreError};
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
    Sealing(#[from] SealingError),
    /// The table.
    #[error("the data file cannot be used: {0}")]
    Store(#[from] StoreError),
    /// Another process has the folder.
    #[error("the data folder {0} is in use by another huntress-evidence; stop it, or use its HTTP interface")]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("the data folder {path} cannot be used: {source}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
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
        let folder = |source| LocalStackError::Folder { path: data.to_owned(), source };
        private_folder(data).map_err(folder)?;
        // First of all: two processes that begin at the same time must not both make a sealing key.
        let lock = File::create(data.join("lock")).map_err(folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LocalStackError::InUse(data.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(folder(source)),
        }
        let credentials = SealedFiles::open(&data.join("credentials"))?;
        let people = data.join("people");
        let wrapping = Wrapping::File(SealingKey::of_file(&people.join("people.key"))?);
        let keyring = PeopleKeyring { wrapping, documents: Documents::Folder(people.join("certificates")) };
        let engine = Engine::file(&data.join(DATA_FILE)).await?;
        let store = Store::new(engine.client(), TABLE);
        store.create_table().await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let parts = Parts {
            store,
            credentials: Arc::new(Credentials::Sealed(credentials)),
            huntress,
            keyring: Arc::new(keyring),
            queue: Arc::new(Queue::InProcess(sender)),
            limiters: Arc::default(),
            jitter: TimeDelta::zero(),
        };
        let stack = Self { parts, data: data.to_owned(), engine: Some(engine), _lock: Some(lock) };
        Ok((stack, receiver))
    }

    /// A deployed stack: the table `TABLE_NAME`, the secrets below `SECRET_PREFIX` or the key `CREDENTIAL_KEY_ID` of its sealed credentials, the key `PEOPLE_KEY_ID` and the bucket `CERTIFICATE_BUCKET_URL`,
    /// with region and credentials of the environment.
    ///
    /// Its queue and its workers are its own; what is sent here reaches nobody.
    ///
    /// # Errors
    /// A setting that is missing or wrong, by its variable.
    pub fn deployed(
        lookup: Lookup<'_>,
        huntress: Huntress,
    ) -> Result<(Self, UnboundedReceiver<Queued>), Box<dyn Error + Send + Sync>> {
        let aws = Aws::load(lookup);
        let (sender, receiver) = mpsc::unbounded_channel();
        let parts = Parts {
            store: aws.store()?,
            credentials: aws.credentials()?,
            huntress,
            keyring: aws.keyring()?,
            queue: Arc::new(Queue::InProcess(sender)),
            limiters: aws.limiters(),
            jitter: TimeDelta::zero(),
        };
        Ok((Self { parts, data: PathBuf::new(), engine: None, _lock: None }, receiver))
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

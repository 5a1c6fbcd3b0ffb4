//! Everything that AWS is for the functions, on one machine: table, credentials and queue. Or AWS itself, for who looks after a deployed stack.

use crate::engine::{Engine, EngineError, compact};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::{Huntress, RateLimiters};
use common::app::collection::worker::Worker;
use common::app::connections::test::Tester;
use common::app::people::{AssignmentSelector, PeopleKeyring, PeopleService};
use common::app::runs::plan::Planner;
use common::aws::documents::Documents;
use common::aws::lambda::Aws;
use common::aws::queue::{Queue, Queued, RunMessage};
use common::aws::secrets::sealing::SealingKey;
use common::aws::secrets::wrapping::Wrapping;
use common::aws::secrets::{Credentials, SealedFiles, SealingError};
use common::aws::telemetry::Telemetry;
use common::settings::{Lookup, SettingsError};
use common::store::{Store, StoreError};
use lambda_runtime::{Context, LambdaEvent};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sync_worker::{Batch, Delivery};
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
    /// The table.
    pub store: Store,
    /// Credentials.
    pub credentials: Arc<Credentials>,
    /// The vendor.
    pub huntress: Huntress,
    /// Request limits.
    pub budgets: Arc<RateLimiters>,
    /// Keys and certificates of people.
    pub vault: Arc<PeopleKeyring>,
    data: PathBuf,
    queue: Arc<Queue>,
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
        let vault = PeopleKeyring { wrapping, documents: Documents::Folder(people.join("certificates")) };
        let engine = Engine::file(&data.join(DATA_FILE)).await?;
        let store = Store::new(engine.client(), TABLE);
        store.create_table().await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let stack = Self {
            store,
            credentials: Arc::new(Credentials::Sealed(credentials)),
            huntress,
            budgets: Arc::default(),
            vault: Arc::new(vault),
            data: data.to_owned(),
            queue: Arc::new(Queue::InProcess(sender)),
            engine: Some(engine),
            _lock: Some(lock),
        };
        Ok((stack, receiver))
    }

    /// A deployed stack: the table `TABLE_NAME`, the secrets below `SECRET_PREFIX` or the key `CREDENTIAL_KEY_ID` of its sealed credentials, the key `PEOPLE_KEY_ID` and the bucket `CERTIFICATE_BUCKET_URL`,
    /// with region and credentials of the environment.
    ///
    /// Its queue and its workers are its own; what is sent here reaches nobody.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn deployed(
        lookup: Lookup<'_>,
        huntress: Huntress,
    ) -> Result<(Self, UnboundedReceiver<Queued>), SettingsError> {
        let aws = Aws::load(lookup);
        let (sender, receiver) = mpsc::unbounded_channel();
        let stack = Self {
            store: aws.store()?,
            credentials: aws.credentials()?,
            vault: aws.vault()?,
            huntress,
            budgets: Arc::default(),
            data: PathBuf::new(),
            queue: Arc::new(Queue::InProcess(sender)),
            engine: None,
            _lock: None,
        };
        Ok((stack, receiver))
    }

    /// The handler state of `scheduled-sync` and `on-demand-sync`.
    #[must_use]
    pub fn planner(&self) -> Planner {
        let (store, queue) = (self.store.clone(), Arc::clone(&self.queue));
        Planner { store, queue, clock: Arc::clone(&self.huntress.clock), jitter: TimeDelta::zero() }
    }

    /// The handler state of `sync-worker`.
    #[must_use]
    pub fn worker(&self) -> Worker {
        Worker {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            budgets: Arc::clone(&self.budgets),
            queue: Arc::clone(&self.queue),
            vault: Arc::clone(&self.vault),
        }
    }

    /// Where people are looked after.
    #[must_use]
    pub fn desk(&self) -> PeopleService {
        let (store, vault) = (self.store.clone(), Arc::clone(&self.vault));
        PeopleService { store, vault, clock: Arc::clone(&self.huntress.clock) }
    }

    /// Where assignments are picked.
    #[must_use]
    pub fn picker(&self) -> AssignmentSelector {
        AssignmentSelector {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            budgets: Arc::clone(&self.budgets),
        }
    }

    /// The handler state of `connection-test`.
    #[must_use]
    pub fn tester(&self) -> Tester {
        Tester {
            store: self.store.clone(),
            credentials: Arc::clone(&self.credentials),
            huntress: self.huntress.clone(),
            budgets: Arc::clone(&self.budgets),
        }
    }

    /// Sends messages to the queue.
    ///
    /// # Errors
    /// When the process is ending.
    pub async fn send(&self, messages: &[Queued]) -> Result<(), common::aws::queue::QueueError> {
        self.queue.send(messages).await
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

/// An event for a handler, as the Lambda runtime would hand it over.
pub fn event<T>(payload: T, deadline: DateTime<Utc>) -> LambdaEvent<T> {
    let mut context = Context::default();
    OWNER.clone_into(&mut context.request_id);
    context.deadline = u64::try_from(deadline.timestamp_millis()).unwrap_or(0);
    LambdaEvent::new(payload, context)
}

/// Hands one message to the handler of `sync-worker`. True if the message is done with.
pub async fn deliver(worker: &Worker, message: &RunMessage, time: TimeDelta) -> bool {
    let Ok(body) = serde_json::to_string(message) else { return false };
    let batch = Batch { records: vec![Delivery { message_id: message.run.to_string(), body }] };
    let deadline = worker.huntress.clock.now() + time;
    let Ok(response) = sync_worker::handle(worker, &Telemetry::none(), event(batch, deadline)).await;
    response.batch_item_failures.is_empty()
}

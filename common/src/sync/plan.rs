//! Asking for runs: at the daily tick, or now.

use crate::clock::Clock;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::{Run, RunStatus, Trigger};
use crate::queue::{Queue, QueueError, RunMessage};
use crate::store::{RunRequest, Store, StoreError};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::{NoContext, Timestamp, Uuid};

/// Asks for runs. It can neither read credentials nor write evidence.
pub struct Planner {
    /// Connections and runs.
    pub store: Store,
    /// Where the workers listen.
    pub queue: Arc<Queue>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why no run could be asked for.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Connections that were due.
    pub due: usize,
    /// Runs that were begun for them.
    pub new: usize,
    /// Runs that were there already.
    pub joined: usize,
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The run.
    pub run: Run,
    /// Whether it was there already.
    pub joined: bool,
}

/// Runs that are asked for at the same time at a tick.
const CONCURRENCY: usize = 16;

impl Planner {
    /// Asks for a run of every connection that is due at `scheduled_at`. The same tick again makes no second run, and sends again what may be lost.
    ///
    /// # Errors
    /// [`PlanError`]; the tick can be repeated.
    pub async fn tick(&self, scheduled_at: DateTime<Utc>) -> Result<Planned, PlanError> {
        let key = format!("schedule:{}", scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let due = self.store.due(scheduled_at).await?;
        let count = due.len();
        let asked: Vec<(Asked, Option<RunMessage>)> = stream::iter(due)
            .map(|due| {
                let key = key.clone();
                async move { self.request(&due.company, &due.connection, Trigger::Schedule, Some(key)).await }
            })
            .buffer_unordered(CONCURRENCY)
            // A connection that was removed in between is no reason to leave the others.
            .filter_map(
                async |asked| {
                    if matches!(asked, Err(StoreError::NotFound { .. })) { None } else { Some(asked) }
                },
            )
            .try_collect()
            .await?;
        let messages: Vec<RunMessage> = asked.iter().filter_map(|(_, message)| message.clone()).collect();
        self.queue.send(&messages).await?;
        let joined = asked.iter().filter(|(asked, _)| asked.joined).count();
        Ok(Planned { due: count, new: asked.len() - joined, joined })
    }

    /// Asks for a run of one connection at once, or joins the one that is there. The same `key` again gives the same run.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there.
    pub async fn sync_now(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: Option<String>,
    ) -> Result<Asked, PlanError> {
        let key = key.map(|key| format!("request:{key}"));
        let (asked, message) = self.request(company, connection, Trigger::OnDemand, key).await?;
        self.queue.send(message.as_slice()).await?;
        Ok(asked)
    }

    async fn request(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        trigger: Trigger,
        request_key: Option<String>,
    ) -> Result<(Asked, Option<RunMessage>), StoreError> {
        let now = self.clock.now();
        let request = RunRequest {
            company: company.clone(),
            connection: connection.clone(),
            run_id: new_run_id(now),
            trigger,
            request_key,
            next_run_at: None,
            now,
        };
        let requested = self.store.request_run(request).await?;
        // The message of a run that nobody has taken may be lost with the process that was to send it. Two of them do no harm.
        let wanted = requested.new || requested.needs_message || requested.run.status == RunStatus::Queued;
        let message =
            || RunMessage { company: company.clone(), connection: connection.clone(), run: requested.run.id.clone() };
        let message = wanted.then(message);
        Ok((Asked { run: requested.run, joined: !requested.new }, message))
    }
}

/// A new UUIDv7 at `now`.
fn new_run_id(now: DateTime<Utc>) -> RunId {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let uuid = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    // A UUID has the form of an id.
    RunId::parse(uuid.to_string()).unwrap_or_else(|_| unreachable!("a UUID is a valid id"))
}

//! Asking for runs: at the daily tick, or now.

use crate::aws::queue::{Queue, QueueError, Queued, RunMessage};
use crate::clock::Clock;
use crate::domain::audit::{Actor, ActorKind, AuditAction, AuditEvent};
use crate::domain::connection::{Connection, ConnectionStatus};
use crate::domain::id::{CompanyId, ConnectionId, ConnectionKey, RunId};
use crate::domain::run::{Run, RunStatus, Trigger};
use crate::domain::schedule::{LONGEST_PERIOD, Schedule, jitter};
use crate::domain::time::CLOCK_TOLERANCE;
use crate::domain::window::Tick;
use crate::store::{DueConnection, PLANNED_TOGETHER, Requested, RunRequest, Store, StoreError};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// The runs of a tick begin spread over so long, so that a thousand workers do not start at once.
    pub jitter: TimeDelta,
    /// When connections are due.
    pub schedule: Schedule,
    /// How long after a run ended another one can be asked for over HTTP.
    pub cool_down: TimeDelta,
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
    /// A run has just ended.
    #[error("a run of the connection has just ended; ask again in {seconds} s")]
    CoolingDown {
        /// From then on another one may begin.
        seconds: u64,
    },
}

/// A sync that is asked for over HTTP begins no earlier than so long after the run before ended, where nothing else is said.
pub const COOL_DOWN: TimeDelta = TimeDelta::seconds(60);

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Connections that were due.
    pub due: usize,
    /// Runs that were begun for them.
    pub new: usize,
    /// Runs that were there already.
    pub joined: usize,
    /// Connections without a run, because their records cannot be used.
    pub passed_over: usize,
}

/// A run that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The run.
    pub run: Run,
    /// Whether it was there already.
    pub joined: bool,
}

/// Transactions, each of [`PLANNED_TOGETHER`] runs, that are under way at the same time at a tick.
const CONCURRENCY: usize = 8;

impl Planner {
    /// Asks for a run of every connection that is due at `scheduled_at`. The same tick again makes no second run, and sends again what may be lost.
    ///
    /// A connection whose own records cannot be used is passed over, and named in the log: it is no reason to leave the others.
    ///
    /// # Errors
    /// [`PlanError`]; the tick can be repeated.
    pub async fn tick(&self, scheduled_at: DateTime<Utc>) -> Result<Planned, PlanError> {
        // A day of which nobody can say whether the stack ran would stay unexplained for ever.
        self.store.record_tick(Tick { due: scheduled_at, handled: self.clock.now() }).await?;
        let key = format!("schedule:{}", scheduled_at.to_rfc3339_opts(SecondsFormat::Secs, true));
        // What lies further ahead than any plan was planned by a wrong clock, and would not be due for long: it is due now.
        let wrong = self.clock.now() + LONGEST_PERIOD + CLOCK_TOLERANCE;
        let mut due = self.store.due(DateTime::<Utc>::MAX_UTC).await?;
        due.retain(|due| due.due_at <= scheduled_at || due.due_at > wrong);
        self.plan_all(&due, &key, self.jitter).await
    }

    /// Asks once more for the runs of the last tick that failed for a reason which may have passed: after one hour, three and six. The same hour again makes no
    /// second run.
    ///
    /// # Errors
    /// [`PlanError`]; the next hour makes up for it.
    pub async fn retry_failed(&self) -> Result<Planned, PlanError> {
        let Some((tick, retry)) = self.schedule.retry_at(self.clock.now()) else { return Ok(Planned::default()) };
        let due = self.store.due(tick).await?;
        let failed = |it: &Connection| {
            it.status == ConnectionStatus::Error && it.last_failure.as_ref().is_some_and(|it| it.code.is_passing())
        };
        // Whose record cannot be used has no run to try again.
        let connections = self.store.connections_of(&due).await?;
        let wanted: BTreeSet<_> =
            connections.into_iter().flatten().filter(failed).map(|it| (it.company, it.id)).collect();
        let due: Vec<_> =
            due.into_iter().filter(|it| wanted.contains(&(it.company.clone(), it.connection.clone()))).collect();
        let key = format!("retry:{}:{retry}", tick.to_rfc3339_opts(SecondsFormat::Secs, true));
        self.plan_all(&due, &key, TimeDelta::zero()).await
    }

    async fn plan_all(&self, due: &[DueConnection], key: &str, jitter: TimeDelta) -> Result<Planned, PlanError> {
        // Owned, so that the future can go to another thread.
        let chunks: Vec<Vec<DueConnection>> = due.chunks(PLANNED_TOGETHER).map(<[_]>::to_vec).collect();
        stream::iter(chunks)
            .map(|together| self.plan(together, key, jitter))
            .buffer_unordered(CONCURRENCY)
            .try_fold(Planned::default(), async |sum, planned| Ok(sum + planned))
            .await
    }

    /// Asks for the runs of some connections and sends their messages.
    async fn plan(&self, due: Vec<DueConnection>, key: &str, window: TimeDelta) -> Result<Planned, PlanError> {
        let now = self.clock.now();
        let request = |due: &DueConnection| {
            let after = jitter(&due.company, &due.connection, window);
            RunRequest {
                company: due.company.clone(),
                connection: due.connection.clone(),
                run_id: new_run_id(now),
                trigger: Trigger::Schedule,
                request_key: Some(key.to_owned()),
                next_run_at: None,
                not_before: (after > TimeDelta::zero()).then(|| now + after),
                now,
            }
        };
        let mut planned = Planned { due: due.len(), ..Planned::default() };
        let mut messages = Vec::with_capacity(due.len());
        for (request, requested) in self.store.request_runs(due.iter().map(request).collect()).await {
            let requested = match requested {
                Ok(requested) => self.not_begun_ahead(&request, requested).await,
                refused => refused,
            };
            match requested {
                Ok(requested) => {
                    *(if requested.new { &mut planned.new } else { &mut planned.joined }) += 1;
                    messages.extend(self.message(&request.company, &request.connection, &requested));
                }
                // Removed in between, or paused: the index is behind the table.
                Err(StoreError::NotFound { record: "connection" } | StoreError::Conflict { record: "connection" }) => {}
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(company = %request.company, connection = %request.connection, error = &error as &dyn std::error::Error, "the connection is passed over");
                    planned.passed_over += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.queue.send(&messages).await?;
        Ok(planned)
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
        self.request(company, connection, key, None).await
    }

    /// The same; with the event of who asks in the transaction that queues the run or joins the one that is there.
    async fn request(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: Option<String>,
        event: Option<&AuditEvent>,
    ) -> Result<Asked, PlanError> {
        let key = key.map(|key| format!("request:{key}"));
        let now = self.clock.now();
        let request = RunRequest {
            company: company.clone(),
            connection: connection.clone(),
            run_id: new_run_id(now),
            trigger: Trigger::OnDemand,
            request_key: key,
            next_run_at: None,
            not_before: None,
            now,
        };
        let requested = match event {
            Some(event) => self.store.request_run_as(request.clone(), event).await?,
            None => self.store.request_run(request.clone()).await?,
        };
        let requested = self.not_begun_ahead(&request, requested).await?;
        let message = self.message(company, connection, &requested);
        self.queue.send(message.as_slice()).await?;
        Ok(Asked { run: requested.run, joined: !requested.new })
    }

    /// The run of a request, or a new one in place of a run that a wrong clock began: that one ends, since nothing in it can be relied on.
    async fn not_begun_ahead(&self, request: &RunRequest, requested: Requested) -> Result<Requested, StoreError> {
        // By the present instant and not by that of the request: who stalled in between would take a run of the meantime for one of the future.
        if requested.new || !requested.run.is_ahead(self.clock.now()) {
            return Ok(requested);
        }
        self.end_begun_ahead(&request.company, &request.connection).await?;
        // The key is remembered for the run that has ended.
        let request_key = request.request_key.as_ref().map(|key| format!("{key}:anew"));
        self.store.request_run(RunRequest { request_key, ..request.clone() }).await
    }

    /// The same for somebody, who is recorded in the same transaction.
    ///
    /// # Errors
    /// As [`Planner::sync_now`].
    pub async fn sync_now_as(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: Option<String>,
        actor: &Actor,
    ) -> Result<Asked, PlanError> {
        if actor.kind == ActorKind::Api {
            self.check_cool_down(company, connection, key.as_deref()).await?;
        }
        let event = AuditEvent::of_connection(
            actor,
            AuditAction::SyncRequested,
            ConnectionKey::of(company, connection),
            self.clock.now(),
        );
        self.request(company, connection, key, Some(&event)).await
    }

    /// Whether a request for a run of this connection came with this key before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn knows_request(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: &str,
    ) -> Result<bool, StoreError> {
        let key = format!("request:{key}");
        Ok(self.store.run_of_request(company, connection, &key, self.clock.now()).await?.is_some())
    }

    /// Refuses a sync right after a run that has ended. One that is there is joined, and a request that is sent again has its run.
    async fn check_cool_down(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: Option<&str>,
    ) -> Result<(), PlanError> {
        let now = self.clock.now();
        let newest = self.store.runs(company, connection, 1).await?.into_iter().next();
        let Some((newest, ended)) = newest.and_then(|run| Some((run.id.clone(), run.finished_at?))) else {
            return Ok(());
        };
        let since = now.signed_duration_since(ended);
        if since < TimeDelta::zero() || since >= self.cool_down {
            return Ok(());
        }
        if let Some(key) = key {
            let key = format!("request:{key}");
            if self.store.run_of_request(company, connection, &key, now).await? == Some(newest) {
                return Ok(());
            }
        }
        let left = self.cool_down - since;
        let seconds = u64::try_from(left.num_seconds() + i64::from(left.subsec_nanos() > 0)).unwrap_or(1);
        Err(PlanError::CoolingDown { seconds })
    }

    /// The message of a run, if it has to be sent.
    fn message(&self, company: &CompanyId, connection: &ConnectionId, requested: &Requested) -> Option<Queued> {
        // The message of a run that nobody has taken may be lost with the process that was to send it. Two of them do no harm.
        let wanted = requested.new || requested.needs_message || requested.run.status == RunStatus::Queued;
        let until = requested.run.waiting_until;
        let delay = until.map_or_else(TimeDelta::zero, |until| until.signed_duration_since(self.clock.now()));
        let (company, connection, run) = (company.clone(), connection.clone(), requested.run.id.clone());
        wanted.then(|| Queued::after(delay, RunMessage { company, connection, run }))
    }
}

impl std::ops::Add for Planned {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            new: self.new + other.new,
            joined: self.joined + other.joined,
            passed_over: self.passed_over + other.passed_over,
        }
    }
}

/// A new UUIDv7 at `now`.
fn new_run_id(now: DateTime<Utc>) -> RunId {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let uuid = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
    // A UUID has the form of an id.
    RunId::parse(uuid.to_string()).unwrap_or_else(|_| unreachable!("a UUID is a valid id"))
}

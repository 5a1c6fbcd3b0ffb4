//! Runs: asking for one, and which there are.

use super::active::ActiveRun;
use super::error::StoreError;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::{RecordCounts, Run, RunStatus, Trigger};
use crate::store::table::items::{Change, Record, number, put_new, text};
use crate::store::table::keys::{self, Key};
use crate::store::table::queries::Order;
use crate::store::table::transactions::Outcome;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join;
use serde::{Deserialize, Serialize};

/// How long a request key is remembered.
pub const REQUEST_KEPT: TimeDelta = TimeDelta::days(7);

impl Record for Run {
    const KIND: &'static str = "run";
}

#[derive(Serialize, Deserialize)]
struct RequestKey {
    run_id: RunId,
    /// Epoch seconds. The table removes it some time after, so reading checks it too.
    expires_at: i64,
}

impl Record for RequestKey {
    const KIND: &'static str = "request key";
}

/// Someone wants a run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
    /// The id of the run, should a new one be needed.
    pub run_id: RunId,
    /// Who asks.
    pub trigger: Trigger,
    /// Any text; a repetition with the same one gets the same run.
    pub request_key: Option<String>,
    /// The next tick of the connection, for the scheduled trigger.
    pub next_run_at: Option<DateTime<Utc>>,
    /// A new run begins no earlier than this.
    pub not_before: Option<DateTime<Utc>>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// The run that a request led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Requested {
    /// The run.
    pub run: Run,
    /// Whether it is this request's own, not one that was there.
    pub new: bool,
    /// Whether a message for a worker has to be sent. One too many is harmless.
    pub needs_message: bool,
}

impl Store {
    /// Queues a run, or joins the one that is there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without such a connection; [`StoreError::Conflict`] if the tick asks for a paused one.
    pub async fn request_run(&self, request: RunRequest) -> Result<Requested, StoreError> {
        self.queue_or_join(request, None).await
    }

    /// The same for somebody, who is recorded in the same transaction, with the run that it led to. A repetition with the same key is the same request: the
    /// event of the first one is all there is.
    ///
    /// # Errors
    /// As [`Store::request_run`].
    pub async fn request_run_as(&self, request: RunRequest, event: &AuditEvent) -> Result<Requested, StoreError> {
        self.queue_or_join(request, Some(event)).await
    }

    async fn queue_or_join(&self, request: RunRequest, event: Option<&AuditEvent>) -> Result<Requested, StoreError> {
        let RunRequest { company, connection, .. } = &request;
        let remembered = request.request_key.as_deref();
        let remembered = remembered.map(|key| keys::request(company, connection, key));
        for _ in 0..ATTEMPTS {
            if let Some(key) = &remembered
                && let Some(requested) = self.repeated(&request, key).await?
            {
                return Ok(requested);
            }
            let (settings, active) =
                try_join(self.connection(company, connection), self.active_run(company, connection)).await?;
            let settings = settings.ok_or(StoreError::NotFound { record: Connection::KIND })?;
            if settings.paused && request.trigger == Trigger::Schedule {
                return Err(StoreError::Conflict { record: Connection::KIND });
            }
            let (mut actions, requested) = match active {
                Some(active) => self.joining(&request, &active).await?,
                None => self.queueing(&request)?,
            };
            // A run of its own that is there already came with its event.
            let met_own = requested.new && actions.iter().all(|action| action.condition_check().is_some());
            let event = event.filter(|_| !met_own);
            // A check alone says no more than the reading did.
            let changes = actions.iter().any(|action| action.condition_check().is_none());
            if !changes && remembered.is_none() && request.next_run_at.is_none() && event.is_none() {
                return Ok(requested);
            }
            if let Some(event) = event {
                let after = serde_json::to_value(&requested.run.id).ok();
                actions.push(self.audited(&AuditEvent { after, ..event.clone() })?);
            }
            if let Some(key) = &remembered {
                actions.push(self.remember(&request, key, &requested.run.id)?);
            }
            actions.push(self.connection_after(&request, settings.paused)?);
            if self.transact(actions).await? == Outcome::Written {
                return Ok(requested);
            }
        }
        Err(StoreError::Conflict { record: ActiveRun::KIND })
    }

    /// The run that this request key led to before.
    async fn repeated(&self, request: &RunRequest, key: &Key) -> Result<Option<Requested>, StoreError> {
        let Some(known) = self.get::<RequestKey>(key).await? else {
            return Ok(None);
        };
        if known.expires_at <= request.now.timestamp() {
            return Ok(None);
        }
        let run = self.existing_run(request, &known.run_id).await?;
        // Whoever repeats a request did not hear that its message went out.
        let needs_message = !run.status.is_final()
            && self.active_run(&request.company, &request.connection).await?.is_some_and(|active| {
                active.run_id == run.id && (active.token == 0 || active.is_abandoned(request.now))
            });
        Ok(Some(Requested { new: run.id == request.run_id, needs_message, run }))
    }

    async fn joining(
        &self,
        request: &RunRequest,
        active: &ActiveRun,
    ) -> Result<(Vec<TransactWriteItem>, Requested), StoreError> {
        let mut run = self.existing_run(request, &active.run_id).await?;
        let still = Change::of(keys::active(&request.company, &request.connection))
            .only_if("run_id", text(active.run_id.as_str()));
        // It is our own after a transaction whose answer was lost.
        let new = run.id == request.run_id;
        let held_back = active.token == 0 && active.continue_at.is_some_and(|start| start > request.now);
        if request.trigger == Trigger::OnDemand && held_back {
            // A person does not wait for the turn that the tick gave the run.
            run.waiting_until = None;
            let hastened = still.only_if("token", number(0)).remove("continue_at").indexed(
                &request.company,
                &request.connection,
                request.now,
            );
            let run_row = Change::of(keys::run(&request.company, &request.connection, &run.id)).remove("waiting_until");
            let actions = vec![hastened.update(&self.table)?, run_row.update(&self.table)?];
            return Ok((actions, Requested { run, new, needs_message: true }));
        }
        let needs_message = new || active.is_abandoned(request.now);
        Ok((vec![still.check(&self.table)?], Requested { run, new, needs_message }))
    }

    pub(super) fn queueing(&self, request: &RunRequest) -> Result<(Vec<TransactWriteItem>, Requested), StoreError> {
        let RunRequest { company, connection, .. } = request;
        let run = Run {
            id: request.run_id.clone(),
            company: company.clone(),
            connection: connection.clone(),
            trigger: request.trigger,
            status: RunStatus::Queued,
            requested_at: request.now,
            as_of: None,
            finished_at: None,
            api_calls: 0,
            records: RecordCounts::default(),
            pages: RecordCounts::default(),
            bundles: 0,
            failure: None,
            waiting_until: request.not_before,
        };
        let active = ActiveRun::queued(run.id.clone(), request.now, request.not_before);
        let actions = vec![
            put_new(&self.table, run.to_item(&keys::run(company, connection, &run.id))?)?,
            put_new(&self.table, active.to_indexed(company, connection)?)?,
        ];
        Ok((actions, Requested { run, new: true, needs_message: true }))
    }

    pub(super) fn remember(
        &self,
        request: &RunRequest,
        key: &Key,
        run: &RunId,
    ) -> Result<TransactWriteItem, StoreError> {
        let record = RequestKey { run_id: run.clone(), expires_at: (request.now + REQUEST_KEPT).timestamp() };
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(record.to_item(key)?))
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", number(request.now.timestamp()))
            .build()
            .map_err(StoreError::unavailable)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The connection has to be there, paused or not as it is known to be; the tick moves on.
    pub(super) fn connection_after(&self, request: &RunRequest, paused: bool) -> Result<TransactWriteItem, StoreError> {
        let RunRequest { company, connection, .. } = request;
        let change = Change::of(keys::connection(company, connection)).only_if("paused", AttributeValue::Bool(paused));
        match request.next_run_at {
            Some(at) if !paused => change.next_run(company, connection, at, at)?.update(&self.table),
            _ => change.check(&self.table),
        }
    }

    async fn existing_run(&self, request: &RunRequest, id: &RunId) -> Result<Run, StoreError> {
        let run = self.run(&request.company, &request.connection, id).await?;
        run.ok_or_else(|| StoreError::corrupt(Run::KIND, "another record names it, and it is not there"))
    }

    /// A run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn run(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        id: &RunId,
    ) -> Result<Option<Run>, StoreError> {
        self.get(&keys::run(company, connection, id)).await
    }

    /// The run that a request key of this connection led to, while it is remembered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn run_of_request(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<RunId>, StoreError> {
        let known: Option<RequestKey> = self.get(&keys::request(company, connection, key)).await?;
        Ok(known.filter(|known| known.expires_at > now.timestamp()).map(|known| known.run_id))
    }

    /// The runs of a connection that are older than one, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn runs_before(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        before: &RunId,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let range = keys::Range { to: keys::run(company, connection, before).sk, ..keys::runs(company, connection) };
        let page = i32::try_from(limit + 1).ok();
        let query = self.query(&range, Order::Reverse).set_limit(self.page_size.or(page));
        let mut items = query.into_paginator().items().send();
        let mut runs = Vec::new();
        while runs.len() < limit
            && let Some(item) = items.try_next().await?
        {
            runs.push(Run::from_item(item)?);
            runs.retain(|run: &Run| run.id != *before);
        }
        Ok(runs)
    }

    /// The newest runs of a connection, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn runs(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        let query = self.query(&keys::runs(company, connection), Order::Reverse);
        let page = i32::try_from(limit).ok().filter(|page| *page > 0);
        let mut items = query.set_limit(self.page_size.or(page)).into_paginator().items().send();
        let mut runs = Vec::new();
        while runs.len() < limit
            && let Some(item) = items.try_next().await?
        {
            runs.push(Run::from_item(item)?);
        }
        Ok(runs)
    }
}

//! What explains a day without evidence later: the ticks that the stack took, which name nobody, and when connections were paused or removed.

use super::Store;
use super::error::StoreError;
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::domain::run::Run;
use crate::domain::time::Window;
use crate::domain::window::{Period, Tick};
use crate::store::table::items::{Record, put};
use crate::store::table::keys;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

impl Record for Tick {
    const KIND: &'static str = "tick";
}

/// When a connection was there and when it was paused. It outlives the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The connection.
    pub connection: ConnectionId,
    /// The product that it reads.
    pub product: Product,
    /// When it was saved first.
    pub connected_at: DateTime<Utc>,
    /// When it was paused.
    pub pauses: Vec<Period>,
    /// When it was removed.
    pub removed: Vec<Period>,
}

impl Record for Timeline {
    const KIND: &'static str = "timeline of a connection";
}

impl Timeline {
    /// The timeline of a connection of which none was kept yet.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        // When it was paused nobody wrote down; its last run was before that.
        let since = connection.last_attempt_at.unwrap_or(connection.created_at);
        Self {
            connection: connection.id.clone(),
            product: connection.product,
            connected_at: connection.created_at,
            pauses: if connection.paused { vec![Period { from: since, to: None }] } else { Vec::new() },
            removed: Vec::new(),
        }
    }

    /// Begins a period that lasts, unless one does.
    pub fn begin(periods: &mut Vec<Period>, at: DateTime<Utc>) {
        if periods.last().is_none_or(|last| last.to.is_some()) {
            periods.push(Period { from: at, to: None });
        }
    }

    /// Ends the period that lasts.
    pub fn end(periods: &mut [Period], at: DateTime<Utc>) {
        if let Some(last) = periods.last_mut() {
            last.to.get_or_insert(at);
        }
    }
}

impl Store {
    /// Keeps that the stack took a tick. The first time it is taken counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_tick(&self, tick: Tick) -> Result<(), StoreError> {
        let item = tick.to_item(&keys::tick(tick.due))?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let Err(error) = put.condition_expression("attribute_not_exists(pk)").send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
            _ => Err(error.into()),
        }
    }

    /// The ticks that were due in a window.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn ticks(&self, due: Window) -> Result<Vec<Tick>, StoreError> {
        self.all(&keys::ticks(due.start, due.end)).await
    }

    /// The runs of a connection that were asked for in a window, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn runs_between(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        requested: Window,
    ) -> Result<Vec<Run>, StoreError> {
        self.all(&keys::runs_between(company, connection, requested.start, requested.end)).await
    }

    /// The timelines of a company's connections, of those too that were removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn timelines(&self, company: &CompanyId) -> Result<Vec<Timeline>, StoreError> {
        self.all(&keys::timelines(company)).await
    }

    /// The timeline of a connection, if one was kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn timeline(&self, company: &CompanyId, id: &ConnectionId) -> Result<Option<Timeline>, StoreError> {
        self.get(&keys::timeline(company, id)).await
    }

    /// The same as a part of a transaction: what explains a pause is written with the pause.
    pub(super) fn kept_timeline(
        &self,
        company: &CompanyId,
        timeline: &Timeline,
    ) -> Result<TransactWriteItem, StoreError> {
        put(&self.table, timeline.to_item(&keys::timeline(company, &timeline.connection))?)
    }

    /// Keeps a timeline in place of what it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keep_timeline(&self, company: &CompanyId, timeline: &Timeline) -> Result<(), StoreError> {
        self.put_item(timeline.to_item(&keys::timeline(company, &timeline.connection))?).await
    }
}

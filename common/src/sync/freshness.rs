//! How many connections have no fresh evidence, counted once a day.

use crate::domain::connection::{Age, Connection};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};

/// The scheduled connections of all companies at an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// All that are scheduled, also those whose next run is later.
    pub scheduled: usize,
    /// Those whose last success, or creation if there was none, is longer ago than evidence may be old.
    pub stale: usize,
}

/// Connections that are read at the same time.
const CONCURRENCY: usize = 16;

/// Reads every scheduled connection. One that Huntress refuses is passed over by the tick for a day, but is counted here.
///
/// # Errors
/// [`StoreError`].
pub async fn freshness(store: &Store, now: DateTime<Utc>) -> Result<Freshness, StoreError> {
    // Everything that is scheduled at all is due by then.
    let scheduled = store.due(DateTime::<Utc>::MAX_UTC).await?;
    let connections = stream::iter(scheduled).map(async |due| store.connection(&due.company, &due.connection).await);
    connections
        .buffer_unordered(CONCURRENCY)
        .try_fold(Freshness::default(), async |so_far, connection| {
            // One that was removed in between is none.
            let Some(connection) = connection else { return Ok(so_far) };
            let stale = usize::from(is_stale(&connection, now));
            Ok(Freshness { scheduled: so_far.scheduled + 1, stale: so_far.stale + stale })
        })
        .await
}

fn is_stale(connection: &Connection, now: DateTime<Utc>) -> bool {
    Age::at(connection.last_success_at.unwrap_or(connection.created_at), now).stale
}

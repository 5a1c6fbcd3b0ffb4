//! How many connections have no fresh evidence, counted once a day.

use crate::domain::connection::{Age, Connection, ConnectionStatus};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};

/// The scheduled connections of all companies at an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// All that are scheduled, also those whose next run is later.
    pub scheduled: usize,
    /// Those whose last success, or creation if there was none, is longer ago than evidence may be old, and that Huntress does not refuse.
    pub stale: usize,
    /// Those whose credential Huntress refused at the last run: the affair of who saved it, however old its evidence is.
    pub refused: usize,
    /// Those whose credential ends within 30 days, or has ended, as far as anybody knows.
    pub expiring: usize,
}

/// Reads every scheduled connection. One that Huntress refuses is passed over by the tick for a day, but is counted here, apart; and one whose record cannot be
/// used has no run, so it is stale.
///
/// # Errors
/// [`StoreError`].
pub async fn freshness(store: &Store, now: DateTime<Utc>) -> Result<Freshness, StoreError> {
    // Everything that is scheduled at all is due by then.
    let scheduled = store.due(DateTime::<Utc>::MAX_UTC).await?;
    let connections = store.connections_of(&scheduled).await?;
    let refused = connections.iter().flatten().filter(|it| it.status == ConnectionStatus::AuthFailed).count();
    let stale = connections.iter().filter(|connection| connection.as_ref().map_or(true, |it| is_stale(it, now)));
    let expiring = connections.iter().flatten().filter(|it| is_expiring(it, now)).count();
    Ok(Freshness { scheduled: connections.len(), stale: stale.count(), refused, expiring })
}

/// Whether its credential has to be replaced soon; the log names the connection.
fn is_expiring(connection: &Connection, now: DateTime<Utc>) -> bool {
    let warning = connection.credential_term.expiry(now).and_then(|expiry| expiry.warning(now));
    if let Some(warning) = &warning {
        let (company, connection) = (&connection.company, &connection.id);
        tracing::warn!(%company, %connection, "the credential of the connection {warning}");
    }
    warning.is_some()
}

fn is_stale(connection: &Connection, now: DateTime<Utc>) -> bool {
    connection.status != ConnectionStatus::AuthFailed
        && Age::at(connection.last_success_at.unwrap_or(connection.created_at), now).stale
}

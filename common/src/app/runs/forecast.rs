//! What a run would ask of Huntress, without asking.

use crate::app::collection::collect::RateLimiters;
use crate::domain::forecast::{Forecast, RequestPolicy, forecast};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::product::Product;
use crate::huntress::retry::WaitPolicy;
use crate::huntress::{edr, sat};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};

/// The last run that succeeded is looked for among so many.
const RUNS: usize = 100;

/// Tells the next run of a connection from its last one, and from what all workers said that they sent; nothing is asked of Huntress, and nothing is stored.
/// `None` if no run has succeeded lately.
///
/// # Errors
/// [`StoreError::NotFound`] for a connection that is not there.
pub async fn forecast_of(
    store: &Store,
    limiters: &RateLimiters,
    company: &CompanyId,
    connection: &ConnectionId,
    now: DateTime<Utc>,
) -> Result<Option<Forecast>, StoreError> {
    let settings = store.connection(company, connection).await?;
    let settings = settings.ok_or(StoreError::NotFound { record: "connection" })?;
    let limiter = limiters.with_published_usage(store, &settings, now).await?;
    let runs = store.runs(company, connection, RUNS).await?;
    let page_size = match settings.product {
        Product::Edr => edr::PAGE_SIZE,
        Product::Sat => sat::LARGEST_PAGE,
    };
    let policy = RequestPolicy { limits: limiter.allowances(), page_size, part_waits: WaitPolicy::PART_WAITS };
    Ok(forecast(settings.product, &runs, &policy, now))
}

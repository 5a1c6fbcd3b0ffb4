//! The runs of a connection.

use super::plan::Planner;
use crate::app::collection::collect::RateLimiters;
use crate::app::runs::forecast::forecast_of;
use crate::domain::forecast::Forecast;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::Run;
use crate::store::StoreError;

impl Planner {
    /// The newest runs of a connection, newest first; those of a removed one stay.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn runs(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        self.store.runs(company, connection, limit).await
    }

    /// The runs before one, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn runs_before(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        before: &RunId,
        limit: usize,
    ) -> Result<Vec<Run>, StoreError> {
        self.store.runs_before(company, connection, before, limit).await
    }

    /// One run.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]
    pub async fn run(&self, company: &CompanyId, connection: &ConnectionId, run: &RunId) -> Result<Run, StoreError> {
        self.store.run(company, connection, run).await?.ok_or(StoreError::NotFound { record: "run" })
    }

    /// What the next run will ask of Huntress and how long that takes, told from the last one; `None` if none has succeeded lately.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there.
    pub async fn forecast(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        limiters: &RateLimiters,
    ) -> Result<Option<Forecast>, StoreError> {
        forecast_of(&self.store, limiters, company, connection, self.clock.now()).await
    }
}

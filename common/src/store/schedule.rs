//! The schedule of one machine, which the service is started with and other commands have to know. A deployed stack has it from its template.

use super::Store;
use super::error::StoreError;
use crate::domain::schedule::Schedule;
use crate::store::table::items::Record;
use crate::store::table::keys;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptSchedule {
    expression: String,
    zone: String,
}

impl Record for KeptSchedule {
    const KIND: &'static str = "schedule";
}

impl Store {
    /// The schedule that the service was last started with; `None` before it ever was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], and [`StoreError::Corrupt`] for one that this release does not know.
    pub async fn schedule(&self) -> Result<Option<Schedule>, StoreError> {
        let Some(KeptSchedule { expression, zone }) = self.get(&keys::schedule()).await? else { return Ok(None) };
        let schedule = Schedule::parse(&expression, &zone);
        schedule.map(Some).map_err(|error| StoreError::corrupt(KeptSchedule::KIND, error.to_string()))
    }

    /// Keeps the schedule that the service is started with.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn keep_schedule(&self, schedule: &Schedule) -> Result<(), StoreError> {
        let (expression, zone) = (schedule.expression().to_owned(), schedule.zone().name().to_owned());
        self.put_item(KeptSchedule { expression, zone }.to_item(&keys::schedule())?).await
    }
}

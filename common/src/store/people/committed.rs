//! Which runs a reader of people sees: those that were committed when the reading began.

use super::WrittenBy;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::run::Run;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::evidence::Commit;
use crate::store::table::items::Record;
use crate::store::table::keys;
use crate::store::table::queries::{Consistency, Order};
use std::collections::{BTreeMap, HashMap};

/// The commits of the runs that wrote what a reader meets. Only those are read: a connection has a commit for every night of its life.
pub(super) struct CommittedRuns<'a> {
    store: &'a Store,
    company: &'a CompanyId,
    connection: &'a ConnectionId,
    /// The newest run when the reading began.
    newest: Option<Run>,
    /// The fencing token of each run's commit, for the runs that were looked up; none where there is no commit.
    tokens: HashMap<RunId, Option<u64>>,
}

impl<'a> CommittedRuns<'a> {
    /// As it is at the moment of each look-up: right for a single record.
    pub fn now(store: &'a Store, company: &'a CompanyId, connection: &'a ConnectionId) -> Self {
        Self { store, company, connection, newest: None, tokens: HashMap::new() }
    }

    /// As it is now, before several records are read. The commits are looked up after the records, so a run that commits in between would show in some of
    /// them only; the newest run tells such a run, which is not over yet or comes later.
    pub async fn when_reading_begins(
        store: &'a Store,
        company: &'a CompanyId,
        connection: &'a ConnectionId,
    ) -> Result<Self, StoreError> {
        let answer = store.query(&keys::runs(company, connection), Order::Reverse).limit(1).send().await?;
        let newest = answer.items.unwrap_or_default().into_iter().next().map(Run::from_item).transpose()?;
        Ok(Self { newest, ..Self::now(store, company, connection) })
    }

    /// Looks up the commits of the runs that wrote these records, as far as they are not known.
    pub async fn read(&mut self, written: impl IntoIterator<Item = &WrittenBy>) -> Result<(), StoreError> {
        let unknown: BTreeMap<&RunId, &WrittenBy> = written
            .into_iter()
            .filter(|by| !self.tokens.contains_key(&by.run_id) && !self.was_under_way(&by.run_id))
            .map(|by| (&by.run_id, by))
            .collect();
        let keys = unknown.values().map(|by| keys::commit(self.company, self.connection, by.as_of, &by.run_id));
        let found = self.store.get_items(keys, Consistency::Strong).await?;
        self.tokens.extend(unknown.into_keys().map(|run| (run.clone(), None)));
        for item in found {
            let commit = Commit::from_item(item)?;
            self.tokens.insert(commit.run_id, Some(commit.token));
        }
        Ok(())
    }

    /// Whether a record is visible. Its writer was looked up before.
    pub fn contains(&self, by: &WrittenBy) -> bool {
        !self.was_under_way(&by.run_id) && self.tokens.get(&by.run_id) == Some(&Some(by.token))
    }

    /// Whether the run cannot have been committed when the reading began.
    fn was_under_way(&self, run: &RunId) -> bool {
        self.newest.as_ref().is_some_and(|newest| *run > newest.id || (*run == newest.id && !newest.status.is_final()))
    }
}

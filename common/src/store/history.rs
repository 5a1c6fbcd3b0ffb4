//! Evidence over time: what was committed between two instants, oldest first.
//!
//! Each connection takes a query for its evidence, all of them at the same time. Their commits, and the leaves that prove these, are read together: by their keys
//! where that takes fewer requests, by a range of each connection else.

use super::Store;
use super::error::StoreError;
use super::evidence::{Commit, EvidenceItem, EvidenceOwner, StoredEvidence};
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::table::keys::{self, Key, Series};
use crate::store::table::queries::{Consistency, requests_for};
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};

impl Store {
    /// The visible evidence of an owner from one product that was evaluated in a window, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any of it was damaged.
    pub async fn history(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Product,
        window: Window,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        if window.is_empty() {
            return Ok(Vec::new());
        }
        let series = self.series(&owner.partition(company), Some(product)).await?;
        self.history_of_series(company, owner, &series, window).await
    }

    /// The same of connections that are known to have given some, each of one product: a query for each of them at the same time, and then few requests for the
    /// commits and the leaves of all of them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any of it was damaged.
    pub async fn history_of(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        connections: &[(Product, ConnectionId)],
        window: Window,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        let of = |(product, connection): &(Product, ConnectionId)| Series {
            product: product.to_string(),
            connection: connection.clone(),
        };
        let series: Vec<Series> = if window.is_empty() { Vec::new() } else { connections.iter().map(of).collect() };
        self.history_of_series(company, owner, &series, window).await
    }

    async fn history_of_series(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        series: &[Series],
        window: Window,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        let partition = owner.partition(company);
        let between = |series: &Series| series.between(&partition, window.start, window.end);
        let ranges: Vec<keys::Range> = series.iter().map(between).collect();
        let mut records: Vec<EvidenceItem> =
            try_join_all(ranges.iter().map(|range| self.all(range))).await?.into_iter().flatten().collect();
        // Keys have whole milliseconds.
        records.retain(|record| window.contains(record.as_of));
        // In this order: what is committed in between has its commit read, or its evidence not.
        let commits = self.commits_of(company, &records, window).await?;
        self.check_all_logged(company, &commits).await?;
        let commits: HashMap<(ConnectionId, RunId), Commit> = commits
            .into_iter()
            .flat_map(|(connection, commits)| {
                commits.into_iter().map(|commit| ((connection.clone(), commit.run_id.clone()), commit))
            })
            .collect();
        let mut history = Vec::with_capacity(records.len());
        for record in records {
            if let Some(commit) = commits.get(&(record.connection.clone(), record.run_id.clone())) {
                history.extend(self.visible(record, company, owner, commit).await?);
            }
        }
        history.sort_by(|a, b| (a.as_of, &a.connection).cmp(&(b.as_of, &b.connection)));
        Ok(history)
    }

    /// The commits of records of a window, by connection, with as few requests as they take.
    async fn commits_of<'a>(
        &self,
        company: &CompanyId,
        records: &'a [EvidenceItem],
        window: Window,
    ) -> Result<Vec<(&'a ConnectionId, Vec<Commit>)>, StoreError> {
        let mut wanted: BTreeMap<&ConnectionId, BTreeSet<Key>> = BTreeMap::new();
        for EvidenceItem { connection, as_of, run_id, .. } in records {
            wanted.entry(connection).or_default().insert(keys::commit(company, connection, *as_of, run_id));
        }
        if requests_for(wanted.values().map(BTreeSet::len).sum()) < wanted.len() {
            let found = self.found(wanted.values().flatten().cloned(), Consistency::Strong).await?;
            let of = |(connection, keys): (&'a ConnectionId, BTreeSet<Key>)| {
                let commits = keys.iter().filter_map(|key| found.get(key).transpose());
                Ok((connection, commits.collect::<Result<_, StoreError>>()?))
            };
            return wanted.into_iter().map(of).collect();
        }
        let read = async |connection: &'a ConnectionId| {
            Ok::<_, StoreError>((
                connection,
                self.all(&keys::commits(company, connection, window.start, window.end)).await?,
            ))
        };
        try_join_all(wanted.into_keys().map(read)).await
    }
}

//! Evidence: written by a run, visible through its commit.
//!
//! A bundle that is larger than a record is kept in pieces. The record has the first one and says how many there are; its commit makes them visible
//! together, and its SHA-256 is that of the whole.

use super::Store;
use super::body::CompressedText;
use super::error::StoreError;
use super::holds::OUTLIVES_EVIDENCE;
use super::lease::Lease;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::log::Hash;
use crate::domain::log::proof::is_included;
use crate::domain::log::statement::bundle_tree;
use crate::domain::log::tree::leaf_hash;
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::table::Item;
use crate::store::table::batches::put_request;
use crate::store::table::items::{BODY_LIMIT, Record, number};
use crate::store::table::keys::{self, Key, Series};
use crate::store::table::queries::Order;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Whom evidence is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceOwner {
    /// The company itself, over all its organizations.
    Company,
    /// One client.
    Client(ClientId),
}

impl EvidenceOwner {
    /// Where its evidence lies.
    pub(super) fn partition(&self, company: &CompanyId) -> String {
        match self {
            Self::Company => keys::evidence_of_company(company),
            Self::Client(client) => keys::evidence_of_client(company, client),
        }
    }
}

/// A piece of evidence that a run has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRecord {
    /// Whom it is about.
    pub owner: EvidenceOwner,
    /// The product that it is from.
    pub product: Product,
    /// The bundle as JSON. These very bytes are kept.
    pub body: String,
}

/// A visible piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvidence {
    /// Whom it is about.
    pub owner: EvidenceOwner,
    /// The product that it is from.
    pub product: Product,
    /// The connection that it is from, which may be removed by now.
    pub connection: ConnectionId,
    /// The instant that it was evaluated at.
    pub as_of: DateTime<Utc>,
    /// The run that made it.
    pub run_id: RunId,
    /// The bundle as JSON, as it was committed.
    pub body: String,
    /// The SHA-256 of the body in lower-case hexadecimal. It was checked on reading.
    pub sha256: String,
    /// When it became visible.
    pub committed_at: DateTime<Utc>,
    /// The leaf of the connection's evidence log that is about it; `None` for evidence from before the log, which is `unlogged`.
    pub leaf: Option<u64>,
    /// Where it is among the bundles of its run. The path was checked on reading.
    pub place: Option<BundlePlace>,
}

/// Where a bundle is in the tree of its run's bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundlePlace {
    /// Its place: the company's own first, then by client id.
    pub index: u64,
    /// From it to the root that the statement of the run names.
    pub path: Vec<Hash>,
}

/// What makes the evidence of a run visible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Commit {
    pub run_id: RunId,
    pub as_of: DateTime<Utc>,
    /// The fencing token of the worker whose evidence it is; another one may have written some for the same run.
    pub token: u64,
    pub committed_at: DateTime<Utc>,
    pub bundles: u64,
    /// The leaf of the evidence log that is about it; absent in what was committed before there was a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// The root over the run's bundles, as the leaf has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_root: Option<Hash>,
}

impl Record for Commit {
    const KIND: &'static str = "commit";
}

impl Commit {
    pub fn key(&self, lease: &Lease) -> Key {
        keys::commit(&lease.company, &lease.connection, self.as_of, &self.run_id)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct EvidenceItem {
    product: Product,
    pub connection: ConnectionId,
    pub as_of: DateTime<Utc>,
    pub run_id: RunId,
    token: u64,
    /// The bundle, or its first piece.
    body: CompressedText,
    /// How many pieces there are after the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    more_pieces: u32,
    /// Of the whole bundle.
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<BundlePlace>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record for EvidenceItem {
    const KIND: &'static str = "piece of evidence";
}

impl EvidenceItem {
    fn key(&self, partition: &str) -> Key {
        let series = Series { product: self.product.to_string(), connection: self.connection.clone() };
        keys::evidence(partition, &series, self.as_of, &self.run_id, self.token)
    }

    /// The whole evidence, if the commit is its own.
    pub fn with_pieces(
        self,
        pieces: Vec<EvidencePiece>,
        owner: &EvidenceOwner,
        commit: &Commit,
    ) -> Result<Option<StoredEvidence>, StoreError> {
        if !self.is_of(commit) {
            return Ok(None);
        }
        let mut body = self.body.0;
        pieces.iter().for_each(|piece| body.push_str(&piece.body.0));
        if keys::sha256(&body) != self.sha256 {
            return Err(StoreError::corrupt(Self::KIND, "its body does not have its SHA-256"));
        }
        if let Some(root) = &commit.bundle_root {
            let leaf = leaf_hash(body.as_bytes());
            let logged = |it: &BundlePlace| is_included(&leaf, it.index, commit.bundles, &it.path, root);
            if !self.place.as_ref().is_some_and(logged) {
                let reason = "it is not what the evidence log says that its run committed";
                return Err(StoreError::corrupt(Self::KIND, reason));
            }
        }
        Ok(Some(StoredEvidence {
            owner: owner.clone(),
            product: self.product,
            connection: self.connection,
            as_of: self.as_of,
            run_id: self.run_id,
            body,
            sha256: self.sha256,
            committed_at: commit.committed_at,
            leaf: commit.leaf,
            place: self.place,
        }))
    }

    /// Whether the commit is its own.
    fn is_of(&self, commit: &Commit) -> bool {
        commit.run_id == self.run_id && commit.token == self.token
    }
}

/// A piece after the first.
#[derive(Serialize, Deserialize)]
pub(super) struct EvidencePiece {
    body: CompressedText,
}

impl Record for EvidencePiece {
    const KIND: &'static str = "part of a piece of evidence";
}

/// The text in parts that fit into a record each.
pub(super) fn in_pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > BODY_LIMIT {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(BODY_LIMIT));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

impl EvidenceRecord {
    /// The record that readers find, and those of what does not fit into it.
    pub(super) fn to_stored(
        &self,
        lease: &Lease,
        place: BundlePlace,
        end: Option<DateTime<Utc>>,
    ) -> Result<Vec<Item>, StoreError> {
        let pieces = in_pieces(&self.body);
        let (first, more) = pieces.split_first().unwrap_or((&"", &[]));
        let record = EvidenceItem {
            product: self.product,
            connection: lease.connection.clone(),
            as_of: lease.as_of,
            run_id: lease.run_id.clone(),
            token: lease.token,
            body: CompressedText((*first).to_owned()),
            more_pieces: u32::try_from(more.len()).unwrap_or(u32::MAX),
            sha256: keys::sha256(&self.body),
            place: Some(place),
        };
        let key = record.key(&self.owner.partition(&lease.company));
        let mut items = vec![record.to_item(&key)?];
        for (number, body) in (1..).zip(more) {
            items.push(
                EvidencePiece { body: CompressedText((*body).to_owned()) }
                    .to_item(&keys::evidence_piece(&key, number))?,
            );
        }
        for (place, item) in items.iter_mut().enumerate() {
            // The record goes first: without its pieces it would seem to be damaged.
            let later = if place == 0 { TimeDelta::zero() } else { OUTLIVES_EVIDENCE };
            if let Some(end) = end {
                item.insert("expires_at".to_owned(), number((end + later).timestamp()));
            }
        }
        Ok(items)
    }
}

/// The root over the bundles of a run, and where each of them is.
pub(super) fn places(evidence: &[EvidenceRecord]) -> (Hash, Vec<BundlePlace>) {
    let mut order: Vec<usize> = (0..evidence.len()).collect();
    order.sort_by_key(|number| evidence.get(*number).map(|record| &record.owner));
    let tree = bundle_tree(order.iter().filter_map(|number| Some(evidence.get(*number)?.body.as_bytes())));
    let mut places: Vec<(usize, BundlePlace)> = (0..)
        .zip(order)
        .map(|(index, number)| (number, BundlePlace { index, path: tree.inclusion_path(index).unwrap_or_default() }))
        .collect();
    places.sort_by_key(|(number, _)| *number);
    (tree.root(), places.into_iter().map(|(_, place)| place).collect())
}

impl Store {
    /// Writes evidence where no reader shows it until this lease's commit is there. [`Store::commit`] does this itself for many records.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Refused`].
    pub async fn stage(&self, lease: &Lease, evidence: &[EvidenceRecord]) -> Result<(), StoreError> {
        self.stage_ending(lease, evidence).await
    }

    /// The same, and the evidence of an owner ends when `end_of` says.
    pub(super) async fn stage_until(
        &self,
        lease: &Lease,
        evidence: &[EvidenceRecord],
        end_of: impl Fn(&EvidenceOwner) -> Option<DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let mut batches = self.batches();
        for (record, place) in evidence.iter().zip(places(evidence).1) {
            for item in record.to_stored(lease, place, end_of(&record.owner))? {
                // A piece is counted as if it were full: its bytes are not more.
                batches.add(put_request(item)?, record.body.len().min(BODY_LIMIT)).await?;
            }
        }
        batches.finish().await
    }

    /// The newest visible evidence of an owner, one of each product and connection, whatever the clock says. Connections that were removed are among them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the newest one was damaged.
    pub async fn latest(&self, company: &CompanyId, owner: &EvidenceOwner) -> Result<Vec<StoredEvidence>, StoreError> {
        self.latest_between(company, owner, None, Window::ALL).await
    }

    /// The same of one product, or all, among the evidence that was evaluated in a window.
    ///
    /// # Errors
    /// As [`Store::latest`].
    pub async fn latest_between(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Option<Product>,
        window: Window,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        let mut latest = Vec::new();
        if window.is_empty() {
            // The table refuses to look for what begins after its end.
            return Ok(latest);
        }
        let partition = owner.partition(company);
        for series in self.series(&partition, product).await? {
            let range = series.between(&partition, window.start, window.end);
            latest.extend(self.newest(company, owner, &range).await?);
        }
        Ok(latest)
    }

    /// The visible evidence of an owner that a run has made.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it was damaged.
    pub async fn evidence_of_run(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Product,
        run: &RunId,
    ) -> Result<Option<StoredEvidence>, StoreError> {
        let partition = owner.partition(company);
        for series in self.series(&partition, Some(product)).await? {
            let known = self.run(company, &series.connection, run).await?;
            let Some(as_of) = known.and_then(|run| run.as_of) else { continue };
            let records: Vec<EvidenceItem> = self.all(&series.between(&partition, as_of, as_of)).await?;
            let Some(commit) = self.get::<Commit>(&keys::commit(company, &series.connection, as_of, run)).await? else {
                continue;
            };
            for record in records {
                if let Some(visible) = self.visible(record, company, owner, &commit).await? {
                    self.check_logged(company, &series.connection, &commit).await?;
                    return Ok(Some(visible));
                }
            }
        }
        Ok(None)
    }

    async fn newest(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        range: &keys::Range,
    ) -> Result<Option<StoredEvidence>, StoreError> {
        // Only a run that failed in the middle of writing leaves something that is not visible, so the first one nearly always is.
        let mut items = self.query(range, Order::Reverse).limit(1).into_paginator().items().send();
        while let Some(item) = items.try_next().await? {
            let record = EvidenceItem::from_item(item)?;
            let key = keys::commit(company, &record.connection, record.as_of, &record.run_id);
            if let Some(commit) = self.get::<Commit>(&key).await?
                && let Some(visible) = self.visible(record, company, owner, &commit).await?
            {
                self.check_logged(company, &visible.connection, &commit).await?;
                return Ok(Some(visible));
            }
        }
        Ok(None)
    }

    /// The whole evidence of a record, if the commit is its own.
    pub(super) async fn visible(
        &self,
        record: EvidenceItem,
        company: &CompanyId,
        owner: &EvidenceOwner,
        commit: &Commit,
    ) -> Result<Option<StoredEvidence>, StoreError> {
        if !record.is_of(commit) {
            return Ok(None);
        }
        let pieces = match record.more_pieces {
            0 => Vec::new(),
            _ => {
                let key = record.key(&owner.partition(company));
                self.all::<EvidencePiece>(&keys::evidence_pieces(&key)).await?
            }
        };
        record.with_pieces(pieces, owner, commit)
    }

    /// Which products and connections have evidence in a partition: the first key, then the first one after all of its series, and so on.
    pub(super) async fn series(&self, partition: &str, product: Option<Product>) -> Result<Vec<Series>, StoreError> {
        let mut range = keys::series(partition, product.map(Product::as_str));
        let mut found = Vec::new();
        loop {
            let answer = self.query(&range, Order::Forward).limit(1).projection_expression("sk").send().await?;
            let Some(item) = answer.items().first() else {
                return Ok(found);
            };
            let series = item.get("sk").and_then(|sk| Series::parse(sk.as_s().ok()?));
            let series = series.ok_or_else(|| StoreError::corrupt(EvidenceItem::KIND, "at its key"))?;
            range.from = series.all(partition).to;
            found.push(series);
        }
    }
}

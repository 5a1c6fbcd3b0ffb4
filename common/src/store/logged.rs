//! Evidence against its log: what is shown is what the log says was committed, or nothing is shown.
//!
//! Every reader of evidence goes through here. The commit must say what its leaf says, and the leaf must be in the tree of the log's head: each leaf keeps the
//! subtrees before it, so that takes the head, the leaf, the newest leaf, and one more for each larger subtree that the leaf has become part of: for a year
//! of daily runs nine at most, read together. Leaves that lie beside that way are not looked at; `log`, packs and exports read all of them.

use super::Store;
use super::error::StoreError;
use super::evidence::Commit;
use super::log::{LeafItem, LogHead};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::log::statement::{Event, EvidenceLeaf, Leaf, Statement};
use crate::domain::log::tree::{Frontier, joins, leaf_hash};
use crate::store::table::keys;
use chrono::SubsecRound;
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Leaves at the beginning of a log among which its first evidence is looked for.
const FIRST_LEAVES: u64 = 50;

fn disagree(reason: &str) -> StoreError {
    let what = "restore the data, nothing of it is proved as it is";
    StoreError::corrupt("piece of evidence", format!("it and the evidence log disagree: {reason}; {what}"))
}

/// The evidence that a leaf is about.
fn evidence_of(data: &str) -> Result<Option<EvidenceLeaf>, StoreError> {
    let statement = Statement::parse(data.as_bytes()).map_err(|_| disagree("a leaf is no statement"))?;
    Ok(statement.evidence().cloned())
}

/// Whether a leaf is about the run of a commit, and says what that says.
fn check_leaf(commit: &Commit, data: &str) -> Result<(), StoreError> {
    let leaf = evidence_of(data)?.ok_or_else(|| disagree("its leaf is about no evidence"))?;
    // Bundles, and so leaves, are of whole seconds.
    let agrees = leaf.run_id == commit.run_id
        && leaf.as_of == commit.as_of.trunc_subsecs(0)
        && leaf.bundles == commit.bundles
        && Some(leaf.bundle_root) == commit.bundle_root;
    if agrees { Ok(()) } else { Err(disagree("its leaf says something else of the run")) }
}

/// Whether a commit without a leaf is from before the log.
fn check_unlogged(commit: &Commit, first: Option<&EvidenceLeaf>) -> Result<(), StoreError> {
    match first {
        Some(first) if first.as_of <= commit.as_of => Err(disagree("it has no leaf, and the log had begun")),
        _ => Ok(()),
    }
}

/// The tree before a leaf; `None` where an older release kept none.
fn before(leaf: &LeafItem, index: u64) -> Result<Option<Frontier>, StoreError> {
    let Some(peaks) = &leaf.peaks else { return Ok(None) };
    let tree =
        Frontier::of(index, peaks.clone()).ok_or_else(|| disagree("the tree before a leaf is not of its place"))?;
    Ok(Some(tree))
}

fn grown(mut tree: Frontier, leaf: &LeafItem) -> Frontier {
    tree.append(leaf_hash(leaf.data.as_bytes()));
    tree
}

impl Store {
    /// What a connection's log says happened, in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its leaves are not those of its head.
    pub async fn logged_events(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Vec<Event>, StoreError> {
        let leaves = self.log(company, connection).await?;
        let event = |data: &String| match Statement::parse(data.as_bytes()) {
            Ok(statement) => Ok(statement.event),
            Err(_) => Err(disagree("a leaf is no statement")),
        };
        leaves.iter().map(event).collect()
    }

    /// The same of a commit whose leaf, and the head of whose log, were read with it.
    pub(super) async fn check_leaf(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        commit: &Commit,
        (index, leaf, head): (u64, Option<LeafItem>, Option<LogHead>),
    ) -> Result<(), StoreError> {
        let leaf = leaf.ok_or_else(|| disagree("its leaf is missing"))?;
        let head = head.ok_or_else(|| disagree("the log has no head"))?;
        let beside = self.beside(company, connection, &head, index.saturating_add(1)).await?;
        self.judge(company, connection, &head, (index, std::slice::from_ref(&leaf)), &beside).await?;
        check_leaf(commit, &leaf.data)
    }

    /// Refuses a commit that its own leaf contradicts, or that has none although the log had begun.
    pub(super) async fn check_logged(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        if let Some(index) = commit.leaf {
            let leaves = self.proved(company, connection, index, index.saturating_add(1)).await?;
            let leaf = leaves.first().ok_or_else(|| disagree("its leaf is missing"))?;
            return check_leaf(commit, &leaf.data);
        }
        check_unlogged(commit, self.first_evidence(company, connection).await?.as_ref())
    }

    /// The leaves `from..to` of a log, at least one, which are proved to be in the tree of its head.
    async fn proved(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        from: u64,
        to: u64,
    ) -> Result<Vec<LeafItem>, StoreError> {
        // After the commit, whose transaction wrote both: a log never gets shorter.
        let head = self.log_head(company, connection).await?.ok_or_else(|| disagree("the log has no head"))?;
        let range = async {
            if to - from == 1 {
                return Ok(vec![self.leaf(company, connection, from).await?]);
            }
            let leaves: Vec<LeafItem> = self.all(&keys::log_leaves(company, connection, from, to)).await?;
            // One that is missing would shift those after it.
            if leaves.len() as u64 == to - from { Ok(leaves) } else { Err(disagree("a leaf is missing")) }
        };
        let (leaves, beside) = tokio::try_join!(range, self.beside(company, connection, &head, to))?;
        self.judge(company, connection, &head, (from, &leaves), &beside).await?;
        Ok(leaves)
    }

    async fn leaf(&self, company: &CompanyId, connection: &ConnectionId, index: u64) -> Result<LeafItem, StoreError> {
        let leaf: Option<LeafItem> = self.get(&keys::log_leaf(company, connection, index)).await?;
        leaf.ok_or_else(|| disagree("a leaf is missing"))
    }

    /// The leaves that prove that those before `to` are in the tree of a head: those that join their tree to larger ones, and the newest.
    async fn beside(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        head: &LogHead,
        to: u64,
    ) -> Result<BTreeMap<u64, LeafItem>, StoreError> {
        let last = head.size().checked_sub(1).filter(|last| to <= last.saturating_add(1));
        let last = last.ok_or_else(|| disagree("its leaf is missing: the log is shorter"))?;
        let beside: BTreeSet<u64> =
            joins(to, head.size()).into_iter().chain([last]).filter(|index| *index >= to).collect();
        let read = async |index: u64| Ok::<_, StoreError>((index, self.leaf(company, connection, index).await?));
        Ok(try_join_all(beside.into_iter().map(read)).await?.into_iter().collect())
    }

    /// Refuses leaves that are not in the tree of a head.
    async fn judge(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        head: &LogHead,
        (from, leaves): (u64, &[LeafItem]),
        beside: &BTreeMap<u64, LeafItem>,
    ) -> Result<(), StoreError> {
        let is_proved = match is_proved(head, (from, leaves), beside)? {
            Some(is_proved) => is_proved,
            // A log that an older release began: all of it.
            None => {
                let all = self.log(company, connection).await?;
                let same = |(index, leaf): (u64, &LeafItem)| {
                    usize::try_from(index).ok().and_then(|index| all.get(index)) == Some(&leaf.data)
                };
                (from..).zip(leaves).all(same)
            }
        };
        if is_proved { Ok(()) } else { Err(disagree("a leaf is not in the tree of the log's head")) }
    }

    /// The first evidence that a log has.
    async fn first_evidence(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<EvidenceLeaf>, StoreError> {
        let leaves: Vec<LeafItem> = self.all(&keys::log_leaves(company, connection, 0, FIRST_LEAVES)).await?;
        for leaf in &leaves {
            if let Some(first) = evidence_of(&leaf.data)? {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// The same of many commits of a connection, whose leaves are read in one range.
    pub(super) async fn check_all_logged(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        commits: &[Commit],
    ) -> Result<(), StoreError> {
        let indexes = || commits.iter().filter_map(|commit| commit.leaf);
        let from = indexes().min().unwrap_or_default();
        let to = indexes().max().map_or(from, |last| last.saturating_add(1));
        let leaves = if from < to { self.proved(company, connection, from, to).await? } else { Vec::new() };
        let mut first = None;
        for commit in commits {
            match commit.leaf {
                None => {
                    if first.is_none() {
                        first = Some(self.first_evidence(company, connection).await?);
                    }
                    check_unlogged(commit, first.as_ref().and_then(Option::as_ref))?;
                }
                Some(index) => {
                    let leaf = usize::try_from(index - from).ok().and_then(|place| leaves.get(place));
                    check_leaf(commit, &leaf.ok_or_else(|| disagree("its leaf is missing"))?.data)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether leaves are in the tree of a head, by those beside them that join their tree to larger ones, and the head is that of the newest leaf; `None` where
/// one of them does not know the tree before it.
fn is_proved(
    head: &LogHead,
    (from, leaves): (u64, &[LeafItem]),
    beside: &BTreeMap<u64, LeafItem>,
) -> Result<Option<bool>, StoreError> {
    let Some(first) = leaves.first() else { return Ok(Some(false)) };
    let Some(tree) = before(first, from)? else { return Ok(None) };
    let mut tree = leaves.iter().fold(tree, grown);
    for index in joins(tree.size(), head.size()) {
        let Some(leaf) = beside.get(&index) else { return Ok(Some(false)) };
        let Some(next) = before(leaf, index)? else { return Ok(None) };
        if !next.goes_on_from(&tree) {
            return Ok(Some(false));
        }
        tree = grown(next, leaf);
    }
    if !head.tree().goes_on_from(&tree) {
        return Ok(Some(false));
    }
    // The newest leaf says what the whole head has to be; where it is one of those that were asked for, their tree is the head's.
    match beside.last_key_value() {
        Some((last, newest)) => {
            let end = before(newest, *last)?;
            Ok(end.map(|end| grown(end, newest) == *head.tree()))
        }
        None => Ok(Some(tree == *head.tree())),
    }
}

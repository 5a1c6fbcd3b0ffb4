//! Evidence against its log: what is shown is what the log says was committed, or nothing is shown.
//!
//! Every reader of evidence goes through here. The commit must say what its leaf says, and the leaf must be in the tree of the log's head: each leaf keeps the
//! subtrees before it, so that takes the head, the leaf, the newest leaf, and one more for each larger subtree that the leaf has become part of: for a year
//! of daily runs nine at most, read together, those of several connections in one request. Leaves that lie beside that way are not looked at; `log`, packs and
//! exports read all of them.

use super::Store;
use super::error::StoreError;
use super::evidence::Commit;
use super::log::{LeafItem, LogHead};
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::log::statement::{Event, EvidenceLeaf, Leaf, Statement};
use crate::domain::log::tree::{Frontier, joins, leaf_hash};
use crate::store::table::keys::{self, Key};
use crate::store::table::queries::{Consistency, Found, requests_for};
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

/// Leaves of a log that are to be proved, and what was read of the log for that.
pub(super) struct Claim<'a> {
    company: &'a CompanyId,
    connection: &'a ConnectionId,
    /// The first of them.
    from: u64,
    /// The one after the last of them.
    to: u64,
    head: Option<LogHead>,
    /// Those that are wanted of the next read.
    wanted: BTreeSet<u64>,
    leaves: BTreeMap<u64, LeafItem>,
}

impl<'a> Claim<'a> {
    /// That the leaves `from..to`, at least one, are in the tree of the head. Whoever reads the head reads it after the commits, or their short record, whose
    /// transactions wrote it, too: a log never gets shorter.
    pub fn new(company: &'a CompanyId, connection: &'a ConnectionId, from: u64, to: u64) -> Self {
        Self { company, connection, from, to, head: None, wanted: (from..to).collect(), leaves: BTreeMap::new() }
    }

    /// Asks for the leaves that prove it in trees of up to so many leaves whose newest one is not before `newest`. Where the log is another one, one more read
    /// gets the rest.
    pub fn guess(mut self, newest: u64, size: u64) -> Self {
        self.wanted.extend(joins(self.to, size).into_iter().chain(newest.max(self.to)..size));
        self
    }

    /// The keys of the head and of the leaves that are wanted.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        std::iter::once(self.key_of_head()).chain(self.keys_of_leaves())
    }

    fn key_of_head(&self) -> Key {
        keys::log_head(self.company, self.connection)
    }

    fn keys_of_leaves(&self) -> impl Iterator<Item = Key> {
        self.wanted.iter().map(|index| keys::log_leaf(self.company, self.connection, *index))
    }

    /// Takes what was found of the leaves that were wanted.
    fn take_leaves(&mut self, found: &Found) -> Result<(), StoreError> {
        for index in std::mem::take(&mut self.wanted) {
            let leaf = found.get(&keys::log_leaf(self.company, self.connection, index))?;
            self.leaves.extend(leaf.map(|leaf| (index, leaf)));
        }
        Ok(())
    }

    /// Takes what was found of [`Claim::keys`].
    pub fn take(&mut self, found: &Found) -> Result<(), StoreError> {
        self.head = found.get::<LogHead>(&self.key_of_head())?.map(LogHead::checked).transpose()?;
        self.take_leaves(found)
    }

    fn head(&self) -> Result<&LogHead, StoreError> {
        self.head.as_ref().ok_or_else(|| disagree("the log has no head"))
    }

    /// The leaves beside its own that prove it: those that join their tree to larger ones, and the newest.
    fn beside(&self) -> Result<BTreeSet<u64>, StoreError> {
        let size = self.head()?.size();
        let last = size.checked_sub(1).filter(|_| self.to <= size);
        let last = last.ok_or_else(|| disagree("its leaf is missing: the log is shorter"))?;
        Ok(joins(self.to, size).into_iter().chain([last]).filter(|index| *index >= self.to).collect())
    }

    /// Wants what is still missing, now that the head is known.
    fn want_missing(&mut self) -> Result<(), StoreError> {
        let beside = self.beside()?;
        self.wanted = beside.into_iter().filter(|index| !self.leaves.contains_key(index)).collect();
        Ok(())
    }

    fn leaf(&self, index: u64) -> Result<&LeafItem, StoreError> {
        self.leaves.get(&index).ok_or_else(|| disagree("a leaf is missing"))
    }

    /// Whether they are in the tree of the head; `None` where one of them does not know the tree before it.
    fn is_proved(&self) -> Result<Option<bool>, StoreError> {
        let own = (self.from..self.to).map(|index| self.leaf(index)).collect::<Result<Vec<_>, _>>()?;
        let beside = self.beside()?.into_iter().map(|index| Ok((index, self.leaf(index)?)));
        is_proved(self.head()?, self.from, &own, &beside.collect::<Result<_, StoreError>>()?)
    }

    /// Whether the leaf of a commit, which is among them, says what the commit says.
    pub fn check(&self, commit: &Commit) -> Result<(), StoreError> {
        let own = commit.leaf.filter(|index| (self.from..self.to).contains(index));
        check_leaf(commit, &self.leaf(own.ok_or_else(|| disagree("its leaf is missing"))?)?.data)
    }
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

    /// Refuses a commit that its own leaf contradicts, or that has none although the log had begun.
    pub(super) async fn check_logged(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        let Some(index) = commit.leaf else {
            return check_unlogged(commit, self.first_evidence(company, connection).await?.as_ref());
        };
        let mut claim = Claim::new(company, connection, index, index.saturating_add(1));
        claim.head = self.log_head(company, connection).await?;
        let wanted: BTreeSet<u64> = claim.beside()?.into_iter().chain([index]).collect();
        let read = async |index: u64| {
            let leaf: Option<LeafItem> = self.get(&keys::log_leaf(company, connection, index)).await?;
            Ok::<_, StoreError>(leaf.map(|leaf| (index, leaf)))
        };
        claim.leaves = try_join_all(wanted.into_iter().map(read)).await?.into_iter().flatten().collect();
        self.judge(&claim).await?;
        claim.check(commit)
    }

    /// Refuses leaves that are not in the trees of their heads, of which the heads and the leaves themselves were read. What else proves them is read in one
    /// request.
    pub(super) async fn prove(&self, claims: &mut [Claim<'_>]) -> Result<(), StoreError> {
        claims.iter_mut().try_for_each(Claim::want_missing)?;
        let missing: Vec<Key> = claims.iter().flat_map(Claim::keys_of_leaves).collect();
        if !missing.is_empty() {
            let found = self.found(missing, Consistency::Strong).await?;
            claims.iter_mut().try_for_each(|claim| claim.take_leaves(&found))?;
        }
        for claim in claims {
            self.judge(claim).await?;
        }
        Ok(())
    }

    /// Refuses leaves that are not in the tree of a head.
    async fn judge(&self, claim: &Claim<'_>) -> Result<(), StoreError> {
        let is_proved = match claim.is_proved()? {
            Some(is_proved) => is_proved,
            // A log that an older release began: all of it.
            None => {
                let all = self.log(claim.company, claim.connection).await?;
                let is_there = |index: &u64| usize::try_from(*index).ok().and_then(|index| all.get(index));
                (claim.from..claim.to).all(|index| is_there(&index) == claim.leaves.get(&index).map(|leaf| &leaf.data))
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

    /// The same of the commits of several connections, with as few requests as they take.
    pub(super) async fn check_all_logged(
        &self,
        company: &CompanyId,
        commits: &[(&ConnectionId, Vec<Commit>)],
    ) -> Result<(), StoreError> {
        let mut claims = Vec::new();
        for (connection, commits) in commits {
            let indexes = || commits.iter().filter_map(|commit| commit.leaf);
            if let (Some(first), Some(last)) = (indexes().min(), indexes().max()) {
                claims.push(Claim::new(company, connection, first, last.saturating_add(1)));
            }
        }
        let records = claims.iter().map(|claim| claim.wanted.len() + 1).sum();
        if requests_for(records) <= claims.len() {
            let found = self.found(claims.iter().flat_map(Claim::keys), Consistency::Strong).await?;
            claims.iter_mut().try_for_each(|claim| claim.take(&found))?;
        } else {
            let heads = self.found(claims.iter().map(Claim::key_of_head), Consistency::Strong);
            let leaves = try_join_all(claims.iter().map(|it| {
                let range = keys::log_leaves(company, it.connection, it.from, it.to);
                async move { self.all::<LeafItem>(&range).await }
            }));
            let (heads, leaves) = tokio::try_join!(heads, leaves)?;
            for (claim, leaves) in claims.iter_mut().zip(leaves) {
                claim.wanted.clear();
                claim.take(&heads)?;
                // One that is missing would shift those after it.
                if leaves.len() as u64 != claim.to - claim.from {
                    return Err(disagree("a leaf is missing"));
                }
                claim.leaves = (claim.from..).zip(leaves).collect();
            }
        }
        self.prove(&mut claims).await?;
        for (connection, commits) in commits {
            let (logged, unlogged): (Vec<&Commit>, Vec<&Commit>) = commits.iter().partition(|it| it.leaf.is_some());
            let claim = claims.iter().find(|claim| claim.connection == *connection);
            for commit in logged {
                claim.ok_or_else(|| disagree("its leaf is missing"))?.check(commit)?;
            }
            if !unlogged.is_empty() {
                let first = self.first_evidence(company, connection).await?;
                unlogged.into_iter().try_for_each(|commit| check_unlogged(commit, first.as_ref()))?;
            }
        }
        Ok(())
    }
}

/// Whether leaves are in the tree of a head, by those beside them that join their tree to larger ones, and the head is that of the newest leaf; `None` where
/// one of them does not know the tree before it.
fn is_proved(
    head: &LogHead,
    from: u64,
    leaves: &[&LeafItem],
    beside: &BTreeMap<u64, &LeafItem>,
) -> Result<Option<bool>, StoreError> {
    let Some(first) = leaves.first() else { return Ok(Some(false)) };
    let Some(tree) = before(first, from)? else { return Ok(None) };
    let mut tree = leaves.iter().fold(tree, |tree, leaf| grown(tree, leaf));
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

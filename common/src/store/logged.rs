//! Evidence against its log: what is shown is what the log says was committed, or nothing is shown.

use super::Store;
use super::error::StoreError;
use super::evidence::Commit;
use super::log::LeafItem;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::log::statement::{Event, EvidenceLeaf, Leaf, Statement};
use crate::store::table::keys;
use chrono::SubsecRound;

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

    /// Refuses a commit that its own leaf contradicts, or whose leaf is missing.
    pub(super) fn check_leaf(commit: &Commit, leaf: Option<&LeafItem>) -> Result<(), StoreError> {
        check_leaf(commit, &leaf.ok_or_else(|| disagree("its leaf is missing"))?.data)
    }

    /// Refuses a commit that its own leaf contradicts, or that has none although the log had begun.
    pub(super) async fn check_logged(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        commit: &Commit,
    ) -> Result<(), StoreError> {
        if let Some(index) = commit.leaf {
            let leaf: Option<LeafItem> = self.get(&keys::log_leaf(company, connection, index)).await?;
            return Self::check_leaf(commit, leaf.as_ref());
        }
        check_unlogged(commit, self.first_evidence(company, connection).await?.as_ref())
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
        let leaves: Vec<LeafItem> =
            if from < to { self.all(&keys::log_leaves(company, connection, from, to)).await? } else { Vec::new() };
        // One that is missing would shift those after it.
        if leaves.len() as u64 != to - from {
            return Err(disagree("a leaf is missing"));
        }
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

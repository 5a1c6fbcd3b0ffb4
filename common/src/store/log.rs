//! The evidence log of a connection, and of the company's decisions: a head to append to, and the leaves.
//!
//! A leaf and the head after it join the transaction of what they are about, so that the log has neither holes nor forks: of two that append at
//! the same time, the table refuses one, which reads the head again.

use super::error::StoreError;
use super::lease::Lease;
use super::signed::Grown;
use super::timeline::Timeline;
use super::{ATTEMPTS, Store};
use crate::domain::audit::AuditEvent;
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::log::proof::TreeHead;
use crate::domain::log::statement::{CompanyStatement, Event, Leaf, Statement};
use crate::domain::log::tree::{Frontier, Tree, empty_root, leaf_hash};
use crate::domain::log::{Hash, LogId};
use crate::domain::product::Product;
use crate::store::table::items::{Change, Record, number, put_new};
use crate::store::table::{Item, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What the next leaf is appended to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The product of the last statement, for a run whose connection is removed. No role may change an attribute `product`, which is a connection's: in a
    /// transaction the two would be one permission.
    #[serde(rename = "log_product", alias = "product")]
    pub product: Product,
    /// How many leaves there are.
    size: u64,
    /// See [`Frontier`].
    peaks: Frontier,
}

impl Record for LogHead {
    const KIND: &'static str = "head of the evidence log";
}

impl LogHead {
    /// The head, unless it contradicts itself.
    pub(super) fn checked(self) -> Result<Self, StoreError> {
        if self.size == self.peaks.size() {
            return Ok(self);
        }
        Err(StoreError::corrupt(Self::KIND, "its size is not that of its tree"))
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.peaks.size()
    }

    /// Its tree.
    #[must_use]
    pub fn tree(&self) -> &Frontier {
        &self.peaks
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.peaks.root()
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LeafItem {
    /// The leaf's data, a JCS text.
    pub data: String,
    /// The subtrees before it, with which few reads prove that it is in the tree of the head. Absent in what an older release wrote, and in the log of
    /// decisions, which is always read whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peaks: Option<Vec<Hash>>,
}

impl Record for LeafItem {
    const KIND: &'static str = "leaf of the evidence log";
}

#[derive(Serialize, Deserialize)]
struct CompanyLogHead {
    size: u64,
    peaks: Frontier,
}

impl Record for CompanyLogHead {
    const KIND: &'static str = "head of the log of decisions";
}

/// Whether leaves are those of a head.
fn check(leaves: &[String], size: u64, root: Hash) -> Result<(), StoreError> {
    let tree = Tree::of(leaves.iter().map(|data| leaf_hash(data.as_bytes())));
    if tree.size() == size && tree.root() == root {
        return Ok(());
    }
    Err(broken("its leaves are not those of its head"))
}

fn broken(how: &str) -> StoreError {
    StoreError::corrupt("evidence log", format!("{how}: restore the data, nothing of it is proved as it is"))
}

/// A leaf that is to be appended.
pub(super) struct Appended {
    /// Where it will be.
    pub index: u64,
    /// The leaf and the head after it.
    pub actions: [TransactWriteItem; 2],
}

impl Store {
    /// The head of a connection's log; `None` before its first leaf.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn log_head(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
    ) -> Result<Option<LogHead>, StoreError> {
        let head: Option<LogHead> = self.get(&keys::log_head(company, connection)).await?;
        head.map(LogHead::checked).transpose()
    }

    /// What a transaction needs to append a statement to the log with this head.
    pub(super) fn append(&self, head: Option<&LogHead>, statement: &Statement) -> Result<Appended, StoreError> {
        let (company, connection) = (&statement.company, &statement.connection);
        let data = statement.data().map_err(|error| StoreError::corrupt(LeafItem::KIND, error.to_string()))?;
        let mut peaks = head.map(|head| head.peaks.clone()).unwrap_or_default();
        let index = peaks.size();
        let before = Some(peaks.peaks().to_vec());
        peaks.append(leaf_hash(&data));
        let data = String::from_utf8(data).map_err(|_| StoreError::corrupt(LeafItem::KIND, "it is no text"))?;
        let leaf = LeafItem { data, peaks: before }.to_item(&keys::log_leaf(company, connection, index))?;
        let leaf = put_new(&self.table, leaf)?;
        let (key, size) = (keys::log_head(company, connection), peaks.size());
        let grown = Grown::of(&LogId::of_connection(company, connection), statement.ended_at());
        let after = match head {
            None => {
                let head = LogHead { product: statement.product, size, peaks };
                put_new(&self.table, grown.mark(head.to_item(&key)?))?
            }
            Some(_) => grown
                .change(Change::of(key))
                .only_if("size", number(index))
                .set("log_product", &statement.product)?
                .set("size", &size)?
                .set("peaks", &peaks)?
                .update(&self.table)?,
        };
        Ok(Appended { index, actions: [leaf, after] })
    }

    /// What a transaction needs to append to the log of the company's decisions. Whoever is refused reads and tries again.
    pub(super) async fn append_company(&self, statement: &CompanyStatement) -> Result<Appended, StoreError> {
        let company = &statement.company;
        let data = statement.data().map_err(|error| StoreError::corrupt(LeafItem::KIND, error.to_string()))?;
        let data = String::from_utf8(data).map_err(|_| StoreError::corrupt(LeafItem::KIND, "it is no text"))?;
        let head = self.company_log_head(company).await?;
        let mut peaks = head.clone().unwrap_or_default();
        let index = peaks.size();
        peaks.append(leaf_hash(data.as_bytes()));
        let leaf =
            put_new(&self.table, LeafItem { data, peaks: None }.to_item(&keys::company_log_leaf(company, index))?)?;
        let (key, size) = (keys::company_log_head(company), peaks.size());
        let grown = Grown::of(&LogId::of_company(company), statement.at);
        let after = match head {
            None => put_new(&self.table, grown.mark(CompanyLogHead { size, peaks }.to_item(&key)?))?,
            Some(_) => grown
                .change(Change::of(key))
                .only_if("size", number(index))
                .set("size", &size)?
                .set("peaks", &peaks)?
                .update(&self.table)?,
        };
        Ok(Appended { index, actions: [leaf, after] })
    }

    /// Appends the announcement of a key to the log of the company's decisions, with who did it; `false` if somebody else appended in between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn append_key(&self, statement: &CompanyStatement, event: &AuditEvent) -> Result<bool, StoreError> {
        let mut actions = self.append_company(statement).await?.actions.to_vec();
        actions.push(self.audited(event)?);
        Ok(self.transact(actions).await?.is_written())
    }

    /// The head of the log of a company's decisions; `None` before its first leaf.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn company_log_head(&self, company: &CompanyId) -> Result<Option<Frontier>, StoreError> {
        let head: Option<CompanyLogHead> = self.get(&keys::company_log_head(company)).await?;
        Ok(head.map(|head| head.peaks))
    }

    /// Size and root of any log; those of nothing before its first leaf.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn tree_head(&self, log: &LogId) -> Result<TreeHead, StoreError> {
        let head = match &log.connection {
            Some(connection) => self
                .log_head(&log.company, connection)
                .await?
                .map(|head| TreeHead { size: head.size(), root: head.root() }),
            None => {
                self.company_log_head(&log.company).await?.map(|head| TreeHead { size: head.size(), root: head.root() })
            }
        };
        Ok(head.unwrap_or_else(|| TreeHead { size: 0, root: empty_root() }))
    }

    /// The data of all leaves of any log, in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they are not those of its head.
    pub async fn leaves(&self, log: &LogId) -> Result<Vec<String>, StoreError> {
        match &log.connection {
            Some(connection) => self.log(&log.company, connection).await,
            None => self.company_log(&log.company).await,
        }
    }

    /// The data of all leaves of the log of a company's decisions, in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they are not those of its head.
    pub async fn company_log(&self, company: &CompanyId) -> Result<Vec<String>, StoreError> {
        self.whole(&LogId::of_company(company)).await
    }

    /// The data of all leaves of a connection's log, in order; none before its first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they are not those of its head.
    pub async fn log(&self, company: &CompanyId, connection: &ConnectionId) -> Result<Vec<String>, StoreError> {
        self.whole(&LogId::of_connection(company, connection)).await
    }

    async fn whole(&self, log: &LogId) -> Result<Vec<String>, StoreError> {
        let mut head = self.tree_head(log).await?;
        for _ in 0..ATTEMPTS {
            // One more than there are, which nobody has written.
            let range = keys::leaves_of_log(log, head.size.saturating_add(1));
            let leaves: Vec<LeafItem> = self.all(&range).await?;
            let leaves: Vec<String> = leaves.into_iter().map(|leaf| leaf.data).collect();
            if leaves.len() as u64 <= head.size {
                check(&leaves, head.size, head.root)?;
                return Ok(leaves);
            }
            // Somebody may have appended in between.
            let now = self.tree_head(log).await?;
            if now.size <= head.size {
                return Err(broken("it has a leaf that its head does not know"));
            }
            head = now;
        }
        Err(StoreError::unavailable("the log grows faster than it is read"))
    }

    /// What the transaction that ends a run appends. `None` for a run whose connection was removed by a release that kept no log.
    pub(super) async fn append_run(
        &self,
        lease: &Lease,
        connection: Option<&Connection>,
        product: Option<Product>,
        event: &Event,
    ) -> Result<Option<Appended>, StoreError> {
        let head = self.log_head(&lease.company, &lease.connection).await?;
        let known = connection.map(|it| it.product).or_else(|| head.as_ref().map(|head| head.product)).or(product);
        let Some(product) = known else { return Ok(None) };
        let statement = Statement::new(lease.company.clone(), lease.connection.clone(), product, event.clone());
        Ok(Some(self.append(head.as_ref(), &statement)?))
    }

    /// The data of the leaves `from..to` of a connection's log, in order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is missing.
    pub async fn log_leaves(
        &self,
        company: &CompanyId,
        connection: &ConnectionId,
        from: u64,
        to: u64,
    ) -> Result<Vec<String>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let leaves: Vec<LeafItem> = self.all(&keys::log_leaves(company, connection, from, to)).await?;
        if leaves.len() as u64 != to - from {
            return Err(broken("a leaf is missing"));
        }
        Ok(leaves.into_iter().map(|leaf| leaf.data).collect())
    }

    /// Removes a connection and says so in its log. Its runs, its evidence and its log stay. One that is not there stays away.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if runs of it end all the time.
    pub async fn remove_connection(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.drop_connection(company, id, at, None, Vec::new()).await
    }

    /// The same for somebody, who is recorded in the same transaction, with what explains the days without it; with `if_revision` only if the connection has that revision.
    ///
    /// # Errors
    /// As [`Store::remove_connection`], and [`StoreError::Conflict`] where it has another revision.
    pub async fn remove_connection_as(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        if_revision: Option<u64>,
        event: &AuditEvent,
        timeline: &Timeline,
    ) -> Result<(), StoreError> {
        let beside = vec![self.audited(event)?, self.kept_timeline(company, timeline)?];
        self.drop_connection(company, id, event.at, if_revision, beside).await
    }

    async fn drop_connection(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        at: DateTime<Utc>,
        if_revision: Option<u64>,
        beside: Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(connection) = self.connection(company, id).await? else { return Ok(()) };
            if if_revision.is_some_and(|revision| revision != connection.revision) {
                break;
            }
            let head = self.log_head(company, id).await?;
            let event = Event::Disconnected { ended_at: at };
            let statement = Statement::new(company.clone(), id.clone(), connection.product, event);
            let [leaf, after] = self.append(head.as_ref(), &statement)?.actions;
            let removed = Change::of(keys::connection(company, id)).only_if_count("revision", connection.revision);
            let mut actions = vec![removed.delete(&self.table)?, leaf, after];
            actions.extend(beside.clone());
            if self.transact(actions).await?.is_written() {
                return Ok(());
            }
        }
        Err(StoreError::Conflict { record: Connection::KIND })
    }

    /// Stores a connection whose id has a log, and says so in it. `item` is refused where there is such a connection.
    pub(super) async fn reconnect(
        &self,
        connection: &Connection,
        item: Item,
        beside: &[TransactWriteItem],
    ) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(head) = self.log_head(&connection.company, &connection.id).await? else { return Ok(false) };
            let (company, id) = (connection.company.clone(), connection.id.clone());
            let event = Event::Reconnected { ended_at: connection.created_at };
            let statement = Statement::new(company, id, connection.product, event);
            let [leaf, after] = self.append(Some(&head), &statement)?.actions;
            let mut actions = vec![put_new(&self.table, item.clone())?, leaf, after];
            actions.extend(beside.iter().cloned());
            let outcome = self.transact(actions).await?;
            if outcome.is_written() {
                return Ok(true);
            }
            if outcome.refused(0) {
                return Err(StoreError::Conflict { record: Connection::KIND });
            }
        }
        Err(StoreError::Conflict { record: Connection::KIND })
    }
}

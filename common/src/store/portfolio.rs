//! The newest evidence of every client in short: one record for each connection, written by the transaction that commits a run.
//!
//! All of a company lie in one partition, so that a few reads show hundreds of clients. A run of any number of clients writes few records, so they fit into
//! its transaction.

use super::Store;
use super::body::CompressedText;
use super::error::StoreError;
use super::evidence::{EvidenceOwner, EvidenceRecord, in_pieces};
use super::lease::Lease;
use crate::domain::calendar::Calendar;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::portfolio::{ClientSummary, Origin, updated};
use crate::domain::product::Product;
use crate::store::table::Item;
use crate::store::table::items::Record;
use crate::store::table::keys;
use crate::store::table::queries::Order;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of summaries that a transaction has room for: some ten thousand clients. What is beyond is read from the evidence itself.
const MOST_BYTES: usize = 3_000_000;

/// The summaries of one connection, or a piece of them.
#[derive(Serialize, Deserialize)]
struct PortfolioItem {
    connection: ConnectionId,
    /// Which piece.
    piece: u32,
    /// How many there are; a later one is left over from a longer list.
    pieces: u32,
    /// A piece of the summaries as JSON.
    body: CompressedText,
    /// Whether every client that the connection ever gave evidence about is among them.
    #[serde(default)]
    whole: bool,
    /// Absent in what an earlier release wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<Whereabouts>,
}

impl Record for PortfolioItem {
    const KIND: &'static str = "summary of clients";
}

/// Where the newest evidence of a connection about the company itself lies, over all its organizations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The product that it is from.
    pub product: Product,
    /// The instant of the evaluation.
    pub as_of: DateTime<Utc>,
    /// The run that made it.
    pub run_id: RunId,
    /// The fencing token that it was committed under.
    pub token: u64,
    /// The leaf of the evidence log that is about it; `None` where there is none.
    pub leaf: Option<u64>,
    /// How many records its bundle needed beside the first.
    pub more_pieces: u32,
}

/// The newest evidence of the clients of a connection, which may be removed by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSummary {
    /// The connection.
    pub connection: ConnectionId,
    /// Its clients.
    pub clients: Vec<ClientSummary>,
    /// Whether every client that it ever gave evidence about is among them.
    pub whole: bool,
    /// Where its newest evidence about the company itself lies; `None` where an earlier release made it, or there is none.
    pub own: Option<Whereabouts>,
}

fn read(items: Vec<PortfolioItem>) -> Result<Vec<ConnectionSummary>, StoreError> {
    let mut bodies: BTreeMap<ConnectionId, (String, bool, Option<Whereabouts>)> = BTreeMap::new();
    // In the order of their keys.
    for item in items {
        if item.piece < item.pieces {
            let (body, whole, own) = bodies.entry(item.connection).or_default();
            body.push_str(&item.body.0);
            (*whole, *own) = (item.whole, item.own);
        }
    }
    let of = |(connection, (body, whole, own)): (ConnectionId, (String, bool, Option<Whereabouts>))| {
        let clients = serde_json::from_str(&body);
        let clients = clients.map_err(|error| StoreError::corrupt(PortfolioItem::KIND, error.to_string()))?;
        Ok(ConnectionSummary { connection, clients, whole, own })
    };
    bodies.into_iter().map(of).collect()
}

/// How many records a bundle needs beside the first.
fn more_pieces(record: &EvidenceRecord) -> u32 {
    u32::try_from(in_pieces(&record.body).len().saturating_sub(1)).unwrap_or(u32::MAX)
}

/// Where the evidence of a run of this lease about the company itself will lie, if it made some.
fn new_own(lease: &Lease, evidence: &[EvidenceRecord]) -> Option<Whereabouts> {
    let own = evidence.iter().find(|record| record.owner == EvidenceOwner::Company)?;
    Some(Whereabouts {
        product: own.product,
        as_of: lease.as_of,
        run_id: lease.run_id.clone(),
        token: lease.token,
        leaf: None,
        more_pieces: more_pieces(own),
    })
}

/// What a run of this lease makes of its clients. A bundle that cannot be read has no summary: who reads it says what is wrong.
fn new_summaries(lease: &Lease, evidence: &[EvidenceRecord], calendar: &Calendar) -> Vec<ClientSummary> {
    let of = |record: &EvidenceRecord| {
        let EvidenceOwner::Client(client) = &record.owner else { return None };
        let origin = Origin {
            client: client.clone(),
            product: record.product,
            as_of: lease.as_of,
            run_id: lease.run_id.clone(),
            token: lease.token,
        };
        Some(ClientSummary {
            more_pieces: more_pieces(record),
            ..ClientSummary::of_bundle(origin, &record.body, calendar).ok()?
        })
    };
    evidence.iter().filter_map(of).collect()
}

impl Store {
    /// The newest evidence of all clients of a company in short, by connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::Corrupt`].
    pub async fn portfolio(&self, company: &CompanyId) -> Result<Vec<ConnectionSummary>, StoreError> {
        read(self.all(&keys::portfolio(company)).await?)
    }

    /// What the commit of a lease's run makes of the summaries of its connection. Nobody else writes them.
    pub(super) async fn next_portfolio(
        &self,
        lease: &Lease,
        evidence: &[EvidenceRecord],
    ) -> Result<NextPortfolio, StoreError> {
        let (company, connection) = (&lease.company, &lease.connection);
        let before = self.all::<PortfolioItem>(&keys::portfolio_of(company, connection)).await;
        let pieces_before = before.as_ref().map_or(0, Vec::len);
        let (before, known, own) = match before.and_then(read) {
            // Damaged, or of another release: no reason to lose evidence. It is made anew.
            Err(StoreError::Corrupt { .. }) => (Vec::new(), false, None),
            before => match before?.pop() {
                Some(summary) => (summary.clients, summary.whole, summary.own),
                None => (Vec::new(), !self.has_commits(company, connection).await?, None),
            },
        };
        // A run of the past changes nothing of what is newer.
        let own = own.into_iter().chain(new_own(lease, evidence)).max_by_key(|own| own.as_of);
        let new = new_summaries(lease, evidence, &self.calendar);
        let of_clients = evidence.iter().filter(|record| matches!(record.owner, EvidenceOwner::Client(_)));
        let whole = known && of_clients.count() == new.len();
        let mut clients = updated(before, new, lease.as_of);
        clients.sort_by(|a, b| (b.as_of, &a.client).cmp(&(a.as_of, &b.client)));
        Ok(NextPortfolio { clients, whole, own, pieces_before })
    }

    /// Whether a connection has given evidence.
    async fn has_commits(&self, company: &CompanyId, connection: &ConnectionId) -> Result<bool, StoreError> {
        let ever = keys::commits(company, connection, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let first = self.query(&ever, Order::Forward).limit(1).projection_expression("sk").send().await?;
        Ok(!first.items().is_empty())
    }
}

/// The summaries of a connection after a run.
pub(super) struct NextPortfolio {
    clients: Vec<ClientSummary>,
    whole: bool,
    own: Option<Whereabouts>,
    pieces_before: usize,
}

impl NextPortfolio {
    /// The items that the commit writes, whose evidence has this leaf of the log.
    pub fn items(&mut self, lease: &Lease, leaf: Option<u64>) -> Result<Vec<Item>, StoreError> {
        let (company, connection) = (&lease.company, &lease.connection);
        let own = |it: &&mut ClientSummary| it.run_id == lease.run_id && it.token == lease.token;
        self.clients.iter_mut().filter(own).for_each(|summary| summary.leaf = leaf);
        let of_run = |it: &&mut Whereabouts| it.run_id == lease.run_id && it.token == lease.token;
        self.own.iter_mut().filter(of_run).for_each(|own| own.leaf = leaf);
        let (body, fits) = joined(&self.clients)?;
        let bodies = in_pieces(&body);
        let pieces = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
        let left_over = std::iter::repeat_n("", self.pieces_before.saturating_sub(bodies.len()));
        let bodies = bodies.iter().copied().chain(left_over);
        let item = |(piece, body): (u32, &str)| {
            let (connection, body) = (connection.clone(), CompressedText(body.to_owned()));
            let (whole, own) = (self.whole && fits, self.own.clone());
            let item = PortfolioItem { connection, piece, pieces, body, whole, own };
            item.to_item(&keys::portfolio_piece(company, &lease.connection, piece))
        };
        (0..).zip(bodies).map(item).collect()
    }
}

/// A JSON list of as many as there is room for, and whether that is all.
fn joined(clients: &[ClientSummary]) -> Result<(String, bool), StoreError> {
    let mut body = "[".to_owned();
    for client in clients {
        let client = serde_json::to_string(client);
        let client = client.map_err(|error| StoreError::corrupt(PortfolioItem::KIND, error.to_string()))?;
        if body.len() + client.len() > MOST_BYTES {
            body.push(']');
            return Ok((body, false));
        }
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&client);
    }
    body.push(']');
    Ok((body, true))
}

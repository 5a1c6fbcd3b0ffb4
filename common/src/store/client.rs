//! A client as readers need it: three reads of the table for its newest evidence, the connections of its company and what was decided about it.
//!
//! The short records of the portfolio name the newest evidence of each connection, so nothing is looked for: every record has a key that is known, and one
//! request gets them all.

use super::Store;
use super::error::StoreError;
use super::evidence::{Commit, EvidenceItem, EvidenceOwner, EvidencePiece, StoredEvidence};
use super::portfolio::ConnectionSummary;
use super::together::Decided;
use crate::domain::connection::Connection;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::portfolio::ClientSummary;
use crate::domain::product::Product;
use crate::store::table::Item;
use crate::store::table::items::Record;
use crate::store::table::keys::{self, Key, Series};
use crate::store::table::queries::Consistency;
use chrono::{DateTime, Utc};

/// A client, its newest evidence and what was decided about it.
#[derive(Debug, Clone)]
pub struct ClientNow {
    /// The connections of the company, by id.
    pub connections: Vec<Connection>,
    /// The newest evidence of each product and connection between the two instants; `None` where the short records do not tell, as of an instant that lies
    /// before the newest evidence: [`Store::latest_between`] tells.
    pub evidence: Option<Vec<StoredEvidence>>,
    /// What was decided.
    pub decided: Decided,
}

/// The records of a piece of evidence.
struct Place<'a> {
    connection: &'a ConnectionId,
    summary: &'a ClientSummary,
    evidence: Key,
    commit: Key,
    /// Its leaf, and the head of the log that it is in.
    leaf: Option<(u64, [Key; 2])>,
}

impl<'a> Place<'a> {
    fn of(company: &CompanyId, connection: &'a ConnectionId, summary: &'a ClientSummary) -> Self {
        let partition = keys::evidence_of_client(company, &summary.client);
        let series = Series { product: summary.product.to_string(), connection: connection.clone() };
        let (as_of, run) = (summary.as_of, &summary.run_id);
        Self {
            connection,
            summary,
            evidence: keys::evidence(&partition, &series, as_of, run, summary.token),
            commit: keys::commit(company, connection, as_of, run),
            leaf: summary.leaf.map(|index| {
                (index, [keys::log_leaf(company, connection, index), keys::log_head(company, connection)])
            }),
        }
    }

    /// The pieces after the first.
    fn pieces(&self) -> Vec<Key> {
        (1..=self.summary.more_pieces).map(|number| keys::evidence_piece(&self.evidence, number)).collect()
    }

    fn keys(&self) -> Vec<Key> {
        let leaf = self.leaf.iter().flat_map(|(_, keys)| keys.clone());
        [self.evidence.clone(), self.commit.clone()].into_iter().chain(leaf).chain(self.pieces()).collect()
    }
}

fn record<R: Record>(items: &[Item], key: &Key) -> Result<Option<R>, StoreError> {
    items.iter().find(|item| key.is_of(item)).cloned().map(R::from_item).transpose()
}

/// The newest evidence of a client among the short records, between two instants; `None` where they do not tell.
fn newest<'a>(
    company: &CompanyId,
    client: &ClientId,
    connections: &[Connection],
    summaries: &'a [ConnectionSummary],
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Option<Vec<Place<'a>>> {
    let measures = |connection: &Connection| connection.mapping.clients().contains(&client);
    let summarized = |id: &ConnectionId| summaries.iter().any(|summary| summary.connection == *id);
    // Of a release without them.
    if connections.iter().any(|it| measures(it) && it.last_success_at.is_some() && !summarized(&it.id)) {
        return None;
    }
    let mut places = Vec::new();
    for ConnectionSummary { connection, clients, whole } in summaries {
        let own: Vec<_> = clients.iter().filter(|summary| summary.client == *client).collect();
        // What is newest is not what is asked for, or not everything is known.
        if own.iter().any(|summary| summary.as_of > to) || (own.is_empty() && !whole) {
            return None;
        }
        let within = own.into_iter().filter(|summary| summary.as_of >= from);
        places.extend(within.map(|summary| Place::of(company, connection, summary)));
    }
    Some(places)
}

impl Store {
    /// A client with its newest evidence of a product, or of all, between two instants.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for evidence that was damaged, as for [`Store::latest`].
    pub async fn client_now(
        &self,
        company: &CompanyId,
        client: &ClientId,
        product: Option<Product>,
        between: (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<ClientNow, StoreError> {
        let (connections, summaries) = tokio::try_join!(self.connections(company), self.portfolio(company))?;
        let mut places = newest(company, client, &connections, &summaries, between);
        if let Some(places) = &mut places {
            places.retain(|place| product.is_none_or(|product| place.summary.product == product));
            places.sort_by_key(|place| (place.summary.product.as_str(), place.connection));
        }
        let wanted = places.iter().flatten().flat_map(Place::keys).chain(Self::decided_keys(company, client));
        let items = self.get_items(wanted, Consistency::Strong).await?;
        let decided = self.decided_in(company, client, &items).await?;
        let evidence = match places {
            Some(places) => self.of_places(company, client, &places, &items).await?,
            None => None,
        };
        Ok(ClientNow { connections, evidence, decided })
    }

    /// The evidence at these places; `None` where a record has ended meanwhile.
    async fn of_places(
        &self,
        company: &CompanyId,
        client: &ClientId,
        places: &[Place<'_>],
        items: &[Item],
    ) -> Result<Option<Vec<StoredEvidence>>, StoreError> {
        let owner = EvidenceOwner::Client(client.clone());
        let mut evidence = Vec::with_capacity(places.len());
        for place in places {
            let (found, commit) = (record::<EvidenceItem>(items, &place.evidence)?, record(items, &place.commit)?);
            let (Some(found), Some(commit)) = (found, commit) else { return Ok(None) };
            let pieces = place.pieces().iter().map(|key| record(items, key)).collect::<Result<Option<Vec<_>>, _>>()?;
            let Some(pieces): Option<Vec<EvidencePiece>> = pieces else { return Ok(None) };
            let Some(visible) = found.with_pieces(pieces, &owner, &commit)? else { return Ok(None) };
            self.check_known_leaf(company, place, &commit, items).await?;
            evidence.push(visible);
        }
        Ok(Some(evidence))
    }

    async fn check_known_leaf(
        &self,
        company: &CompanyId,
        place: &Place<'_>,
        commit: &Commit,
        items: &[Item],
    ) -> Result<(), StoreError> {
        match (&place.leaf, commit.leaf) {
            (Some((index, [leaf, head])), Some(of)) if *index == of => {
                let read = (of, record(items, leaf)?, record(items, head)?);
                self.check_leaf(company, place.connection, commit, read).await
            }
            // Of a release that did not note the leaf, or from before the log.
            _ => self.check_logged(company, place.connection, commit).await,
        }
    }
}

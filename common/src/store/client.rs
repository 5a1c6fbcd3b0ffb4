//! A client as readers need it: three reads of the table for its newest evidence, the connections of its company and what was decided about it.
//!
//! The short records of the portfolio name the newest evidence of each connection, so nothing is looked for: every record has a key that is known, and one
//! request gets them all. Only which leaves lie behind that of the evidence is not known, by which it is proved: those that there may be are asked for with it.

use super::Store;
use super::error::StoreError;
use super::evidence::{Commit, EvidenceItem, EvidenceOwner, EvidencePiece, StoredEvidence};
use super::logged::Claim;
use super::portfolio::{ConnectionSummary, Whereabouts};
use super::together::Decided;
use crate::domain::connection::Connection;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::portfolio::{ClientSummary, Trend};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::table::keys::{self, Key, Series};
use crate::store::table::queries::{Consistency, Found};
use chrono::{DateTime, Utc};

/// A connection that fails appends a leaf for each failed run; so many of them are asked for with the evidence before them. Daily runs take longer than two weeks
/// for more, and then one more read gets what is missing.
const FAILED_RUNS: u64 = 16;

/// A client, its newest evidence and what was decided about it.
#[derive(Debug, Clone)]
pub struct ClientNow {
    /// The connections of the company, by id.
    pub connections: Vec<Connection>,
    /// The newest evidence of each product and connection between the two instants; `None` where the short records do not tell, as of an instant that lies
    /// before the newest evidence: [`Store::latest_between`] tells.
    pub evidence: Option<Vec<StoredEvidence>>,
    /// The outcomes of the last days, as the short records have them: of each product, connection by connection. Empty where those do not tell.
    pub trends: Vec<(Product, Trend)>,
    /// What was decided.
    pub decided: Decided,
}

/// The connections that have given evidence about a client.
#[derive(Debug, Clone)]
pub struct ClientSeries {
    /// The connections of the company, by id.
    pub connections: Vec<Connection>,
    /// Where the newest evidence of each product and connection lies, of those too that were removed; `None` where the short records do not tell:
    /// [`Store::latest`] tells.
    pub given: Option<Vec<(ConnectionId, Whereabouts)>>,
}

/// The records of a piece of evidence.
struct Place<'a> {
    connection: &'a ConnectionId,
    evidence: Key,
    commit: Key,
    more_pieces: u32,
    /// That its leaf is in the log.
    claim: Option<(u64, Claim<'a>)>,
}

impl From<&ClientSummary> for Whereabouts {
    fn from(summary: &ClientSummary) -> Self {
        Self {
            product: summary.product,
            as_of: summary.as_of,
            run_id: summary.run_id.clone(),
            token: summary.token,
            leaf: summary.leaf,
            more_pieces: summary.more_pieces,
        }
    }
}

impl<'a> Place<'a> {
    fn of(
        company: &'a CompanyId,
        owner: &EvidenceOwner,
        summary: &'a ConnectionSummary,
        at: &Whereabouts,
        connections: &[Connection],
    ) -> Self {
        let connection = &summary.connection;
        let series = Series { product: at.product.to_string(), connection: connection.clone() };
        let claim = |index: u64| {
            let known =
                summary.clients.iter().map(|client| client.leaf).chain([summary.own.as_ref().and_then(|own| own.leaf)]);
            let newest = known.flatten().max().unwrap_or(index).max(index);
            // Of a connection that is gone, that stands behind its evidence.
            let goes_on = connections.iter().find(|it| it.id == *connection).is_none_or(|it| it.last_failure.is_some());
            let more = if goes_on { FAILED_RUNS } else { 0 };
            let size = newest.saturating_add(1).saturating_add(more);
            (index, Claim::new(company, connection, index, index.saturating_add(1)).guess(newest, size))
        };
        Self {
            connection,
            evidence: keys::evidence(&owner.partition(company), &series, at.as_of, &at.run_id, at.token),
            commit: keys::commit(company, connection, at.as_of, &at.run_id),
            more_pieces: at.more_pieces,
            claim: at.leaf.map(claim),
        }
    }

    /// The pieces after the first.
    fn pieces(&self) -> impl Iterator<Item = Key> {
        (1..=self.more_pieces).map(|number| keys::evidence_piece(&self.evidence, number))
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let of_log = self.claim.iter().flat_map(|(_, claim)| claim.keys());
        [self.evidence.clone(), self.commit.clone()].into_iter().chain(of_log).chain(self.pieces())
    }
}

/// Whether a connection measures a client.
fn is_measured(client: &ClientId, connections: &[Connection]) -> bool {
    connections.iter().any(|connection| connection.mapping.clients().contains(&client))
}

/// What each connection gave about a client last, and whether its short record has any of it; `None` where they do not tell.
fn given<'a>(
    client: &ClientId,
    connections: &[Connection],
    summaries: &'a [ConnectionSummary],
) -> Option<Vec<(&'a ConnectionSummary, &'a ClientSummary)>> {
    let measures = |connection: &Connection| connection.mapping.clients().contains(&client);
    let summarized = |id: &ConnectionId| summaries.iter().any(|summary| summary.connection == *id);
    // Of a release without them.
    if connections.iter().any(|it| measures(it) && it.last_success_at.is_some() && !summarized(&it.id)) {
        return None;
    }
    let mut given = Vec::new();
    for summary in summaries {
        let before = given.len();
        given.extend(summary.clients.iter().filter(|of| of.client == *client).map(|of| (summary, of)));
        // Not everything is known.
        if given.len() == before && !summary.whole {
            return None;
        }
    }
    Some(given)
}

impl Store {
    /// Refuses a client that nobody knows; its id is probably mistyped. A client is known that a connection measures, or has given evidence of, though it may be
    /// gone or measure others by now, or that something was decided about. One read of the table for most clients.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`]
    pub async fn check_client(&self, company: &CompanyId, client: &ClientId) -> Result<(), StoreError> {
        if is_measured(client, &self.connections(company).await?) {
            return Ok(());
        }
        self.check_remembered(company, client, &self.portfolio(company).await?).await
    }

    /// The same for a client that no connection measures now; no read where the short records name it.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`]
    pub async fn check_remembered(
        &self,
        company: &CompanyId,
        client: &ClientId,
        summaries: &[ConnectionSummary],
    ) -> Result<(), StoreError> {
        if summaries.iter().any(|summary| summary.clients.iter().any(|of| of.client == *client)) {
            return Ok(());
        }
        // The short records of a release without them do not tell.
        let evidence = keys::series(&EvidenceOwner::Client(client.clone()).partition(company), None);
        let (choices, decisions) =
            (keys::policy_choices(company, Some(client)), keys::decisions(company, Some(client)));
        let (evidence, choices, decisions) =
            tokio::try_join!(self.has_any(&evidence), self.has_any(&choices), self.has_any(&decisions))?;
        if evidence || choices || decisions { Ok(()) } else { Err(StoreError::UnknownClient(client.clone())) }
    }

    /// A client with its newest evidence of a product, or of all, in a window.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`], and [`StoreError::Corrupt`] for evidence that was damaged, as for [`Store::latest`].
    pub async fn client_now(
        &self,
        company: &CompanyId,
        client: &ClientId,
        product: Option<Product>,
        window: Window,
    ) -> Result<ClientNow, StoreError> {
        let (connections, summaries) = tokio::try_join!(self.connections(company), self.portfolio(company))?;
        if !is_measured(client, &connections) {
            self.check_remembered(company, client, &summaries).await?;
        }
        let owner = EvidenceOwner::Client(client.clone());
        // What is newest may not be what is asked for.
        let all =
            given(client, &connections, &summaries).filter(|all| all.iter().all(|(_, of)| of.as_of <= window.end));
        let is_told = all.is_some();
        let mut newest = all.unwrap_or_default();
        newest.retain(|(_, of)| of.as_of >= window.start && product.is_none_or(|product| of.product == product));
        newest.sort_by_key(|(summary, of)| (of.product.as_str(), &summary.connection));
        let mut places = Vec::with_capacity(newest.len());
        for (summary, of) in &newest {
            places.push(Place::of(company, &owner, summary, &Whereabouts::from(*of), &connections));
        }
        let wanted = places.iter().flat_map(Place::keys).chain(Self::decided_keys(company, client));
        let found = self.found(wanted, Consistency::Strong).await?;
        let decided = self.decided_in(company, client, &found).await?;
        let evidence = if is_told { self.of_places(company, &owner, &mut places, &found).await? } else { None };
        let trends = newest.into_iter().filter(|_| evidence.is_some());
        let trends = trends.map(|(_, of)| (of.product, of.trend.clone())).collect();
        Ok(ClientNow { connections, evidence, trends, decided })
    }

    /// The connections that have given evidence about a client: two reads of the table.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`].
    pub async fn client_series(&self, company: &CompanyId, client: &ClientId) -> Result<ClientSeries, StoreError> {
        let (connections, summaries) = tokio::try_join!(self.connections(company), self.portfolio(company))?;
        if !is_measured(client, &connections) {
            self.check_remembered(company, client, &summaries).await?;
        }
        let given = given(client, &connections, &summaries);
        let of =
            |(summary, of): (&ConnectionSummary, &ClientSummary)| (summary.connection.clone(), Whereabouts::from(of));
        let given = given.map(|given| given.into_iter().map(of).collect());
        Ok(ClientSeries { connections, given })
    }

    /// The newest evidence about the company itself of these connections, none of which is newer than an instant, in one read; `None` where the short records
    /// do not tell: [`Store::latest_between`] tells.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for evidence that was damaged, as for [`Store::latest`].
    pub async fn own_now(
        &self,
        company: &CompanyId,
        of: &[&Connection],
        connections: &[Connection],
        summaries: &[ConnectionSummary],
        to: DateTime<Utc>,
    ) -> Result<Option<Vec<StoredEvidence>>, StoreError> {
        let owner = EvidenceOwner::Company;
        let mut places = Vec::new();
        for connection in of.iter().filter(|connection| connection.last_success_at.is_some()) {
            let summary = summaries.iter().find(|summary| summary.connection == connection.id);
            let own = summary.and_then(|summary| Some((summary, summary.own.as_ref()?)));
            let Some((summary, own)) = own.filter(|(_, own)| own.as_of <= to) else { return Ok(None) };
            places.push(Place::of(company, &owner, summary, own, connections));
        }
        let found = self.found(places.iter().flat_map(Place::keys), Consistency::Strong).await?;
        self.of_places(company, &owner, &mut places, &found).await
    }

    /// The evidence at these places; `None` where a record has ended meanwhile.
    async fn of_places(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        places: &mut [Place<'_>],
        found: &Found,
    ) -> Result<Option<Vec<StoredEvidence>>, StoreError> {
        let mut evidence = Vec::with_capacity(places.len());
        let mut claims = Vec::new();
        let mut commits = Vec::new();
        for place in places {
            let (item, commit) = (found.get::<EvidenceItem>(&place.evidence)?, found.get::<Commit>(&place.commit)?);
            let (Some(item), Some(commit)) = (item, commit) else { return Ok(None) };
            let pieces = place.pieces().map(|key| found.get(&key)).collect::<Result<Option<Vec<_>>, _>>()?;
            let Some(pieces): Option<Vec<EvidencePiece>> = pieces else { return Ok(None) };
            let Some(visible) = item.with_pieces(pieces, owner, &commit)? else { return Ok(None) };
            match place.claim.take() {
                Some((index, mut claim)) if commit.leaf == Some(index) => {
                    claim.take(found)?;
                    claims.push(claim);
                    commits.push(commit);
                }
                // Of a release that did not note the leaf, or from before the log.
                _ => self.check_logged(company, place.connection, &commit).await?,
            }
            evidence.push(visible);
        }
        self.prove(&mut claims).await?;
        claims.iter().zip(&commits).try_for_each(|(claim, commit)| claim.check(commit))?;
        Ok(Some(evidence))
    }
}

//! The clients of a company at a glance, worst first.

use super::now::{in_force_at, known_policies};
use super::{EvidenceError, EvidenceReader, Statuses};
use crate::app::decisions::policies_at;
use crate::domain::calendar::Calendar;
use crate::domain::connection::Connection;
use crate::domain::control_status::{ControlStatus, EvidenceAge, age_of};
use crate::domain::decisions::{Exception, ExceptionHistory};
use crate::domain::expiry::Expiry;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::policy::{ClientPolicies, Outcome};
use crate::domain::portfolio::{ClientSummary, Origin, TREND_DAYS, Trend, counting};
use crate::domain::product::Product;
use crate::domain::time::Window;
use crate::store::{ConnectionSummary, EvidenceOwner, StoreError, StoredEvidence};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// An exception that ends within this time is due for a decision.
const DUE_WITHIN: TimeDelta = TimeDelta::days(30);

/// A client without a connection is shown for so long after its last evidence.
const SHOWN_AFTER_LAST: TimeDelta = TimeDelta::days(30);

/// Clients whose evidence is read at the same time where summaries do not tell.
const READ_TOGETHER: usize = 8;

/// A client at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientRow {
    /// The client.
    pub client: ClientId,
    /// The status of each product; null where no connection measures the client by it and none has.
    #[cfg_attr(feature = "openapi", schema(schema_with = statuses_by_product))]
    pub products: BTreeMap<Product, Option<ControlStatus>>,
    /// Critical incidents that are open; null where no evidence says so.
    pub open_critical: Option<u64>,
    /// The share of the workforce that is trained, in percent with one decimal; null where no evidence says so.
    pub coverage_pct: Option<String>,
    /// The end of the credential that ends first among the connections that measure the client; null where no end is known.
    pub expiry: Option<Expiry>,
    /// Exceptions in force that end within 30 days.
    pub exceptions_due: usize,
    /// The worst outcome of each of the last 30 days, oldest first; null for a day without evidence.
    pub trend: Vec<Option<Outcome>>,
}

/// utoipa has no maps whose values can be null.
#[cfg(feature = "openapi")]
fn statuses_by_product() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Schema, Type};
    let status = utoipa::openapi::Ref::from_schema_name("ControlStatus");
    let status = OneOfBuilder::new().item(Object::with_type(Type::Null)).item(status);
    ObjectBuilder::new().additional_properties(Some(Schema::OneOf(status.build()))).build()
}

/// The place of a client in the portfolio. Smaller is worse.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Urgency {
    severity: u8,
    open_critical: Reverse<u64>,
    client: ClientId,
}

/// How bad a status is: what fails and was not accepted first, then what nobody knows, then what is only nearly good.
fn severity(status: &ControlStatus) -> u8 {
    match (status.outcome, status.freshness) {
        (Outcome::Fail | Outcome::Warning, _) if status.exception.is_some() => 3,
        (Outcome::Fail, _) => 0,
        (Outcome::Inconclusive, _) | (_, EvidenceAge::None | EvidenceAge::Expired) => 1,
        (Outcome::Warning, _) | (_, EvidenceAge::Stale) => 2,
        (Outcome::NotEvaluated, EvidenceAge::Fresh) => 4,
        (Outcome::Pass | Outcome::NotApplicable, EvidenceAge::Fresh) => 5,
    }
}

impl ClientRow {
    /// Its place.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        let worst = self.products.values().flatten().map(severity).min().unwrap_or(4);
        let open_critical = Reverse(self.open_critical.unwrap_or(0));
        Urgency { severity: worst, open_critical, client: self.client.clone() }
    }
}

/// The newest evidence of a client from one connection.
type Piece = (ConnectionId, ClientSummary);

/// Exceptions and what became of them.
type Exceptions = BTreeMap<ClientId, ExceptionHistory>;

/// The clients of a company at a glance, with what is said above them.
pub struct Portfolio {
    /// The clients, worst first.
    pub rows: Vec<ClientRow>,
    /// The connections, by id.
    pub connections: Vec<Connection>,
    /// The newest evidence about the company itself of each connection that divides its organizations among clients; not read for who sees some clients only.
    pub own: Vec<StoredEvidence>,
}

/// What the rows of a company are made of.
struct Surroundings {
    connections: Vec<Connection>,
    /// Which connections measure a client.
    measuring: BTreeMap<ClientId, Vec<(ConnectionId, Product)>>,
    policies: ClientPolicies,
    exceptions: Exceptions,
    calendar: Calendar,
    at: DateTime<Utc>,
}

impl EvidenceReader {
    /// The clients that a company's connections measure now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn measured_clients(&self, company: &CompanyId) -> Result<BTreeSet<ClientId>, StoreError> {
        let connections = self.store.connections(company).await?;
        Ok(connections.iter().flat_map(|connection| connection.mapping.clients()).cloned().collect())
    }

    /// The clients of a company, worst first; of `clients` alone where it is given. A span shows how it was at its end.
    ///
    /// Now, that takes five reads of the table for any number of clients up to some two thousand; otherwise the evidence of each client is read.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn portfolio(
        &self,
        company: &CompanyId,
        clients: Option<&BTreeSet<ClientId>>,
        span: Window,
    ) -> Result<Vec<ClientRow>, EvidenceError> {
        Ok(self.portfolio_and_summaries(company, clients, span).await?.0)
    }

    async fn portfolio_and_summaries(
        &self,
        company: &CompanyId,
        clients: Option<&BTreeSet<ClientId>>,
        span: Window,
    ) -> Result<(Vec<ClientRow>, Surroundings, Vec<ConnectionSummary>), EvidenceError> {
        let (around, summaries) =
            tokio::try_join!(self.surroundings(company, span, None), self.store.portfolio(company))?;
        let pieces = self.pieces(company, &around, &summaries, clients, span).await?;
        let mut rows: Vec<ClientRow> = pieces.into_iter().filter_map(|(client, of)| around.row(client, of)).collect();
        rows.sort_by_key(ClientRow::urgency);
        Ok((rows, around, summaries))
    }

    /// The same with the connections, and the evidence about the company itself, which alone says of organizations that they are no client's: one more read.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn whole_portfolio(
        &self,
        company: &CompanyId,
        clients: Option<&BTreeSet<ClientId>>,
        span: Window,
    ) -> Result<Portfolio, EvidenceError> {
        let (rows, around, summaries) = self.portfolio_and_summaries(company, clients, span).await?;
        let connections = around.connections;
        let is_divided = |it: &&Connection| {
            clients.is_none() && it.product == Product::Edr && matches!(it.mapping, Mapping::ByOrganization { .. })
        };
        let divided: Vec<&Connection> = connections.iter().filter(is_divided).collect();
        let believed = span.until(Some(self.believed_until()));
        let own = self.store.own_now(company, &divided, &connections, &summaries, believed.end).await?;
        let mut own = match own {
            Some(own) => own,
            None => {
                let (owner, product) = (EvidenceOwner::Company, Some(Product::Edr));
                self.store.latest_between(company, &owner, product, believed).await?
            }
        };
        own.retain(|own| own.as_of >= span.start && divided.iter().any(|connection| connection.id == own.connection));
        Ok(Portfolio { rows, own, connections })
    }

    /// One client at a glance: three reads of the table, now.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`]
    pub async fn client(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<ClientRow, EvidenceError> {
        let only = [client.clone()].into();
        let (around, summaries) =
            tokio::try_join!(self.surroundings(company, span, Some(client)), self.store.portfolio(company))?;
        let measured = around.measuring.contains_key(client);
        if !measured {
            self.store.check_remembered(company, client, &summaries).await?;
        }
        let pieces = self.pieces(company, &around, &summaries, Some(&only), span).await?.remove(client);
        let of = match pieces {
            Some(pieces) if measured || !pieces.is_empty() => pieces,
            // Of a connection that was removed before there were summaries.
            _ => self.read_evidence(company, client, span, around.at).await?,
        };
        Ok(around.row_of(client.clone(), of))
    }

    /// What the rows of a company are made of, or of one client alone.
    async fn surroundings(
        &self,
        company: &CompanyId,
        span: Window,
        only: Option<&ClientId>,
    ) -> Result<Surroundings, StoreError> {
        let at = span.end.min(self.clock.now());
        let (connections, (policies, exceptions)) =
            tokio::try_join!(self.store.connections(company), self.decided(company, at, only))?;
        let mut measuring: BTreeMap<ClientId, Vec<_>> = BTreeMap::new();
        for connection in &connections {
            for client in connection.mapping.clients() {
                measuring.entry(client.clone()).or_default().push((connection.id.clone(), connection.product));
            }
        }
        let calendar = self.store.calendar().clone();
        Ok(Surroundings { connections, measuring, policies, exceptions, calendar, at })
    }

    /// The policies and the exceptions of each client, or of one alone.
    async fn decided(
        &self,
        company: &CompanyId,
        at: DateTime<Utc>,
        only: Option<&ClientId>,
    ) -> Result<(ClientPolicies, Exceptions), StoreError> {
        if let Some(client) = only {
            let decided = self.store.decided(company, client).await?;
            let in_force = in_force_at(client, &decided, &known_policies(&decided), at)?;
            let policies = ClientPolicies::new([(client.clone(), in_force)].into());
            return Ok((policies, [(client.clone(), decided.decisions.into_iter().collect())].into()));
        }
        let policies = policies_at(&self.store, company, at).await?;
        let mut decisions: BTreeMap<ClientId, Vec<_>> = BTreeMap::new();
        for decision in self.store.decisions(company, None).await? {
            decisions.entry(decision.client().clone()).or_default().push(decision);
        }
        let exceptions = decisions.into_iter().map(|(client, decisions)| (client, decisions.into_iter().collect()));
        Ok((policies, exceptions.collect()))
    }

    /// The newest evidence of each client.
    async fn pieces(
        &self,
        company: &CompanyId,
        around: &Surroundings,
        summaries: &[ConnectionSummary],
        clients: Option<&BTreeSet<ClientId>>,
        span: Window,
    ) -> Result<BTreeMap<ClientId, Vec<Piece>>, EvidenceError> {
        let wanted = |client: &ClientId| clients.is_none_or(|clients| clients.contains(client));
        let mut pieces: BTreeMap<ClientId, Vec<Piece>> = BTreeMap::new();
        for summary in summaries {
            for client in summary.clients.iter().filter(|it| wanted(&it.client)) {
                pieces.entry(client.client.clone()).or_default().push((summary.connection.clone(), client.clone()));
            }
        }
        // Whose summaries do not tell: those of another time than now, those that a wrong clock dated ahead, and evidence from before there were summaries.
        let mut unknown: BTreeSet<ClientId> = BTreeSet::new();
        let now = around.at;
        let tells = |(_, piece): &Piece| (span == Window::ALL) && age_of(piece.as_of, now).is_some();
        unknown.extend(pieces.iter().filter(|(_, of)| !of.iter().all(tells)).map(|(client, _)| client.clone()));
        for connection in &around.connections {
            for client in connection.mapping.clients().into_iter().filter(|client| wanted(client)) {
                let of = pieces.entry(client.clone()).or_default();
                let summarized = of.iter().any(|(id, _)| *id == connection.id);
                if span != Window::ALL || (!summarized && connection.last_success_at.is_some()) {
                    unknown.insert(client.clone());
                }
            }
        }
        if span != Window::ALL {
            unknown.extend(clients.into_iter().flatten().cloned());
        }
        let read = stream::iter(unknown)
            .map(async |client| {
                let of = self.read_evidence(company, &client, span, now).await?;
                Ok::<_, EvidenceError>((client, of))
            })
            .buffer_unordered(READ_TOGETHER);
        pieces.extend(read.try_collect::<Vec<_>>().await?);
        Ok(pieces)
    }

    /// The same from the committed evidence of a client itself, as it was at the end of a span.
    async fn read_evidence(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
        at: DateTime<Utc>,
    ) -> Result<Vec<Piece>, EvidenceError> {
        let owner = EvidenceOwner::Client(client.clone());
        let believed = span.until(Some(self.believed_until()));
        let days = i64::try_from(TREND_DAYS).unwrap_or(i64::MAX);
        let since = at.checked_sub_signed(TimeDelta::days(days + 1)).unwrap_or(span.start);
        let recent = Window { start: since.max(span.start), ..believed };
        let mut pieces: BTreeMap<(Product, ConnectionId), ClientSummary> = BTreeMap::new();
        for product in [Product::Edr, Product::Sat] {
            let mut found = self.store.history(company, &owner, product, recent).await?;
            if found.is_empty() {
                found = self.store.latest_between(company, &owner, Some(product), believed).await?;
            }
            for stored in found {
                let summary = summary_of(client, &stored, self.store.calendar())?;
                let key = (product, stored.connection);
                // Oldest first: each takes the place of the one before, and the line of its days.
                let before: Vec<ClientSummary> = pieces.remove(&key).into_iter().collect();
                let as_of = summary.as_of;
                let both = crate::domain::portfolio::updated(before, vec![summary], as_of);
                pieces.extend(both.into_iter().map(|summary| (key.clone(), summary)));
            }
        }
        Ok(pieces.into_iter().map(|((_, connection), summary)| (connection, summary)).collect())
    }
}

fn summary_of(client: &ClientId, stored: &StoredEvidence, calendar: &Calendar) -> Result<ClientSummary, EvidenceError> {
    let origin = Origin {
        client: client.clone(),
        product: stored.product,
        as_of: stored.as_of,
        run_id: stored.run_id.clone(),
        token: 0,
    };
    ClientSummary::of_bundle(origin, &stored.body, calendar)
        .map_err(|source| EvidenceError::Unreadable { run: stored.run_id.clone(), source })
}

impl Surroundings {
    /// The row of a client; none of one that nothing measures any more.
    fn row(&self, client: ClientId, pieces: Vec<Piece>) -> Option<ClientRow> {
        let measured = self.measuring.contains_key(&client);
        let recent = |(_, piece): &Piece| self.at.signed_duration_since(piece.as_of) <= SHOWN_AFTER_LAST;
        (measured || pieces.iter().any(recent)).then(|| self.row_of(client, pieces))
    }

    fn row_of(&self, client: ClientId, pieces: Vec<Piece>) -> ClientRow {
        let measuring = self.measuring.get(&client).map_or(&[][..], Vec::as_slice);
        let present: BTreeSet<ConnectionId> = measuring.iter().map(|(connection, _)| connection.clone()).collect();
        let of = |(connection, piece): &Piece| (piece.product, connection.clone(), piece.as_of);
        let mut trend = Trend::default();
        pieces.iter().for_each(|(_, piece)| trend.merge(&piece.trend));
        let counting = counting(pieces, of, &present);
        let in_force = self.policies.of(Some(&client));
        let decided = self.exceptions.get(&client).cloned().unwrap_or_default();
        let mut products = BTreeMap::new();
        for product in [Product::Edr, Product::Sat] {
            let connected = measuring.iter().any(|(_, of)| *of == product);
            let of_product: Vec<&ClientSummary> =
                counting.iter().map(|(_, piece)| piece).filter(|piece| piece.product == product).collect();
            let status = (connected || !of_product.is_empty()).then(|| {
                let mut statuses = Statuses::new(decided.clone(), &self.calendar, self.at);
                of_product.iter().for_each(|piece| statuses.add_summary(piece, &in_force));
                statuses.of_all()
            });
            products.insert(product, status);
        }
        let open_critical = counting.iter().filter_map(|(_, piece)| piece.open_critical).reduce(u64::saturating_add);
        let newest = counting.iter().filter(|(_, piece)| piece.coverage_pct.is_some());
        let coverage_pct =
            newest.max_by_key(|(_, piece)| piece.as_of).and_then(|(_, piece)| piece.coverage_pct.clone());
        let due = |exception: &&Exception| {
            exception.is_in_force(&decided.reviews, self.at)
                && exception.until.signed_duration_since(self.at) <= DUE_WITHIN
        };
        let exceptions_due = decided.exceptions.iter().filter(due).count();
        let trend = trend.line(self.calendar.day_of(self.at));
        let of_client = self.connections.iter().filter(|connection| present.contains(&connection.id));
        let expiry = of_client.filter_map(|it| it.credential_term.expiry(self.at)).min_by_key(|expiry| expiry.at);
        ClientRow { client, products, open_critical, coverage_pct, expiry, exceptions_due, trend }
    }
}

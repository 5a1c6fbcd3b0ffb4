//! The latest evidence of a client, of the company, or of one connection.

use super::{AttestedCoverage, EvidenceError, EvidenceReader};
use crate::domain::connection::{Age, Connection};
use crate::domain::failure::Failure;
use crate::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use crate::domain::policy::InForce;
use crate::domain::product::Product;
use crate::domain::time::{CLOCK_TOLERANCE, Window};
use crate::store::{EvidenceOwner, StoreError, StoredEvidence};
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;

/// A piece of evidence, with what says how fresh it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The bundle as it was committed.
    pub stored: StoredEvidence,
    /// The connection that it is from, unless that was removed.
    pub connection: Option<Connection>,
    /// The instant that it is read as of: now, or the end of what is asked for.
    pub read_at: DateTime<Utc>,
    /// Whether that instant is over: how the connection fares now says nothing of then.
    pub is_past: bool,
    /// The date of what is newer from the same connection, and lies so far ahead that it is passed over: a clock was wrong.
    pub dated_ahead: Option<DateTime<Utc>>,
}

impl Evidence {
    /// How old it was at that instant.
    #[must_use]
    pub fn age(&self) -> Age {
        Age::at(self.stored.as_of, self.read_at)
    }

    /// The instant that it is read as of, where that is over.
    #[must_use]
    pub fn read_as_of(&self) -> Option<DateTime<Utc>> {
        self.is_past.then_some(self.read_at)
    }

    /// The connection's last failure, unless the evidence is read as of an instant that is over.
    #[must_use]
    pub fn last_failure(&self) -> Option<&Failure> {
        self.connection.as_ref().filter(|_| !self.is_past)?.last_failure.as_ref()
    }

    /// The bundle.
    ///
    /// # Errors
    /// [`EvidenceError::Unreadable`] for one that this version does not understand.
    pub fn bundle<B: DeserializeOwned>(&self) -> Result<B, EvidenceError> {
        bundle(&self.stored)
    }
}

/// A committed bundle.
pub(super) fn bundle<B: DeserializeOwned>(stored: &StoredEvidence) -> Result<B, EvidenceError> {
    serde_json::from_str(&stored.body)
        .map_err(|source| EvidenceError::Unreadable { run: stored.run_id.clone(), source })
}

impl EvidenceReader {
    /// The latest evidence of an owner from one product, or all, in a span: a piece for each connection that has given some; removed connections are among them, since what
    /// they have proved stays.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn latest(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Option<Product>,
        span: Window,
    ) -> Result<Vec<Evidence>, StoreError> {
        match owner {
            EvidenceOwner::Client(client) => {
                let around = self.around_client(company, client, product, span).await?;
                Ok(self.with_connections(around.evidence, &around.ahead, &around.connections, span))
            }
            EvidenceOwner::Company => {
                let connections = self.store.connections(company).await?;
                self.latest_among(company, owner, product, span, &connections).await
            }
        }
    }

    /// The latest evidence of a client from a product in a span, and the rules in force at its end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn latest_with_rules(
        &self,
        company: &CompanyId,
        client: &ClientId,
        product: Product,
        span: Window,
    ) -> Result<(Vec<Evidence>, InForce), StoreError> {
        let around = self.around_client(company, client, Some(product), span).await?;
        Ok((self.with_connections(around.evidence, &around.ahead, &around.connections, span), around.in_force))
    }

    /// The latest endpoint evidence of a client in a span, and its coverage of the devices that somebody attested.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub async fn latest_with_coverage(
        &self,
        company: &CompanyId,
        client: &ClientId,
        span: Window,
    ) -> Result<(Vec<Evidence>, Option<AttestedCoverage>), EvidenceError> {
        let around = self.around_client(company, client, Some(Product::Edr), span).await?;
        let coverage = AttestedCoverage::of(&around)?;
        Ok((self.with_connections(around.evidence, &around.ahead, &around.connections, span), coverage))
    }

    /// The evidence of an owner that a run has made.
    ///
    /// # Errors
    /// [`StoreError::UnknownClient`], and [`StoreError::NotFound`], also for evidence outside of the span.
    pub async fn of_run(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Product,
        run: &RunId,
        span: Window,
    ) -> Result<StoredEvidence, StoreError> {
        let found = self.store.evidence_of_run(company, owner, product, run).await?;
        match found.filter(|found| span.contains(found.as_of)) {
            Some(found) => Ok(found),
            None => {
                self.check_owner(company, owner).await?;
                Err(StoreError::NotFound { record: "evidence" })
            }
        }
    }

    /// Refuses a client that nobody knows, where there is nothing of it to tell.
    pub(super) async fn check_owner(&self, company: &CompanyId, owner: &EvidenceOwner) -> Result<(), StoreError> {
        match owner {
            EvidenceOwner::Client(client) => self.store.check_client(company, client).await,
            EvidenceOwner::Company => Ok(()),
        }
    }

    async fn latest_among(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Option<Product>,
        span: Window,
        connections: &[Connection],
    ) -> Result<Vec<Evidence>, StoreError> {
        let believed = span.until(Some(self.believed_until()));
        let latest = self.store.latest_between(company, owner, product, believed).await?;
        let ahead = self.passed_over(company, owner, product, span).await?;
        Ok(self.with_connections(latest, &ahead, connections, span))
    }

    /// Evidence with the connections that it is from, and with what is newer and passed over.
    pub(super) fn with_connections(
        &self,
        latest: Vec<StoredEvidence>,
        ahead: &[StoredEvidence],
        connections: &[Connection],
        span: Window,
    ) -> Vec<Evidence> {
        let now = self.clock.now();
        let (read_at, is_past) = (span.end.min(now), span.end < now);
        let of = |id: &ConnectionId| connections.iter().find(|connection| connection.id == *id).cloned();
        let ahead = |of: &StoredEvidence| {
            let same = |later: &&StoredEvidence| later.connection == of.connection && later.product == of.product;
            ahead.iter().find(same).map(|later| later.as_of)
        };
        let with_connection = |stored: StoredEvidence| {
            let (connection, dated_ahead) = (of(&stored.connection), ahead(&stored));
            Evidence { connection, stored, read_at, is_past, dated_ahead }
        };
        latest.into_iter().map(with_connection).collect()
    }

    /// Up to when a date can be right: what is dated later was dated by a clock that was ahead.
    pub(super) fn believed_until(&self) -> DateTime<Utc> {
        self.clock.now() + CLOCK_TOLERANCE
    }

    /// The newest of the evidence that nobody goes by, because it is dated ahead.
    pub(super) async fn passed_over(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Option<Product>,
        span: Window,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        // Keys have whole milliseconds.
        let start = span.start.max(self.believed_until() + TimeDelta::milliseconds(1));
        self.store.latest_between(company, owner, product, Window { start, ..span }).await
    }

    /// The date of the newest evidence of an owner that lies so far ahead that readers pass it over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn dated_ahead(
        &self,
        company: &CompanyId,
        owner: &EvidenceOwner,
        product: Product,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let ahead = self.passed_over(company, owner, Some(product), Window::ALL).await?;
        Ok(ahead.into_iter().map(|stored| stored.as_of).max())
    }

    /// The latest evidence in a span that a name stands for, and whether it is the name of a connection: that of the company itself for a connection, else that of
    /// the client, or of the company for a connection that was removed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn named(
        &self,
        company: &CompanyId,
        name: &str,
        product: Product,
        span: Window,
    ) -> Result<(Vec<Evidence>, bool), StoreError> {
        let connections = self.store.connections(company).await?;
        let id = ConnectionId::parse(name).ok();
        let is_connection = id.as_ref().is_some_and(|id| connections.iter().any(|connection| connection.id == *id));
        if !is_connection && let Ok(client) = ClientId::parse(name) {
            let owner = EvidenceOwner::Client(client);
            let latest = self.latest_among(company, &owner, Some(product), span, &connections).await?;
            if !latest.is_empty() {
                return Ok((latest, false));
            }
        }
        let mut latest = self.latest_among(company, &EvidenceOwner::Company, Some(product), span, &connections).await?;
        latest.retain(|evidence| id.as_ref() == Some(&evidence.stored.connection));
        Ok((latest, is_connection))
    }
}

//! Connecting: a credential is tested, kept, and its connection saved, in this order; what does not work is not saved.

use super::test::account_of;
use super::{ConnectionError, Connections};
use crate::aws::secrets::{Binding, Credential};
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::connection::Connection;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::sat::id::SatId;
use crate::store::{ConnectionChange, StoreError, Timeline};
use chrono::{DateTime, Utc};

/// A credential that takes the place of another.
pub struct NewCredential<'a> {
    /// What it is.
    pub credential: &'a Credential,
    /// Whether it is tested first.
    pub check: Check,
    /// When it ends, if somebody knows.
    pub expires_at: Option<DateTime<Utc>>,
    /// The account that it is for, where it is another than that of the connection.
    pub account_id: Option<SatId>,
}

/// Whether a credential is tested before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It has to pass.
    Test,
    /// It is kept as it is.
    Skip,
}

impl Connections {
    /// Adds a connection with its credential. The term of the connection says when it ends, if somebody knows.
    ///
    /// # Errors
    /// [`ConnectionError::Exists`], [`ConnectionError::OtherProduct`], and [`ConnectionError::Failed`] for a credential that does not pass.
    pub async fn add(
        &self,
        mut connection: Connection,
        credential: &Credential,
        check: Check,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let (company, id) = (connection.company.clone(), connection.id.clone());
        if self.store.connection(&company, &id).await?.is_some() {
            return Err(ConnectionError::Exists(id));
        }
        let term = connection.credential_term;
        self.check_end(term.expires_at)?;
        connection.credential_term =
            term.renewed(self.huntress.instant(), credential.is_by_redirect(), term.expires_at);
        connection.next_run_at = connection.next_run_at.map(|_| self.schedule.next_after(connection.created_at));
        if let Some(organization) = self.check(&mut connection, credential, check).await?
            && is_unnamed(&connection)
            && let Some(client) = self.owner_of(&company, &organization).await?
        {
            // Nobody named a client, and the account says whose it is.
            connection.mapping = Mapping::OneClient { client };
        }
        self.credentials.put(binding(&connection), credential).await?;
        let event = self.event(actor, AuditAction::ConnectionCreated, &company, &id);
        let event = AuditEvent { after: serde_json::to_value(&connection.mapping).ok(), ..event };
        // It may have been there before, or another one of its id.
        let mut timeline = self.store.timeline(&company, &id).await?;
        if let Some(timeline) = &mut timeline {
            Timeline::end(&mut timeline.pauses, connection.created_at);
            Timeline::end(&mut timeline.removed, connection.created_at);
            timeline.product = connection.product;
        }
        match self.store.add_connection_as(&connection, &event, timeline.as_ref()).await {
            Ok(()) => Ok(connection),
            Err(StoreError::Conflict { .. }) => Err(ConnectionError::Exists(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a connection that is there another credential; the earlier one stays if this one does not pass.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`ConnectionError::OtherProduct`], and [`ConnectionError::Failed`] for a credential that does not pass.
    pub async fn replace_credential(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        new: NewCredential<'_>,
        if_revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let NewCredential { credential, check, expires_at, account_id } = new;
        self.check_end(expires_at)?;
        let mut connection = self.get(company, id).await?;
        if if_revision.is_some_and(|revision| revision != connection.revision) {
            return Err(ConnectionError::Stale);
        }
        connection.account_id = account_id.or(connection.account_id);
        self.check(&mut connection, credential, check).await?;
        // The new credential may be one of another account.
        let (now, by_redirect) = (self.huntress.instant(), credential.is_by_redirect());
        let found = ConnectionChange {
            account_id: connection.account_id.clone(),
            credential_term: Some(connection.credential_term.renewed(now, by_redirect, expires_at)),
            ..ConnectionChange::default()
        };
        let event = self.event(actor, AuditAction::CredentialReplaced, company, id);
        if connection.product == Product::Sat {
            // Who exchanges the earlier refresh token now must not put the next one in the place of this credential.
            self.store.forget_exchange(company, id).await?;
        }
        // Of many who replace it at once, the one whose change counts puts its credential.
        let changed = self.change(company, id, found, if_revision, &event).await?;
        self.credentials.put(binding(&connection), credential).await?;
        Ok(changed)
    }

    /// Refuses an end that is past.
    pub(super) fn check_end(&self, expires_at: Option<DateTime<Utc>>) -> Result<(), ConnectionError> {
        let past = |at: &DateTime<Utc>| *at <= self.huntress.clock.now();
        match expires_at.filter(past) {
            Some(at) => Err(ConnectionError::Refused(format!(
                "the credential would have ended {}; give a later time",
                at.format("%Y-%m-%dT%H:%M:%SZ")
            ))),
            None => Ok(()),
        }
    }

    /// The client that an organization of the endpoint product is mapped to, by the first connection of the company that maps it.
    async fn owner_of(&self, company: &CompanyId, organization: &str) -> Result<Option<ClientId>, StoreError> {
        let connections = self.store.connections(company).await?;
        let endpoint = connections.iter().filter(|other| other.product == Product::Edr);
        Ok(endpoint.filter_map(|other| other.mapping.client_of(organization)).next().cloned())
    }

    /// Tests a credential for a connection, which learns the account that it is for; the organization that the account of a training credential belongs to, if
    /// it says so.
    async fn check(
        &self,
        connection: &mut Connection,
        credential: &Credential,
        check: Check,
    ) -> Result<Option<String>, ConnectionError> {
        if credential.product() != connection.product {
            return Err(ConnectionError::OtherProduct(connection.product));
        }
        if check == Check::Skip {
            return Ok(None);
        }
        let report = self.test_credential(connection, credential).await;
        let account = account_of(connection.product, &report);
        if let Some(failure) = report.permissions.into_iter().find_map(|permission| permission.failure) {
            return Err(ConnectionError::Failed(failure));
        }
        connection.account_id = account.or(connection.account_id.take());
        let is_measured = |id: &str| connection.account_id.as_ref().is_none_or(|account| account.as_str() == id);
        let mut measured = report.accounts.into_iter().filter(|account| is_measured(&account.id));
        // Of several nobody knows which one a run will measure.
        Ok(match (measured.next(), measured.next()) {
            (Some(account), None) => account.io_org_id,
            _ => None,
        })
    }
}

/// Whether nobody named a client for a training account: then its evidence is that of the company, under the company's own id.
fn is_unnamed(connection: &Connection) -> bool {
    let is_company = |client: &ClientId| client.as_str() == connection.company.as_str();
    connection.product == Product::Sat
        && matches!(&connection.mapping, Mapping::OneClient { client } if is_company(client))
}

fn binding(connection: &Connection) -> Binding<'_> {
    Binding { company: &connection.company, connection: &connection.id, product: connection.product }
}

//! What the records of findings are called. Evidence keeps ids alone, since the name of a host often is a person's.

use super::{ConnectionError, Connections};
use crate::app::collection::worker::credential_of;
use crate::aws::secrets::Credential;
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, ConnectionKey};
use crate::domain::product::Product;
use crate::huntress::edr::NamedRecord;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};

/// No request for a name begins later than this. An account answers 60 requests a minute.
const NAMES_TIME: TimeDelta = TimeDelta::minutes(5);

/// What records are called, by kind and id; `None` for one that the account no longer has.
pub type RecordNames = BTreeMap<NamedRecord, BTreeMap<String, Option<String>>>;

impl Connections {
    /// Asks Huntress now what some records of a client are called. That somebody did is kept; what they are called is not.
    ///
    /// # Errors
    /// [`ConnectionError`]; of a connection that was removed nobody can ask any more.
    pub async fn names(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        client: &ClientId,
        wanted: &BTreeSet<(NamedRecord, String)>,
        actor: &Actor,
    ) -> Result<RecordNames, ConnectionError> {
        let connection = self.get(company, id).await?;
        let credential = credential_of(&self.credentials, &connection).await.map_err(ConnectionError::Failed)?;
        let Credential::Edr(credential) = &credential else {
            return Err(ConnectionError::OtherProduct(Product::Sat));
        };
        let now = self.huntress.instant();
        let event = AuditEvent::of_connection(actor, AuditAction::NamesOpened, ConnectionKey::of(company, id), now);
        self.store.add_audit_event(&AuditEvent { client: Some(client.clone()), ..event }).await?;
        let limiter = self.limiters.of(&connection);
        let names = self.huntress.names(credential, wanted, limiter, now + NAMES_TIME).await;
        names.map_err(ConnectionError::Failed)
    }
}

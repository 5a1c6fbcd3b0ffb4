//! Legal holds: placed and released by a person, who says why.

use crate::clock::Clock;
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::hold::{Hold, is_held};
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::store::{EvidenceOwner, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The use case.
pub struct Holds {
    /// Holds and evidence. Its retention is what evidence ends by once it is released.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Why a hold is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is none.
    #[error("there is no such hold")]
    NotHeld,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Holds {
    /// The holds of a company.
    ///
    /// # Errors
    /// [`HoldError::Store`]
    pub async fn list(&self, company: &CompanyId) -> Result<Vec<Hold>, HoldError> {
        Ok(self.store.legal_holds(company).await?)
    }

    /// Holds the evidence of a client, or everything of the company, and says how many records had an end. A hold that is there is not placed twice, but
    /// what it holds is looked through again.
    ///
    /// # Errors
    /// [`HoldError::Store`]: for a client that nobody knows, or one after which it is safe to repeat.
    pub async fn place(
        &self,
        company: &CompanyId,
        client: Option<&ClientId>,
        reason: &str,
        actor: &Actor,
    ) -> Result<usize, HoldError> {
        if let Some(client) = client {
            self.store.check_client(company, client).await?;
        }
        let clients = self.store.clients_with_evidence(company).await?;
        let event = self.event(AuditAction::HoldPlaced, company, client, reason, actor);
        let hold = Hold { client: client.cloned(), since: event.at, by: actor.name.clone(), reason: reason.to_owned() };
        let placed = |before: &[Hold]| {
            let there = before.iter().any(|it| it.client == hold.client);
            (!there).then(|| before.iter().chain([&hold]).cloned().collect())
        };
        self.store.change_holds(company, &event, placed).await?;
        self.look_through(company, client, clients).await
    }

    /// Releases a hold: what nothing else holds ends as the retention says, in so many records.
    ///
    /// # Errors
    /// [`HoldError::NotHeld`], and [`HoldError::Store`], after which it is safe to place the hold and release it again.
    pub async fn release(
        &self,
        company: &CompanyId,
        client: Option<&ClientId>,
        reason: &str,
        actor: &Actor,
    ) -> Result<usize, HoldError> {
        let clients = self.store.clients_with_evidence(company).await?;
        let event = self.event(AuditAction::HoldReleased, company, client, reason, actor);
        let released = |before: &[Hold]| {
            let left: Vec<Hold> = before.iter().filter(|it| it.client.as_ref() != client).cloned().collect();
            (left.len() < before.len()).then_some(left)
        };
        if !self.store.change_holds(company, &event, released).await? {
            return Err(HoldError::NotHeld);
        }
        self.look_through(company, client, clients).await
    }

    /// Gives everything that a hold is about the end that it has now.
    async fn look_through(
        &self,
        company: &CompanyId,
        client: Option<&ClientId>,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> Result<usize, HoldError> {
        let holds = self.store.legal_holds(company).await?;
        let owners: Vec<EvidenceOwner> = match client {
            Some(client) => vec![EvidenceOwner::Client(client.clone())],
            None => clients.into_iter().map(EvidenceOwner::Client).chain([EvidenceOwner::Company]).collect(),
        };
        let mut changed = 0;
        for owner in &owners {
            let client = if let EvidenceOwner::Client(client) = owner { Some(client) } else { None };
            changed += self.store.set_end(company, owner, is_held(&holds, client)).await?;
        }
        // Runs show whatever is held, whoever's it is.
        let mut connections: BTreeSet<ConnectionId> =
            self.store.connections(company).await?.into_iter().map(|it| it.id).collect();
        connections.extend(self.store.timelines(company).await?.into_iter().map(|it| it.connection));
        for connection in &connections {
            changed += self.store.set_end_of_runs(company, connection, !holds.is_empty()).await?;
        }
        Ok(changed)
    }

    fn event(
        &self,
        action: AuditAction,
        company: &CompanyId,
        client: Option<&ClientId>,
        reason: &str,
        actor: &Actor,
    ) -> AuditEvent {
        let subject = client.map_or(company.as_str(), ClientId::as_str).to_owned();
        let event = AuditEvent::new(actor, action, company.clone(), subject, self.clock.now());
        AuditEvent { client: client.cloned(), reason: Some(reason.to_owned()), ..event }
    }
}

//! The audit log: who did what, as far as a reader may see it.

use super::EvidenceReader;
use crate::domain::audit::AuditEvent;
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use crate::domain::time::Window;
use crate::store::{PlacedEvent, StoreError};
use std::collections::BTreeSet;

/// Events that are read at once to find those that a reader may see.
const READ_TOGETHER: usize = 200;

/// A page of the audit log, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The events.
    pub events: Vec<AuditEvent>,
    /// Where to go on, if there may be more.
    pub next_after: Option<String>,
}

impl EvidenceReader {
    /// At most `limit` events of a span after a place, oldest first. For `clients`: only what is about one of them, or done to a connection of theirs, whose
    /// values before and after are left out, since they name other clients.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn audit_log(
        &self,
        company: &CompanyId,
        clients: Option<&BTreeSet<ClientId>>,
        span: Window,
        after: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let own = match clients {
            Some(clients) => Some((clients, self.connections_of(company, clients).await?)),
            None => None,
        };
        let mut page = AuditPage { events: Vec::new(), next_after: None };
        let mut after = after.map(str::to_owned);
        loop {
            let found = self.store.audit_events(company, span, after.as_deref(), READ_TOGETHER).await?;
            let is_last = found.len() < READ_TOGETHER;
            for PlacedEvent { place, event } in found {
                if page.events.len() == limit {
                    page.next_after = after;
                    return Ok(page);
                }
                after = Some(place);
                page.events.extend(match &own {
                    Some((clients, connections)) => cut(event, clients, connections),
                    None => Some(event),
                });
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    pub(super) async fn connections_of(
        &self,
        company: &CompanyId,
        clients: &BTreeSet<ClientId>,
    ) -> Result<BTreeSet<ConnectionId>, StoreError> {
        let connections = self.store.connections(company).await?.into_iter();
        let of =
            connections.filter(|connection| connection.mapping.clients().into_iter().any(|it| clients.contains(it)));
        Ok(of.map(|connection| connection.id).collect())
    }
}

/// An event as a reader of some clients sees it, if at all.
fn cut(event: AuditEvent, clients: &BTreeSet<ClientId>, connections: &BTreeSet<ConnectionId>) -> Option<AuditEvent> {
    match (&event.client, &event.connection) {
        (Some(client), _) => clients.contains(client).then_some(event),
        (None, Some(connection)) if connections.contains(connection) => {
            Some(AuditEvent { before: None, after: None, ..event })
        }
        _ => None,
    }
}

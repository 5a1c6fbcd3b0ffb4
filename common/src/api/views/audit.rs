//! Audit events.

use crate::app::evidence::AuditPage;
use crate::domain::audit::{ActorKind, AuditAction, AuditEvent};
use crate::domain::id::{ClientId, CompanyId, ConnectionId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// A page of the audit log, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditList {
    /// The events.
    pub items: Vec<AuditEventView>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEventView {
    /// When.
    pub at: DateTime<Utc>,
    /// For which company.
    pub company: CompanyId,
    /// Who.
    pub actor: String,
    /// How they came in.
    pub actor_kind: ActorKind,
    /// What.
    pub action: AuditAction,
    /// What it was done to.
    pub subject: String,
    /// The connection that it was done to.
    pub connection: Option<ConnectionId>,
    /// The client that it is about alone.
    pub client: Option<ClientId>,
    /// What was there before.
    pub before: Option<Value>,
    /// What was there then.
    pub after: Option<Value>,
    /// Why.
    pub reason: Option<String>,
    /// The request that did it, by the id that its answer has as `x-request-id`; null for what was done on the command line.
    pub request_id: Option<String>,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        Self {
            at: event.at,
            company: event.company,
            actor: event.actor,
            actor_kind: event.actor_kind,
            action: event.action,
            subject: event.subject,
            connection: event.connection,
            client: event.client,
            before: event.before,
            after: event.after,
            reason: event.reason,
            request_id: event.request_id,
        }
    }
}

impl From<AuditPage> for AuditList {
    fn from(AuditPage { events, next_after }: AuditPage) -> Self {
        Self { items: events.into_iter().map(Into::into).collect(), next_after }
    }
}

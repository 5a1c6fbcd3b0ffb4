//! What a person changes about a connection: its mapping, its settings, and whether the daily tick takes it. Each change is recorded with it.

use super::{ConnectionError, Connections};
use crate::domain::audit::{Actor, AuditAction, AuditEvent};
use crate::domain::connection::Connection;
use crate::domain::edr::EdrSettings;
use crate::domain::expiry::{CredentialTerm, MOST_VALID_DAYS};
use crate::domain::id::{ClientId, CompanyId, ConnectionId, ConnectionKey};
use crate::domain::mapping::Mapping;
use crate::domain::product::Product;
use crate::domain::sat::{Caps, SatSettings};
use crate::store::{AuditedChange, ConnectionChange, Scheduling, StoreError, Timeline};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Limits of agent age of one client; what is `None` stays as it is, or as all others have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// An agent is online up to so many hours after its last call.
    pub online_within_hours: Option<u32>,
    /// An agent is missing so many days after its last call.
    pub missing_after_days: Option<u32>,
}

/// What is said of the end of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryChange {
    /// It ends then.
    At(DateTime<Utc>),
    /// No date is known.
    Unknown,
}

/// Settings that are changed; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// An agent is online up to so many hours after its last call.
    pub online_within_hours: Option<u32>,
    /// An agent is missing so many days after its last call.
    pub missing_after_days: Option<u32>,
    /// At most so many assignments are read.
    pub max_assignments: Option<u64>,
    /// At most so many activity records of an assignment are read.
    pub max_activity: Option<u64>,
    /// At most so many phishing campaigns are read.
    pub max_campaigns: Option<u64>,
    /// Whether the training covers the tenant's privacy policies and procedures.
    pub training_covers_privacy_policies: Option<bool>,
    /// Clients that get limits of agent age of their own, or, with `None`, those of all others again.
    pub clients: BTreeMap<ClientId, Option<ClientLimits>>,
    /// When the credential ends.
    pub expires_at: Option<ExpiryChange>,
    /// A credential is good for so many days from when it was saved.
    pub valid_days: Option<u16>,
}

impl SettingsChange {
    fn of_endpoints(&self) -> bool {
        self.online_within_hours.is_some() || self.missing_after_days.is_some() || !self.clients.is_empty()
    }

    fn of_training(&self) -> bool {
        let caps = self.max_assignments.or(self.max_activity).or(self.max_campaigns);
        caps.is_some() || self.training_covers_privacy_policies.is_some()
    }

    /// What is known of the credential with these settings; `None` if they say nothing of it.
    fn term(&self, connection: &Connection) -> Result<Option<CredentialTerm>, ConnectionError> {
        if self.expires_at.is_none() && self.valid_days.is_none() {
            return Ok(None);
        }
        let mut term = connection.credential_term;
        // One of an earlier release was saved with its connection, as far as is known.
        term.saved_at = term.saved_at.or(Some(connection.created_at));
        match self.expires_at {
            Some(ExpiryChange::At(at)) => term.expires_at = Some(at),
            Some(ExpiryChange::Unknown) => term.expires_at = None,
            None => {}
        }
        if let Some(days) = self.valid_days {
            if !(1..=MOST_VALID_DAYS).contains(&days) {
                return Err(ConnectionError::Refused(format!("a credential is good for 1 to {MOST_VALID_DAYS} days")));
            }
            term.valid_days = Some(days);
        }
        Ok(Some(term))
    }

    /// The change of a connection with these settings.
    fn change(self, connection: &Connection) -> Result<ConnectionChange, ConnectionError> {
        let term = self.term(connection)?;
        if term.is_some() && !self.of_endpoints() && !self.of_training() {
            return Ok(ConnectionChange { credential_term: term, ..Default::default() });
        }
        Ok(ConnectionChange { credential_term: term, ..self.rules(connection)? })
    }

    /// The change of its rules alone.
    fn rules(self, connection: &Connection) -> Result<ConnectionChange, ConnectionError> {
        let refused = |what: String| Err(ConnectionError::Refused(what));
        match connection.product {
            _ if !self.of_endpoints() && !self.of_training() => refused("name at least one setting".to_owned()),
            Product::Edr if self.of_training() => {
                refused("a connection of huntress-edr has no caps of training".to_owned())
            }
            Product::Sat if self.of_endpoints() => {
                refused("a connection of huntress-sat has no limits of agents".to_owned())
            }
            Product::Edr => {
                let known = connection.edr;
                let online = self.online_within_hours.unwrap_or(known.online_within_hours());
                let missing = self.missing_after_days.unwrap_or(known.missing_after_days());
                let edr = EdrSettings::new(online, missing);
                let edr = edr.map_err(|error| ConnectionError::Refused(error.to_string()))?;
                let edr_clients = self.of_clients(connection, edr)?;
                Ok(ConnectionChange { edr: Some(edr), edr_clients, ..Default::default() })
            }
            Product::Sat => {
                let known = connection.sat;
                let caps = Caps {
                    assignments: self.max_assignments.unwrap_or(known.caps().assignments),
                    activity_per_assignment: self.max_activity.unwrap_or(known.caps().activity_per_assignment),
                    campaigns: self.max_campaigns.unwrap_or(known.caps().campaigns),
                };
                let covers = self.training_covers_privacy_policies;
                let sat = SatSettings::new(caps, covers.unwrap_or(known.training_covers_privacy_policies()));
                let sat = sat.map_err(|error| ConnectionError::Refused(error.to_string()))?;
                Ok(ConnectionChange { sat: Some(sat), ..Default::default() })
            }
        }
    }
}

impl SettingsChange {
    /// All limits of clients that have their own, if they change.
    fn of_clients(
        &self,
        connection: &Connection,
        others: EdrSettings,
    ) -> Result<Option<BTreeMap<ClientId, EdrSettings>>, ConnectionError> {
        let mut clients = connection.edr_clients.clone();
        for (client, limits) in &self.clients {
            let Some(limits) = limits else {
                clients.remove(client);
                continue;
            };
            if !connection.mapping.clients().contains(&client) {
                let line = format!("no organization of connection {} belongs to a client {client}", connection.id);
                return Err(ConnectionError::Refused(line));
            }
            let known = clients.get(client).copied().unwrap_or(others);
            let online = limits.online_within_hours.unwrap_or(known.online_within_hours());
            let changed = EdrSettings::new(online, limits.missing_after_days.unwrap_or(known.missing_after_days()));
            let changed = changed.map_err(|error| ConnectionError::Refused(format!("client {client}: {error}")))?;
            clients.insert(client.clone(), changed);
        }
        Ok((!self.clients.is_empty()).then_some(clients))
    }
}

impl Connections {
    /// Divides the evidence among clients as `mapping` says, from the next sync on; with `if_revision` only if the connection has that revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a connection that is not there, [`ConnectionError::Stale`] for another revision; so for the others.
    pub async fn map(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        mapping: Mapping,
        if_revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let before = self.get(company, id).await?;
        let event = self.event(actor, AuditAction::MappingChanged, company, id).changing(&before.mapping, &mapping);
        let mapped = ConnectionChange { mapping: Some(mapping), ..Default::default() };
        self.change(company, id, mapped, if_revision, &event).await
    }

    /// Changes limits and caps.
    ///
    /// # Errors
    /// As [`Connections::map`], and [`ConnectionError::Refused`] for settings that cannot be.
    pub async fn change_settings(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        settings: SettingsChange,
        if_revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let before = self.get(company, id).await?;
        if let Some(ExpiryChange::At(at)) = settings.expires_at {
            self.check_end(Some(at))?;
        }
        let change = settings.change(&before)?;
        let event = self.event(actor, AuditAction::SettingsChanged, company, id);
        let event = match (&change.edr, &change.sat, &change.credential_term) {
            (Some(edr), _, None) if change.edr_clients.is_some() => {
                event.changing(&(before.edr, &before.edr_clients), &(edr, &change.edr_clients))
            }
            (Some(edr), _, None) => event.changing(&before.edr, edr),
            (_, Some(sat), None) => event.changing(&before.sat, sat),
            (None, None, term) => event.changing(&before.credential_term, term),
            (edr, sat, term) => event.changing(
                &(before.credential_term, edr.map(|_| before.edr), sat.map(|_| before.sat), &before.edr_clients),
                &(term, edr, sat, &change.edr_clients),
            ),
        };
        self.change(company, id, change, if_revision, &event).await
    }

    /// Has the daily tick pass the connection over.
    ///
    /// # Errors
    /// As [`Connections::map`].
    pub async fn pause(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let mut timeline = self.timeline_of(&self.get(company, id).await?).await?;
        Timeline::begin(&mut timeline.pauses, self.huntress.instant());
        let paused = ConnectionChange { scheduling: Some(Scheduling::Pause), ..Default::default() };
        let event = self.event(actor, AuditAction::ConnectionPaused, company, id);
        let change = AuditedChange { change: paused, if_revision: None, event: &event, timeline: Some(&timeline) };
        self.change_as(company, id, change).await
    }

    /// Has the daily tick take the connection again.
    ///
    /// # Errors
    /// As [`Connections::map`].
    pub async fn resume(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        actor: &Actor,
    ) -> Result<Connection, ConnectionError> {
        let resume = Scheduling::Resume { next_run_at: self.schedule.next_after(self.huntress.clock.now()) };
        let resumed = ConnectionChange { scheduling: Some(resume), ..Default::default() };
        let mut timeline = self.timeline_of(&self.get(company, id).await?).await?;
        Timeline::end(&mut timeline.pauses, self.huntress.instant());
        let event = self.event(actor, AuditAction::ConnectionResumed, company, id);
        let change = AuditedChange { change: resumed, if_revision: None, event: &event, timeline: Some(&timeline) };
        self.change_as(company, id, change).await
    }

    pub(in crate::app) async fn change(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        change: ConnectionChange,
        if_revision: Option<u64>,
        event: &AuditEvent,
    ) -> Result<Connection, ConnectionError> {
        self.change_as(company, id, AuditedChange { change, if_revision, event, timeline: None }).await
    }

    async fn change_as(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        change: AuditedChange<'_>,
    ) -> Result<Connection, ConnectionError> {
        let changed = self.store.change_connection_as(company, id, change).await;
        changed.map_err(|error| match error {
            StoreError::Conflict { .. } => ConnectionError::Stale,
            error => error.into(),
        })
    }

    /// What somebody does to a connection now.
    pub(in crate::app) fn event(
        &self,
        actor: &Actor,
        action: AuditAction,
        company: &CompanyId,
        id: &ConnectionId,
    ) -> AuditEvent {
        AuditEvent::of_connection(actor, action, ConnectionKey::of(company, id), self.huntress.clock.now())
    }

    /// When a connection was there and when it was paused, so far.
    pub(super) async fn timeline_of(&self, connection: &Connection) -> Result<Timeline, StoreError> {
        let kept = self.store.timeline(&connection.company, &connection.id).await?;
        Ok(kept.unwrap_or_else(|| Timeline::of(connection)))
    }
}

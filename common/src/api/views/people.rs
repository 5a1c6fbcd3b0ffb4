//! A person, by the hash that stands for them, and what happened to them. What can hold a name has no `Debug`, as [`Identity`] has none.

use crate::app::people::Identity;
use crate::domain::connection::Connection;
use crate::domain::id::{ClientId, ConnectionId, RunId};
use crate::domain::people::person::{Certificate, PeopleSettings, PeopleSummary, PersonEvent, PersonId};
use crate::domain::people::selection::SelectedAssignments;
use crate::domain::people::status::{PersonStatus, Reset};
use crate::store::{LoggedEvent, PersonRecord, Provider};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// Where a person stands.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonView {
    /// Their id here.
    pub person: PersonId,
    /// Where they stand.
    pub status: PersonStatus,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Assignments that count and that they completed.
    pub completed: SelectedAssignments,
    /// Those that they did not complete.
    pub missing: SelectedAssignments,
    /// Those that they are not enrolled in.
    pub not_enrolled_in: SelectedAssignments,
    /// Whether Huntress calls them inactive: they are in no count.
    pub inactive: bool,
    /// Their completion certificates.
    pub certificates: Vec<Certificate>,
    /// The last reset, until a run has evaluated them.
    pub reset: Option<Reset>,
    /// Name and e-mail, where they were opened.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

impl From<PersonRecord> for PersonView {
    fn from(PersonRecord { person, state, .. }: PersonRecord) -> Self {
        Self {
            person,
            status: state.compliance.status,
            since: state.compliance.since,
            completed: state.completed,
            missing: state.missing,
            not_enrolled_in: state.not_enrolled_in,
            inactive: state.inactive,
            certificates: state.certificates,
            reset: state.reset,
            identity: None,
        }
    }
}

/// One person.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonAnswer {
    /// As they stand now.
    pub person: PersonView,
}

/// One person, and what happened to them.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonHistory {
    /// As they stand now.
    pub person: PersonView,
    /// Oldest first.
    pub history: Vec<HistoryEvent>,
}

impl PersonHistory {
    /// A person with these events.
    #[must_use]
    pub fn of(person: PersonRecord, events: Vec<LoggedEvent>) -> Self {
        Self { person: person.into(), history: events.into_iter().map(Into::into).collect() }
    }
}

/// What happened to a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// The run that found it.
    pub run_id: Option<RunId>,
    /// What.
    pub what: PersonEvent,
}

impl From<LoggedEvent> for HistoryEvent {
    fn from(LoggedEvent { at, event, run }: LoggedEvent) -> Self {
        Self { at, run_id: run, what: event }
    }
}

/// A page of people, by their id.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeoplePage {
    /// Each of them.
    pub people: Vec<PersonView>,
    /// Where to go on, if there are more.
    pub next_after: Option<String>,
}

/// All people of a connection, and how many there are of each status.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeopleReport {
    /// Each of them.
    pub people: Vec<PersonView>,
    /// How many there are of each status.
    pub summary: PeopleSummary,
    /// The connection.
    pub connection: ConnectionId,
    /// What is kept of people, and the assignments that count.
    pub settings: PeopleSettings,
    /// When a run last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl PeopleReport {
    /// The people of a connection, with names where they were opened, in the same order.
    #[must_use]
    pub fn of(
        people: Vec<PersonRecord>,
        identities: Option<Vec<Identity>>,
        summary: PeopleSummary,
        connection: &Connection,
    ) -> Self {
        let mut identities = identities.into_iter().flatten();
        let view = |record: PersonRecord| PersonView { identity: identities.next(), ..record.into() };
        Self {
            people: people.into_iter().map(view).collect(),
            summary,
            connection: connection.id.clone(),
            settings: connection.people.clone(),
            last_success_at: connection.last_success_at,
        }
    }
}

/// Name and e-mail of a person.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdentityAnswer {
    /// Their id here.
    pub person: PersonId,
    /// As they were opened.
    pub identity: Identity,
}

/// A link for a person, shown once.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnboardingLinkAnswer {
    /// The whole address; whoever has it sees what the person sees.
    pub url: String,
    /// Until when it works.
    pub until: DateTime<Utc>,
}

/// The connection that provides a client's training; null when none is named.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProviderAnswer {
    /// The client.
    pub client: ClientId,
    /// Its provider.
    pub provider: Option<Provider>,
}

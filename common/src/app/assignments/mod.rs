//! The assignments that count for the training of people: listed and selected. Huntress is asked while somebody waits, so this needs the credential, and
//! nothing of any person.

use crate::app::collection::collect::Job;
use crate::app::collection::worker::credential_of;
use crate::app::connections::{Connections, TEST_TIME};
use crate::app::people::{PeopleError, check_selection, training_connection};
use crate::aws::secrets::Credential;
use crate::domain::audit::{Actor, AuditAction};
use crate::domain::connection::Connection;
use crate::domain::id::{CompanyId, ConnectionId};
use crate::domain::people::person::MAX_RECERTIFY_DAYS;
use crate::domain::people::selection::{
    AssignmentBook, MAX_SELECTED, Place, SelectableAssignment, SelectedAssignments,
};
use crate::domain::sat::id::SatId;
use crate::domain::sat::{Caps, SatSettings};
use crate::huntress::retry::WaitPolicy;
use crate::huntress::sat::Access;
use crate::store::{AuditedChange, ConnectionChange, StoreError};
use std::sync::Arc;

/// The assignments of an account, as somebody chooses among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Selectable {
    /// Those that can be selected, as the source lists them now.
    pub assignments: Vec<SelectableAssignment>,
    /// Those that were selected, and that the source no longer lists.
    pub missing: SelectedAssignments,
}

/// What is changed about the tracking of people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The assignments that count; `None` leaves them.
    pub selected: Option<SelectedAssignments>,
    /// When people must certify again: `Some(None)` is never, `None` leaves it.
    pub recertify_after_days: Option<Option<u32>>,
    /// How many activity records of an assignment are read, for the signals too; `None` leaves it.
    pub max_activity: Option<u64>,
}

impl Connections {
    async fn assignment_book(&self, connection: &Connection) -> Result<AssignmentBook, PeopleError> {
        let credential = credential_of(&self.credentials, connection).await?;
        let exchanger = self.exchanger(&connection.company, &connection.id);
        let access = match &credential {
            Credential::Sat(credential) => Access::Client(credential),
            Credential::Agreement(_) => Access::Agreement(&exchanger),
            Credential::Edr(_) => {
                return Err(PeopleError::Refused("the credential is not one of the training API".to_owned()));
            }
        };
        let now = self.huntress.instant();
        let job = Job {
            as_of: now,
            as_of_given: false,
            run: None,
            limiter: self.limiters.of(connection),
            wait_policy: WaitPolicy::until(now + TEST_TIME),
            progress: Arc::default(),
        };
        let configured = connection.account_id.as_ref().map(SatId::as_str);
        Ok(self.huntress.assignments(access, connection.sat, configured, job).await?)
    }

    /// The assignments that can be selected, as the source lists them now, and the selected ones that it no longer lists.
    ///
    /// # Errors
    /// [`PeopleError`]
    pub async fn assignments(&self, company: &CompanyId, id: &ConnectionId) -> Result<Selectable, PeopleError> {
        let connection = training_connection(&self.store, company, id).await?;
        let book = self.assignment_book(&connection).await?;
        let gone = |id: &&SatId| book.place(id) == Place::Gone;
        let selected = &connection.people.selected;
        Ok(Selectable {
            assignments: book.selectable(selected),
            missing: selected.iter().filter(gone).cloned().collect(),
        })
    }

    /// Saves which assignments count, and when people must certify again. Only what can be selected now is saved; a choice of nothing ends the tracking. With
    /// `if_revision` only while the connection has that one.
    ///
    /// # Errors
    /// [`PeopleError::Failed`] for a choice that names anything else, with the list of what can be selected; [`StoreError::Conflict`] for another revision.
    pub async fn select_assignments(
        &self,
        company: &CompanyId,
        id: &ConnectionId,
        choice: Choice,
        if_revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Connection, PeopleError> {
        let connection = training_connection(&self.store, company, id).await?;
        if if_revision.is_some_and(|revision| revision != connection.revision) {
            // Before Huntress is asked.
            return Err(StoreError::Conflict { record: "connection" }.into());
        }
        let mut people = connection.people.clone();
        if let Some(selected) = choice.selected {
            if selected.len() > MAX_SELECTED {
                return Err(PeopleError::Refused(format!("at most {MAX_SELECTED} assignments can be selected")));
            }
            if !selected.is_empty() {
                let account = connection.account_id.as_ref().map_or("{id}", SatId::as_str);
                check_selection(&self.assignment_book(&connection).await?, &selected, account)?;
            }
            people.selected = selected;
        }
        if let Some(days) = choice.recertify_after_days {
            if days.is_some_and(|days| !(1..=MAX_RECERTIFY_DAYS).contains(&days)) {
                let refused = format!("people can be asked to certify again after 1 to {MAX_RECERTIFY_DAYS} days");
                return Err(PeopleError::Refused(refused));
            }
            people.recertify_after_days = days;
        }
        let sat = choice.max_activity.map(|records| {
            let caps = Caps { activity_per_assignment: records, ..connection.sat.caps() };
            SatSettings::new(caps, connection.sat.training_covers_privacy_policies())
        });
        let sat = sat.transpose().map_err(|error| PeopleError::Refused(error.to_string()))?;
        let event = self.event(actor, AuditAction::AssignmentsSelected, company, id);
        let event = event.changing(&connection.people, &people);
        let change = ConnectionChange { people: Some(people), sat, ..Default::default() };
        let change = AuditedChange { change, if_revision, event: &event, timeline: None };
        Ok(self.store.change_connection_as(company, id, change).await?)
    }
}

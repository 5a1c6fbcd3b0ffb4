//! A person whom a run looks at, and what is to be written of them.

use crate::domain::people::person::PersonEvent;
use crate::domain::people::roster::LearnerId;
use crate::store::{PersonRecord, PersonWrite, StoredPerson};

/// A person whom this run looks at.
pub(super) struct PersonUpdate {
    pub learner: LearnerId,
    pub record: PersonRecord,
    /// As the run found them in the table.
    pub read: Option<StoredPerson>,
}

impl PersonUpdate {
    fn previous(&self) -> Option<&PersonRecord> {
        self.read.as_ref().and_then(|read| read.visible.as_ref())
    }

    /// What is to be written, if anything changed.
    pub fn write(self) -> Option<PersonWrite> {
        if self.previous() == Some(&self.record) {
            return None;
        }
        let before = self.previous().map(|previous| previous.state.compliance);
        let now = &self.record.state;
        let event = (before != Some(now.compliance)).then(|| PersonEvent::StatusChanged {
            from: before.map(|before| before.status),
            to: now.compliance.status,
            completed: now.completed.clone(),
            missing: now.missing.clone(),
        });
        Some(PersonWrite { record: self.record, event, read: self.read })
    }
}

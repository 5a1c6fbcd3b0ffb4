//! A simulated training account: JSON:API resource objects, generated or written by hand.

mod accounts;
mod activity;
mod campaign;
mod demo;
mod generated;
mod learner;
mod opaque;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::list::List;
pub use accounts::SatAccounts;
pub use activity::LearnerIdAs;
pub(crate) use generated::SatGenerated;
pub use generated::SatSpec;

/// JSON:API resource objects, of any shape and in the order in which they are to be listed.
///
/// A record whose `relationships.account.data.id` names an account belongs to that one; all others belong to the home
/// account, the first that is neither a sandbox nor a demo (or else the first).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SatRecords {
    /// With `meta.counts.activeLearners`, if it is to differ from the number of active learners.
    pub accounts: Vec<Value>,
    pub assignments: Vec<Value>,
    pub learners: Vec<Value>,
    /// By the assignment's id; an assignment that is not among `assignments` is deleted, and 404.
    pub learner_activity: BTreeMap<String, Vec<Value>>,
    pub assignment_learners: BTreeMap<String, Vec<Value>>,
    pub phishing_campaigns: Vec<Value>,
}

/// The records behind the simulated SAT API. Cheap to clone.
#[derive(Clone)]
pub struct SatAccount {
    accounts: Arc<Vec<Value>>,
    /// The account as which `records` were made.
    home: Option<Arc<str>>,
    records: Arc<Records>,
}

enum Records {
    Generated(SatGenerated),
    Stored(SatRecords),
}

/// A list of one account or one assignment.
pub(crate) enum Collection<'a> {
    Stored(Vec<&'a Value>),
    Generated(&'a SatGenerated, generated::Of, u64),
}

impl Collection<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Stored(records) => records.len() as u64,
            Self::Generated(_, _, count) => *count,
        }
    }

    /// Where a row of learner activity carries the learner's id, `learner_id_as` says; `None` leaves it where it is.
    pub(crate) fn write(&self, index: u64, learner_id_as: Option<LearnerIdAs>, out: &mut Vec<u8>) {
        match self {
            Self::Stored(records) => {
                if let Some(record) = usize::try_from(index).ok().and_then(|index| records.get(index)) {
                    let text = match learner_id_as {
                        Some(how) => activity::moved(record, how).to_string(),
                        None => record.to_string(),
                    };
                    out.extend_from_slice(text.as_bytes());
                }
            }
            Self::Generated(generated, of, _) => generated.write(*of, index, learner_id_as.unwrap_or_default(), out),
        }
    }

    fn values(&self) -> Vec<Value> {
        let value = |index| {
            let mut bytes = Vec::new();
            self.write(index, None, &mut bytes);
            serde_json::from_slice(&bytes).ok()
        };
        (0..self.len()).filter_map(value).collect()
    }
}

impl SatAccount {
    pub fn from_records(records: SatRecords) -> Self {
        let home = stored::home(&records.accounts).map(Arc::from);
        Self { accounts: Arc::new(records.accounts.clone()), home, records: Arc::new(Records::Stored(records)) }
    }

    /// The same records with names that would harm whoever shows them as anything but text.
    #[must_use]
    pub fn with_hostile_names(&self) -> Self {
        use crate::hostile::named;
        let of_each = |lists: BTreeMap<String, Vec<Value>>| {
            lists.into_iter().map(|(assignment, records)| (assignment, named(records))).collect()
        };
        let records = self.to_records();
        Self::from_records(SatRecords {
            accounts: named(records.accounts),
            assignments: named(records.assignments),
            learners: named(records.learners),
            learner_activity: of_each(records.learner_activity),
            assignment_learners: of_each(records.assignment_learners),
            phishing_campaigns: named(records.phishing_campaigns),
        })
    }

    /// A company of 60 learners with an assignment in each status and five campaigns, a parent with its two children
    /// among them: workforce coverage 51 of 58 (87.9 %, a warning; 84.5 % without those who left) and a compromise rate of
    /// 5 of 116 (4.3 %, a pass).
    pub fn demo(as_of: DateTime<Utc>) -> Self {
        demo::account(as_of)
    }

    pub(crate) fn generated(generated: SatGenerated) -> Self {
        let account = generated.account();
        let home = accounts::id(&account).map(Arc::from);
        Self { accounts: Arc::new(vec![account]), home, records: Arc::new(Records::Generated(generated)) }
    }

    /// The same records, seen by a client who sees these accounts.
    pub fn with_accounts(self, which: SatAccounts) -> Self {
        let home = self.accounts().into_iter().find(|it| accounts::id(it).as_deref() == self.home.as_deref());
        Self { accounts: Arc::new(home.map(|home| which.around(home)).unwrap_or_default()), ..self }
    }

    /// The id of the account to which the records belong.
    pub fn home_id(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// The accounts that a client sees.
    pub fn accounts(&self) -> Vec<Value> {
        self.accounts.to_vec()
    }

    /// Everything at once, to change a part of it and serve it with [`from_records`](Self::from_records), or to compare
    /// with what was collected.
    pub fn to_records(&self) -> SatRecords {
        if let Records::Stored(records) = &*self.records {
            return SatRecords { accounts: self.accounts(), ..records.clone() };
        }
        let of_home = |list| self.collection(list, self.home_id().unwrap_or_default());
        let values = |collection: Option<Collection<'_>>| collection.map(|it| it.values()).unwrap_or_default();
        let assignments = values(of_home(List::Assignments));
        let of_each = |list| {
            let of_one = |it: &Value| {
                let id = accounts::id(it)?;
                let records = values(self.collection(list, &id));
                Some((id, records))
            };
            assignments.iter().filter_map(of_one).collect()
        };
        SatRecords {
            accounts: self.accounts(),
            learners: values(of_home(List::Learners)),
            learner_activity: of_each(List::LearnerActivity),
            assignment_learners: of_each(List::AssignmentLearners),
            phishing_campaigns: values(of_home(List::PhishingCampaigns)),
            assignments,
        }
    }

    /// Every learner's id, names and e-mail, of those too who appear in nothing but activity: what must be found nowhere in a
    /// product that keeps no personal data. For small accounts.
    pub fn personal_markers(&self) -> Vec<String> {
        let records = self.to_records();
        let mut markers = BTreeSet::new();
        let people = records.learners.iter().chain(records.assignment_learners.values().flatten());
        for person in people {
            markers.extend(accounts::id(person));
            let attribute = |name: &str| person.get("attributes")?.get(name)?.as_str().map(str::to_owned);
            markers.extend(["firstName", "lastName", "email"].into_iter().filter_map(attribute));
        }
        markers.extend(records.learner_activity.values().flatten().filter_map(activity::learner_id));
        markers.remove("");
        markers.into_iter().collect()
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Value> {
        self.accounts.iter().find(|it| accounts::id(it).as_deref() == Some(id))
    }

    /// What the source counts for an account, by the name of the count.
    pub(crate) fn counts(&self, account: &Value) -> Value {
        if let Some(counts) = account.get("meta").and_then(|meta| meta.get("counts")) {
            return counts.clone();
        }
        let id = accounts::id(account).unwrap_or_default();
        let active = match &*self.records {
            Records::Generated(generated) if self.is_home(&id) => generated.active_learners(),
            Records::Generated(_) => 0,
            Records::Stored(records) => {
                let of_account = stored::of_account(&records.learners, &id, self.is_home(&id));
                of_account.into_iter().filter(|it| stored::is_active(it)).count() as u64
            }
        };
        serde_json::json!({"activeLearners": active})
    }

    /// `None` if there is no such account or assignment.
    pub(crate) fn collection(&self, list: List, parent: &str) -> Option<Collection<'_>> {
        match (list, &*self.records) {
            (List::Accounts, _) => Some(Collection::Stored(self.accounts.iter().collect())),
            (List::Assignments | List::Learners | List::PhishingCampaigns, records) => {
                self.account(parent)?;
                let is_home = self.is_home(parent);
                match records {
                    Records::Generated(generated) if is_home => generated.of_account(list),
                    Records::Generated(_) => Some(Collection::Stored(Vec::new())),
                    Records::Stored(records) => {
                        let all = match list {
                            List::Assignments => &records.assignments,
                            List::Learners => &records.learners,
                            _ => &records.phishing_campaigns,
                        };
                        Some(Collection::Stored(stored::of_account(all, parent, is_home)))
                    }
                }
            }
            (List::AssignmentById, Records::Stored(records)) => {
                let assignment = records.assignments.iter().find(|it| accounts::id(it).as_deref() == Some(parent));
                assignment.map(|it| Collection::Stored(vec![it]))
            }
            (List::AssignmentLearners | List::LearnerActivity, Records::Stored(records)) => {
                self.collection(List::AssignmentById, parent)?;
                let all = match list {
                    List::LearnerActivity => &records.learner_activity,
                    _ => &records.assignment_learners,
                };
                Some(Collection::Stored(all.get(parent).into_iter().flatten().collect()))
            }
            (_, Records::Generated(generated)) => generated.of_assignment(list, parent),
            _ => None,
        }
    }

    /// Whether the learner has a certificate: at least one activity row in the assignment, and none without its
    /// completion.
    pub(crate) fn has_completed(&self, assignment: &str, learner: &str) -> bool {
        let Some(rows) = self.collection(List::LearnerActivity, assignment) else {
            return false;
        };
        let rows = rows.values();
        let mut own = rows.iter().filter(|row| activity::learner_id(row).as_deref() == Some(learner)).peekable();
        own.peek().is_some() && own.all(activity::is_completed)
    }

    fn is_home(&self, account: &str) -> bool {
        self.home.as_deref() == Some(account)
    }
}

//! The lists of a collection: what was read of each, up to which cap, and whether it can be trusted.

use crate::run::RecordCounts;
use serde::{Deserialize, Serialize};

/// A list of the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SatList {
    /// Accounts that the credential sees.
    Accounts,
    /// Assignments of the account.
    Assignments,
    /// Activity of learners in one assignment.
    LearnerActivity,
    /// Learners of the account.
    Learners,
    /// Phishing campaigns of the account.
    PhishingCampaigns,
}

impl SatList {
    /// The name as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Assignments => "assignments",
            Self::LearnerActivity => "learner_activity",
            Self::Learners => "learners",
            Self::PhishingCampaigns => "phishing_campaigns",
        }
    }
}

/// Lists that cannot be trusted as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// No record of a list can be told from another, or belongs to anybody.
    #[error("none of the {records} records of the list {} has an id", .list.as_str())]
    NoIds {
        /// The list.
        list: SatList,
        /// How many there are.
        records: u64,
    },
    /// The list of learners is empty, but the account says there are some.
    #[error("the list of learners is empty, but the account claims {claimed} active learners")]
    LearnersMissing {
        /// How many it claims.
        claimed: u64,
    },
}

/// Admits the records of one list up to its cap. Records count as they are listed, before any filter.
///
/// A list of exactly the cap is not cut; only a further record shows that there is more.
///
/// ```
/// use evidence_domain::sat::list::Capped;
/// let mut list = Capped::at(2);
/// assert!(list.admit() && list.admit());
/// assert!(!list.is_cut());
/// assert!(!list.admit());
/// assert!(list.is_cut());
/// assert_eq!(list.read(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capped {
    cap: u64,
    read: u64,
    cut: bool,
}

impl Capped {
    /// Nothing read so far.
    #[must_use]
    pub fn at(cap: u64) -> Self {
        Self { cap, read: 0, cut: false }
    }

    /// Counts a listed record; false for one beyond the cap, which is not to be looked at.
    #[must_use]
    pub fn admit(&mut self) -> bool {
        let admitted = self.read < self.cap;
        if admitted {
            self.read += 1;
        } else {
            self.cut = true;
        }
        admitted
    }

    /// Whether the list has more records than the cap; then no further page of it is needed.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Records read, at most the cap.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The cap.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.cap
    }
}

/// A list that was read only up to its cap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruncatedList {
    /// The list.
    pub list: SatList,
    /// Its cap.
    pub cap: u64,
    /// How many lists of this kind were cut; more than one only for the activity, which every assignment has.
    pub lists: u64,
}

/// Records that were listed by the source, up to the caps, before any rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SatRecordsRead {
    /// Accounts.
    pub accounts: u64,
    /// Assignments.
    pub assignments: u64,
    /// Activity records of all assignments.
    pub learner_activity: u64,
    /// Learners.
    pub learners: u64,
    /// Phishing campaigns.
    pub phishing_campaigns: u64,
}

impl From<SatRecordsRead> for RecordCounts {
    fn from(read: SatRecordsRead) -> Self {
        [
            ("accounts", read.accounts),
            ("assignments", read.assignments),
            ("learner_activity", read.learner_activity),
            ("learners", read.learners),
            ("phishing_campaigns", read.phishing_campaigns),
        ]
        .map(|(list, count)| (list.to_owned(), count))
        .into()
    }
}

//! One person whose training is tracked, as far as a privacy mode lets it be kept.

pub use crate::id::{InvalidPersonId, PersonId};

use super::selection::SelectedAssignments;
use super::status::{ComplianceStatus, PersonStatus, Reset};
use crate::controls::ControlRef;
use crate::sat::id::SatId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a connection keeps of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PrivacyMode {
    /// Nothing: only counts.
    #[default]
    Aggregate,
    /// A keyed hash of the learner's id, and nothing else of who they are.
    Pseudonymous,
    /// The hash, and name, e-mail and certificates, sealed.
    Full,
}

impl PrivacyMode {
    /// The name as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Pseudonymous => "pseudonymous",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for PrivacyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings of a connection about people.
///
/// ```
/// use evidence_domain::people::person::{PeopleSettings, PrivacyMode};
/// let none: PeopleSettings = serde_json::from_str("{}").unwrap();
/// assert_eq!((none.mode, none.is_on()), (PrivacyMode::Aggregate, false));
/// assert!(serde_json::from_str::<PeopleSettings>(r#"{"recertify_after_days": 0}"#).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PeopleSettings {
    /// What is kept of people.
    pub mode: PrivacyMode,
    /// The assignments that count.
    #[serde(rename = "picks")]
    pub selected: SelectedAssignments,
    /// After so many days a compliant person must certify again; never without it.
    #[serde(deserialize_with = "days")]
    pub recertify_after_days: Option<u32>,
}

/// The longest time after which people must certify again.
pub const MAX_RECERTIFY_DAYS: u32 = 3_650;

fn days<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let days = Option::<u32>::deserialize(deserializer)?;
    match days {
        Some(days) if !(1..=MAX_RECERTIFY_DAYS).contains(&days) => {
            Err(serde::de::Error::custom("recertify_after_days must be from 1 to 3650"))
        }
        days => Ok(days),
    }
}

impl PeopleSettings {
    /// Whether people are tracked at all: the mode keeps some of them, and assignments are selected.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mode != PrivacyMode::Aggregate && !self.selected.is_empty()
    }
}

/// A column of a person that is sealed, and part of what it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// First and last name.
    Name,
    /// The e-mail address.
    Email,
    /// The certificate of an assignment.
    Certificate(SatId),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Email => f.write_str("email"),
            Self::Certificate(assignment) => write!(f, "certificate/{assignment}"),
        }
    }
}

/// A completion certificate, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Certificate {
    /// The assignment that it is about.
    pub assignment: SatId,
    /// The compliance that it was fetched for: since when that was.
    pub earned_at: DateTime<Utc>,
    /// What came of asking for it.
    #[serde(flatten)]
    pub outcome: CertificateOutcome,
}

/// What came of asking for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CertificateOutcome {
    /// It is to be fetched by the next run: this one had no requests left for it, or the source did not answer.
    Due,
    /// It was fetched and stored, once.
    Stored(StoredCertificate),
    /// The source has none, or gives it to nobody. A fact, not a failure.
    NoneAvailable {
        /// When it was asked.
        asked_at: DateTime<Utc>,
        /// Its words in short, e.g. `status 404`.
        answer: String,
    },
}

/// A certificate that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredCertificate {
    /// When it was fetched.
    pub fetched_at: DateTime<Utc>,
    /// The SHA-256 of the document as the source gave it, in lower-case hexadecimal.
    pub sha256: String,
    /// Its media type.
    pub content_type: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it came from: method and path, without parameters, which name the learner.
    pub source: String,
}

/// A certificate whose document was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptCertificate<'a> {
    /// The assignment that it is about.
    pub assignment: &'a SatId,
    /// The compliance that it was fetched for: since when that was.
    pub earned_at: DateTime<Utc>,
    /// What is known of the document.
    pub stored: &'a StoredCertificate,
}

/// What is known of a person at the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonState {
    /// The status, and since when.
    #[serde(flatten)]
    pub compliance: ComplianceStatus,
    /// Selected assignments that they are enrolled in and done with.
    #[serde(default)]
    pub completed: SelectedAssignments,
    /// Selected assignments that they are enrolled in and not done with.
    #[serde(default)]
    pub missing: SelectedAssignments,
    /// Selected assignments that they were not enrolled in.
    #[serde(default)]
    pub not_enrolled_in: SelectedAssignments,
    /// Whether the source calls them inactive: left out of every count until it does not.
    #[serde(default)]
    pub inactive: bool,
    /// The last reset.
    #[serde(default)]
    pub reset: Option<Reset>,
    /// Certificates, oldest first.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
}

impl PersonState {
    /// Whether they were open in an assignment when it was last seen; `None` if nobody looked.
    #[must_use]
    pub fn was_open(&self, assignment: &SatId) -> Option<bool> {
        if self.missing.contains(assignment) {
            Some(true)
        } else if self.completed.contains(assignment) || self.not_enrolled_in.contains(assignment) {
            Some(false)
        } else {
            None
        }
    }

    /// Whether a certificate is still to be fetched.
    #[must_use]
    pub fn is_owed_a_certificate(&self) -> bool {
        self.certificates.iter().any(|certificate| certificate.outcome == CertificateOutcome::Due)
    }

    /// The certificate that is shown for a person: the newest stored one, of an assignment if one is named.
    #[must_use]
    pub fn stored_certificate(&self, assignment: Option<&SatId>) -> Option<KeptCertificate<'_>> {
        let stored = self.certificates.iter().rev().filter_map(|it| match &it.outcome {
            CertificateOutcome::Stored(stored) => {
                Some(KeptCertificate { assignment: &it.assignment, earned_at: it.earned_at, stored })
            }
            CertificateOutcome::Due | CertificateOutcome::NoneAvailable { .. } => None,
        });
        let mut of_it = stored.filter(|certificate| assignment.is_none_or(|id| certificate.assignment == id));
        of_it.next()
    }
}

/// What happened to a person: appended, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PersonEvent {
    /// A run found another status, or this one anew.
    StatusChanged {
        /// The status before; absent for who was not known.
        from: Option<PersonStatus>,
        /// The status now.
        to: PersonStatus,
        /// What they were done with then.
        completed: SelectedAssignments,
        /// What was missing then.
        missing: SelectedAssignments,
    },
    /// Somebody put the person back.
    Reset {
        /// The status before.
        from: PersonStatus,
        /// Who, when and why.
        #[serde(flatten)]
        reset: Reset,
    },
    /// Somebody opened what is sealed.
    Opened {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Which columns.
        columns: Vec<String>,
    },
}

/// How many people there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeopleSummary {
    /// Done with everything that they are enrolled in.
    pub compliant: u64,
    /// Not done with something.
    pub not_compliant: u64,
    /// Enrolled in nothing that counts.
    pub not_enrolled: u64,
    /// It cannot be said.
    pub unknown: u64,
}

impl PeopleSummary {
    /// Counts one person.
    pub fn count(&mut self, status: PersonStatus) {
        *match status {
            PersonStatus::Compliant => &mut self.compliant,
            PersonStatus::NotCompliant => &mut self.not_compliant,
            PersonStatus::NotEnrolled => &mut self.not_enrolled,
            PersonStatus::Unknown => &mut self.unknown,
        } += 1;
    }

    /// Everybody.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.compliant + self.not_compliant + self.not_enrolled + self.unknown
    }
}

/// The people of a connection in the evidence of its client: counts, and nobody in particular.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleEvidence {
    /// How many of each status. Who is inactive is in none.
    pub summary: PeopleSummary,
    /// The assignments that count.
    pub assignments: SelectedAssignments,
    /// Those of them that the account no longer lists.
    pub missing_assignments: SelectedAssignments,
    /// Whether a list was cut at its cap, so that nobody changed whom it would decide.
    pub truncated: bool,
    /// After so many days a compliant person must certify again.
    pub recertify_after_days: Option<u32>,
    /// The controls that the training of a person supports.
    pub controls: Vec<ControlRef>,
    /// The version of the map that named them.
    pub control_map_version: String,
}

/// Where people take Huntress's own training: they log in at the vendor's host, where no deeper link is documented.
pub const TRAINING_URL: &str = "https://mycurricula.com/";

/// What a page tells a person who has to be trained, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnboardingPrompt {
    /// Who.
    pub person: PersonId,
    /// Where they stand.
    pub status: PersonStatus,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What they still have to do.
    pub missing: SelectedAssignments,
    /// Whether there is anything for them to do.
    pub action_needed: bool,
    /// One sentence for them.
    pub text: &'static str,
    /// Where to do it.
    pub training_url: &'static str,
}

/// The prompt for a person of whom this is known.
#[must_use]
pub fn onboarding_prompt(person: PersonId, state: &PersonState) -> OnboardingPrompt {
    let (action_needed, text) = match state.compliance.status {
        PersonStatus::Compliant => (false, "You have completed your security awareness training."),
        PersonStatus::NotCompliant => (true, "Please complete the security awareness training assigned to you."),
        PersonStatus::NotEnrolled => {
            (false, "No security awareness training is assigned to you yet; your administrator can enroll you.")
        }
        PersonStatus::Unknown => (
            false,
            "It is not known yet whether your security awareness training is complete; please look again later.",
        ),
    };
    OnboardingPrompt {
        person,
        status: state.compliance.status,
        since: state.compliance.since,
        missing: state.missing.clone(),
        action_needed,
        text,
        training_url: TRAINING_URL,
    }
}

//! The status of a person, and since when it holds.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a person completed the assignments that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PersonStatus {
    /// Enrolled in at least one of them, and done with every one that they are enrolled in.
    Compliant,
    /// Enrolled in one that is not completed.
    NotCompliant,
    /// Enrolled in none: never compliant for want of anything to do.
    NotEnrolled,
    /// The lists that would decide were cut off.
    Unknown,
}

impl fmt::Display for PersonStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compliant => "compliant",
            Self::NotCompliant => "not_compliant",
            Self::NotEnrolled => "not_enrolled",
            Self::Unknown => "unknown",
        })
    }
}

/// A person's status and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComplianceStatus {
    /// The status.
    pub status: PersonStatus,
    /// The `as_of` of the run that found it first.
    pub since: DateTime<Utc>,
}

/// Who reset a person, when and why; kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reset {
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

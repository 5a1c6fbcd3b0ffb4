//! The status of a signal.

use crate::policy::Outcome;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a signal says.
///
/// The order is from good to bad, for the three that a number alone gives; `Inconclusive` is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Worth a look.
    Warning,
    /// Not as it should be.
    Fail,
    /// What was read does not decide it.
    Inconclusive,
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Pass,
            Status::Warning => Self::Warning,
            Status::Fail => Self::Fail,
            Status::Inconclusive => Self::Inconclusive,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        })
    }
}

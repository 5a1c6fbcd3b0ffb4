//! Training evidence: who completed training, how people met simulated phishing, and the signals made of it.

pub mod account;
pub mod activity;
pub mod assignment;
pub mod bundle;
pub mod coverage;
pub mod facts;
pub mod forecast;
pub mod id;
pub mod list;
pub mod measures;
pub mod phishing;
pub mod signal;
pub mod status;

use serde::{Deserialize, Serialize};

/// The read scopes that the API client needs, exactly these.
pub const SCOPES: [&str; 5] =
    ["account:read", "assignments:read", "assignments:learner-activity", "learners:read", "phishing-campaigns:read"];

/// How many records of a list are read at most. At a cap the run goes on with what it has and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Caps {
    /// Activity records of one assignment.
    pub activity_per_assignment: u64,
    /// Assignments of the account.
    pub assignments: u64,
    /// Phishing campaigns of the account.
    pub campaigns: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { activity_per_assignment: 1_000, assignments: 5_000, campaigns: 5_000 }
    }
}

/// The largest cap that may be set; a list of more is not read in one run.
pub const MAX_CAP: u64 = 1_000_000;

/// Settings of the training rules, recorded in the evidence.
///
/// ```
/// use evidence_domain::sat::{Caps, SatSettings};
/// let settings: SatSettings = serde_json::from_str("{}").unwrap();
/// assert_eq!(settings, SatSettings::default());
/// assert!(SatSettings::new(Caps { campaigns: 0, ..Caps::default() }, false).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "RawSettings", into = "RawSettings")]
pub struct SatSettings {
    caps: Caps,
    training_covers_privacy_policies: bool,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct RawSettings {
    caps: Caps,
    training_covers_privacy_policies: bool,
}

/// Caps that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cap of {cap} must be from 1 to {MAX_CAP}")]
pub struct InvalidSettings {
    /// Which cap.
    pub cap: &'static str,
}

impl SatSettings {
    /// Settings with these caps. `training_covers_privacy_policies` is the tenant's word that the training is also about its own privacy
    /// policies and procedures; without it no evidence names HIPAA 164.530(b)(1).
    ///
    /// # Errors
    /// [`InvalidSettings`] unless every cap is from 1 to [`MAX_CAP`].
    pub fn new(caps: Caps, training_covers_privacy_policies: bool) -> Result<Self, InvalidSettings> {
        let named = [
            ("assignments", caps.assignments),
            ("activity records per assignment", caps.activity_per_assignment),
            ("campaigns", caps.campaigns),
        ];
        match named.into_iter().find(|(_, cap)| !(1..=MAX_CAP).contains(cap)) {
            Some((cap, _)) => Err(InvalidSettings { cap }),
            None => Ok(Self { caps, training_covers_privacy_policies }),
        }
    }

    /// The caps.
    #[must_use]
    pub fn caps(self) -> Caps {
        self.caps
    }

    /// Whether the tenant says that the training covers its privacy policies and procedures.
    #[must_use]
    pub fn training_covers_privacy_policies(self) -> bool {
        self.training_covers_privacy_policies
    }
}

impl TryFrom<RawSettings> for SatSettings {
    type Error = InvalidSettings;
    fn try_from(raw: RawSettings) -> Result<Self, InvalidSettings> {
        Self::new(raw.caps, raw.training_covers_privacy_policies)
    }
}

impl From<SatSettings> for RawSettings {
    fn from(settings: SatSettings) -> Self {
        Self { caps: settings.caps, training_covers_privacy_policies: settings.training_covers_privacy_policies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cap_has_its_bounds() {
        let with = |change: fn(&mut Caps, u64), value| {
            let mut caps = Caps::default();
            change(&mut caps, value);
            SatSettings::new(caps, false).is_ok()
        };
        let changes: [fn(&mut Caps, u64); 3] = [
            |caps, value| caps.assignments = value,
            |caps, value| caps.activity_per_assignment = value,
            |caps, value| caps.campaigns = value,
        ];
        for change in changes {
            let accepted = [0, 1, MAX_CAP, MAX_CAP + 1].map(|value| with(change, value));
            assert_eq!(accepted, [false, true, true, false]);
        }
    }

    #[test]
    fn a_stored_setting_is_checked_when_it_is_read() {
        assert!(serde_json::from_str::<SatSettings>(r#"{"caps": {"assignments": 0}}"#).is_err());
        let partial: SatSettings = serde_json::from_str(r#"{"caps": {"campaigns": 7}}"#).unwrap();
        assert_eq!((partial.caps().campaigns, partial.caps().assignments), (7, 5_000));
        let text = serde_json::to_string(&partial).unwrap();
        assert_eq!(serde_json::from_str::<SatSettings>(&text).unwrap(), partial);
    }
}

//! A signal: one evaluated measure of training, as it is stored and shown.

use super::coverage::{self, Coverage, CoverageTally, WorkforceSource};
use super::phishing::{self, Phishing, PhishingTally};
pub use super::status::Status;
use crate::domain::controls::{ControlMap, ControlOptions, ControlRef, Evidence};
use crate::domain::evidence::Reason;
use crate::domain::time::Window;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;

/// The signals that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKey {
    /// The share of the workforce that completed training within a year.
    WorkforceCoverage,
    /// How people met simulated phishing within a quarter.
    PhishingSimulation,
}

impl SignalKey {
    /// The name as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Evidence::from(self).as_str()
    }
}

impl fmt::Display for SignalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<SignalKey> for Evidence {
    fn from(key: SignalKey) -> Self {
        match key {
            SignalKey::WorkforceCoverage => Self::WorkforceCoverage,
            SignalKey::PhishingSimulation => Self::PhishingSimulation,
        }
    }
}

/// The numbers of a coverage. Rates are text with one decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageValues {
    /// Trained of active learners, at most `100.0`; null without a workforce.
    pub coverage_pct: Option<String>,
    /// Different learners with a completion in the window.
    pub distinct_trained_learners: u64,
    /// The workforce.
    pub active_learners: u64,
    /// Of the trained ones, those who are inactive or no longer listed.
    pub departed_trained_learners: u64,
}

/// The numbers of phishing simulations. Rates are text with one decimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhishingValues {
    /// Compromised of sent; null without a campaign.
    pub compromise_rate_pct: Option<String>,
    /// Reported of sent; null without a campaign, or when one does not say.
    pub report_rate_pct: Option<String>,
    /// Messages sent.
    pub sent: u64,
    /// People who gave themselves away.
    pub compromised: u64,
    /// People who reported the message; null when a campaign does not say.
    pub reported: Option<u64>,
    /// Campaigns that the sums are over.
    pub campaigns: u64,
}

/// The numbers of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SignalValues {
    /// Of the workforce's coverage.
    Coverage(CoverageValues),
    /// Of phishing simulations.
    Phishing(PhishingValues),
}

/// How a signal came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalMetadata {
    /// The window, both ends included; its end is `as_of`.
    pub window: Window,
    /// Whether a list that the signal is made of was cut at its cap.
    pub truncated: bool,
    /// The version of the map that named the controls.
    pub control_map_version: String,
    /// Limits, and the fields that the numbers come from.
    pub derivation: serde_json::Value,
}

/// One evaluated measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its name.
    pub signal_key: SignalKey,
    /// The length of its window.
    pub window_days: u32,
    /// What it says.
    pub status: Status,
    /// Why it is not what the rate alone would give, or why a value is null; null when there is nothing to say.
    pub reason: Option<Reason>,
    /// Its numbers.
    pub values: SignalValues,
    /// The controls that it supports.
    pub controls: Vec<ControlRef>,
    /// How it came about.
    pub metadata: SignalMetadata,
}

/// The signal of a evaluated coverage. `truncated` is whether assignments or activity were cut.
#[must_use]
pub fn of_coverage(
    tally: &CoverageTally,
    evaluated: &Coverage,
    truncated: bool,
    map: &ControlMap,
    options: ControlOptions,
) -> Signal {
    let source = match evaluated.source {
        WorkforceSource::Account => "account",
        WorkforceSource::LearnerList => "learner_list",
    };
    let derivation = json!({
        "active_learners_from": source,
        "coverage_without_departed_pct": evaluated.shown_without_departed(),
        "thresholds_pct": {"pass_from": coverage::PASS_FROM, "warning_from": coverage::WARNING_FROM},
    });
    Signal {
        signal_key: SignalKey::WorkforceCoverage,
        window_days: coverage::WINDOW_DAYS,
        status: evaluated.status,
        reason: evaluated.reason,
        values: SignalValues::Coverage(CoverageValues {
            coverage_pct: evaluated.shown(),
            distinct_trained_learners: evaluated.trained,
            active_learners: evaluated.active,
            departed_trained_learners: evaluated.departed,
        }),
        controls: map.controls_for(Evidence::WorkforceCoverage, options),
        metadata: SignalMetadata {
            window: tally.window(),
            truncated,
            control_map_version: map.version().to_owned(),
            derivation,
        },
    }
}

/// The signal of evaluated simulations.
#[must_use]
pub fn of_phishing(tally: &PhishingTally, evaluated: &Phishing, map: &ControlMap, options: ControlOptions) -> Signal {
    let [campaign_ends_at, ends_at, completed_at] = evaluated.ends;
    let derivation = json!({
        "campaign_end": {"campaign_ends_at": campaign_ends_at, "completed_at": completed_at, "ends_at": ends_at},
        "parent_campaigns_counted": evaluated.parents_counted,
        "thresholds_pct": {"pass_up_to": phishing::PASS_UP_TO, "warning_up_to": phishing::WARNING_UP_TO},
    });
    Signal {
        signal_key: SignalKey::PhishingSimulation,
        window_days: phishing::WINDOW_DAYS,
        status: evaluated.status,
        reason: evaluated.reason,
        values: SignalValues::Phishing(PhishingValues {
            compromise_rate_pct: evaluated.compromise_rate(),
            report_rate_pct: evaluated.report_rate(),
            sent: evaluated.sent,
            compromised: evaluated.compromised,
            reported: evaluated.reported,
            campaigns: evaluated.campaigns,
        }),
        controls: map.controls_for(Evidence::PhishingSimulation, options),
        metadata: SignalMetadata {
            window: tally.window(),
            truncated: tally.capped().is_cut(),
            control_map_version: map.version().to_owned(),
            derivation,
        },
    }
}

//! A signal: one evaluated measure of training, as it is stored and shown.

use super::coverage::{self, Coverage, WorkforceSource};
use super::phishing::{self, Phishing};
use super::status::Status;
use crate::controls::{ControlMap, ControlOptions, ControlRef, Evidence};
use crate::evidence::Reason;
use crate::time::Window;
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

/// What a signal is made of besides its numbers.
#[derive(Debug, Clone, Copy)]
pub struct SignalContext<'a> {
    /// The window, both ends included.
    pub window: Window,
    /// Whether a list that the signal is made of was cut.
    pub truncated: bool,
    /// Whether the account belongs to another client's organization: then its numbers say nothing of this one.
    pub account_of_another_client: bool,
    /// Names the controls.
    pub map: &'a ControlMap,
    /// What the tenant says of them.
    pub options: ControlOptions,
}

impl SignalContext<'_> {
    fn evaluated(&self, status: Status, reason: Option<Reason>) -> (Status, Option<Reason>) {
        if self.account_of_another_client {
            return (Status::Inconclusive, Some(Reason::AccountOfAnotherClient));
        }
        (status, reason)
    }

    fn metadata(&self, derivation: serde_json::Value) -> SignalMetadata {
        SignalMetadata {
            window: self.window,
            truncated: self.truncated,
            control_map_version: self.map.version().to_owned(),
            derivation,
        }
    }
}

/// The signal of an evaluated coverage.
#[must_use]
pub fn of_coverage(evaluated: &Coverage, context: &SignalContext<'_>) -> Signal {
    let source = match evaluated.source {
        WorkforceSource::Account => "account",
        WorkforceSource::LearnerList => "learner_list",
    };
    let limits = coverage::limits();
    let derivation = json!({
        "active_learners_from": source,
        "coverage_without_departed_pct": evaluated.shown_without_departed(),
        "thresholds_pct": {"pass_from": limits.pass, "warning_from": limits.warning},
    });
    let (status, reason) = context.evaluated(evaluated.status, evaluated.reason);
    Signal {
        signal_key: SignalKey::WorkforceCoverage,
        window_days: coverage::WINDOW_DAYS,
        status,
        reason,
        values: SignalValues::Coverage(evaluated.values()),
        controls: context.map.controls_for(Evidence::WorkforceCoverage, context.options),
        metadata: context.metadata(derivation),
    }
}

/// The signal of evaluated simulations; `ends` are the campaigns by the field of their end.
#[must_use]
pub fn of_phishing(evaluated: &Phishing, ends: [u64; 3], context: &SignalContext<'_>) -> Signal {
    let [campaign_ends_at, ends_at, completed_at] = ends;
    let limits = phishing::limits();
    let derivation = json!({
        "campaign_end": {"campaign_ends_at": campaign_ends_at, "completed_at": completed_at, "ends_at": ends_at},
        "parent_campaigns_counted": evaluated.parents_counted,
        "thresholds_pct": {"pass_up_to": limits.pass, "warning_up_to": limits.warning},
    });
    let (status, reason) = context.evaluated(evaluated.status, evaluated.reason);
    Signal {
        signal_key: SignalKey::PhishingSimulation,
        window_days: phishing::WINDOW_DAYS,
        status,
        reason,
        values: SignalValues::Phishing(evaluated.values()),
        controls: context.map.controls_for(Evidence::PhishingSimulation, context.options),
        metadata: context.metadata(derivation),
    }
}

impl Coverage {
    /// The numbers of the signal.
    #[must_use]
    pub fn values(&self) -> CoverageValues {
        CoverageValues {
            coverage_pct: self.shown(),
            distinct_trained_learners: self.trained,
            active_learners: self.active,
            departed_trained_learners: self.departed,
        }
    }
}

impl Phishing {
    /// The numbers of the signal.
    #[must_use]
    pub fn values(&self) -> PhishingValues {
        PhishingValues {
            compromise_rate_pct: self.compromise_rate(),
            report_rate_pct: self.report_rate(),
            sent: self.sent,
            compromised: self.compromised,
            reported: self.reported,
            campaigns: self.campaigns,
        }
    }
}

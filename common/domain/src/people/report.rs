//! The training of people as one collection without a memory shows it.

use super::compliance::{Inclusion, evaluate};
use super::person::PeopleSummary;
use super::roster::Roster;
use super::selection::SelectedAssignments;
use super::status::PersonStatus;
use crate::controls::{ControlMap, ControlOptions, ControlRef, Evidence};
use crate::evidence::Tenant;
use crate::quality::{Quality, QualityEntry};
use crate::sat::account::MeasuredAccount;
use crate::sat::bundle::RateLimitWarning;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One person, by the vendor's own id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedPerson {
    /// The learner's id. It is shown to who collects with a credential of their own, and never stored.
    pub learner_id: String,
    /// Where they stand.
    pub status: PersonStatus,
    /// Selected assignments that they are enrolled in and done with.
    pub completed: SelectedAssignments,
    /// Selected assignments that they are enrolled in and not done with.
    pub missing: SelectedAssignments,
}

/// How a collection of people came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingMetadata {
    /// Every HTTP request of the collection, retries and tokens too.
    pub api_calls_made: u64,
    /// Wall time of the collection.
    pub collection_duration_ms: u64,
    /// Whether a list was cut at its cap; who would be decided by the rest of it is unknown.
    pub truncated: bool,
    /// What was odd about the source; empty for a clean one.
    pub data_quality: Vec<QualityEntry>,
    /// When the collection started.
    pub collected_at: DateTime<Utc>,
    /// The instant of evaluation.
    pub as_of: DateTime<Utc>,
    /// The assignments that count.
    pub assignments: SelectedAssignments,
    /// The account.
    pub account: MeasuredAccount,
    /// Whose evidence.
    pub tenant: Tenant,
    /// The controls that the training of a person supports.
    pub controls: Vec<ControlRef>,
    /// The version of the map that named them.
    pub control_map_version: String,
    /// Absent unless the vendor's request limit came near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_warning: Option<RateLimitWarning>,
}

/// Everybody whose training is tracked, how many there are of each status, and how that came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// People, by learner id.
    pub people: Vec<TrainedPerson>,
    /// How many of each status.
    pub summary: PeopleSummary,
    /// How it came about.
    pub metadata: TrainingMetadata,
}

/// What one collection of people read.
#[derive(Debug, Clone)]
pub struct TrainingCollection {
    /// Everybody, and what the lists say of them.
    pub roster: Roster,
    /// What was odd about the list of assignments.
    pub quality: Quality,
    /// The assignments that count.
    pub selected: SelectedAssignments,
    /// The account.
    pub account: MeasuredAccount,
    /// When it started.
    pub collected_at: DateTime<Utc>,
    /// The instant of evaluation.
    pub as_of: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u64,
    /// Every HTTP request it made.
    pub api_calls: u64,
    /// The fewest requests that the source said are left, if it said so.
    pub lowest_remaining: Option<u64>,
}

/// The report of a collection, for a tenant.
#[must_use]
pub fn report_of(collection: &TrainingCollection, tenant: Tenant, map: &ControlMap) -> TrainingReport {
    let roster = &collection.roster;
    let mut summary = PeopleSummary::default();
    let included = roster.everybody().filter(|(_, listed)| roster.inclusion(listed) == Inclusion::Included);
    let people = included
        .map(|(learner, listed)| {
            // Without a memory nobody knows who was open in what is gone; a selected assignment that is gone is refused before.
            let evaluated = evaluate(roster.assignments_of(listed, |_| None));
            summary.count(evaluated.status);
            TrainedPerson {
                learner_id: learner.expose().to_owned(),
                status: evaluated.status,
                completed: evaluated.completed,
                missing: evaluated.missing,
            }
        })
        .collect();
    let mut quality = collection.quality.clone();
    quality.add(&roster.quality());
    let account = &collection.account;
    let metadata = TrainingMetadata {
        api_calls_made: collection.api_calls,
        collection_duration_ms: collection.duration_ms,
        truncated: roster.is_truncated(),
        data_quality: quality.entries(),
        collected_at: collection.collected_at,
        as_of: collection.as_of,
        assignments: collection.selected.clone(),
        account: account.clone(),
        tenant,
        controls: map.controls_for(Evidence::PersonTraining, ControlOptions::default()),
        control_map_version: map.version().to_owned(),
        rate_limit_warning: RateLimitWarning::of(collection.lowest_remaining),
    };
    TrainingReport { people, summary, metadata }
}

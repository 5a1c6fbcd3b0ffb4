//! People and what is known of their training, as tables.

use super::{table, time};
use common::domain::sat::person::PeopleSummary;
use common::domain::sat::pick::Picks;
use common::domain::sat::training::TrainingReport;

/// Ids in one cell.
pub fn ids(picks: &Picks) -> String {
    if picks.is_empty() {
        return "-".to_owned();
    }
    picks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The counts in one line.
pub fn summary(summary: &PeopleSummary) -> String {
    format!(
        "{} compliant, {} not compliant, {} not enrolled, {} unknown",
        summary.compliant, summary.not_compliant, summary.not_enrolled, summary.unknown
    )
}

/// A collection of people as a table.
pub fn training(report: &TrainingReport) -> String {
    let mut rows = table(&["learner", "status", "completed", "missing"]);
    for person in &report.people {
        rows.add_row([
            person.learner_id.clone(),
            person.status.to_string(),
            ids(&person.completed),
            ids(&person.missing),
        ]);
    }
    let metadata = &report.metadata;
    let mut text = format!(
        "{rows}\n\n{}\nas of {} · account {} · {} requests, {} ms\n",
        summary(&report.summary),
        time(metadata.as_of),
        metadata.account.name.as_deref().unwrap_or(&metadata.account.id),
        metadata.api_calls_made,
        metadata.collection_duration_ms,
    );
    if let Some(warning) = &metadata.rate_limit_warning {
        text += &format!("only {} requests were left: {}\n", warning.lowest_remaining, warning.advice);
    }
    for entry in &metadata.data_quality {
        text += &format!("data quality: {} × {}\n", entry.count, entry.detail);
    }
    text
}

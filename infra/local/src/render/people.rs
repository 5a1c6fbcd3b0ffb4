//! People and what is known of their training, as tables.

use super::{table, time};
use common::app::people::Identity;
use common::domain::connection::Connection;
use common::domain::people::person::{CertificateOutcome, OnboardingPrompt, PeopleSummary, PersonEvent, PersonState};
use common::domain::people::report::TrainingReport;
use common::domain::people::selection::{SelectableAssignment, SelectedAssignments};
use common::domain::text::{counted, line};
use common::store::{LoggedEvent, PersonRecord};
use serde_json::json;

/// Ids in one cell.
pub fn ids(selected: &SelectedAssignments) -> String {
    if selected.is_empty() {
        return "-".to_owned();
    }
    selected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
        "{rows}\n\n{}\nas of {} · account {} · {}, {} ms\n",
        summary(&report.summary),
        time(metadata.as_of),
        line(metadata.account.name.as_deref().unwrap_or(metadata.account.id.as_str())),
        counted(metadata.api_calls_made, "request", "requests"),
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

/// The assignments that can be selected.
pub fn assignments(assignments: &[SelectableAssignment], gone: &SelectedAssignments) -> String {
    let mut rows = table(&["assignment", "name", "status", "begins", "ends", "selected"]);
    let date = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d").to_string())
    };
    for assignment in assignments {
        let status = json!(assignment.status);
        rows.add_row([
            assignment.id.to_string(),
            assignment.name.as_deref().map_or_else(|| "-".to_owned(), line),
            status.as_str().unwrap_or_default().replace('_', " "),
            date(assignment.starts_at),
            date(assignment.ends_at),
            if assignment.selected { "yes" } else { "" }.to_owned(),
        ]);
    }
    let mut text = format!("{rows}\n");
    if !gone.is_empty() {
        text += &format!("selected, but no longer listed by Huntress: {}; they make nobody compliant\n", ids(gone));
    }
    text
}

/// What a person's certificates came to, in short.
fn certificates(state: &PersonState) -> String {
    let short = |outcome: &CertificateOutcome| match outcome {
        CertificateOutcome::Stored(_) => "stored".to_owned(),
        CertificateOutcome::Due => "due".to_owned(),
        CertificateOutcome::NoneAvailable { .. } => "none available".to_owned(),
    };
    let each: Vec<String> =
        state.certificates.iter().map(|it| format!("{} {}", it.assignment, short(&it.outcome))).collect();
    if each.is_empty() { "-".to_owned() } else { each.join(", ") }
}

/// The people of a connection as a table.
pub fn people(
    people: &[PersonRecord],
    identities: Option<&[Identity]>,
    counts: &PeopleSummary,
    connection: &Connection,
) -> String {
    let header = ["person", "status", "since", "completed", "missing", "certificates"];
    let names = identities.map(|_| ["name", "e-mail"]).unwrap_or_default();
    let names: &[&str] = if identities.is_some() { &names } else { &[] };
    let mut rows = table(&[&header[..], names].concat());
    for (index, record) in people.iter().enumerate() {
        let state = &record.state;
        let mut row = vec![
            record.person.to_string(),
            state.compliance.status.to_string(),
            time(state.compliance.since),
            ids(&state.completed),
            ids(&state.missing),
            certificates(state),
        ];
        if let Some(identity) = identities.and_then(|identities| identities.get(index)) {
            let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), line);
            row.extend([shown(&identity.name), shown(&identity.email)]);
        }
        rows.add_row(row);
    }
    let settings = &connection.people;
    let mut text = format!(
        "{rows}\n\n{}\nassignments {} · privacy mode {} · last success {}\n",
        summary(counts),
        ids(&settings.selected),
        settings.mode,
        connection.last_success_at.map_or_else(|| "-".to_owned(), time),
    );
    if let Some(days) = settings.recertify_after_days {
        text += &format!("compliant people certify again after {days} days\n");
    }
    if !settings.is_on() {
        text += "nobody is tracked any more: these are as they were left\n";
    }
    text
}

/// One person, and what happened to them.
pub fn person(person: &PersonRecord, events: &[LoggedEvent]) -> String {
    let state = &person.state;
    let mut text = format!(
        "{} is {} since {}\ncompleted {} · missing {} · certificates {}\n",
        person.person,
        state.compliance.status,
        time(state.compliance.since),
        ids(&state.completed),
        ids(&state.missing),
        certificates(state),
    );
    if state.inactive {
        text += "Huntress calls them inactive: they are left out of every count\n";
    }
    let mut rows = table(&["at", "what happened", "run"]);
    for logged in events {
        let what = match &logged.event {
            PersonEvent::StatusChanged { from: Some(from), to, missing, .. } => {
                format!("{from} → {to}; missing {}", ids(missing))
            }
            PersonEvent::StatusChanged { from: None, to, missing, .. } => {
                format!("first seen: {to}; missing {}", ids(missing))
            }
            PersonEvent::Reset { reset, .. } => format!("reset by {}: {}", reset.by, reset.reason),
            PersonEvent::Opened { by, reason, columns } => {
                format!("{} opened by {by}: {reason}", columns.join(" and "))
            }
        };
        let run = logged.run.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        rows.add_row([time(logged.at), what, run]);
    }
    format!("{text}\n{rows}\n")
}

/// What a page would tell a person.
pub fn onboarding(prompt: &OnboardingPrompt) -> String {
    let mut text = format!("{}\n", prompt.text);
    if !prompt.missing.is_empty() {
        text += &format!("Still to do: {}\n", ids(&prompt.missing));
    }
    if prompt.action_needed {
        text += &format!("Go to {}\n", prompt.training_url);
    }
    text
}

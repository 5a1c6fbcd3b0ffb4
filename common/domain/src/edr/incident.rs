//! The state of one incident, its times, and whether it was resolved without manual work.

use crate::id::RecordKey;
use crate::quality::normalized;
use crate::time::{ParsedTimestamp, RawTimestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What the source says of one incident.
#[derive(Debug, Clone, Copy, Default)]
pub struct IncidentFacts<'a> {
    /// Its id; a record without one is dropped.
    pub id: Option<RecordKey>,
    /// The organization it concerns.
    pub organization: Option<RecordKey>,
    /// The status word.
    pub status: Option<&'a str>,
    /// The severity word.
    pub severity: Option<&'a str>,
    /// When it came into being.
    pub created_at: RawTimestamp<'a>,
    /// When it was detected.
    pub detected_at: RawTimestamp<'a>,
    /// When the customer was told.
    pub sent_at: RawTimestamp<'a>,
    /// When it was resolved.
    pub resolved_at: RawTimestamp<'a>,
    /// When it was closed.
    pub closed_at: RawTimestamp<'a>,
    /// How it was resolved.
    pub resolution_source: Option<TextField<'a>>,
    /// Who resolved it.
    pub resolved_by: Option<TextField<'a>>,
    /// What was done about it.
    pub remediations: Option<Remediations>,
    /// The id as the source writes it, where it is a text.
    pub id_text: Option<&'a str>,
}

/// A field that is there, with its text if it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextField<'a> {
    /// This text.
    Text(&'a str),
    /// Something else, which has no words.
    Other,
}

/// What the remediations of an incident come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remediations {
    /// The list goes on elsewhere.
    Incomplete,
    /// All of them are known.
    Complete {
        /// There is at least one, all are completed, none is manual and none was approved by a person.
        automatic: bool,
    },
}

/// What one remediation says.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemediationFacts<'a> {
    /// The status word.
    pub status: Option<&'a str>,
    /// The type word.
    pub kind: Option<&'a str>,
    /// Whether somebody approved it.
    pub approved: bool,
}

impl RemediationFacts<'_> {
    /// Completed, not manual and approved by nobody.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        let is = |word: Option<&str>, wanted| word.is_some_and(|word| normalized(word) == wanted);
        is(self.status, "completed") && !is(self.kind, "manual") && !self.approved
    }
}

/// The disjoint classes of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentState {
    /// Nobody has begun, or the word is not known.
    Open,
    /// Somebody works on it.
    InProgress,
    /// Done.
    Resolved,
    /// Evaluated to be none.
    Dismissed,
    /// Not yet, or no longer, an incident: in no count.
    LeftOut,
}

/// The class of a status word, and whether the word is known. No word counts as an unknown one.
///
/// ```
/// use evidence_domain::edr::incident::{IncidentState, classify};
/// assert_eq!(classify(Some("Auto-Remediating")), (IncidentState::InProgress, true));
/// assert_eq!(classify(Some("paused")), (IncidentState::Open, false));
/// ```
#[must_use]
pub fn classify(status: Option<&str>) -> (IncidentState, bool) {
    let state = match status.map(normalized).as_deref() {
        Some("open" | "sent") => IncidentState::Open,
        Some("in_progress" | "investigating" | "auto_remediating") => IncidentState::InProgress,
        Some("resolved" | "closed") => IncidentState::Resolved,
        Some("dismissed" | "partner_dismissed") => IncidentState::Dismissed,
        Some("deleting" | "draft") => IncidentState::LeftOut,
        _ => return (IncidentState::Open, false),
    };
    (state, true)
}

/// The severities of the vendor, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Critical.
    Critical,
    /// High.
    High,
    /// Low.
    Low,
    /// Any other word, or none.
    Unknown,
}

impl Severity {
    /// The severity as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Low => "low",
            Self::Unknown => "unknown",
        }
    }
}

/// The severity that a word names.
#[must_use]
pub fn severity(word: Option<&str>) -> Severity {
    match word.map(normalized).as_deref() {
        Some("critical") => Severity::Critical,
        Some("high") => Severity::High,
        Some("low") => Severity::Low,
        _ => Severity::Unknown,
    }
}

/// Which field a time was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeField {
    /// `detected_at`
    Detected,
    /// `sent_at`
    Sent,
    /// `created_at`
    Created,
    /// `resolved_at`
    Resolved,
    /// `closed_at`
    Closed,
}

/// A time and the field that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldTime {
    /// The time.
    pub time: DateTime<Utc>,
    /// Its field.
    pub field: TimeField,
}

/// The first of several fields that can be read, and how many before it could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The time and its field.
    pub time: Option<FieldTime>,
    /// Fields that hold something unreadable.
    pub unreadable: u64,
}

fn first(alternatives: impl IntoIterator<Item = (ParsedTimestamp, TimeField)>) -> Chosen {
    let mut unreadable = 0;
    for (moment, field) in alternatives {
        match moment {
            ParsedTimestamp::At(time) => {
                return Chosen { time: Some(FieldTime { time, field }), unreadable };
            }
            ParsedTimestamp::Unreadable => unreadable += 1,
            ParsedTimestamp::Absent => {}
        }
    }
    Chosen { time: None, unreadable }
}

/// The start: when it was detected, else sent, else created.
#[must_use]
pub fn start(detected: ParsedTimestamp, sent: RawTimestamp<'_>, created: ParsedTimestamp) -> Chosen {
    if let ParsedTimestamp::At(time) = detected {
        return Chosen { time: Some(FieldTime { time, field: TimeField::Detected }), unreadable: 0 };
    }
    first([(detected, TimeField::Detected), (sent.read(), TimeField::Sent), (created, TimeField::Created)])
}

/// The end: when it was resolved, else closed.
#[must_use]
pub fn end(resolved: RawTimestamp<'_>, closed: RawTimestamp<'_>) -> Chosen {
    match resolved.read() {
        ParsedTimestamp::At(time) => {
            Chosen { time: Some(FieldTime { time, field: TimeField::Resolved }), unreadable: 0 }
        }
        moment => first([(moment, TimeField::Resolved), (closed.read(), TimeField::Closed)]),
    }
}

/// What decided whether a resolved incident was resolved automatically.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoSource {
    /// The words of `resolution_source` or `resolved_by`.
    Words,
    /// The remediations.
    Remediations,
    /// The incident carries none of the three.
    Nothing,
}

/// Whether a resolved incident was resolved without manual work, by which field, and whether its remediations were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoVerdict {
    /// Resolved without manual work.
    pub automatic: bool,
    /// The field that decided.
    pub source: AutoSource,
    /// The remediations would have decided, but are cut off.
    pub incomplete: bool,
}

/// Classifies a resolved incident. Fields that name the resolver win over the remediations.
#[must_use]
pub fn auto_resolved(incident: &IncidentFacts<'_>) -> AutoVerdict {
    let said = [incident.resolution_source, incident.resolved_by];
    if said.iter().any(Option::is_some) {
        let automatic =
            said.into_iter().flatten().any(|said| matches!(said, TextField::Text(text) if names_a_machine(text)));
        return AutoVerdict { automatic, source: AutoSource::Words, incomplete: false };
    }
    match incident.remediations {
        None => AutoVerdict { automatic: false, source: AutoSource::Nothing, incomplete: false },
        Some(Remediations::Incomplete) => {
            AutoVerdict { automatic: false, source: AutoSource::Remediations, incomplete: true }
        }
        Some(Remediations::Complete { automatic }) => {
            AutoVerdict { automatic, source: AutoSource::Remediations, incomplete: false }
        }
    }
}

/// Whether a word begins with `auto`, or is `system`.
///
/// ```
/// use evidence_domain::edr::incident::names_a_machine;
/// assert!(names_a_machine("Huntress-Automation") && names_a_machine("the SYSTEM"));
/// assert!(!names_a_machine("J. Systemson") && !names_a_machine("semiautomatic"));
/// ```
#[must_use]
pub fn names_a_machine(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| {
        let word = word.to_lowercase();
        word.starts_with("auto") || word == "system"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_class() {
        let classes = [
            (IncidentState::Open, &["open", "sent", "SENT", " Open "][..]),
            (
                IncidentState::InProgress,
                &["in_progress", "In Progress", "in-progress", "investigating", "auto_remediating"],
            ),
            (IncidentState::Resolved, &["resolved", "closed", "Closed"]),
            (IncidentState::Dismissed, &["dismissed", "partner_dismissed", "Partner Dismissed"]),
            (IncidentState::LeftOut, &["deleting", "draft"]),
        ];
        for (state, words) in classes {
            for word in words {
                assert_eq!(classify(Some(word)), (state, true), "{word}");
            }
        }
        assert_eq!(classify(None), (IncidentState::Open, false));
        assert_eq!(classify(Some("medium")), (IncidentState::Open, false));
    }

    #[test]
    fn an_unreadable_time_gives_way_to_the_next_and_is_counted() {
        let chosen =
            start(ParsedTimestamp::Unreadable, RawTimestamp::Text("2026-01-01T00:00:00Z"), ParsedTimestamp::Absent);
        assert_eq!((chosen.time.map(|chosen| chosen.field), chosen.unreadable), (Some(TimeField::Sent), 1));
        let chosen = end(RawTimestamp::Text("x"), RawTimestamp::NotText);
        assert_eq!((chosen.time, chosen.unreadable), (None, 2));
    }

    #[test]
    fn who_resolved_it_wins_over_what_was_done() {
        let complete = Some(Remediations::Complete { automatic: true });
        let by_person = IncidentFacts {
            resolved_by: Some(TextField::Text("J. Smith")),
            remediations: complete,
            ..Default::default()
        };
        assert!(!auto_resolved(&by_person).automatic);
        let by_record = IncidentFacts { resolved_by: Some(TextField::Other), ..Default::default() };
        assert_eq!(auto_resolved(&by_record).source, AutoSource::Words);
        let by_work = IncidentFacts { remediations: complete, ..Default::default() };
        assert!(auto_resolved(&by_work).automatic);
        let either = IncidentFacts {
            resolution_source: Some(TextField::Text("analyst")),
            resolved_by: Some(TextField::Text("autopilot")),
            ..Default::default()
        };
        assert!(auto_resolved(&either).automatic);
    }

    #[test]
    fn a_remediation_is_automatic_only_when_nothing_speaks_against_it() {
        let done = RemediationFacts { status: Some("Completed"), kind: Some("containment"), approved: false };
        assert!(done.is_automatic());
        assert!(!RemediationFacts { kind: Some("Manual"), ..done }.is_automatic());
        assert!(!RemediationFacts { approved: true, ..done }.is_automatic());
        assert!(!RemediationFacts { status: Some("failed"), ..done }.is_automatic());
        assert!(!RemediationFacts { status: None, ..done }.is_automatic());
        assert!(RemediationFacts { kind: None, ..done }.is_automatic());
    }
}

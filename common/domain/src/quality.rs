//! What was odd about the source, counted.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The closed list of things worth telling an auditor about the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum QualityCode {
    /// Counted agents differ from what the organizations claim.
    AgentsCountMismatch,
    /// Agents that belong to no listed organization.
    AgentWithoutOrganization,
    /// A time that lies in the future of its reading.
    FutureTimestamp,
    /// A time that cannot be read.
    MalformedTimestamp,
    /// An end before its start.
    NegativeDuration,
    /// An agent status word nobody knows.
    UnknownAgentStatus,
    /// An incident status word nobody knows.
    UnknownIncidentStatus,
    /// A severity word nobody knows.
    UnknownSeverity,
    /// A record that was listed more than once.
    DuplicateRecord,
    /// A record without an id, dropped.
    RecordWithoutId,
    /// A list of remediations that was cut off.
    RemediationsIncomplete,
    /// Trained people who are no longer active.
    DepartedLearners,
    /// Enrolled people who are inactive.
    InactivePeople,
    /// Parent campaigns counted because there are no others.
    ParentCampaignsCounted,
    /// A list read only up to its cap.
    TruncatedList,
    /// Active learners counted from the list for want of the account's count.
    ActiveLearnersCountedFromList,
    /// A selected assignment that is no longer there.
    #[serde(rename = "picked_assignment_missing")]
    SelectedAssignmentMissing,
    /// An assignment status word nobody knows.
    UnknownAssignmentStatus,
    /// A learner status word nobody knows.
    UnknownLearnerStatus,
    /// A campaign status word nobody knows.
    UnknownCampaignStatus,
    /// A completed campaign that lacks its end or a count.
    CampaignIncomplete,
    /// Agents that share serial number and organization with another one.
    PossibleReinstall,
    /// A training account that belongs to an organization of another client.
    AccountOfAnotherClient,
}

impl QualityCode {
    /// What the count means and what was done about it.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::AgentsCountMismatch => "counted agents differ from the sum of the organizations' agents_count",
            Self::AgentWithoutOrganization => {
                "agents of no listed organization; counted for the company, for no client"
            }
            Self::FutureTimestamp => "timestamps more than 5 minutes after they were read",
            Self::MalformedTimestamp => "timestamps that could not be read; the value each would have given is unknown",
            Self::NegativeDuration => "durations that end before they start; left out of the means",
            Self::UnknownAgentStatus => "agents with a status word that is not known; counted as unknown",
            Self::UnknownIncidentStatus => "incidents with a status word that is not known; counted as open",
            Self::UnknownSeverity => "incidents with a severity that is not known; in no severity's count",
            Self::DuplicateRecord => "records listed more than once; the first was counted",
            Self::RecordWithoutId => "records without an id; dropped",
            Self::RemediationsIncomplete => {
                "resolved incidents whose remediations are cut off; not counted as auto-resolved"
            }
            Self::DepartedLearners => "trained learners who are inactive or no longer listed",
            Self::InactivePeople => "enrolled people whom the learner list calls inactive; left out",
            Self::ParentCampaignsCounted => "parent campaigns; counted because the account lists no others",
            Self::TruncatedList => "lists read only up to their cap",
            Self::ActiveLearnersCountedFromList => {
                "the account gives no count of active learners; active ones of the learner list were counted"
            }
            Self::SelectedAssignmentMissing => "selected assignments that the account no longer lists; left out",
            Self::UnknownAssignmentStatus => {
                "assignments with a status word that is not known; their completions were not read"
            }
            Self::UnknownLearnerStatus => {
                "learners with a status word that is not known; counted neither as active nor as departed"
            }
            Self::UnknownCampaignStatus => "campaigns with a status word that is not known; not counted",
            Self::PossibleReinstall => {
                "older agents that share serial number and organization with a newer one, as a reinstallation leaves behind; all were counted, as Huntress counts them"
            }
            Self::CampaignIncomplete => {
                "completed campaigns without a readable end or count; left out of the values that need it"
            }
            Self::AccountOfAnotherClient => {
                "the training account belongs to an organization that is mapped to another client; every outcome is inconclusive"
            }
        }
    }
}

/// One line of `metadata.data_quality`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityEntry {
    /// What was found.
    pub code: QualityCode,
    /// One sentence, with the unknown words where there are some.
    pub detail: String,
    /// How often.
    pub count: u64,
}

/// Counts of anomalies, which add up over parts of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    counts: BTreeMap<QualityCode, u64>,
    words: BTreeMap<QualityCode, BTreeSet<String>>,
}

/// Unknown words shown in a detail, at most. The first in the alphabet are kept, so that the order of pages does not matter.
const WORDS_SHOWN: usize = 5;

impl Quality {
    /// Counts one.
    pub fn note(&mut self, code: QualityCode) {
        self.note_many(code, 1);
    }

    /// Counts `count`; none is no anomaly.
    pub fn note_many(&mut self, code: QualityCode, count: u64) {
        if count > 0 {
            *self.counts.entry(code).or_default() += count;
        }
    }

    /// Counts one and keeps the word that was not known. Only short words of plain letters are kept: a field that holds anything else may hold
    /// a person's name.
    pub fn note_word(&mut self, code: QualityCode, word: &str) {
        self.note(code);
        let plain = !word.is_empty() && word.len() <= 24 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if plain {
            let words = self.words.entry(code).or_default();
            words.insert(word.to_owned());
            if words.len() > WORDS_SHOWN {
                words.pop_last();
            }
        }
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: &Self) {
        for (code, count) in &other.counts {
            self.note_many(*code, *count);
        }
        for (code, words) in &other.words {
            let mine = self.words.entry(*code).or_default();
            mine.extend(words.iter().cloned());
            while mine.len() > WORDS_SHOWN {
                mine.pop_last();
            }
        }
    }

    /// How often `code` was counted.
    #[must_use]
    pub fn count(&self, code: QualityCode) -> u64 {
        self.counts.get(&code).copied().unwrap_or(0)
    }

    /// The lines of `metadata.data_quality`, in the order of the codes; empty for a clean source.
    #[must_use]
    pub fn entries(&self) -> Vec<QualityEntry> {
        let line = |(code, count): (&QualityCode, &u64)| {
            let mut detail = code.detail().to_owned();
            if let Some(words) = self.words.get(code).filter(|words| !words.is_empty()) {
                let listed: Vec<&str> = words.iter().map(String::as_str).collect();
                detail = format!("{detail} ({})", listed.join(", "));
            }
            QualityEntry { code: *code, detail, count: *count }
        };
        self.counts.iter().map(line).collect()
    }
}

/// A word of a closed set in the one form that is compared: trimmed, lower case, `-` and blanks as `_`.
///
/// ```
/// use evidence_domain::quality::normalized;
/// assert_eq!(normalized(" In-Progress "), "in_progress");
/// assert_eq!(normalized("À\u{a0}Jour"), "à_jour");
/// ```
#[must_use]
pub fn normalized(word: &str) -> std::borrow::Cow<'_, str> {
    let word = word.trim();
    if word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return word.into();
    }
    let form = |c: char| if c == '-' || c.is_whitespace() { '_' } else { c };
    word.to_lowercase().chars().map(form).collect::<String>().into()
}

/// Whether the [`normalized`] form of a word is this one, without making it: every agent has two such words.
///
/// ```
/// use evidence_domain::quality::is_word;
/// assert!(is_word(" In-Progress ", "in_progress") && is_word("OK", "ok") && is_word("o\u{212a}", "ok"));
/// assert!(!is_word("in progress!", "in_progress") && !is_word("", "ok"));
/// ```
#[must_use]
pub fn is_word(word: &str, form: &str) -> bool {
    if !word.is_ascii() {
        return normalized(word) == form;
    }
    let letters = word.trim().bytes().map(|byte| match byte {
        b'-' | b' ' | b'\t'..=b'\r' => b'_',
        other => other.to_ascii_lowercase(),
    });
    letters.eq(form.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whatever_the_order_and_nothing_personal_is() {
        let words = ["zeta", "alpha", "jane doe", "jane@example.com", "eta", "beta", "gamma", "delta"];
        let (mut forward, mut backward) = (Quality::default(), Quality::default());
        words.iter().for_each(|word| forward.note_word(QualityCode::UnknownSeverity, word));
        words.iter().rev().for_each(|word| backward.note_word(QualityCode::UnknownSeverity, word));
        assert_eq!(forward, backward);
        let entries = forward.entries();
        assert_eq!(entries[0].count, 8);
        assert!(entries[0].detail.ends_with("(alpha, beta, delta, eta, gamma)"), "{}", entries[0].detail);
    }
}

//! From finished lists to the bundle that a run leaves.

use super::SatSettings;
use super::account::MeasuredAccount;
use super::activity::ActivityTally;
use super::assignment::AssignmentTally;
use super::coverage::{self, CoverageTally, WorkforceSource};
use super::facts::SatFacts;
use super::list::{Inconsistent, SatList, SatRecordsRead, TruncatedList};
use super::measures::{SatRules, measures};
use super::phishing::{self, PhishingTally};
use super::signal::{self, Signal, SignalContext, SignalKey};
use crate::completeness::{Dropped, ListCompleteness, OtherSource, PagesRead};
use crate::controls::{ControlMap, ControlOptions};
use crate::evidence::{Reason, SchemaVersion, Tenant};
use crate::guidance::SHARED_LIMIT_ADVICE;
use crate::id::{ClientId, RunId};
use crate::people::person::PeopleEvidence;
use crate::policy::{self, InForce, Verdict};
use crate::product::Product;
use crate::quality::{Quality, QualityCode, QualityEntry};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Everything that one collection of training evidence has read so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SatTally {
    settings: SatSettings,
    as_of: DateTime<Utc>,
    /// Accounts that the credential sees.
    pub accounts_read: u64,
    /// The pages of that list.
    pub accounts_pages: PagesRead,
    /// The list of assignments.
    pub assignments: AssignmentTally,
    /// Completions and learners.
    pub coverage: CoverageTally,
    /// The list of phishing campaigns.
    pub phishing: PhishingTally,
}

impl SatTally {
    /// An empty tally that evaluates at `as_of`.
    #[must_use]
    pub fn new(settings: SatSettings, as_of: DateTime<Utc>) -> Self {
        let caps = settings.caps();
        Self {
            settings,
            as_of,
            accounts_read: 0,
            accounts_pages: PagesRead::default(),
            assignments: AssignmentTally::new(caps.assignments),
            coverage: CoverageTally::new(as_of),
            phishing: PhishingTally::new(as_of, caps.campaigns),
        }
    }

    /// An empty list of the activity of one assignment, to be joined to `coverage` when it is read.
    #[must_use]
    pub fn activity(&self) -> ActivityTally {
        ActivityTally::new(self.coverage.window(), self.settings.caps().activity_per_assignment)
    }

    /// The instant of evaluation.
    #[must_use]
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// The settings of the rules.
    #[must_use]
    pub fn settings(&self) -> SatSettings {
        self.settings
    }

    /// Records read, up to the caps.
    #[must_use]
    pub fn records_read(&self) -> SatRecordsRead {
        SatRecordsRead {
            accounts: self.accounts_read,
            assignments: self.assignments.capped().read(),
            learner_activity: self.coverage.activity_read(),
            learners: self.coverage.learners_read(),
            phishing_campaigns: self.phishing.capped().read(),
        }
    }

    /// Checks that the lists, now complete, can be trusted as a whole.
    ///
    /// # Errors
    /// [`Inconsistent`] when they contradict themselves; then there is no evidence.
    pub fn check(&self) -> Result<(), Inconsistent> {
        self.assignments.check()?;
        self.coverage.check()?;
        self.phishing.check()
    }

    /// How completely each list was read.
    fn completeness(&self) -> Vec<ListCompleteness> {
        let read = self.records_read();
        let list = |list: SatList, pages: &PagesRead, records, dropped| {
            let listed = ListCompleteness::new(list.as_str(), pages, records, dropped);
            listed.beside(OtherSource::PageTotal, pages.announced(), records)
        };
        let learners =
            list(SatList::Learners, &self.coverage.learners_pages, read.learners, self.coverage.learners_dropped);
        let (claimed, active) = self.coverage.active_learners();
        vec![
            list(SatList::Accounts, &self.accounts_pages, read.accounts, Dropped::default()),
            list(
                SatList::Assignments,
                &self.assignments.pages,
                read.assignments,
                Dropped::of(&self.assignments.quality),
            )
            .cut(self.assignments.capped().is_cut()),
            list(
                SatList::LearnerActivity,
                &self.coverage.activity_pages,
                read.learner_activity,
                self.coverage.activity_dropped,
            )
            .cut(self.coverage.activity_cut().is_some()),
            learners.beside(OtherSource::AccountActiveLearners, claimed, active),
            list(
                SatList::PhishingCampaigns,
                &self.phishing.pages,
                read.phishing_campaigns,
                Dropped::of(&self.phishing.quality),
            )
            .cut(self.phishing.capped().is_cut()),
        ]
    }

    /// What both signals are computed from.
    #[must_use]
    pub fn facts(&self) -> SatFacts {
        SatFacts { learners: self.coverage.facts(&self.assignments), campaigns: self.phishing.facts() }
    }

    fn truncated_lists(&self) -> Vec<TruncatedList> {
        let whole = |list, capped: super::list::Capped| {
            capped.is_cut().then(|| TruncatedList { list, cap: capped.cap(), lists: 1 })
        };
        [
            whole(SatList::Assignments, self.assignments.capped()),
            self.coverage.activity_cut().cloned(),
            whole(SatList::PhishingCampaigns, self.phishing.capped()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What is known of a collection besides its records.
#[derive(Debug, Clone)]
pub struct SatCollection {
    /// When it started.
    pub collected_at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u64,
    /// Every HTTP request it made, those for tokens too.
    pub api_calls: u64,
    /// The run it belongs to, if it is stored.
    pub run: Option<RunId>,
    /// The account that was measured.
    pub account: MeasuredAccount,
    /// The fewest requests that the source said are left, if it said so.
    pub lowest_remaining: Option<u64>,
    /// The client that the account's organization belongs to, where a mapping of the company says so.
    pub mapped_to: Option<ClientId>,
}

impl SatCollection {
    /// Whether the account's organization is mapped to another client.
    fn belongs_to_another_than(&self, client: Option<&ClientId>) -> bool {
        match (&self.mapped_to, client) {
            (Some(owner), Some(client)) => owner != client,
            _ => false,
        }
    }
}

/// Below this many requests left in the vendor's window, the evidence carries a warning.
pub const WARN_BELOW_REMAINING: u64 = 100;

/// A warning that the vendor's request limit came near.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimitWarning {
    /// The fewest requests that were left.
    pub lowest_remaining: u64,
    /// What to do.
    pub advice: String,
}

impl RateLimitWarning {
    /// A warning when fewer than [`WARN_BELOW_REMAINING`] requests were left.
    ///
    /// ```
    /// use evidence_domain::sat::bundle::RateLimitWarning;
    /// assert!(RateLimitWarning::of(Some(99)).is_some());
    /// assert_eq!(RateLimitWarning::of(Some(100)), None);
    /// assert_eq!(RateLimitWarning::of(None), None);
    /// ```
    #[must_use]
    pub fn of(lowest_remaining: Option<u64>) -> Option<Self> {
        lowest_remaining
            .filter(|remaining| *remaining < WARN_BELOW_REMAINING)
            .map(|lowest_remaining| Self { lowest_remaining, advice: SHARED_LIMIT_ADVICE.to_owned() })
    }
}

/// How the signals came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SatMetadata {
    /// Every HTTP request of the collection, retries and tokens too.
    pub api_calls_made: u64,
    /// Wall time of the collection.
    pub collection_duration_ms: u64,
    /// Always `collectAll`: the lists are read to their end or their cap.
    pub collection_method: String,
    /// Whether a list was cut at its cap.
    pub truncated: bool,
    /// Which ones; empty when none was.
    pub truncated_lists: Vec<TruncatedList>,
    /// What was odd about the source; empty for a clean one.
    pub data_quality: Vec<QualityEntry>,
    /// The instant at which every window was evaluated.
    pub as_of: DateTime<Utc>,
    /// Which settings and sources the values were derived from.
    pub derivation: serde_json::Value,
    /// Records that the collection read.
    pub records_read: SatRecordsRead,
    /// How completely each list was read; absent before version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completeness: Vec<ListCompleteness>,
    /// The account that was measured.
    pub account: MeasuredAccount,
    /// Absent unless the vendor's request limit came near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_warning: Option<RateLimitWarning>,
    /// The version of the map that named the controls.
    pub control_map_version: String,
    /// The run that collected this; absent when nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
}

/// The training evidence of one client. Only aggregates: nothing in it tells who a learner is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SatBundle {
    /// `huntress-sat`.
    pub connector_type_id: String,
    /// When the collection started.
    pub collected_at: DateTime<Utc>,
    /// Whose evidence.
    pub tenant: Tenant,
    /// Both signals, always, in this order: coverage, phishing.
    pub signals: Vec<Signal>,
    /// The version of this form.
    #[serde(default, skip_serializing_if = "SchemaVersion::is_first")]
    pub schema_version: SchemaVersion,
    /// What the signals were computed from; since version 2. Learners never are findings, so there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<SatFacts>,
    /// What the policies in force said; since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Vec<Verdict>>,
    /// People whose training is followed, in counts; absent unless the connection opted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<PeopleEvidence>,
    /// How it came about.
    pub metadata: SatMetadata,
}

impl SatBundle {
    /// Adds what a run found out about people: their counts, and whom and what it left out.
    #[must_use]
    pub fn with_people(mut self, people: PeopleEvidence, quality: &Quality) -> Self {
        // The rest of what was odd is about lists that the signals count already.
        let codes = [QualityCode::InactivePeople, QualityCode::SelectedAssignmentMissing];
        let own = quality.entries().into_iter().filter(|entry| codes.contains(&entry.code));
        self.metadata.data_quality.extend(own);
        self.metadata.data_quality.sort_by_key(|entry| entry.code);
        self.metadata.truncated |= people.truncated;
        self.people = Some(people);
        self
    }

    /// The `connector_type_id` of training evidence.
    pub const CONNECTOR: &'static str = "huntress-sat";

    /// A signal by key.
    #[must_use]
    pub fn signal(&self, key: SignalKey) -> Option<&Signal> {
        self.signals.iter().find(|signal| signal.signal_key == key)
    }
}

/// The bundle of one collection whose lists are read and checked, with what the policies in force say of it.
#[must_use]
pub fn bundle_of(
    tally: &SatTally,
    collection: &SatCollection,
    tenant: Tenant,
    map: &ControlMap,
    in_force: &InForce,
) -> SatBundle {
    let options =
        ControlOptions { training_covers_privacy_policies: tally.settings.training_covers_privacy_policies() };
    let facts = tally.facts();
    let coverage = coverage::assess(&facts.learners, coverage::WINDOW_DAYS);
    let phishing = phishing::assess(&facts.campaigns, phishing::WINDOW_DAYS);
    let truncated_lists = tally.truncated_lists();
    let elsewhere = collection.belongs_to_another_than(tenant.client_id.as_ref());

    let mut quality = Quality::default();
    for part in [&tally.assignments.quality, &tally.coverage.quality, &tally.phishing.quality(&phishing)] {
        quality.add(part);
    }
    quality.note_many(QualityCode::DepartedLearners, coverage.departed);
    quality.note_many(QualityCode::TruncatedList, truncated_lists.iter().map(|cut| cut.lists).sum());
    quality.note_many(QualityCode::AccountOfAnotherClient, u64::from(elsewhere));
    if coverage.source == WorkforceSource::LearnerList {
        quality.note(QualityCode::ActiveLearnersCountedFromList);
    }
    let context =
        |window, truncated| SignalContext { window, truncated, account_of_another_client: elsewhere, map, options };
    let signals = vec![
        signal::of_coverage(&coverage, &context(tally.coverage.window(), facts.learners.cut)),
        signal::of_phishing(&phishing, tally.phishing.ends(), &context(tally.phishing.window(), facts.campaigns.cut)),
    ];
    let doubt = elsewhere.then_some(Reason::AccountOfAnotherClient);
    let measured = measures(&facts, SatRules::default());
    let verdicts = policy::evaluate(in_force, Product::Sat, &measured, doubt);
    let derivation = json!({
        "assignments_read_for_activity": tally.assignments.to_read().len(),
        "caps": tally.settings.caps(),
        "training_covers_privacy_policies": options.training_covers_privacy_policies,
    });
    SatBundle {
        connector_type_id: SatBundle::CONNECTOR.to_owned(),
        collected_at: collection.collected_at,
        tenant,
        signals,
        schema_version: SchemaVersion::CURRENT,
        verdicts: Some(verdicts),
        facts: Some(facts),
        people: None,
        metadata: SatMetadata {
            api_calls_made: collection.api_calls,
            collection_duration_ms: collection.duration_ms,
            collection_method: "collectAll".to_owned(),
            truncated: !truncated_lists.is_empty(),
            truncated_lists,
            data_quality: quality.entries(),
            as_of: tally.as_of,
            derivation,
            records_read: tally.records_read(),
            completeness: tally.completeness(),
            account: collection.account.clone(),
            rate_limit_warning: RateLimitWarning::of(collection.lowest_remaining),
            control_map_version: map.version().to_owned(),
            run_id: collection.run.clone(),
        },
    }
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;

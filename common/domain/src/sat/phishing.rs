//! How people met simulated phishing within a quarter.

use super::facts::{Campaign, Campaigns};
use super::list::{Capped, Inconsistent, SatList};
use super::status::Status;
use crate::completeness::PagesRead;
use crate::controls::Evidence;
use crate::evidence::Reason;
use crate::facts::ended::day_since;
use crate::id::RecordKey;
use crate::number::Ratio;
use crate::policy::{PercentLimits, training_limits};
use crate::quality::{Quality, QualityCode, normalized};
use crate::seen::SeenIds;
use crate::time::{ParsedTimestamp, RawTimestamp, Window, is_future};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Campaigns count for this many days after their end.
pub const WINDOW_DAYS: u32 = 90;

/// Up to which compromise rate, in percent, the signal passes and up to which it warns: the limits of the training preset.
#[must_use]
pub fn limits() -> PercentLimits {
    training_limits(Evidence::PhishingSimulation)
}

/// Whether a campaign is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignState {
    /// It is, and its counts are final.
    Completed,
    /// It is not, or was called off.
    NotCompleted,
    /// A word that is not known, or none.
    Unknown,
}

/// The state that a status word means.
#[must_use]
pub fn classify(status: Option<&str>) -> CampaignState {
    match normalized(status.unwrap_or_default()).as_ref() {
        "completed" => CampaignState::Completed,
        "draft" | "scheduled" | "building" | "in_progress" | "canceled" | "cancelled" => CampaignState::NotCompleted,
        _ => CampaignState::Unknown,
    }
}

/// What the source says of one campaign. A count that is absent or cannot be read is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CampaignFacts<'a> {
    /// Its id; a record without one is dropped.
    pub id: Option<RecordKey>,
    /// The status word.
    pub status: Option<&'a str>,
    /// Whether its counts repeat those of other campaigns.
    pub is_parent: bool,
    /// When it ended.
    pub campaign_ends_at: RawTimestamp<'a>,
    /// The same under another name.
    pub ends_at: RawTimestamp<'a>,
    /// When it was completed, for want of an end.
    pub completed_at: RawTimestamp<'a>,
    /// Messages sent.
    pub sent: Option<u64>,
    /// People who gave themselves away.
    pub compromised: Option<u64>,
    /// People who reported the message.
    pub reported: Option<u64>,
}

/// Which field gave a campaign's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndField {
    Campaign,
    Plain,
    Completion,
}

/// `100 × compromised − limit × sent` of some campaigns, from the best to the worst reading of what is unknown: at most 0 is a rate of at
/// most `limit` percent. Being linear it adds up, so that the bounds of a sum are exact.
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    low: i128,
    high: i128,
}

impl Excess {
    fn of(limit: u32, sent: u64, compromised: Option<u64>) -> Self {
        let excess = |compromised: u64| i128::from(compromised) * 100 - i128::from(limit) * i128::from(sent);
        Self { low: excess(compromised.unwrap_or(0)), high: excess(compromised.unwrap_or(sent)) }
    }

    /// Of a campaign that may not count at all.
    fn or_nothing(self) -> Self {
        Self { low: self.low.min(0), high: self.high.max(0) }
    }

    fn add(&mut self, other: Self) {
        self.low += other.low;
        self.high += other.high;
    }

    /// Whether the rate is at most the limit; `None` when that depends on what is unknown.
    fn within(self) -> Option<bool> {
        if self.high <= 0 {
            Some(true)
        } else if self.low > 0 {
            Some(false)
        } else {
            None
        }
    }
}

/// Campaigns of one kind: parents, or all others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Listed {
    listed: u64,
    completed: Vec<Campaign>,
    unknown_status: Vec<Campaign>,
    /// Ends of those that count in the window, by field.
    ends: [u64; 3],
    quality: Quality,
}

impl Listed {
    fn add(&mut self, facts: &CampaignFacts<'_>, window: Window, observed_at: DateTime<Utc>) {
        self.listed += 1;
        let state = classify(facts.status);
        match state {
            CampaignState::NotCompleted => return,
            CampaignState::Unknown => {
                let word = normalized(facts.status.unwrap_or_default());
                self.quality.note_word(QualityCode::UnknownCampaignStatus, &word);
            }
            CampaignState::Completed => {}
        }
        if facts.sent == Some(0) {
            return;
        }
        let end = self.end(facts);
        let day = end.map(|(end, _)| day_since(end, window.end));
        if let Some((end, _)) = end
            && end > window.end
        {
            if is_future(end, observed_at) {
                self.quality.note(QualityCode::FutureTimestamp);
            }
            return;
        }
        let CampaignFacts { sent, compromised, reported, .. } = *facts;
        let campaign = Campaign { days: day, sent, compromised, reported };
        if state == CampaignState::Unknown {
            self.unknown_status.push(campaign);
            return;
        }
        self.completed.push(campaign);
        if end.is_none_or(|(end, _)| window.contains(end)) {
            if end.is_none() || sent.is_none() || compromised.is_none() || reported.is_none() {
                self.quality.note(QualityCode::CampaignIncomplete);
            }
            if let (Some(_), Some(_), Some((_, field))) = (sent, compromised, end) {
                let [campaign_ends_at, ends_at, completed_at] = &mut self.ends;
                *match field {
                    EndField::Campaign => campaign_ends_at,
                    EndField::Plain => ends_at,
                    EndField::Completion => completed_at,
                } += 1;
            }
        }
    }

    /// The end, from the first field that can be read; unreadable ones before it are reported.
    fn end(&mut self, facts: &CampaignFacts<'_>) -> Option<(DateTime<Utc>, EndField)> {
        let fields = [
            (facts.campaign_ends_at, EndField::Campaign),
            (facts.ends_at, EndField::Plain),
            (facts.completed_at, EndField::Completion),
        ];
        for (timestamp, field) in fields {
            match timestamp.read() {
                ParsedTimestamp::At(end) => return Some((end, field)),
                ParsedTimestamp::Unreadable => self.quality.note(QualityCode::MalformedTimestamp),
                ParsedTimestamp::Absent => {}
            }
        }
        None
    }
}

/// The campaigns of a window.
#[derive(Debug, Clone, Default)]
pub struct InWindow {
    /// Campaigns that count for sure and say what they sent and whom they compromised.
    pub certain: Vec<Campaign>,
    /// Campaigns that count, or may, of which something is unknown; whether each counts for sure.
    pub open: Vec<(Campaign, bool)>,
}

impl InWindow {
    /// The campaigns that ended in the last `days`, or may have.
    #[must_use]
    pub fn of(facts: &Campaigns, days: u32) -> Self {
        let mut inside = Self::default();
        let known = facts.completed.iter().map(|campaign| (campaign, true));
        let unknown = facts.unknown_status.iter().map(|campaign| (campaign, false));
        for (campaign, completed) in known.chain(unknown).filter(|(campaign, _)| campaign.may_end_within(days)) {
            let for_sure = completed && campaign.days.is_some();
            if for_sure && campaign.sent.is_some() && campaign.compromised.is_some() {
                inside.certain.push(*campaign);
            } else {
                inside.open.push((*campaign, for_sure));
            }
        }
        inside
    }

    fn sum(&self, count: impl Fn(&Campaign) -> Option<u64>) -> u64 {
        self.certain.iter().filter_map(count).fold(0, u64::saturating_add)
    }

    fn excess(&self, limit: u32) -> Excess {
        let mut sum = Excess::default();
        for campaign in &self.certain {
            sum.add(Excess::of(limit, campaign.sent.unwrap_or(0), campaign.compromised));
        }
        for (campaign, for_sure) in &self.open {
            let excess = Excess::of(limit, campaign.sent.unwrap_or(0), campaign.compromised);
            sum.add(if *for_sure { excess } else { excess.or_nothing() });
        }
        sum
    }

    /// Whether some campaign that may count does not say how many messages it sent: nobody knows how far that goes.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.open.iter().any(|(campaign, _)| campaign.sent.is_none())
    }

    fn evaluate(&self) -> (Status, Option<Reason>) {
        if self.certain.is_empty() && self.open.is_empty() {
            return (Status::Warning, Some(Reason::NoRecentCampaigns));
        }
        let within = |limit| {
            let decidable = !self.certain.is_empty() && !self.is_unbounded();
            decidable.then(|| self.excess(limit).within()).flatten()
        };
        let PercentLimits { pass, warning } = limits();
        match (within(pass), within(warning)) {
            (Some(true), _) => (Status::Pass, None),
            (_, Some(false)) => (Status::Fail, None),
            (Some(false), Some(true)) => (Status::Warning, None),
            _ => (Status::Inconclusive, Some(Reason::UnknownValues)),
        }
    }
}

/// The simulations of the last `window_days`.
///
/// Counted are completed campaigns with messages sent that ended within the window; parents only where the account lists nothing else.
/// Campaigns that may count but lack their end, a count, or a known status word are in no sum. The status is given when every reading of
/// them agrees, and is else inconclusive; after a cut it always is.
///
/// ```
/// use evidence_domain::{id::RecordKey, sat::{phishing::*, status::Status}, time::{RawTimestamp, parse}};
/// let as_of = parse("2026-03-22T12:00:00Z").unwrap();
/// let mut tally = PhishingTally::new(as_of, 5_000);
/// let may = CampaignFacts {
///     id: RecordKey::from_text("pc77"),
///     status: Some("completed"),
///     campaign_ends_at: RawTimestamp::Text("2026-02-20T12:00:00Z"),
///     sent: Some(48), compromised: Some(2), reported: Some(11),
///     ..Default::default()
/// };
/// tally.add(&may, as_of);
/// let evaluated = assess(&tally.facts(), WINDOW_DAYS);
/// assert_eq!(evaluated.status, Status::Pass);
/// assert_eq!(evaluated.compromise_rate().as_deref(), Some("4.2"));
/// assert_eq!(evaluated.report_rate().as_deref(), Some("22.9"));
/// ```
#[must_use]
pub fn assess(facts: &Campaigns, window_days: u32) -> Phishing {
    let inside = InWindow::of(facts, window_days);
    let campaigns = inside.certain.len() as u64;
    let all_report = inside.certain.iter().all(|campaign| campaign.reported.is_some());
    let reported = all_report.then(|| inside.sum(|campaign| campaign.reported));
    let (status, reason) = if facts.cut { (Status::Inconclusive, Some(Reason::Truncated)) } else { inside.evaluate() };
    let unreported = reported.is_none().then_some(Reason::NotProvidedBySource);
    Phishing {
        status,
        reason: reason.or(unreported),
        sent: inside.sum(|campaign| campaign.sent),
        compromised: inside.sum(|campaign| campaign.compromised),
        reported,
        campaigns,
        parents_counted: if facts.parents { campaigns } else { 0 },
    }
}

/// Everything that one collection has read of campaigns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PhishingTally {
    window: Window,
    capped: Capped,
    seen: SeenIds,
    own: Listed,
    parents: Listed,
    pub(super) quality: Quality,
    /// The pages of the list.
    pub pages: PagesRead,
}

/// The evaluated simulations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phishing {
    /// The status.
    pub status: Status,
    /// Why it is not what the rate alone would give, or a value is missing.
    pub reason: Option<Reason>,
    /// Messages sent.
    pub sent: u64,
    /// People who gave themselves away.
    pub compromised: u64,
    /// People who reported the message; `None` when a campaign does not say.
    pub reported: Option<u64>,
    /// Campaigns that these sums are over.
    pub campaigns: u64,
    /// How many of them are parents, for want of others.
    pub parents_counted: u64,
}

impl Phishing {
    /// The compromise rate in percent, as it is shown.
    #[must_use]
    pub fn compromise_rate(&self) -> Option<String> {
        Ratio::percent(self.compromised, self.sent).map(|rate| rate.rounded(1).to_string())
    }

    /// The report rate in percent, as it is shown. It has no threshold.
    #[must_use]
    pub fn report_rate(&self) -> Option<String> {
        Ratio::percent(self.reported?, self.sent).map(|rate| rate.rounded(1).to_string())
    }
}

impl PhishingTally {
    /// An empty tally that evaluates at `as_of` and reads up to `cap` campaigns.
    #[must_use]
    pub fn new(as_of: DateTime<Utc>, cap: u64) -> Self {
        Self {
            window: Window::of_days(WINDOW_DAYS, as_of),
            capped: Capped::at(cap),
            seen: SeenIds::default(),
            own: Listed::default(),
            parents: Listed::default(),
            quality: Quality::default(),
            pages: PagesRead::default(),
        }
    }

    /// The window in which campaigns must have ended.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// Adds a campaign that was read at `observed_at`; of two with one id the first counts.
    pub fn add(&mut self, facts: &CampaignFacts<'_>, observed_at: DateTime<Utc>) {
        if !self.capped.admit() {
            return;
        }
        match facts.id {
            None => self.quality.note(QualityCode::RecordWithoutId),
            Some(id) if !self.seen.insert(id) => self.quality.note(QualityCode::DuplicateRecord),
            Some(_) if facts.is_parent => self.parents.add(facts, self.window, observed_at),
            Some(_) => self.own.add(facts, self.window, observed_at),
        }
    }

    /// How far the list was read.
    #[must_use]
    pub fn capped(&self) -> Capped {
        self.capped
    }

    /// Checks the list, now complete.
    ///
    /// # Errors
    /// [`Inconsistent`] for a list of nothing but records without ids.
    pub fn check(&self) -> Result<(), Inconsistent> {
        if self.capped.read() > 0 && self.seen.is_empty() {
            return Err(Inconsistent::NoIds { list: SatList::PhishingCampaigns, records: self.capped.read() });
        }
        Ok(())
    }

    /// The campaigns that count: parents only where the account lists nothing else.
    fn counted(&self) -> (&Listed, bool) {
        let only_parents = self.own.listed == 0 && self.parents.listed > 0;
        (if only_parents { &self.parents } else { &self.own }, only_parents)
    }

    /// What the simulations are computed from, once the list is read.
    #[must_use]
    pub fn facts(&self) -> Campaigns {
        let (listed, parents) = self.counted();
        let sorted = |campaigns: &[Campaign]| {
            let mut campaigns = campaigns.to_vec();
            campaigns.sort_unstable();
            campaigns
        };
        Campaigns {
            completed: sorted(&listed.completed),
            unknown_status: sorted(&listed.unknown_status),
            parents,
            cut: self.capped.is_cut(),
        }
    }

    /// How many of the campaigns that are counted took their end from `campaignEndsAt`, `endsAt` and `completedAt`.
    #[must_use]
    pub fn ends(&self) -> [u64; 3] {
        self.counted().0.ends
    }

    /// What was odd about the list, of which `evaluated` came.
    #[must_use]
    pub fn quality(&self, evaluated: &Phishing) -> Quality {
        let mut quality = self.quality.clone();
        quality.add(&self.counted().0.quality);
        quality.note_many(QualityCode::ParentCampaignsCounted, evaluated.parents_counted);
        quality
    }
}

#[cfg(test)]
#[path = "phishing_tests.rs"]
mod tests;

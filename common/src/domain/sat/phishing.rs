//! How people met simulated phishing within a quarter.

use super::list::{Capped, Inconsistent, SatList};
use super::status::Status;
use crate::domain::evidence::Reason;
use crate::domain::id::RecordKey;
use crate::domain::number::Ratio;
use crate::domain::quality::{Quality, QualityCode, normalized};
use crate::domain::seen::SeenIds;
use crate::domain::time::{ParsedTimestamp, RawTimestamp, Window, is_future};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Campaigns count for this many days after their end.
pub const WINDOW_DAYS: u32 = 90;

/// Up to this compromise rate, in percent, the signal passes.
pub const PASS_UP_TO: u32 = 5;

/// Up to this compromise rate, in percent, it warns; above, it fails.
pub const WARNING_UP_TO: u32 = 15;

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
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
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

/// The sums over campaigns of one kind: parents, or all others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sums {
    listed: u64,
    campaigns: u64,
    sent: u64,
    compromised: u64,
    reported: u64,
    without_reported: u64,
    open: u64,
    unbounded: bool,
    to_pass: Excess,
    to_warn: Excess,
    ends: [u64; 3],
    quality: Quality,
}

impl Sums {
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
        if let Some((end, _)) = end
            && !window.contains(end)
        {
            if is_future(end, observed_at) {
                self.quality.note(QualityCode::FutureTimestamp);
            }
            return;
        }
        let counts_for_sure = state == CampaignState::Completed && end.is_some();
        let lacks_count = facts.sent.is_none() || facts.compromised.is_none();
        if state == CampaignState::Completed && (end.is_none() || lacks_count || facts.reported.is_none()) {
            self.quality.note(QualityCode::CampaignIncomplete);
        }
        self.bound(facts, counts_for_sure);
        match (facts.sent, facts.compromised, end) {
            (Some(sent), Some(compromised), Some((_, field))) if counts_for_sure => {
                self.campaigns += 1;
                self.sent = self.sent.saturating_add(sent);
                self.compromised = self.compromised.saturating_add(compromised);
                self.reported = self.reported.saturating_add(facts.reported.unwrap_or(0));
                self.without_reported += u64::from(facts.reported.is_none());
                let [campaign_ends_at, ends_at, completed_at] = &mut self.ends;
                *match field {
                    EndField::Campaign => campaign_ends_at,
                    EndField::Plain => ends_at,
                    EndField::Completion => completed_at,
                } += 1;
            }
            _ => self.open += 1,
        }
    }

    /// The end, from the first field that can be read; unreadable ones before it are reported.
    fn end(&mut self, facts: &CampaignFacts<'_>) -> Option<(DateTime<Utc>, EndField)> {
        let fields = [
            (facts.campaign_ends_at, EndField::Campaign),
            (facts.ends_at, EndField::Plain),
            (facts.completed_at, EndField::Completion),
        ];
        for (stamp, field) in fields {
            match stamp.read() {
                ParsedTimestamp::At(end) => return Some((end, field)),
                ParsedTimestamp::Unreadable => self.quality.note(QualityCode::MalformedTimestamp),
                ParsedTimestamp::Absent => {}
            }
        }
        None
    }

    fn bound(&mut self, facts: &CampaignFacts<'_>, counts_for_sure: bool) {
        let Some(sent) = facts.sent else {
            self.unbounded = true;
            return;
        };
        for (sum, limit) in [(&mut self.to_pass, PASS_UP_TO), (&mut self.to_warn, WARNING_UP_TO)] {
            let excess = Excess::of(limit, sent, facts.compromised);
            sum.add(if counts_for_sure { excess } else { excess.or_nothing() });
        }
    }

    fn evaluate(&self) -> (Status, Option<Reason>) {
        if self.campaigns == 0 && self.open == 0 {
            return (Status::Warning, Some(Reason::NoRecentCampaigns));
        }
        let within = |excess: Excess| {
            let decidable = self.campaigns > 0 && !self.unbounded;
            decidable.then(|| excess.within()).flatten()
        };
        match (within(self.to_pass), within(self.to_warn)) {
            (Some(true), _) => (Status::Pass, None),
            (_, Some(false)) => (Status::Fail, None),
            (Some(false), Some(true)) => (Status::Warning, None),
            _ => (Status::Inconclusive, Some(Reason::UnknownValues)),
        }
    }
}

/// Everything that one collection has read of campaigns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PhishingTally {
    window: Window,
    capped: Capped,
    seen: SeenIds,
    own: Sums,
    parents: Sums,
    quality: Quality,
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
    /// How many took their end from `campaignEndsAt`, `endsAt` and `completedAt`.
    pub ends: [u64; 3],
    /// What was odd.
    pub quality: Quality,
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
            own: Sums::default(),
            parents: Sums::default(),
            quality: Quality::default(),
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

    /// The simulations, once the list is read.
    ///
    /// Counted are completed campaigns with messages sent that ended within the window; parents only where the account lists nothing else.
    /// Campaigns that may count but lack their end, a count, or a known status word are in no sum. The status is given when every reading of
    /// them agrees, and is else inconclusive; after a cut it always is.
    ///
    /// ```
    /// use common::domain::{id::RecordKey, sat::{phishing::*, status::Status}, time::{RawTimestamp, parse}};
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
    /// let evaluated = tally.assess();
    /// assert_eq!(evaluated.status, Status::Pass);
    /// assert_eq!(evaluated.compromise_rate().as_deref(), Some("4.2"));
    /// assert_eq!(evaluated.report_rate().as_deref(), Some("22.9"));
    /// ```
    #[must_use]
    pub fn assess(&self) -> Phishing {
        let only_parents = self.own.listed == 0 && self.parents.listed > 0;
        let sums = if only_parents { &self.parents } else { &self.own };
        let parents_counted = if only_parents { sums.campaigns } else { 0 };
        let reported = (sums.without_reported == 0).then_some(sums.reported);
        let (status, reason) =
            if self.capped.is_cut() { (Status::Inconclusive, Some(Reason::Truncated)) } else { sums.evaluate() };
        let unreported = reported.is_none().then_some(Reason::NotProvidedBySource);
        let mut quality = self.quality.clone();
        quality.add(&sums.quality);
        quality.note_many(QualityCode::ParentCampaignsCounted, parents_counted);
        Phishing {
            status,
            reason: reason.or(unreported),
            sent: sums.sent,
            compromised: sums.compromised,
            reported,
            campaigns: sums.campaigns,
            parents_counted,
            ends: sums.ends,
            quality,
        }
    }
}

#[cfg(test)]
#[path = "phishing_tests.rs"]
mod tests;

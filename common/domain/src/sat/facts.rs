//! What every number of training evidence is computed from.

use super::coverage::WINDOW_DAYS;
use crate::facts::Histogram;
use serde::{Deserialize, Serialize};

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// With fewer learners than this, an age in days could tell who somebody is.
pub const FEWEST_LEARNERS: u64 = 5;

/// The width of an age then.
const BUCKET_DAYS: u32 = 30;

/// Listed learners of one kind, by the age of their newest completion not after the evaluation.
///
/// Ages are [days](crate::facts::ended::day_since).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// How many there are, with a completion or without.
    pub total: u64,
    /// Those with a completion, all of whose completions have a time that can be read.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub days: Histogram,
    /// Those with a completion whose time cannot be read; 0 where they have no other.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub days_unsure: Histogram,
}

impl Heads {
    /// Those with a completion up to `days` × 24 hours before the evaluation.
    #[must_use]
    pub fn trained(&self, days: u32) -> u64 {
        within(&self.days, days) + within(&self.days_unsure, days)
    }

    /// Those, and others who may have one.
    #[must_use]
    pub fn reachable(&self, days: u32) -> u64 {
        within(&self.days, days) + self.days_unsure.total()
    }

    fn coarsened(self) -> Self {
        Self { total: self.total, days: coarse(&self.days), days_unsure: coarse(&self.days_unsure) }
    }
}

fn within(histogram: &Histogram, days: u32) -> u64 {
    histogram.between(1, days.saturating_add(1))
}

/// Ages in buckets of 30 days, one of which ends at the window of the signal, so that its own numbers stay exact.
fn coarse(days: &Histogram) -> Histogram {
    let mut buckets = Histogram::default();
    for (code, count) in days.iter() {
        // The code is the age and 1; 0 is no age.
        let bucket = code.checked_sub(1).map_or(0, |age| {
            let first = WINDOW_DAYS % BUCKET_DAYS;
            first + age.saturating_sub(first).div_ceil(BUCKET_DAYS) * BUCKET_DAYS + 1
        });
        buckets.add_many(bucket, count);
    }
    buckets
}

/// Learners and their completions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learners {
    /// The account's own count of active learners, where it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<u64>,
    /// Active ones.
    pub active: Heads,
    /// Those with a status word that is not known.
    #[serde(default, skip_serializing_if = "no_heads")]
    pub unknown_status: Heads,
    /// The newest completion of those who are inactive or not listed.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub departed_days: Histogram,
    /// Assignments of which nobody can say whether they hold completions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_assignments: u64,
    /// Whether assignments or activity were cut at a cap.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
    /// Whether ages are in buckets of 30 days, since there are fewer than [`FEWEST_LEARNERS`] learners. What is computed under another window than
    /// the signal's is then coarse.
    #[serde(default, skip_serializing_if = "is_false")]
    pub coarse: bool,
}

fn no_heads(heads: &Heads) -> bool {
    heads.total == 0
}

impl Learners {
    /// The same with ages as coarse as so few learners need.
    #[must_use]
    pub(super) fn guarded(self) -> Self {
        let people = self.active.total + self.unknown_status.total + self.departed_days.total();
        if people >= FEWEST_LEARNERS {
            return self;
        }
        Self {
            active: self.active.coarsened(),
            unknown_status: self.unknown_status.coarsened(),
            departed_days: coarse(&self.departed_days),
            coarse: true,
            ..self
        }
    }

    /// Departed ones with a completion up to `days` × 24 hours before the evaluation.
    #[must_use]
    pub fn departed(&self, days: u32) -> u64 {
        within(&self.departed_days, days)
    }

    /// Different learners with a completion up to `days` × 24 hours before the evaluation.
    #[must_use]
    pub fn trained(&self, days: u32) -> u64 {
        self.active.trained(days) + self.unknown_status.trained(days) + self.departed(days)
    }
}

/// One campaign as numbers: `[days since its end, sent, compromised, reported]`, null where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "CampaignRow", into = "CampaignRow")]
pub struct Campaign {
    /// [Days](crate::facts::ended::day_since) since its end.
    pub days: Option<u32>,
    /// Messages sent; not 0.
    pub sent: Option<u64>,
    /// People who gave themselves away.
    pub compromised: Option<u64>,
    /// People who reported the message.
    pub reported: Option<u64>,
}

type CampaignRow = (Option<u32>, Option<u64>, Option<u64>, Option<u64>);

impl From<CampaignRow> for Campaign {
    fn from((days, sent, compromised, reported): CampaignRow) -> Self {
        Self { days, sent, compromised, reported }
    }
}

impl From<Campaign> for CampaignRow {
    fn from(campaign: Campaign) -> Self {
        (campaign.days, campaign.sent, campaign.compromised, campaign.reported)
    }
}

impl Campaign {
    /// Whether it ended up to `days` × 24 hours before the evaluation; without an end it may have.
    #[must_use]
    pub fn may_end_within(&self, days: u32) -> bool {
        self.days.is_none_or(|code| (1..=days.saturating_add(1)).contains(&code))
    }
}

/// Phishing campaigns that count, of all that ended before the evaluation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaigns {
    /// Completed ones with messages sent, in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completed: Vec<Campaign>,
    /// Those with a status word that is not known, in ascending order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_status: Vec<Campaign>,
    /// Whether these are parents, since the account lists no others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub parents: bool,
    /// Whether the list was cut at its cap.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

/// What both signals of one bundle are computed from: counts by age, and nobody's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SatFacts {
    /// Of the coverage.
    pub learners: Learners,
    /// Of phishing simulations.
    pub campaigns: Campaigns,
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;

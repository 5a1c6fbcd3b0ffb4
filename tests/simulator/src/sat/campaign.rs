use serde::Serialize;
use serde_json::{Value, json};

use super::generated::SatGenerated;
use super::opaque::OpaqueIds;
use crate::generated::{DAY, Draw, MINUTE, OffsetTimestamp, Stream};

#[derive(Serialize)]
pub(crate) struct Campaign {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) attributes: CampaignAttributes,
    pub(crate) relationships: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CampaignAttributes {
    pub(crate) title: String,
    pub(crate) status: &'static str,
    pub(crate) is_parent: bool,
    pub(crate) first_sent_at: Option<OffsetTimestamp>,
    pub(crate) launched_at: Option<OffsetTimestamp>,
    pub(crate) campaign_starts_at: Option<OffsetTimestamp>,
    pub(crate) campaign_ends_at: Option<OffsetTimestamp>,
    pub(crate) created_at: OffsetTimestamp,
    pub(crate) attempt_stats: Option<AttemptStats>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptStats {
    pub(crate) total_recipients: u64,
    pub(crate) sent: u64,
    pub(crate) unique_clicks: u64,
    pub(crate) total_clicks: u64,
    pub(crate) reported: u64,
    pub(crate) compromised: u64,
}

impl AttemptStats {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            total_recipients: self.total_recipients + other.total_recipients,
            sent: self.sent + other.sent,
            unique_clicks: self.unique_clicks + other.unique_clicks,
            total_clicks: self.total_clicks + other.total_clicks,
            reported: self.reported + other.reported,
            compromised: self.compromised + other.compromised,
        }
    }
}

/// A cycle of ten: a parent and its two children, and one or more in each status.
const CYCLE: [&str; 10] = [
    "completed",
    "completed",
    "completed",
    "in-progress",
    "completed",
    "draft",
    "scheduled",
    "building",
    "canceled",
    "completed",
];
const CHILDREN: u64 = 2;
const BAITS: [&str; 8] = [
    "Parcel notice",
    "Shared document",
    "Payroll change",
    "Voice message",
    "Password expiry",
    "Invoice overdue",
    "Calendar invitation",
    "Benefits enrollment",
];

impl SatGenerated {
    pub(crate) fn campaign(&self, index: u64) -> Campaign {
        let id = |index| OpaqueIds::CAMPAIGN.id(self.spec.seed, index);
        let place = index % CYCLE.len() as u64;
        let status = usize::try_from(place).ok().and_then(|at| CYCLE.get(at)).copied().unwrap_or("completed");
        let children = self.children_of(index);
        let is_parent = !children.is_empty();
        let (starts_at, mut ends_at) = self.campaign_times(index, status);
        let mut stats = self.attempt_stats(index, status);
        if is_parent {
            ends_at = children.clone().map(|it| self.campaign_times(it, "completed").1).max().unwrap_or(ends_at);
            let of_children = children.filter_map(|it| self.attempt_stats(it, "completed"));
            stats = Some(of_children.fold(AttemptStats::default(), AttemptStats::plus));
        }
        let is_sent = matches!(status, "completed" | "in-progress");
        let sent_at = |later: i64| is_sent.then_some(OffsetTimestamp::utc(starts_at + later));
        let is_planned = status != "draft";
        let parent = (1..=CHILDREN)
            .contains(&place)
            .then(|| json!({"data": {"type": "phishing-campaigns", "id": id(index - place)}}));
        let bait = Draw::new(self.spec.seed, Stream::Campaign, index).pick(&BAITS);
        Campaign {
            kind: "phishing-campaigns",
            id: id(index),
            attributes: CampaignAttributes {
                title: format!("{bait} {}", index + 1),
                status,
                is_parent,
                first_sent_at: sent_at(60 * MINUTE),
                launched_at: sent_at(0),
                campaign_starts_at: is_planned.then_some(OffsetTimestamp::utc(starts_at)),
                campaign_ends_at: is_planned.then_some(OffsetTimestamp::utc(ends_at)),
                created_at: OffsetTimestamp::utc(starts_at.min(self.as_of) - 5 * DAY),
                attempt_stats: stats,
            },
            relationships: json!({"parent": parent, "departments": []}),
        }
    }

    /// The first of each cycle is the parent of the next two, as far as they exist.
    fn children_of(&self, index: u64) -> std::ops::Range<u64> {
        if index.is_multiple_of(CYCLE.len() as u64) {
            index + 1..(index + 1 + CHILDREN).min(self.spec.campaigns)
        } else {
            0..0
        }
    }

    /// Evenly over two years, the newest last; two weeks each.
    fn campaign_times(&self, index: u64, status: &str) -> (i64, i64) {
        let later = self.evenly(index, self.spec.campaigns, 700 * DAY);
        let starts_at = match status {
            "in-progress" => self.as_of - 6 * DAY,
            "scheduled" | "building" => self.as_of + 9 * DAY,
            _ => self.as_of - 716 * DAY + later,
        };
        (starts_at, starts_at + 14 * DAY)
    }

    /// What was never sent has no counts, or zeros.
    fn attempt_stats(&self, index: u64, status: &str) -> Option<AttemptStats> {
        let mut draw = Draw::new(self.spec.seed, Stream::Campaign, index);
        let _title = draw.next();
        match status {
            "completed" | "in-progress" => {}
            _ => return draw.chance(500).then(AttemptStats::default),
        }
        let total_recipients = self.spec.learners.min(20 + draw.below(480));
        if draw.chance(30) {
            return Some(AttemptStats { total_recipients, ..AttemptStats::default() });
        }
        let sent = total_recipients - draw.below(total_recipients / 20 + 1);
        let unique_clicks = draw.below(sent / 6 + 1);
        Some(AttemptStats {
            total_recipients,
            sent,
            unique_clicks,
            total_clicks: unique_clicks + draw.below(unique_clicks / 2 + 1),
            reported: sent / 10 + draw.below(sent / 4 + 1),
            compromised: draw.below(unique_clicks / 2 + 1),
        })
    }
}

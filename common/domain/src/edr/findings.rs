//! Which records pull a number down: the worst of each kind, by the vendor's ids alone.

use super::EdrSettings;
use super::incident::Severity;
use crate::id::RecordKey;
use crate::text;
use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Findings of one kind in one bundle, at most.
pub const LISTED: usize = 100;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// An agent that is missing.
    AgentMissing,
    /// An agent whose state cannot be said.
    AgentUnknown,
    /// An agent that its firewall isolates.
    AgentIsolated,
    /// An agent without the EDR component, where the source says which have it.
    AgentWithoutEdr,
    /// An agent whose Defender reports that it is not healthy.
    AgentDefenderUnhealthy,
    /// An organization without a counted agent.
    OrganizationWithoutAgents,
    /// An incident that is open or in progress.
    IncidentOpen,
}

impl FindingKind {
    /// All of them, in the order of a bundle.
    pub const ALL: [Self; 7] = [
        Self::AgentMissing,
        Self::AgentUnknown,
        Self::AgentIsolated,
        Self::AgentWithoutEdr,
        Self::AgentDefenderUnhealthy,
        Self::OrganizationWithoutAgents,
        Self::IncidentOpen,
    ];

    /// The kind as it is written in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentMissing => "agent_missing",
            Self::AgentUnknown => "agent_unknown",
            Self::AgentIsolated => "agent_isolated",
            Self::AgentWithoutEdr => "agent_without_edr",
            Self::AgentDefenderUnhealthy => "agent_defender_unhealthy",
            Self::OrganizationWithoutAgents => "organization_without_agents",
            Self::IncidentOpen => "incident_open",
        }
    }
}

/// One record that pulls a number down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The vendor's id of the agent, the organization or the incident report.
    pub id: String,
    /// The organization it belongs to; null where the account lists no such organization.
    pub organization_id: Option<String>,
    /// The severity of an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The last call of an agent, the start of an incident; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

/// The findings of one bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// How many there are of each kind, listed or not. A kind that the source says nothing of is left out.
    pub total: BTreeMap<FindingKind, u64>,
    /// The worst [`LISTED`] of each kind: by kind, then oldest first, those without `since` last.
    pub items: Vec<Finding>,
}

/// The id of a vendor record as it is kept for showing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum VendorId {
    Number(u64),
    Text(Box<str>),
}

impl VendorId {
    /// The id behind a key; `written` is what the source wrote, if it wrote a text.
    pub fn of(key: RecordKey, written: Option<&str>) -> Self {
        match key {
            RecordKey::Number(number) => Self::Number(number),
            RecordKey::Text(_) => Self::Text(written.and_then(text::name).unwrap_or_default().into()),
        }
    }
}

impl From<VendorId> for String {
    fn from(id: VendorId) -> Self {
        match id {
            VendorId::Number(number) => number.to_string(),
            VendorId::Text(text) => text.into(),
        }
    }
}

/// A record that may be a finding, once it is known whose it is. Ordered from the worst: by kind, age and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub kind: FindingKind,
    /// Unix seconds; the last of all where it is not known.
    since: i64,
    pub id: VendorId,
    pub severity: Option<Severity>,
    /// ⌈Hours since the last call⌉, where that alone makes it a finding.
    hours: Option<NonZeroU32>,
}

impl Candidate {
    pub fn new(kind: FindingKind, id: VendorId, since: Option<DateTime<Utc>>) -> Self {
        let since = since.map_or(i64::MAX, |since| since.trunc_subsecs(0).timestamp());
        Self { kind, since, id, severity: None, hours: None }
    }

    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity: Some(severity), ..self }
    }

    /// A finding only under limits that this age, which is not 0, exceeds.
    pub fn if_older_than_limit(self, hours: u32) -> Self {
        Self { hours: NonZeroU32::new(hours), ..self }
    }

    fn counts_under(&self, limits: EdrSettings) -> bool {
        self.hours.is_none_or(|hours| hours.get() > limits.missing_after_hours())
    }

    pub fn finding(&self, organization_id: Option<&str>) -> Finding {
        let since = (self.since < i64::MAX).then(|| DateTime::from_timestamp(self.since, 0)).flatten();
        Finding {
            kind: self.kind,
            id: self.id.clone().into(),
            organization_id: organization_id.map(str::to_owned),
            severity: self.severity,
            since,
        }
    }
}

/// The worst candidates of one organization, [`LISTED`] of each kind at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    /// Keeps a candidate if it is among the worst of its kind.
    pub fn add(&mut self, candidate: Candidate) {
        let end = self.0.partition_point(|kept| kept.kind <= candidate.kind);
        let begin = self.0.partition_point(|kept| kept.kind < candidate.kind);
        let place = self.0.partition_point(|kept| *kept <= candidate);
        if end - begin >= LISTED {
            if place == end {
                return;
            }
            self.0.remove(end - 1);
        } else if self.0.len() == self.0.capacity() {
            // In small steps: there is one of these for every organization.
            self.0.reserve_exact(2 + self.0.len() / 4);
        }
        self.0.insert(place, candidate);
    }

    /// Those that are findings under these limits, the worst first.
    pub fn under(&self, limits: EdrSettings) -> impl Iterator<Item = &Candidate> {
        self.0.iter().filter(move |candidate| candidate.counts_under(limits))
    }

    pub fn append(&mut self, other: &Self) {
        other.0.iter().for_each(|candidate| self.add(candidate.clone()));
    }
}

/// The worst [`LISTED`] of each kind, of all candidates of a bundle, each with its organization.
pub(super) fn worst<'a>(mut candidates: Vec<(&'a Candidate, Option<&'a str>)>) -> Vec<Finding> {
    candidates.sort_unstable();
    let by_kind = candidates.chunk_by(|a, b| a.0.kind == b.0.kind);
    by_kind.flat_map(|kind| kind.iter().take(LISTED)).map(|(candidate, of)| candidate.finding(*of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;
    use proptest::prelude::*;

    fn candidate(kind: FindingKind, id: u64, since: Option<i64>) -> Candidate {
        Candidate::new(kind, VendorId::Number(id), since.and_then(|since| DateTime::from_timestamp(since, 0)))
    }

    #[test]
    fn an_id_is_shown_as_the_source_writes_it() {
        let id = |text: &str| String::from(VendorId::of(RecordKey::from_text(text).unwrap(), Some(text)));
        assert_eq!(id("12"), "12");
        assert_eq!(id(" 0012 "), "0012");
        assert_eq!(id("a\u{1b}[2Jb"), "a[2Jb");
        assert_eq!(id(&"x".repeat(500)).len(), text::NAME_LENGTH);
    }

    #[test]
    fn what_is_not_known_comes_last_and_the_limit_decides() {
        let old = candidate(FindingKind::AgentMissing, 1, Some(1_000)).if_older_than_limit(600);
        let older = candidate(FindingKind::AgentMissing, 2, Some(900)).if_older_than_limit(900);
        let never = candidate(FindingKind::AgentMissing, 3, None);
        let mut kept = Candidates::default();
        [&never, &old, &older].into_iter().for_each(|candidate| kept.add(candidate.clone()));
        let under = |days| {
            let limits = EdrSettings::new(24, days).unwrap();
            let found = kept.under(limits).map(|candidate| (candidate, None)).collect();
            worst(found).into_iter().map(|finding| finding.id).collect::<Vec<_>>()
        };
        assert_eq!(under(21), ["2", "1", "3"]);
        assert_eq!(under(25), ["2", "3"]); // 600 hours are 25 days to the second
        assert_eq!(under(90), ["3"]);
        let since = older.finding(Some("o")).since.unwrap();
        assert_eq!(since, parse("1970-01-01T00:15:00Z").unwrap());
        assert_eq!(never.finding(None).since, None);
    }

    proptest! {
        #[test]
        fn the_worst_of_each_kind_are_kept_in_any_order(
            records in proptest::collection::btree_map((prop_oneof![Just(FindingKind::AgentMissing), Just(FindingKind::IncidentOpen)], 0_u64..900), proptest::option::of(0_i64..50), 0..500),
            rotate in 0_usize..500,
        ) {
            let mut all: Vec<Candidate> = records.iter().map(|((kind, id), since)| candidate(*kind, *id, *since)).collect();
            let middle = rotate.min(all.len());
            all.rotate_left(middle);
            let (mut first, mut second) = (Candidates::default(), Candidates::default());
            all.iter().enumerate().for_each(|(n, it)| if n % 3 == 0 { first.add(it.clone()) } else { second.add(it.clone()) });
            first.append(&second);
            let limits = EdrSettings::default();
            let expected = worst(all.iter().map(|it| (it, Some("o"))).collect());
            prop_assert_eq!(worst(first.under(limits).map(|it| (it, Some("o"))).collect()), expected.clone());
            prop_assert!(expected.len() <= 2 * LISTED);
        }
    }
}

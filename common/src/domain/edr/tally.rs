//! The accumulator of one collection: records go in one by one, counts per organization remain.

use super::agent::{self, AgentFacts, AgentOddity, AgentState, Presence, StateSource};
use super::incident::{self, AutoSource, IncidentFacts, IncidentState, Severity, TimeField};
use super::{CLOCK_TOLERANCE, EdrSettings};
use crate::domain::evidence::RecordsRead;
use crate::domain::id::RecordKey;
use crate::domain::number::tenths_of_an_hour;
use crate::domain::quality::{Quality, QualityCode, normalized};
use crate::domain::seen::SeenIds;
use crate::domain::text;
use crate::domain::time::{ParsedTimestamp, nanos_between};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// What the source says of one organization.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFacts<'a> {
    /// Its id as the source writes it; a record without one is dropped.
    pub id: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// How many agents the source says it has.
    pub agents_count: Option<u64>,
}

/// A listed organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    /// The vendor's id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// How many agents the source says it has.
    pub agents_count: Option<u64>,
}

/// Durations: their exact sum, and how many fall into each tenth of an hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Their sum in nanoseconds.
    pub total_nanos: i128,
    /// Tenths of an hour, rounded, to how many.
    pub tenths: BTreeMap<i128, u64>,
}

impl Durations {
    fn push(&mut self, nanos: i128) {
        self.count += 1;
        self.total_nanos += nanos;
        *self.tenths.entry(tenths_of_an_hour(nanos)).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.total_nanos += other.total_nanos;
        for (tenths, count) in &other.tenths {
            *self.tenths.entry(*tenths).or_default() += count;
        }
    }

    /// The ⌈`percent`·n/100⌉-th smallest, in tenths of an hour; `None` without durations.
    #[must_use]
    pub fn nearest_rank(&self, percent: u64) -> Option<i128> {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
        let mut passed = 0_u128;
        self.tenths.iter().find_map(|(tenths, count)| {
            passed += u128::from(*count);
            (passed >= rank).then_some(*tenths)
        })
    }
}

/// The counts of one organization, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Agents online.
    pub online: u64,
    /// Agents offline.
    pub offline: u64,
    /// Agents missing.
    pub missing: u64,
    /// Agents of unknown state.
    pub unknown: u64,
    /// States taken from the status word.
    pub by_status: u64,
    /// States derived from the last call.
    pub by_last_callback: u64,
    /// States derived from the installation.
    pub by_created: u64,
    /// Agents whose record carries the EDR version, null or not.
    pub edr_known: u64,
    /// Agents with an EDR version.
    pub edr_installed: u64,
    /// Agents with a Defender status.
    pub defender_known: u64,
    /// Agents whose Defender is healthy.
    pub defender_healthy: u64,
    /// Agents with a firewall status.
    pub firewall_known: u64,
    /// Agents whose firewall is not disabled.
    pub firewall_enabled: u64,
    /// Agents isolated by their firewall.
    pub isolated: u64,
    /// Agents that report tamper protection.
    pub tamper_known: u64,
    /// Agents with tamper protection on.
    pub tamper_on: u64,
    /// Incidents open, unknown words among them.
    pub open: u64,
    /// Incidents in progress.
    pub in_progress: u64,
    /// Incidents resolved.
    pub resolved: u64,
    /// Incidents dismissed.
    pub dismissed: u64,
    /// Critical incidents.
    pub critical: u64,
    /// High incidents.
    pub high: u64,
    /// Low incidents.
    pub low: u64,
    /// Incidents whose status word is not known.
    pub incidents_unknown: u64,
    /// Creation to detection.
    pub detect: Durations,
    /// Resolved incidents that carry both times of that.
    pub detect_given: u64,
    /// Start to end.
    pub resolve: Durations,
    /// Starts by field: detected, sent, created.
    pub starts: [u64; 3],
    /// Ends by field: resolved, closed.
    pub ends: [u64; 2],
    /// The earliest start of an incident that is not over.
    pub oldest_open: Option<DateTime<Utc>>,
    /// Incidents resolved without manual work.
    pub auto_resolved: u64,
    /// Resolved incidents evaluated by the words of their resolver.
    pub auto_by_words: u64,
    /// Resolved incidents evaluated by their remediations.
    pub auto_by_remediations: u64,
    /// What was odd.
    pub quality: Quality,
}

impl Counts {
    /// Agents that count: all but decommissioned.
    #[must_use]
    pub fn agents(&self) -> u64 {
        self.online + self.offline + self.missing + self.unknown
    }

    /// Incidents that count: all but drafts and those being deleted.
    #[must_use]
    pub fn incidents(&self) -> u64 {
        self.open + self.in_progress + self.resolved + self.dismissed
    }

    /// Adds another organization's counts.
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($field:ident),* $(,)?) => {
                // Naming every field makes a forgotten one a compile error.
                let Self { detect, resolve, starts, ends, oldest_open, quality, $($field),* } = other;
                $(self.$field += $field;)*
                self.detect.add(detect);
                self.resolve.add(resolve);
                self.starts.iter_mut().zip(starts).for_each(|(mine, theirs)| *mine += theirs);
                self.ends.iter_mut().zip(ends).for_each(|(mine, theirs)| *mine += theirs);
                self.oldest_open = [self.oldest_open, *oldest_open].into_iter().flatten().min();
                self.quality.add(quality);
            };
        }
        sum!(
            online,
            offline,
            missing,
            unknown,
            by_status,
            by_last_callback,
            by_created,
            edr_known,
            edr_installed,
            defender_known,
            defender_healthy,
            firewall_known,
            firewall_enabled,
            isolated,
            tamper_known,
            tamper_on,
            open,
            in_progress,
            resolved,
            dismissed,
            critical,
            high,
            low,
            incidents_unknown,
            detect_given,
            auto_resolved,
            auto_by_words,
            auto_by_remediations,
        );
    }

    fn add_agent(&mut self, agent: &AgentFacts<'_>, verdict: agent::AgentVerdict) {
        match verdict.state {
            AgentState::Online => self.online += 1,
            AgentState::Offline => self.offline += 1,
            AgentState::Missing => self.missing += 1,
            AgentState::Unknown => self.unknown += 1,
            AgentState::Decommissioned => return,
        }
        match verdict.source {
            StateSource::Status => self.by_status += 1,
            StateSource::LastCallback => self.by_last_callback += 1,
            StateSource::Created => self.by_created += 1,
        }
        match verdict.oddity {
            Some(AgentOddity::UnknownStatus) => {
                self.quality.note_word(QualityCode::UnknownAgentStatus, &normalized(agent.status.unwrap_or_default()));
            }
            Some(AgentOddity::MalformedTimestamp) => self.quality.note(QualityCode::MalformedTimestamp),
            Some(AgentOddity::FutureTimestamp) => self.quality.note(QualityCode::FutureTimestamp),
            None => {}
        }
        self.edr_known += u64::from(agent.edr_version != Presence::NoKey);
        self.edr_installed += u64::from(agent.edr_version == Presence::Value);
        if let Some(word) = agent.defender_status {
            self.defender_known += 1;
            self.defender_healthy += u64::from(matches!(normalized(word).as_ref(), "healthy" | "protected"));
        }
        if let Some(word) = agent.firewall_status {
            let word = normalized(word);
            self.firewall_known += 1;
            self.firewall_enabled += u64::from(word != "disabled");
            self.isolated += u64::from(word == "isolated");
        }
        if let Some(on) = agent.tamper_protection {
            self.tamper_known += 1;
            self.tamper_on += u64::from(on);
        }
    }

    fn add_incident(&mut self, incident: &IncidentFacts<'_>, observed_at: DateTime<Utc>) {
        let (state, known) = incident::classify(incident.status);
        match state {
            IncidentState::Open => self.open += 1,
            IncidentState::InProgress => self.in_progress += 1,
            IncidentState::Resolved => self.resolved += 1,
            IncidentState::Dismissed => self.dismissed += 1,
            IncidentState::LeftOut => return,
        }
        if !known {
            self.incidents_unknown += 1;
            self.quality
                .note_word(QualityCode::UnknownIncidentStatus, &normalized(incident.status.unwrap_or_default()));
        }
        match incident::severity(incident.severity) {
            Severity::Critical => self.critical += 1,
            Severity::High => self.high += 1,
            Severity::Low => self.low += 1,
            Severity::Unknown => {
                self.quality
                    .note_word(QualityCode::UnknownSeverity, &normalized(incident.severity.unwrap_or_default()));
            }
        }
        match state {
            IncidentState::Open | IncidentState::InProgress => self.add_unfinished(incident, observed_at),
            IncidentState::Resolved => self.add_resolved(incident, observed_at),
            IncidentState::Dismissed | IncidentState::LeftOut => {}
        }
    }

    fn add_unfinished(&mut self, incident: &IncidentFacts<'_>, observed_at: DateTime<Utc>) {
        let start = incident::start(incident.detected_at.read(), incident.sent_at, incident.created_at.read());
        self.quality.note_many(QualityCode::MalformedTimestamp, start.unreadable);
        let Some((start, _)) = start.time else { return };
        if start > observed_at + CLOCK_TOLERANCE {
            self.quality.note(QualityCode::FutureTimestamp);
        } else {
            self.oldest_open = Some(self.oldest_open.map_or(start, |oldest| oldest.min(start)));
        }
    }

    fn add_resolved(&mut self, incident: &IncidentFacts<'_>, observed_at: DateTime<Utc>) {
        let (detected, created) = (incident.detected_at.read(), incident.created_at.read());
        let start = incident::start(detected, incident.sent_at, created);
        let end = incident::end(incident.resolved_at, incident.closed_at);
        // The creation is needed for the time to detect even where the start is found without it.
        let creation_unreadable = created == ParsedTimestamp::Unreadable && start.time.is_some();
        let unreadable = start.unreadable + end.unreadable + u64::from(creation_unreadable);
        self.quality.note_many(QualityCode::MalformedTimestamp, unreadable);
        let future = [start.time, end.time]
            .into_iter()
            .flatten()
            .filter(|(time, _)| *time > observed_at + CLOCK_TOLERANCE)
            .count();
        self.quality.note_many(QualityCode::FutureTimestamp, future as u64);

        if let (Some((start, start_field)), Some((end, end_field))) = (start.time, end.time) {
            match nanos_between(start, end) {
                nanos if nanos < 0 => self.quality.note(QualityCode::NegativeDuration),
                nanos => {
                    self.resolve.push(nanos);
                    let [detected, sent, created] = &mut self.starts;
                    match start_field {
                        TimeField::Detected => *detected += 1,
                        TimeField::Sent => *sent += 1,
                        _ => *created += 1,
                    }
                    let [resolved, closed] = &mut self.ends;
                    *if end_field == TimeField::Resolved { resolved } else { closed } += 1;
                }
            }
        }
        self.detect_given += u64::from(incident.detected_at.is_given() && incident.created_at.is_given());
        if let (ParsedTimestamp::At(created), ParsedTimestamp::At(detected), Some(_)) = (created, detected, end.time) {
            match nanos_between(created, detected) {
                nanos if nanos < 0 => self.quality.note(QualityCode::NegativeDuration),
                nanos => self.detect.push(nanos),
            }
        }
        let auto = incident::auto_resolved(incident);
        self.auto_resolved += u64::from(auto.automatic);
        match auto.source {
            AutoSource::Words => self.auto_by_words += 1,
            AutoSource::Remediations => self.auto_by_remediations += 1,
            AutoSource::Nothing => {}
        }
        if auto.incomplete {
            self.quality.note(QualityCode::RemediationsIncomplete);
        }
    }
}

/// A list of the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EdrList {
    /// Organizations.
    Organizations,
    /// Agents.
    Agents,
    /// Incident reports.
    IncidentReports,
}

/// Lists that cannot be trusted as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// No record of a list has an id.
    #[error("none of the {records} records of the list has an id")]
    NoIds {
        /// The list.
        list: EdrList,
        /// How many there are.
        records: u64,
    },
    /// The list of agents is empty, but the organizations say there are some.
    #[error("the list of agents is empty, but the organizations claim {claimed} agents")]
    AgentsMissing {
        /// How many they claim.
        claimed: u64,
    },
}

/// Everything that one collection of endpoint evidence has read so far, in constant memory but for 8 bytes an id.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EdrTally {
    settings: EdrSettings,
    as_of: DateTime<Utc>,
    organizations: BTreeMap<RecordKey, Organization>,
    seen_agents: SeenIds,
    seen_incidents: SeenIds,
    counts: HashMap<Option<RecordKey>, Counts>,
    read: RecordsRead,
}

impl EdrTally {
    /// An empty tally that evaluates at `as_of`.
    #[must_use]
    pub fn new(settings: EdrSettings, as_of: DateTime<Utc>) -> Self {
        Self {
            settings,
            as_of,
            organizations: BTreeMap::new(),
            seen_agents: SeenIds::default(),
            seen_incidents: SeenIds::default(),
            counts: HashMap::new(),
            read: RecordsRead::default(),
        }
    }

    /// Adds an organization; of two with one id the first counts.
    pub fn add_organization(&mut self, facts: &OrganizationFacts<'_>) {
        self.read.organizations += 1;
        let keyed = facts.id.and_then(|id| RecordKey::from_text(id).map(|key| (key, id.trim())));
        let Some((key, id)) = keyed else {
            self.counts.entry(None).or_default().quality.note(QualityCode::RecordWithoutId);
            return;
        };
        if self.organizations.contains_key(&key) {
            self.counts.entry(Some(key)).or_default().quality.note(QualityCode::DuplicateRecord);
            return;
        }
        let name = facts.name.and_then(text::name);
        self.organizations.insert(key, Organization { id: id.to_owned(), name, agents_count: facts.agents_count });
    }

    /// Adds an agent that was read at `observed_at`; of two with one id the first counts.
    pub fn add_agent(&mut self, facts: &AgentFacts<'_>, observed_at: DateTime<Utc>) {
        self.read.agents += 1;
        let counts = self.counts.entry(facts.organization).or_default();
        match facts.id {
            None => counts.quality.note(QualityCode::RecordWithoutId),
            Some(id) if !self.seen_agents.insert(id) => counts.quality.note(QualityCode::DuplicateRecord),
            Some(_) => counts.add_agent(facts, agent::evaluate(facts, self.settings, self.as_of, observed_at)),
        }
    }

    /// Adds an incident that was read at `observed_at`; of two with one id the first counts.
    pub fn add_incident(&mut self, facts: &IncidentFacts<'_>, observed_at: DateTime<Utc>) {
        self.read.incident_reports += 1;
        let counts = self.counts.entry(facts.organization).or_default();
        match facts.id {
            None => counts.quality.note(QualityCode::RecordWithoutId),
            Some(id) if !self.seen_incidents.insert(id) => counts.quality.note(QualityCode::DuplicateRecord),
            Some(_) => counts.add_incident(facts, observed_at),
        }
    }

    /// This and what another tally has read of other lists, for the same instant and by the same settings.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.organizations.extend(other.organizations);
        for (mine, theirs) in
            [(&mut self.seen_agents, other.seen_agents), (&mut self.seen_incidents, other.seen_incidents)]
        {
            if mine.is_empty() {
                *mine = theirs;
            }
        }
        for (organization, counts) in &other.counts {
            self.counts.entry(*organization).or_default().add(counts);
        }
        self.read.organizations += other.read.organizations;
        self.read.agents += other.read.agents;
        self.read.incident_reports += other.read.incident_reports;
        self
    }

    /// Checks that the lists, now complete, can be trusted as a whole.
    ///
    /// # Errors
    /// [`Inconsistent`] when they contradict themselves; then there is no evidence.
    pub fn check(&self) -> Result<(), Inconsistent> {
        let lists = [
            (EdrList::Organizations, self.read.organizations, self.organizations.is_empty()),
            (EdrList::Agents, self.read.agents, self.seen_agents.is_empty()),
            (EdrList::IncidentReports, self.read.incident_reports, self.seen_incidents.is_empty()),
        ];
        if let Some((list, records, _)) = lists.into_iter().find(|(_, records, no_ids)| *records > 0 && *no_ids) {
            return Err(Inconsistent::NoIds { list, records });
        }
        let claims = self.organizations.values().filter_map(|organization| organization.agents_count);
        let claimed = claims.fold(0, u64::saturating_add);
        if self.read.agents == 0 && claimed > 0 {
            return Err(Inconsistent::AgentsMissing { claimed });
        }
        Ok(())
    }

    /// The instant of evaluation.
    #[must_use]
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// The settings of the rules.
    #[must_use]
    pub fn settings(&self) -> EdrSettings {
        self.settings
    }

    /// How many records were read.
    #[must_use]
    pub fn records_read(&self) -> RecordsRead {
        self.read
    }

    /// The listed organizations.
    #[must_use]
    pub fn organizations(&self) -> &BTreeMap<RecordKey, Organization> {
        &self.organizations
    }

    /// The counts of one organization, listed or not; `None` for what belongs to none.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Option<RecordKey>, &Counts)> {
        self.counts.iter().map(|(key, counts)| (*key, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank_is_the_smallest_value_that_covers_the_share() {
        let mut durations = Durations::default();
        assert_eq!(durations.nearest_rank(50), None);
        for hours in [4, 1, 3, 2] {
            durations.push(hours * 3_600_000_000_000);
        }
        assert_eq!(durations.nearest_rank(50), Some(20));
        assert_eq!(durations.nearest_rank(51), Some(30));
        assert_eq!(durations.nearest_rank(90), Some(40));
        assert_eq!(durations.nearest_rank(100), Some(40));
    }
}

//! The accumulator of one collection: records go in one by one, counts per organization remain.

use super::AgentLimits;
use super::agent::{self, AgentAnomaly, AgentFacts, AgentState, Presence, Sighting, StateSource, is_server};
use super::facts::{Agents, Detection, EdrFacts, EveryField, Incidents, OfSeverity, Organizations, Share};
use super::findings::{Candidate, Candidates, FindingKind, VendorId};
use super::incident::{self, AutoSource, FieldTime, IncidentFacts, IncidentState, Severity, TimeField};
use super::serial::SerialNumbers;
use crate::completeness::{Dropped, ListCompleteness, OtherSource, PagesRead};
use crate::evidence::RecordsRead;
use crate::facts::ended::{EndedTally, day_since};
use crate::facts::{Histogram, Seconds};
use crate::id::RecordKey;
use crate::quality::{Quality, QualityCode, is_word, normalized};
use crate::seen::SeenIds;
use crate::text;
use crate::time::{ParsedTimestamp, is_future, nanos_between};
use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::hash_map::Entry;
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
    /// How many incident reports the source says it ever had.
    pub incident_reports_count: Option<u64>,
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
    /// How many incident reports the source says it ever had.
    pub incident_reports_count: Option<u64>,
}

/// The incidents of one severity, as they are read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct SeverityTally {
    states: [u32; 4],
    open_days: Histogram,
    /// The earliest start of one that is not over.
    oldest: Option<DateTime<Utc>>,
}

/// The agents of one organization, or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct AgentCounts {
    #[serde(with = "EveryField")]
    agents: Agents,
    /// States of unknown agents by field: status, last call, installation.
    unknown_by: [u64; 3],
    /// Serial numbers, until it is known which are there twice.
    serials: SerialNumbers,
}

/// The incidents of one organization, or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct IncidentCounts {
    /// Critical, high, low and of any other severity.
    severities: [SeverityTally; 4],
    unknown_status: u64,
    started_days: Histogram,
    ended: EndedTally,
    detection: DetectionTally,
    /// Starts by field: detected, sent, created.
    starts: [u64; 3],
    /// Ends by field: resolved, closed.
    ends: [u64; 2],
    auto_resolved: u64,
    /// Resolved incidents evaluated by the words of their resolver.
    auto_by_words: u64,
    /// Resolved incidents evaluated by their remediations.
    auto_by_remediations: u64,
}

/// The times from creation to detection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DetectionTally {
    /// Incidents with both times.
    given: u64,
    /// Of them, those whose times can be used.
    measured: u64,
    /// Their sum in nanoseconds.
    nanos: i128,
}

/// The counts of one organization, or the sum of several. Nothing in them depends on a limit.
///
/// Each part is there once it has a record: the lists are read apart, there is one of these for every organization in each of them, and the empty places
/// of a table are as large as the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    agents: Option<Box<AgentCounts>>,
    incidents: Option<Box<IncidentCounts>>,
    candidates: Candidates,
    quality: Oddities,
}

/// What was odd, if anything was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Oddities(Option<Box<Quality>>);

impl Oddities {
    fn note(&mut self, code: QualityCode) {
        self.note_many(code, 1);
    }

    fn note_many(&mut self, code: QualityCode, count: u64) {
        if count > 0 {
            self.0.get_or_insert_default().note_many(code, count);
        }
    }

    fn note_word(&mut self, code: QualityCode, word: &str) {
        self.0.get_or_insert_default().note_word(code, word);
    }

    fn add(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_default().add(other);
        }
    }
}

/// Severities, in the order in which they are counted.
const SEVERITIES: [Severity; 4] = [Severity::Critical, Severity::High, Severity::Low, Severity::Unknown];

/// How many records were decided by which field, for the derivation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Derivation {
    /// States of agents by field: status, last call, installation.
    pub states: [u64; 3],
    /// Starts of resolved incidents by field: detected, sent, created.
    pub starts: [u64; 3],
    /// Ends of resolved incidents by field: resolved, closed.
    pub ends: [u64; 2],
    /// Resolved incidents evaluated by the words of their resolver, and by their remediations.
    pub auto: [u64; 2],
}

/// Adds numbers up, place by place.
fn sum<const N: usize>(mine: &mut [u64; N], theirs: &[u64; N]) {
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
}

impl AgentCounts {
    fn add(&mut self, other: &Self) {
        // Naming every field makes a forgotten one a compile error.
        let Self { agents, unknown_by, serials: _ } = other;
        self.agents.add(agents);
        sum(&mut self.unknown_by, unknown_by);
    }
}

impl IncidentCounts {
    fn add(&mut self, other: &Self) {
        // Naming every field makes a forgotten one a compile error.
        let Self {
            severities,
            unknown_status,
            started_days,
            ended,
            detection: DetectionTally { given, measured, nanos },
            starts,
            ends,
            auto_resolved,
            auto_by_words,
            auto_by_remediations,
        } = other;
        for (mine, theirs) in self.severities.iter_mut().zip(severities) {
            mine.states.iter_mut().zip(theirs.states).for_each(|(mine, theirs)| *mine += theirs);
            mine.open_days.merge(&theirs.open_days);
            mine.oldest = [mine.oldest, theirs.oldest].into_iter().flatten().min();
        }
        self.unknown_status += unknown_status;
        self.started_days.merge(started_days);
        self.ended.add(ended);
        self.detection.given += given;
        self.detection.measured += measured;
        self.detection.nanos += nanos;
        sum(&mut self.starts, starts);
        sum(&mut self.ends, ends);
        self.auto_resolved += auto_resolved;
        self.auto_by_words += auto_by_words;
        self.auto_by_remediations += auto_by_remediations;
    }

    fn facts(&self, as_of: DateTime<Utc>) -> Incidents {
        let counted = |tally: &SeverityTally| OfSeverity {
            states: tally.states.map(u64::from).into(),
            open_days: tally.open_days.clone(),
            // An incident that began between `as_of` and its reading has no age yet.
            oldest: tally.oldest.map(|start| Seconds(nanos_between(start, as_of).max(0))),
        };
        let severities =
            SEVERITIES.into_iter().zip(&self.severities).map(|(severity, tally)| (severity, counted(tally)));
        let DetectionTally { given, measured, nanos } = self.detection;
        Incidents {
            by_severity: severities.filter(|(_, of)| of.states.total() > 0).collect(),
            unknown_status: self.unknown_status,
            started_days: self.started_days.clone(),
            ended: self.ended.by_day(),
            detection: Detection { given, measured, seconds: Seconds(nanos) },
            auto_resolved: Share { these: self.auto_resolved, of: self.auto_by_words + self.auto_by_remediations },
        }
    }
}

impl Counts {
    /// Agents that count: all but decommissioned.
    #[must_use]
    pub fn agents(&self) -> u64 {
        self.agent_facts().map_or(0, Agents::total)
    }

    /// The agents, if there are any.
    pub(super) fn agent_facts(&self) -> Option<&Agents> {
        self.agents.as_ref().map(|counts| &counts.agents)
    }

    /// Which records may be findings.
    pub(super) fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// What was odd.
    pub(super) fn quality(&self) -> Option<&Quality> {
        self.quality.0.as_deref()
    }

    /// What decided.
    pub(super) fn derivation(&self) -> Derivation {
        let mut derivation = Derivation::default();
        if let Some(AgentCounts { agents, unknown_by: [by_status, by_last_callback, by_created], .. }) =
            self.agents.as_deref()
        {
            derivation.states = [
                agents.online + agents.offline + agents.missing + by_status,
                agents.hours.total() + by_last_callback,
                agents.never_called_days.total() + by_created,
            ];
        }
        if let Some(incidents) = self.incidents.as_deref() {
            (derivation.starts, derivation.ends) = (incidents.starts, incidents.ends);
            derivation.auto = [incidents.auto_by_words, incidents.auto_by_remediations];
        }
        derivation
    }

    /// The facts, with the ages of incidents at `as_of`.
    pub(super) fn facts(&self, as_of: DateTime<Utc>, organizations: Organizations) -> EdrFacts {
        EdrFacts {
            agents: self.agent_facts().cloned().unwrap_or_default(),
            organizations,
            incidents: self.incidents.as_ref().map(|incidents| incidents.facts(as_of)).unwrap_or_default(),
        }
    }

    /// Adds another organization's counts; its candidates stay where they are.
    pub fn add(&mut self, other: &Self) {
        let Self { agents, incidents, candidates: _, quality } = other;
        if let Some(theirs) = agents {
            self.agents.get_or_insert_default().add(theirs);
        }
        if let Some(theirs) = incidents {
            self.incidents.get_or_insert_default().add(theirs);
        }
        self.quality.add(quality);
    }

    /// Takes over another part of the same organization's records.
    fn join(&mut self, other: Self) {
        self.candidates.append(&other.candidates);
        self.quality.add(&other.quality);
        // Serial numbers are counted by now.
        match (&mut self.agents, other.agents) {
            (Some(mine), Some(theirs)) => mine.add(&theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
        match (&mut self.incidents, other.incidents) {
            (Some(mine), Some(theirs)) => mine.add(&theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
    }

    fn add_agent(&mut self, agent: &AgentFacts<'_>, id: RecordKey, at: &Evaluation<'_>) {
        let seen = agent::see(agent, at.as_of, at.observed_at);
        if seen.sighting == Sighting::Word(AgentState::Decommissioned) {
            return;
        }
        let AgentCounts { agents, unknown_by, serials } = &mut **self.agents.get_or_insert_default();
        if let Some(serial_number) = agent.serial_number {
            serials.add(serial_number);
        }
        agents.count(seen.sighting);
        if seen.sighting == Sighting::Nothing {
            let [by_status, by_last_callback, by_created] = unknown_by;
            *match seen.source {
                StateSource::Status => by_status,
                StateSource::LastCallback => by_last_callback,
                StateSource::Created => by_created,
            } += 1;
        }
        match seen.anomaly {
            Some(AgentAnomaly::UnknownStatus) => {
                self.quality.note_word(QualityCode::UnknownAgentStatus, &normalized(agent.status.unwrap_or_default()));
            }
            Some(AgentAnomaly::MalformedTimestamp) => self.quality.note(QualityCode::MalformedTimestamp),
            Some(AgentAnomaly::FutureTimestamp) => self.quality.note(QualityCode::FutureTimestamp),
            None => {}
        }
        let mut found = |kind, hours: Option<u32>| {
            let since = seen.last_call.or_else(|| agent.last_call(at.observed_at));
            let candidate = Candidate::new(kind, VendorId::of(id, agent.id_text), since);
            self.candidates.add(match hours {
                Some(hours) => candidate.if_older_than_limit(hours),
                None => candidate,
            });
        };
        match seen.sighting {
            Sighting::Called { hours } if hours > at.limits.earliest_missing_hours => {
                found(FindingKind::AgentMissing, Some(hours));
            }
            Sighting::Called { .. } => {}
            sighting => match sighting.state(at.limits.of(None)) {
                AgentState::Missing => found(FindingKind::AgentMissing, None),
                AgentState::Unknown => found(FindingKind::AgentUnknown, None),
                AgentState::Online | AgentState::Offline | AgentState::Decommissioned => {}
            },
        }
        if agent.edr_version != Presence::NoKey {
            agents.edr.note(agent.edr_version == Presence::Value);
        }
        if agent.edr_version != Presence::Value {
            found(FindingKind::AgentWithoutEdr, None);
        }
        if let Some(word) = agent.defender_status {
            let healthy = is_word(word, "healthy") || is_word(word, "protected");
            agents.defender.note(healthy);
            if !healthy {
                found(FindingKind::AgentDefenderUnhealthy, None);
            }
        }
        if let Some(word) = agent.firewall_status {
            agents.firewall.note(!is_word(word, "disabled"));
            if is_word(word, "isolated") {
                agents.isolated += 1;
                found(FindingKind::AgentIsolated, None);
            }
        }
        if let Some(on) = agent.tamper_protection {
            agents.tamper.note(on);
        }
        if let Some(os) = agent.os {
            let server = is_server(os);
            agents.servers.note(server);
            if server {
                agents.count_server(seen.sighting);
            }
        }
    }

    fn add_incident(&mut self, incident: &IncidentFacts<'_>, id: RecordKey, at: &Evaluation<'_>) {
        let (state, known) = incident::classify(incident.status);
        if state == IncidentState::LeftOut {
            return;
        }
        let counts = &mut **self.incidents.get_or_insert_default();
        if !known {
            counts.unknown_status += 1;
            self.quality
                .note_word(QualityCode::UnknownIncidentStatus, &normalized(incident.status.unwrap_or_default()));
        }
        let severity = incident::severity(incident.severity);
        if severity == Severity::Unknown {
            self.quality.note_word(QualityCode::UnknownSeverity, &normalized(incident.severity.unwrap_or_default()));
        }
        let [critical, high, low, other] = &mut counts.severities;
        let of_severity = match severity {
            Severity::Critical => critical,
            Severity::High => high,
            Severity::Low => low,
            Severity::Unknown => other,
        };
        let [open, in_progress, resolved, dismissed] = &mut of_severity.states;
        *match state {
            IncidentState::Open => open,
            IncidentState::InProgress => in_progress,
            IncidentState::Resolved => resolved,
            IncidentState::Dismissed | IncidentState::LeftOut => dismissed,
        } += 1;

        let (detected, created) = (incident.detected_at.read(), incident.created_at.read());
        let start = incident::start(detected, incident.sent_at, created);
        self.quality.note_many(QualityCode::MalformedTimestamp, start.unreadable);
        let future = start.time.is_some_and(|start| is_future(start.time, at.observed_at));
        self.quality.note_many(QualityCode::FutureTimestamp, u64::from(future));
        let start = start.time.filter(|_| !future);
        let day = start.map(|start| day_since(start.time, at.as_of));
        if let Some(day) = day {
            counts.started_days.add(day);
        }
        match state {
            IncidentState::Open | IncidentState::InProgress => {
                let since = start.map(|start| start.time);
                if let (Some(day), Some(since)) = (day, since) {
                    of_severity.open_days.add(day);
                    of_severity.oldest = Some(of_severity.oldest.map_or(since, |oldest| oldest.min(since)));
                }
                let candidate = Candidate::new(FindingKind::IncidentOpen, VendorId::of(id, incident.id_text), since);
                self.candidates.add(candidate.with_severity(severity));
            }
            IncidentState::Resolved => self.add_resolved(incident, start, at),
            IncidentState::Dismissed | IncidentState::LeftOut => {}
        }
    }

    fn add_resolved(&mut self, incident: &IncidentFacts<'_>, start: Option<FieldTime>, at: &Evaluation<'_>) {
        let counts = &mut **self.incidents.get_or_insert_default();
        let (detected, created) = (incident.detected_at.read(), incident.created_at.read());
        let end = incident::end(incident.resolved_at, incident.closed_at);
        // The creation is needed for the time to detect even where the start is found without it.
        let creation_unreadable = created == ParsedTimestamp::Unreadable && start.is_some();
        self.quality.note_many(QualityCode::MalformedTimestamp, end.unreadable + u64::from(creation_unreadable));
        let future = end.time.is_some_and(|end| is_future(end.time, at.observed_at));
        self.quality.note_many(QualityCode::FutureTimestamp, u64::from(future));

        if let Some(FieldTime { time: end, field: end_field }) = end.time.filter(|_| !future) {
            let mut duration = None;
            if let Some(FieldTime { time: start, field: start_field }) = start {
                match nanos_between(start, end) {
                    nanos if nanos < 0 => self.quality.note(QualityCode::NegativeDuration),
                    nanos => {
                        duration = Some(nanos);
                        let [detected, sent, created] = &mut counts.starts;
                        match start_field {
                            TimeField::Detected => *detected += 1,
                            TimeField::Sent => *sent += 1,
                            _ => *created += 1,
                        }
                        let [resolved, closed] = &mut counts.ends;
                        *if end_field == TimeField::Resolved { resolved } else { closed } += 1;
                    }
                }
            }
            counts.ended.push(day_since(end, at.as_of), duration);
        }
        let DetectionTally { given, measured, nanos: sum } = &mut counts.detection;
        *given += u64::from(incident.detected_at.is_given() && incident.created_at.is_given());
        if let (ParsedTimestamp::At(created), ParsedTimestamp::At(detected), Some(_)) = (created, detected, end.time) {
            let usable = ![created, detected].into_iter().any(|time| is_future(time, at.observed_at));
            match nanos_between(created, detected) {
                nanos if nanos < 0 => self.quality.note(QualityCode::NegativeDuration),
                nanos if usable => {
                    *measured += 1;
                    *sum += nanos;
                }
                _ => {}
            }
        }
        let auto = incident::auto_resolved(incident);
        counts.auto_resolved += u64::from(auto.automatic);
        match auto.source {
            AutoSource::Words => counts.auto_by_words += 1,
            AutoSource::Remediations => counts.auto_by_remediations += 1,
            AutoSource::Nothing => {}
        }
        if auto.incomplete {
            self.quality.note(QualityCode::RemediationsIncomplete);
        }
    }
}

/// What a record is evaluated by.
struct Evaluation<'a> {
    limits: &'a AgentLimits,
    as_of: DateTime<Utc>,
    observed_at: DateTime<Utc>,
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

/// What was read of one list, before any rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ListRead {
    pages: PagesRead,
    dropped: Dropped,
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

/// Everything that one collection of endpoint evidence has read so far, in constant memory but for some 8 bytes an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EdrTally {
    limits: AgentLimits,
    as_of: DateTime<Utc>,
    organizations: BTreeMap<RecordKey, Organization>,
    seen_agents: SeenIds,
    seen_incidents: SeenIds,
    counts: HashMap<Option<RecordKey>, Counts, RandomState>,
    read: RecordsRead,
    /// Organizations, agents, incident reports.
    lists: [ListRead; 3],
}

impl EdrTally {
    /// An empty tally that evaluates at `as_of`.
    #[must_use]
    pub fn new(limits: impl Into<AgentLimits>, as_of: DateTime<Utc>) -> Self {
        Self {
            limits: limits.into(),
            as_of,
            organizations: BTreeMap::new(),
            seen_agents: SeenIds::default(),
            seen_incidents: SeenIds::default(),
            counts: HashMap::default(),
            read: RecordsRead::default(),
            lists: Default::default(),
        }
    }

    /// Adds an organization; of two with one id the first counts.
    pub fn add_organization(&mut self, facts: &OrganizationFacts<'_>) {
        self.read.organizations += 1;
        let keyed = facts.id.and_then(|id| RecordKey::from_text(id).map(|key| (key, id.trim())));
        let Some((key, id)) = keyed else {
            self.counts.entry(None).or_default().quality.note(QualityCode::RecordWithoutId);
            self.list(EdrList::Organizations).dropped.without_id += 1;
            return;
        };
        if self.organizations.contains_key(&key) {
            self.counts.entry(Some(key)).or_default().quality.note(QualityCode::DuplicateRecord);
            self.list(EdrList::Organizations).dropped.duplicates += 1;
            return;
        }
        let name = facts.name.and_then(text::name);
        self.organizations.insert(
            key,
            Organization {
                id: id.to_owned(),
                name,
                agents_count: facts.agents_count,
                incident_reports_count: facts.incident_reports_count,
            },
        );
    }

    /// Adds an agent that was read at `observed_at`; of two with one id the first counts.
    pub fn add_agent(&mut self, facts: &AgentFacts<'_>, observed_at: DateTime<Utc>) {
        self.read.agents += 1;
        let counts = self.counts.entry(facts.organization).or_default();
        let at = Evaluation { limits: &self.limits, as_of: self.as_of, observed_at };
        match facts.id {
            None => {
                counts.quality.note(QualityCode::RecordWithoutId);
                self.list(EdrList::Agents).dropped.without_id += 1;
            }
            Some(id) if !self.seen_agents.insert(id) => {
                counts.quality.note(QualityCode::DuplicateRecord);
                self.list(EdrList::Agents).dropped.duplicates += 1;
            }
            Some(id) => counts.add_agent(facts, id, &at),
        }
    }

    /// Adds an incident that was read at `observed_at`; of two with one id the first counts.
    pub fn add_incident(&mut self, facts: &IncidentFacts<'_>, observed_at: DateTime<Utc>) {
        self.read.incident_reports += 1;
        let counts = self.counts.entry(facts.organization).or_default();
        let at = Evaluation { limits: &self.limits, as_of: self.as_of, observed_at };
        match facts.id {
            None => {
                counts.quality.note(QualityCode::RecordWithoutId);
                self.list(EdrList::IncidentReports).dropped.without_id += 1;
            }
            Some(id) if !self.seen_incidents.insert(id) => {
                counts.quality.note(QualityCode::DuplicateRecord);
                self.list(EdrList::IncidentReports).dropped.duplicates += 1;
            }
            Some(id) => counts.add_incident(facts, id, &at),
        }
    }

    fn list(&mut self, list: EdrList) -> &mut ListRead {
        let [organizations, agents, incident_reports] = &mut self.lists;
        match list {
            EdrList::Organizations => organizations,
            EdrList::Agents => agents,
            EdrList::IncidentReports => incident_reports,
        }
    }

    /// Counts a page of a list that was asked for by `request`, without its token, and read at `observed_at`.
    pub fn add_page(&mut self, list: EdrList, request: &str, observed_at: DateTime<Utc>) {
        self.list(list).pages.add(request, observed_at, None);
    }

    /// How completely each list was read. Counted are agents as the metrics count them, and different incident reports.
    pub(super) fn completeness(&self) -> Vec<ListCompleteness> {
        let [organizations, agents, incident_reports] = &self.lists;
        let list = |name, read: &ListRead, records| ListCompleteness::new(name, &read.pages, records, read.dropped);
        let claimed = |count: fn(&Organization) -> Option<u64>| {
            let listed = self.organizations.values();
            let sum = listed.map(count).try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)));
            sum.filter(|_| !self.organizations.is_empty())
        };
        let counted = self.counts.values().map(|counts| counts.agents()).sum();
        let incidents = list("incident_reports", incident_reports, self.read.incident_reports);
        let different = incidents.unique;
        vec![
            list("organizations", organizations, self.read.organizations),
            list("agents", agents, self.read.agents).beside(
                OtherSource::OrganizationsAgents,
                claimed(|organization| organization.agents_count),
                counted,
            ),
            incidents.beside(
                OtherSource::OrganizationsIncidents,
                claimed(|organization| organization.incident_reports_count),
                different,
            ),
        ]
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
        for (organization, counts) in other.counts {
            match self.counts.entry(organization) {
                Entry::Vacant(vacant) => {
                    vacant.insert(counts);
                }
                Entry::Occupied(mut mine) => {
                    mine.get_mut().join(counts);
                }
            }
        }
        for (mine, theirs) in self.lists.iter_mut().zip(&other.lists) {
            mine.pages.join(&theirs.pages, theirs.pages.request());
            mine.dropped.add(theirs.dropped);
        }
        self.read.organizations += other.read.organizations;
        self.read.agents += other.read.agents;
        self.read.incident_reports += other.read.incident_reports;
        self
    }

    /// Reports the agents whose serial number a newer one of their organization has, once the list of agents is complete.
    pub fn note_reinstalls(&mut self) {
        for counts in self.counts.values_mut() {
            let repeated = counts.agents.as_mut().map_or(0, |agents| agents.serials.take_repeated());
            counts.quality.note_many(QualityCode::PossibleReinstall, repeated);
        }
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

    /// The limits of agent age.
    #[must_use]
    pub fn limits(&self) -> &AgentLimits {
        &self.limits
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

    /// The listed organizations without a counted agent, of those that are wanted, as candidates for findings, with their ids.
    pub(super) fn organizations_without_agents(&self, wanted: impl Fn(RecordKey) -> bool) -> Vec<(Candidate, &str)> {
        let empty = |key: &RecordKey| self.counts.get(&Some(*key)).is_none_or(|counts| counts.agents() == 0);
        let listed = self.organizations.iter().filter(|(key, _)| wanted(**key) && empty(key));
        let candidate = |(key, organization): (&RecordKey, &'_ Organization)| {
            let id = VendorId::of(*key, Some(&organization.id));
            Candidate::new(FindingKind::OrganizationWithoutAgents, id, None)
        };
        listed.map(|it| (candidate(it), it.1.id.as_str())).collect()
    }

    /// The counts of one organization, listed or not; `None` for what belongs to none.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Option<RecordKey>, &Counts)> {
        self.counts.iter().map(|(key, counts)| (*key, counts))
    }
}

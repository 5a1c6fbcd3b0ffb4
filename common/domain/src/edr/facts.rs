//! What every number of endpoint evidence is computed from.

use super::agent::{AgentState, Sighting};
use super::incident::Severity;
use super::{EdrSettings, NEVER_CALLED_BACK_DAYS};
use crate::facts::{EndedIncidents, Histogram, Seconds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How many of some records have a property: `[these, of]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Share {
    /// With the property.
    pub these: u64,
    /// Records that say whether they have it.
    pub of: u64,
}

impl Share {
    /// Counts a record that says whether it has the property.
    pub fn note(&mut self, has: bool) {
        self.these += u64::from(has);
        self.of += 1;
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: Self) {
        self.these += other.these;
        self.of += other.of;
    }

    fn is_empty(&self) -> bool {
        self.of == 0
    }
}

impl From<(u64, u64)> for Share {
    fn from((these, of): (u64, u64)) -> Self {
        Self { these, of }
    }
}

impl From<Share> for (u64, u64) {
    fn from(share: Share) -> Self {
        (share.these, share.of)
    }
}

/// Agents, counted by what decides their state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// ⌈Hours since the last call⌉ of those whose state it decides.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub hours: Histogram,
    /// ⌈Days since the installation⌉ of those that never called back.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub never_called_days: Histogram,
    /// Online by a status word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub online: u64,
    /// Offline by a status word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offline: u64,
    /// Missing by a status word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Unknown whatever the limits: a status word nobody knows, a time that cannot be read or lies in the future, or no time at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// With an EDR version, of those whose record carries the key.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub edr: Share,
    /// With a healthy Defender, of those with a Defender status.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub defender: Share,
    /// With a firewall that is not disabled, of those with a firewall status.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub firewall: Share,
    /// Isolated by the firewall.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub isolated: u64,
    /// With tamper protection on, of those that report it.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub tamper: Share,
    /// On servers, of those whose operating system is known.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub servers: Share,
    /// On servers, online by a status word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub servers_online: u64,
    /// On servers, offline or missing by a status word, or missing since they never called back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub servers_not_online: u64,
    /// ⌈Hours since the last call⌉ of those on servers.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub server_hours: Histogram,
}

/// How agents are kept in a checkpoint, whose form needs every field in its place.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Agents")]
pub(super) struct EveryField {
    hours: Histogram,
    never_called_days: Histogram,
    online: u64,
    offline: u64,
    missing: u64,
    unknown: u64,
    edr: Share,
    defender: Share,
    firewall: Share,
    isolated: u64,
    tamper: Share,
    servers: Share,
    servers_online: u64,
    servers_not_online: u64,
    server_hours: Histogram,
}

impl Agents {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let by_word = self.online + self.offline + self.missing + self.unknown;
        self.hours.total() + self.never_called_days.total() + by_word
    }

    pub(super) fn count(&mut self, sighting: Sighting) {
        match sighting {
            Sighting::Called { hours } => self.hours.add(hours),
            Sighting::NeverCalled { days } => self.never_called_days.add(days),
            Sighting::Word(AgentState::Online) => self.online += 1,
            Sighting::Word(AgentState::Offline) => self.offline += 1,
            Sighting::Word(AgentState::Missing) => self.missing += 1,
            Sighting::Word(AgentState::Unknown) | Sighting::Nothing => self.unknown += 1,
            Sighting::Word(AgentState::Decommissioned) => {}
        }
    }

    pub(super) fn count_server(&mut self, sighting: Sighting) {
        match sighting {
            Sighting::Called { hours } => self.server_hours.add(hours),
            Sighting::Word(AgentState::Online) => self.servers_online += 1,
            Sighting::Word(AgentState::Offline | AgentState::Missing) => self.servers_not_online += 1,
            Sighting::NeverCalled { days } if days > NEVER_CALLED_BACK_DAYS => self.servers_not_online += 1,
            Sighting::NeverCalled { .. } | Sighting::Nothing | Sighting::Word(_) => {}
        }
    }

    /// Adds another organization's counts.
    pub(super) fn add(&mut self, other: &Self) {
        // Naming every field makes a forgotten one a compile error.
        let Self {
            hours,
            never_called_days,
            online,
            offline,
            missing,
            unknown,
            edr,
            defender,
            firewall,
            isolated,
            tamper,
            servers,
            servers_online,
            servers_not_online,
            server_hours,
        } = other;
        self.hours.merge(hours);
        self.never_called_days.merge(never_called_days);
        self.online += online;
        self.offline += offline;
        self.missing += missing;
        self.unknown += unknown;
        self.edr.add(*edr);
        self.defender.add(*defender);
        self.firewall.add(*firewall);
        self.isolated += isolated;
        self.tamper.add(*tamper);
        self.servers.add(*servers);
        self.servers_online += servers_online;
        self.servers_not_online += servers_not_online;
        self.server_hours.merge(server_hours);
    }

    /// The agents by state under these limits.
    #[must_use]
    pub fn by_state(&self, limits: EdrSettings) -> ByState {
        let called_online = self.hours.up_to(limits.online_within_hours());
        let called_in_touch = self.hours.up_to(limits.missing_after_hours());
        let new = self.never_called_days.up_to(NEVER_CALLED_BACK_DAYS);
        ByState {
            online: self.online + called_online,
            offline: self.offline + called_in_touch - called_online,
            missing: self.missing + self.hours.total() - called_in_touch + self.never_called_days.total() - new,
            unknown: self.unknown + new,
        }
    }

    /// The agents on servers that are online under these limits, and those of unknown state.
    #[must_use]
    pub fn servers_by_state(&self, limits: EdrSettings) -> ServersByState {
        let online = self.servers_online + self.server_hours.up_to(limits.online_within_hours());
        let known = self.server_hours.total() + self.servers_online + self.servers_not_online;
        ServersByState { online, unknown: self.servers.these.saturating_sub(known) }
    }
}

/// Agents by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByState {
    /// In touch.
    pub online: u64,
    /// Not in touch for a while.
    pub offline: u64,
    /// Lost.
    pub missing: u64,
    /// Cannot be said.
    pub unknown: u64,
}

/// Agents on servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServersByState {
    /// In touch.
    pub online: u64,
    /// Cannot be said.
    pub unknown: u64,
}

/// Organizations in scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organizations {
    /// All of them.
    pub total: u64,
    /// With at least one counted agent.
    pub with_agents: u64,
    /// With an agent that is online by a status word.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub online: u64,
    /// ⌈Hours since the last call⌉ of the latest agent of each other one, none of whose agents is of unknown state.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub hours: Histogram,
    /// ⌈Hours since the last call⌉ + 1 of the latest agent of each one with agents of unknown state; 0 where no other agent called.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub hours_unsure: Histogram,
}

impl Organizations {
    /// Counts a listed organization with these agents.
    pub(super) fn count_agents(&mut self, agents: &Agents) {
        self.with_agents += u64::from(agents.total() > 0);
        let unknown = agents.unknown + agents.never_called_days.up_to(NEVER_CALLED_BACK_DAYS);
        if agents.online > 0 {
            self.online += 1;
        } else if unknown > 0 {
            self.hours_unsure.add(agents.hours.first().map_or(0, |hours| hours.saturating_add(1)));
        } else if let Some(hours) = agents.hours.first() {
            self.hours.add(hours);
        }
    }

    /// Organizations with an agent that is online under these limits.
    #[must_use]
    pub fn with_online(&self, limits: EdrSettings) -> u64 {
        let within = limits.online_within_hours();
        self.online + self.hours.up_to(within) + self.hours_unsure.between(1, within.saturating_add(1))
    }

    /// Others that may have one, among their agents of unknown state.
    #[must_use]
    pub fn perhaps_online(&self, limits: EdrSettings) -> u64 {
        let within = limits.online_within_hours();
        self.hours_unsure.total() - self.hours_unsure.between(1, within.saturating_add(1))
    }
}

/// How many incidents are in each state: `[open, in_progress, resolved, dismissed]`. Those with a status word that is not known are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct States {
    /// Open.
    pub open: u64,
    /// In progress.
    pub in_progress: u64,
    /// Resolved.
    pub resolved: u64,
    /// Dismissed.
    pub dismissed: u64,
}

impl States {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.open + self.in_progress + self.resolved + self.dismissed
    }

    /// Open and in progress.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.open + self.in_progress
    }

    /// Adds another part's counts.
    pub fn add(&mut self, other: Self) {
        self.open += other.open;
        self.in_progress += other.in_progress;
        self.resolved += other.resolved;
        self.dismissed += other.dismissed;
    }
}

impl From<[u64; 4]> for States {
    fn from([open, in_progress, resolved, dismissed]: [u64; 4]) -> Self {
        Self { open, in_progress, resolved, dismissed }
    }
}

impl From<States> for [u64; 4] {
    fn from(states: States) -> Self {
        [states.open, states.in_progress, states.resolved, states.dismissed]
    }
}

/// The incidents of one severity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfSeverity {
    /// By state.
    pub states: States,
    /// [Days](crate::facts::ended::day_since) since the start of those that are not over.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub open_days: Histogram,
    /// The exact age of the oldest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Seconds>,
}

impl OfSeverity {
    /// Incidents that are not over and have no start that can be read.
    #[must_use]
    pub fn without_start(&self) -> u64 {
        self.states.unfinished().saturating_sub(self.open_days.total())
    }
}

/// The times to detect of resolved incidents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// Resolved incidents that carry both times.
    pub given: u64,
    /// Of them, those whose times can be used.
    pub measured: u64,
    /// The exact sum of their durations.
    pub seconds: Seconds,
}

impl Detection {
    fn is_empty(&self) -> bool {
        self.given == 0
    }
}

/// Incidents that count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incidents {
    /// By severity; those there are none of are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_severity: BTreeMap<Severity, OfSeverity>,
    /// With a status word that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_status: u64,
    /// [Days](crate::facts::ended::day_since) since the start, in any state. Those without a start that can be read are left out.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub started_days: Histogram,
    /// Resolved ones by the day of their end. Those without an end that can be read are left out.
    #[serde(default, skip_serializing_if = "EndedIncidents::is_empty")]
    pub ended: EndedIncidents,
    /// Times to detect.
    #[serde(default, skip_serializing_if = "Detection::is_empty")]
    pub detection: Detection,
    /// Resolved without manual work, of the resolved ones that say how they were.
    #[serde(default, skip_serializing_if = "Share::is_empty")]
    pub auto_resolved: Share,
}

impl Incidents {
    /// The incidents of a severity.
    #[must_use]
    pub fn of(&self, severity: Severity) -> OfSeverity {
        self.by_severity.get(&severity).cloned().unwrap_or_default()
    }

    /// By state, of any severity.
    #[must_use]
    pub fn states(&self) -> States {
        let mut states = States::default();
        self.by_severity.values().for_each(|of| states.add(of.states));
        states
    }

    /// The exact age of the oldest one that is not over.
    #[must_use]
    pub fn oldest(&self) -> Option<Seconds> {
        self.by_severity.values().filter_map(|of| of.oldest).max()
    }
}

/// What every metric of one bundle is computed from: counts by age, none of them a record.
///
/// The ages are whole hours and days before the instant of evaluation, so what is computed under other limits of whole hours and days is as
/// exact as under those of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdrFacts {
    /// Agents that count: all but decommissioned ones.
    pub agents: Agents,
    /// Organizations in scope.
    pub organizations: Organizations,
    /// Incidents that count: all but drafts and those being deleted.
    pub incidents: Incidents,
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;

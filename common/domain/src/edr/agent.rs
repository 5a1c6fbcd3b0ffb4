//! The state of one agent.

use super::{EdrSettings, NEVER_CALLED_BACK_DAYS};
use crate::id::RecordKey;
use crate::quality::normalized;
use crate::time::{ParsedTimestamp, RawTimestamp, is_future};
use chrono::{DateTime, Utc};

/// Whether a record has a field at all: for some, null means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// The source does not carry the key.
    #[default]
    NoKey,
    /// The key is there and null.
    Null,
    /// The key has a value.
    Value,
}

/// What the source says of one agent.
#[derive(Debug, Clone, Copy, Default)]
pub struct AgentFacts<'a> {
    /// Its id; a record without one is dropped.
    pub id: Option<RecordKey>,
    /// The organization it belongs to.
    pub organization: Option<RecordKey>,
    /// A status word, where the source has one.
    pub status: Option<&'a str>,
    /// When it last called back.
    pub last_callback_at: RawTimestamp<'a>,
    /// When it was installed.
    pub created_at: RawTimestamp<'a>,
    /// The version of the EDR component.
    pub edr_version: Presence,
    /// The state of Microsoft Defender.
    pub defender_status: Option<&'a str>,
    /// The state of the host firewall.
    pub firewall_status: Option<&'a str>,
    /// Whether tamper protection is on.
    pub tamper_protection: Option<bool>,
    /// The name of the operating system.
    pub os: Option<&'a str>,
    /// The id as the source writes it, where it is a text.
    pub id_text: Option<&'a str>,
    /// The serial number of the device.
    pub serial_number: Option<&'a str>,
}

/// Whether an operating system is a server's: its name has the word `server`.
///
/// ```
/// use evidence_domain::edr::agent::is_server;
/// assert!(is_server("Windows Server 2022 Standard") && is_server("macOS SERVER") && is_server("ubuntu-server"));
/// assert!(!is_server("Windows 11 Pro with SQLServer") && !is_server("Server2022") && !is_server("Observer"));
/// ```
#[must_use]
pub fn is_server(os: &str) -> bool {
    const WORD: &[u8] = b"server";
    // Most names do not have the letters at all, which is seen without a look at the tables of other scripts.
    os.as_bytes().windows(WORD.len()).any(|letters| letters.eq_ignore_ascii_case(WORD))
        && os.split(|c: char| !c.is_alphanumeric()).any(|word| word.as_bytes().eq_ignore_ascii_case(WORD))
}

/// The state of an agent at `as_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// In touch.
    Online,
    /// Not in touch for a while.
    Offline,
    /// Not in touch for so long that it counts as lost.
    Missing,
    /// Cannot be said.
    Unknown,
    /// Taken out of service: in no count.
    Decommissioned,
}

/// Which field decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateSource {
    /// The status word.
    Status,
    /// The time of the last call.
    LastCallback,
    /// The time of installation, for want of a call.
    Created,
}

/// Something odd that was met on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentAnomaly {
    /// A status word that is not known.
    UnknownStatus,
    /// A timestamp that cannot be read.
    MalformedTimestamp,
    /// A call later than its reading.
    FutureTimestamp,
}

/// What the source says of the state of an agent, before any limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// A status word names the state.
    Word(AgentState),
    /// It called back.
    Called {
        /// ⌈Hours since the last call⌉.
        hours: u32,
    },
    /// It never called back.
    NeverCalled {
        /// ⌈Days since the installation⌉.
        days: u32,
    },
    /// Nothing that can be used.
    Nothing,
}

impl Sighting {
    /// The state under these limits. Limits are whole hours and days, so whole ages decide exactly.
    #[must_use]
    pub fn state(self, settings: EdrSettings) -> AgentState {
        match self {
            Self::Word(state) => state,
            Self::Called { hours } if hours <= settings.online_within_hours() => AgentState::Online,
            Self::Called { hours } if hours <= settings.missing_after_hours() => AgentState::Offline,
            Self::Called { .. } => AgentState::Missing,
            Self::NeverCalled { days } if days > NEVER_CALLED_BACK_DAYS => AgentState::Missing,
            Self::NeverCalled { .. } | Self::Nothing => AgentState::Unknown,
        }
    }
}

/// What is known of the state of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What the source says.
    pub sighting: Sighting,
    /// The field that says so.
    pub source: StateSource,
    /// What was odd.
    pub anomaly: Option<AgentAnomaly>,
    /// The last call, if it can be read and is no future one.
    pub last_call: Option<DateTime<Utc>>,
}

/// What an agent says at `as_of`, read at `observed_at`.
///
/// A status word wins. Otherwise the age of the last call decides: up to the limit online, then offline, then missing. A call after
/// `as_of` is online unless it is more than 5 minutes after it was read, which is no time to trust. An agent that never called is
/// missing once it is more than 3 days old.
///
/// ```
/// use evidence_domain::{edr::{EdrSettings, agent::*}, time::{RawTimestamp, parse}};
/// let as_of = parse("2026-03-22T12:00:00Z").unwrap();
/// let agent = AgentFacts { last_callback_at: RawTimestamp::Text("2026-03-21T12:00:00Z"), ..Default::default() };
/// let seen = see(&agent, as_of, as_of);
/// assert_eq!(seen.sighting, Sighting::Called { hours: 24 }); // 24 hours to the second
/// assert_eq!(seen.sighting.state(EdrSettings::default()), AgentState::Online);
/// ```
#[must_use]
pub fn see(agent: &AgentFacts<'_>, as_of: DateTime<Utc>, observed_at: DateTime<Utc>) -> Seen {
    let seen = |sighting, source, anomaly| Seen { sighting, source, anomaly, last_call: None };
    if let Some(word) = agent.status {
        let known = match normalized(word).as_ref() {
            "online" | "active" => Some(AgentState::Online),
            "offline" => Some(AgentState::Offline),
            "missing" => Some(AgentState::Missing),
            "decommissioned" => Some(AgentState::Decommissioned),
            _ => None,
        };
        let anomaly = known.is_none().then_some(AgentAnomaly::UnknownStatus);
        return seen(known.map_or(Sighting::Nothing, Sighting::Word), StateSource::Status, anomaly);
    }
    match agent.last_callback_at.read() {
        ParsedTimestamp::At(call) if is_future(call, observed_at) => {
            seen(Sighting::Nothing, StateSource::LastCallback, Some(AgentAnomaly::FutureTimestamp))
        }
        ParsedTimestamp::At(call) => {
            let sighting = Sighting::Called { hours: whole_units(call, as_of, 3_600) };
            Seen { last_call: Some(call), ..seen(sighting, StateSource::LastCallback, None) }
        }
        ParsedTimestamp::Unreadable => {
            seen(Sighting::Nothing, StateSource::LastCallback, Some(AgentAnomaly::MalformedTimestamp))
        }
        ParsedTimestamp::Absent => match agent.created_at.read() {
            ParsedTimestamp::At(created) => {
                let days = whole_units(created, as_of, 86_400);
                seen(Sighting::NeverCalled { days }, StateSource::Created, None)
            }
            ParsedTimestamp::Absent => seen(Sighting::Nothing, StateSource::Created, None),
            ParsedTimestamp::Unreadable => {
                seen(Sighting::Nothing, StateSource::Created, Some(AgentAnomaly::MalformedTimestamp))
            }
        },
    }
}

impl AgentFacts<'_> {
    /// The last call as evidence of since when something is so, whatever decided the state. A future one is none.
    #[must_use]
    pub fn last_call(&self, observed_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.last_callback_at.read() {
            ParsedTimestamp::At(call) if !is_future(call, observed_at) => Some(call),
            _ => None,
        }
    }
}

/// ⌈Units of so many seconds from `earlier` to `as_of`⌉; 0 for what lies after it.
fn whole_units(earlier: DateTime<Utc>, as_of: DateTime<Utc>, seconds: i64) -> u32 {
    let age = as_of.signed_duration_since(earlier);
    let whole = age.num_seconds() + i64::from(age.subsec_nanos() > 0);
    u32::try_from(whole.max(0).unsigned_abs().div_ceil(seconds.unsigned_abs())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    fn at(text: &str) -> DateTime<Utc> {
        parse(text).unwrap()
    }

    fn evaluated(agent: AgentFacts<'_>) -> (AgentState, Option<AgentAnomaly>) {
        let (as_of, observed_at) = (at("2026-03-22T12:00:00Z"), at("2026-03-22T12:30:00Z"));
        let seen = see(&agent, as_of, observed_at);
        (seen.sighting.state(EdrSettings::default()), seen.anomaly)
    }

    #[test]
    fn a_status_word_wins_in_any_letter_case() {
        let words = [
            ("online", AgentState::Online),
            (" ACTIVE ", AgentState::Online),
            ("Offline", AgentState::Offline),
            ("MISSING", AgentState::Missing),
            ("Decommissioned", AgentState::Decommissioned),
        ];
        for (word, state) in words {
            let old = RawTimestamp::Text("2020-01-01T00:00:00Z");
            assert_eq!(
                evaluated(AgentFacts { status: Some(word), last_callback_at: old, ..Default::default() }),
                (state, None)
            );
        }
        let asleep = AgentFacts { status: Some("asleep"), ..Default::default() };
        assert_eq!(evaluated(asleep), (AgentState::Unknown, Some(AgentAnomaly::UnknownStatus)));
    }

    #[test]
    fn limits_hold_to_the_second() {
        let cases = [
            ("2026-03-21T12:00:00Z", AgentState::Online, None),
            ("2026-03-21T11:59:59Z", AgentState::Offline, None),
            ("2026-03-01T12:00:00Z", AgentState::Offline, None),
            ("2026-03-01T11:59:59Z", AgentState::Missing, None),
            ("2026-03-22T12:00:01Z", AgentState::Online, None),
            ("2026-03-22T12:35:00Z", AgentState::Online, None),
            ("2026-03-22T12:35:01Z", AgentState::Unknown, Some(AgentAnomaly::FutureTimestamp)),
            ("not a time", AgentState::Unknown, Some(AgentAnomaly::MalformedTimestamp)),
        ];
        for (call, state, anomaly) in cases {
            let agent = AgentFacts { last_callback_at: RawTimestamp::Text(call), ..Default::default() };
            assert_eq!(evaluated(agent), (state, anomaly), "{call}");
        }
    }

    #[test]
    fn without_a_call_the_age_of_the_installation_decides() {
        let created = |text| AgentFacts { created_at: RawTimestamp::Text(text), ..Default::default() };
        assert_eq!(evaluated(created("2026-03-19T12:00:00Z")), (AgentState::Unknown, None));
        assert_eq!(evaluated(created("2026-03-19T11:59:59Z")), (AgentState::Missing, None));
        assert_eq!(evaluated(created("?")), (AgentState::Unknown, Some(AgentAnomaly::MalformedTimestamp)));
        assert_eq!(evaluated(AgentFacts::default()), (AgentState::Unknown, None));
        let unreadable = AgentFacts { last_callback_at: RawTimestamp::NotText, ..created("2020-01-01T00:00:00Z") };
        assert_eq!(evaluated(unreadable), (AgentState::Unknown, Some(AgentAnomaly::MalformedTimestamp)));
    }
}

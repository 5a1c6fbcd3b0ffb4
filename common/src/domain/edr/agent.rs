//! The state of one agent.

use super::{CLOCK_TOLERANCE, EdrSettings, NEVER_CALLED_BACK_DAYS};
use crate::domain::id::RecordKey;
use crate::domain::quality::normalized;
use crate::domain::time::{ParsedTimestamp, RawTimestamp};
use chrono::{DateTime, TimeDelta, Utc};

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
pub enum AgentOddity {
    /// A status word that is not known.
    UnknownStatus,
    /// A timestamp that cannot be read.
    MalformedTimestamp,
    /// A call later than its reading.
    FutureTimestamp,
}

/// The state of an agent, with what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentVerdict {
    /// The state.
    pub state: AgentState,
    /// The field that decided.
    pub source: StateSource,
    /// What was odd.
    pub oddity: Option<AgentOddity>,
}

/// The state of an agent at `as_of`, read at `observed_at`.
///
/// A status word wins. Otherwise the age of the last call decides: up to the limit online, then offline, then missing. A call after
/// `as_of` is online unless it is more than 5 minutes after it was read, which is no time to trust. An agent that never called is
/// missing once it is more than 3 days old.
///
/// ```
/// use common::domain::{edr::{EdrSettings, agent::*}, time::{RawTimestamp, parse}};
/// let as_of = parse("2026-03-22T12:00:00Z").unwrap();
/// let agent = AgentFacts { last_callback_at: RawTimestamp::Text("2026-03-21T12:00:00Z"), ..Default::default() };
/// let verdict = evaluate(&agent, EdrSettings::default(), as_of, as_of);
/// assert_eq!(verdict.state, AgentState::Online); // 24 hours to the second
/// ```
#[must_use]
pub fn evaluate(
    agent: &AgentFacts<'_>,
    settings: EdrSettings,
    as_of: DateTime<Utc>,
    observed_at: DateTime<Utc>,
) -> AgentVerdict {
    let verdict = |state, source, oddity| AgentVerdict { state, source, oddity };
    if let Some(word) = agent.status {
        let known = match normalized(word).as_ref() {
            "online" | "active" => Some(AgentState::Online),
            "offline" => Some(AgentState::Offline),
            "missing" => Some(AgentState::Missing),
            "decommissioned" => Some(AgentState::Decommissioned),
            _ => None,
        };
        let oddity = known.is_none().then_some(AgentOddity::UnknownStatus);
        return verdict(known.unwrap_or(AgentState::Unknown), StateSource::Status, oddity);
    }
    match agent.last_callback_at.read() {
        ParsedTimestamp::At(call) if call > observed_at + CLOCK_TOLERANCE => {
            verdict(AgentState::Unknown, StateSource::LastCallback, Some(AgentOddity::FutureTimestamp))
        }
        ParsedTimestamp::At(call) => {
            let age = as_of.signed_duration_since(call);
            let state = if age <= settings.online_within() {
                AgentState::Online
            } else if age <= settings.missing_after() {
                AgentState::Offline
            } else {
                AgentState::Missing
            };
            verdict(state, StateSource::LastCallback, None)
        }
        ParsedTimestamp::Unreadable => {
            verdict(AgentState::Unknown, StateSource::LastCallback, Some(AgentOddity::MalformedTimestamp))
        }
        ParsedTimestamp::Absent => match agent.created_at.read() {
            ParsedTimestamp::At(created) => {
                let old = as_of.signed_duration_since(created) > TimeDelta::days(i64::from(NEVER_CALLED_BACK_DAYS));
                verdict(if old { AgentState::Missing } else { AgentState::Unknown }, StateSource::Created, None)
            }
            ParsedTimestamp::Absent => verdict(AgentState::Unknown, StateSource::Created, None),
            ParsedTimestamp::Unreadable => {
                verdict(AgentState::Unknown, StateSource::Created, Some(AgentOddity::MalformedTimestamp))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse;

    fn at(text: &str) -> DateTime<Utc> {
        parse(text).unwrap()
    }

    fn evaluated(agent: AgentFacts<'_>) -> (AgentState, Option<AgentOddity>) {
        let (as_of, observed_at) = (at("2026-03-22T12:00:00Z"), at("2026-03-22T12:30:00Z"));
        let verdict = evaluate(&agent, EdrSettings::default(), as_of, observed_at);
        (verdict.state, verdict.oddity)
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
        assert_eq!(evaluated(asleep), (AgentState::Unknown, Some(AgentOddity::UnknownStatus)));
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
            ("2026-03-22T12:35:01Z", AgentState::Unknown, Some(AgentOddity::FutureTimestamp)),
            ("not a time", AgentState::Unknown, Some(AgentOddity::MalformedTimestamp)),
        ];
        for (call, state, oddity) in cases {
            let agent = AgentFacts { last_callback_at: RawTimestamp::Text(call), ..Default::default() };
            assert_eq!(evaluated(agent), (state, oddity), "{call}");
        }
    }

    #[test]
    fn without_a_call_the_age_of_the_installation_decides() {
        let created = |text| AgentFacts { created_at: RawTimestamp::Text(text), ..Default::default() };
        assert_eq!(evaluated(created("2026-03-19T12:00:00Z")), (AgentState::Unknown, None));
        assert_eq!(evaluated(created("2026-03-19T11:59:59Z")), (AgentState::Missing, None));
        assert_eq!(evaluated(created("?")), (AgentState::Unknown, Some(AgentOddity::MalformedTimestamp)));
        assert_eq!(evaluated(AgentFacts::default()), (AgentState::Unknown, None));
        let unreadable = AgentFacts { last_callback_at: RawTimestamp::NotText, ..created("2020-01-01T00:00:00Z") };
        assert_eq!(evaluated(unreadable), (AgentState::Unknown, Some(AgentOddity::MalformedTimestamp)));
    }
}

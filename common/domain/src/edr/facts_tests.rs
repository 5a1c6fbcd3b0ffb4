//! Random accounts, evaluated record by record as the contract says it, and from facts alone: both must agree under any limits.

use super::super::agent::{AgentFacts, Presence};
use super::super::bundle::{Collection, bundle_of};
use super::super::incident::IncidentFacts;
use super::super::measures::measures;
use super::super::metrics::{EdrRules, extended_metrics, metrics};
use super::super::tally::{EdrTally, OrganizationFacts};
use super::*;
use crate::evidence::{EdrBundle, Tenant};
use crate::id::RecordKey;
use crate::number::{Ratio, tenths_of_an_hour};
use crate::policy::{MetricDefinition, Reading};
use crate::time::{RawTimestamp, nanos_between, parse};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn as_of() -> DateTime<Utc> {
    parse("2026-03-22T12:00:00Z").unwrap()
}

/// Pages are read half an hour after the evaluation.
fn observed_at() -> DateTime<Utc> {
    as_of() + TimeDelta::minutes(30)
}

/// A time as text: so many nanoseconds before the evaluation.
fn before(nanos: i64) -> String {
    (as_of() - TimeDelta::nanoseconds(nanos)).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[derive(Debug, Clone)]
struct Agent {
    organization: u64,
    status: Option<&'static str>,
    call: Option<String>,
    created: Option<String>,
    edr: Presence,
    defender: Option<&'static str>,
    firewall: Option<&'static str>,
    tamper: Option<bool>,
    os: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Incident {
    organization: u64,
    status: Option<&'static str>,
    severity: Option<&'static str>,
    created: Option<String>,
    detected: Option<String>,
    sent: Option<String>,
    closed: Option<String>,
}

#[derive(Debug, Clone)]
struct Account {
    organizations: u64,
    agents: Vec<Agent>,
    incidents: Vec<Incident>,
}

/// Ages at and beside whole hours and days, others, future ones, and none.
fn time() -> impl Strategy<Value = Option<String>> {
    let second = 1_000_000_000_i64;
    let whole = move |unit: i64, most: i64| {
        (0..most, select(vec![0, 1, -1, second, -second])).prop_map(move |(n, off)| before(n * unit * second + off))
    };
    prop_oneof![
        2 => Just(None),
        4 => whole(HOUR, 2_200).prop_map(Some),
        4 => whole(DAY, 100).prop_map(Some),
        2 => (0..100 * DAY).prop_map(move |seconds| Some(before(seconds * second))),
        1 => (0..40 * 60_i64).prop_map(move |seconds| Some(before(-seconds * second))),
        1 => Just(Some("no time".to_owned())),
    ]
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![1 => Just(None), 3 => select(words).prop_map(Some)]
}

fn agent() -> impl Strategy<Value = Agent> {
    let status = prop_oneof![5 => Just(None), 1 => word(&["online", "OFFLINE", "missing", "decommissioned", "asleep"])];
    let presence = select(vec![Presence::NoKey, Presence::Null, Presence::Value]);
    (
        (0_u64..5, status, time(), time(), presence),
        (
            word(&["Healthy", "protected", "Unhealthy"]),
            word(&["Enabled", "Disabled", "Isolated"]),
            select(vec![None, Some(true), Some(false)]),
            word(&["Windows 11 Pro", "Windows Server 2022", "Microsoft SQLServer host", "ubuntu-server"]),
        ),
    )
        .prop_map(|((organization, status, call, created, edr), (defender, firewall, tamper, os))| Agent {
            organization,
            status,
            call,
            created,
            edr,
            defender,
            firewall,
            tamper,
            os,
        })
}

fn incident() -> impl Strategy<Value = Incident> {
    let times = (time(), time(), time(), time());
    let status = word(&["sent", "In Progress", "closed", "resolved", "resolved", "dismissed", "draft", "paused"]);
    (0_u64..5, status, word(&["low", "HIGH", "critical", "medium"]), times).prop_map(
        |(organization, status, severity, (created, detected, sent, closed))| Incident {
            organization,
            status,
            severity,
            created,
            detected,
            sent,
            closed,
        },
    )
}

fn account() -> impl Strategy<Value = Account> {
    let lists = (prop::collection::vec(agent(), 0..30), prop::collection::vec(incident(), 0..30));
    (0_u64..5, lists).prop_map(|(organizations, (agents, incidents))| Account { organizations, agents, incidents })
}

fn raw(time: &Option<String>) -> RawTimestamp<'_> {
    time.as_deref().map_or(RawTimestamp::Absent, RawTimestamp::Text)
}

impl Account {
    fn bundle(&self, settings: EdrSettings) -> EdrBundle {
        let collection = Collection { collected_at: as_of(), duration_ms: 0, api_calls: 3, run: None };
        bundle_of(&self.tally(settings), &collection, Tenant { company_id: None, client_id: None }, &[]).unwrap()
    }

    fn tally(&self, settings: EdrSettings) -> EdrTally {
        let mut tally = EdrTally::new(settings, as_of());
        for id in 0..self.organizations {
            tally.add_organization(&OrganizationFacts { id: Some(&id.to_string()), ..Default::default() });
        }
        for (id, agent) in self.agents.iter().enumerate() {
            let facts = AgentFacts {
                id: Some(RecordKey::Number(id as u64)),
                organization: Some(RecordKey::Number(agent.organization)),
                status: agent.status,
                last_callback_at: raw(&agent.call),
                created_at: raw(&agent.created),
                edr_version: agent.edr,
                defender_status: agent.defender,
                firewall_status: agent.firewall,
                tamper_protection: agent.tamper,
                os: agent.os,
                serial_number: None,
                id_text: None,
            };
            tally.add_agent(&facts, observed_at());
        }
        for (id, incident) in self.incidents.iter().enumerate() {
            let facts = IncidentFacts {
                id: Some(RecordKey::Number(id as u64)),
                organization: Some(RecordKey::Number(incident.organization)),
                status: incident.status,
                severity: incident.severity,
                created_at: raw(&incident.created),
                detected_at: raw(&incident.detected),
                sent_at: raw(&incident.sent),
                closed_at: raw(&incident.closed),
                ..Default::default()
            };
            tally.add_incident(&facts, observed_at());
        }
        tally
    }
}

/// The values of a bundle's metrics by key.
fn committed(bundle: &EdrBundle) -> BTreeMap<String, String> {
    let shown = |metric: &crate::evidence::Metric| {
        let reason = metric.reason.map(|reason| format!("{reason:?}"));
        (metric.metric_key.clone(), metric.metric_value.clone().or(reason).unwrap_or_default())
    };
    bundle.metrics.iter().chain(&bundle.extended_metrics).map(shown).collect()
}

/// The same from facts alone, which come from their JSON form.
fn recomputed(bundle: &EdrBundle, rules: EdrRules) -> BTreeMap<String, String> {
    let text = serde_json::to_string(bundle.facts.as_ref().unwrap()).unwrap();
    let facts: EdrFacts = serde_json::from_str(&text).unwrap();
    let values = metrics(&facts, rules).into_iter().chain(extended_metrics(&facts, rules));
    values
        .map(|value| {
            let reason = value.exact.err().map(|reason| format!("{reason:?}"));
            (value.key.to_owned(), value.shown().or(reason).unwrap())
        })
        .collect()
}

/// What the contract says of the metrics that depend on limits, record by record.
fn expected(account: &Account, rules: EdrRules) -> BTreeMap<String, String> {
    let usable = |time: &Option<String>| {
        let time = time.as_deref().and_then(parse)?;
        (time <= observed_at() + TimeDelta::minutes(5)).then_some(time)
    };
    let online_limit = TimeDelta::hours(i64::from(rules.agents.online_within_hours()));
    let missing_limit = TimeDelta::days(i64::from(rules.agents.missing_after_days()));
    let state = |agent: &Agent| -> Option<&'static str> {
        match agent.status.map(str::to_lowercase).as_deref() {
            Some("decommissioned") => return None,
            Some("online") => return Some("online"),
            Some("offline") => return Some("offline"),
            Some("missing") => return Some("missing"),
            Some(_) => return Some("unknown"),
            None => {}
        }
        if agent.call.is_some() {
            let Some(call) = usable(&agent.call) else { return Some("unknown") };
            let age = as_of() - call;
            return Some(match age {
                age if age <= online_limit => "online",
                age if age <= missing_limit => "offline",
                _ => "missing",
            });
        }
        let created = agent.created.as_deref().and_then(parse);
        let old = created.is_some_and(|created| as_of() - created > TimeDelta::days(3));
        Some(if old { "missing" } else { "unknown" })
    };
    let counted: Vec<(&Agent, &str)> =
        account.agents.iter().filter_map(|agent| state(agent).map(|state| (agent, state))).collect();
    let of = |wanted: &str| counted.iter().filter(|(_, state)| *state == wanted).count();
    let online_in = |organization: u64| {
        counted.iter().any(|(agent, state)| agent.organization == organization && *state == "online")
    };
    let is_server = |agent: &Agent| matches!(agent.os, Some("Windows Server 2022" | "ubuntu-server"));
    let os_known = counted.iter().any(|(agent, _)| agent.os.is_some());
    let servers = |wanted: Option<&str>| {
        let servers = counted.iter().filter(|(agent, state)| is_server(agent) && wanted.is_none_or(|it| it == *state));
        if os_known { servers.count().to_string() } else { "NotProvidedBySource".to_owned() }
    };

    let incidents: Vec<&Incident> = account.incidents.iter().filter(|it| it.status != Some("draft")).collect();
    let start = |it: &Incident| {
        let first =
            [&it.detected, &it.sent, &it.created].into_iter().find_map(|time| time.as_deref().and_then(parse))?;
        (first <= observed_at() + TimeDelta::minutes(5)).then_some(first)
    };
    let within = |time: DateTime<Utc>, days: u32| time <= as_of() && as_of() - time <= TimeDelta::days(i64::from(days));
    let opened = incidents.iter().filter(|it| start(it).is_some_and(|at| within(at, rules.opened_within_days))).count();
    let resolved: Vec<(Option<DateTime<Utc>>, DateTime<Utc>)> = incidents
        .iter()
        .filter(|it| matches!(it.status, Some("closed" | "resolved")))
        .filter_map(|it| usable(&it.closed).map(|end| (start(it), end)))
        .collect();
    let durations = |days: Option<u32>| {
        let inside = resolved.iter().filter(|(_, end)| days.is_none_or(|days| within(*end, days)));
        let mut durations: Vec<i128> = inside
            .filter_map(|(start, end)| Some(nanos_between((*start)?, *end)))
            .filter(|nanos| *nanos >= 0)
            .collect();
        durations.sort_unstable();
        durations
    };
    let nothing = || "NothingToMeasure".to_owned();
    let tenths = |nanos: i128| {
        let tenths = tenths_of_an_hour(nanos);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let mean = |durations: &[i128]| {
        let mean = Ratio::mean_hours(durations.iter().sum(), durations.len() as u64);
        mean.map_or_else(nothing, |mean| mean.rounded(1).to_string())
    };
    let rank = |durations: &[i128], percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).max(1);
        durations.get(rank - 1).map_or_else(nothing, |nanos| tenths(*nanos))
    };
    let oldest = |severity: Option<&str>| {
        let open = incidents.iter().filter(|it| !matches!(it.status, Some("closed" | "resolved" | "dismissed")));
        let open: Vec<_> = open.filter(|it| severity.is_none_or(|severity| it.severity == Some(severity))).collect();
        let none = || if open.is_empty() { nothing() } else { "UnknownValues".to_owned() };
        let oldest = open.iter().filter_map(|it| start(it)).min();
        oldest.map_or_else(none, |start| tenths(nanos_between(start, as_of()).max(0)))
    };
    let open_of = |severity: &str| {
        let open = incidents.iter().filter(|it| !matches!(it.status, Some("closed" | "resolved" | "dismissed")));
        open.filter(|it| it.severity == Some(severity)).count()
    };
    let percent = |part: usize, whole: usize| {
        let share = Ratio::percent(part as u64, whole as u64);
        share.map_or_else(nothing, |share| share.rounded(1).to_string())
    };
    let pct_of = |says: fn(&Agent) -> Option<bool>| {
        let said: Vec<bool> = counted.iter().filter_map(|(agent, _)| says(agent)).collect();
        percent(said.iter().filter(|has| **has).count(), said.len())
    };
    let edr = match counted.iter().filter(|(agent, _)| agent.edr != Presence::NoKey).count() {
        0 if !counted.is_empty() => "NotProvidedBySource".to_owned(),
        _ => percent(counted.iter().filter(|(agent, _)| agent.edr == Presence::Value).count(), counted.len()),
    };
    let isolated = counted.iter().filter(|(agent, _)| agent.firewall == Some("Isolated")).count();
    let states = |words: &[Option<&str>]| incidents.iter().filter(|it| words.contains(&it.status)).count();
    let severities = |word: &str| incidents.iter().filter(|it| it.severity == Some(word)).count().to_string();
    let finished = || incidents.iter().filter(|it| matches!(it.status, Some("closed" | "resolved")));
    let given = finished().any(|it| it.detected.is_some() && it.created.is_some());
    let detection: Vec<i128> = finished()
        .filter(|it| it.closed.as_deref().and_then(parse).is_some())
        .filter_map(|it| Some(nanos_between(usable(&it.created)?, usable(&it.detected)?)))
        .filter(|nanos| *nanos >= 0)
        .collect();
    let (detect, auto) = match finished().count() {
        0 => (nothing(), "0".to_owned()),
        _ if !given => ("NotProvidedBySource".to_owned(), "NotProvidedBySource".to_owned()),
        _ => (mean(&detection), "NotProvidedBySource".to_owned()),
    };
    let with_agents =
        (0..account.organizations).filter(|it| counted.iter().any(|(agent, _)| agent.organization == *it));
    let with_agents = with_agents.count();
    let average = Ratio::new(counted.len() as i128, i128::from(account.organizations));
    let share = Ratio::percent(of("online") as u64, counted.len() as u64);
    let (all, recent) = (durations(None), durations(Some(rules.resolved_within_days)));
    let ended = resolved.iter().filter(|(_, end)| within(*end, rules.resolved_within_days)).count();
    let with_online = (0..account.organizations).filter(|organization| online_in(*organization)).count();
    [
        ("incidents_total", incidents.len().to_string()),
        ("incidents_open", states(&[None, Some("sent"), Some("paused")]).to_string()),
        ("incidents_in_progress", states(&[Some("In Progress")]).to_string()),
        ("incidents_resolved", finished().count().to_string()),
        ("incidents_dismissed", states(&[Some("dismissed")]).to_string()),
        ("incidents_unknown_status", states(&[None, Some("paused")]).to_string()),
        ("incidents_critical", severities("critical")),
        ("incidents_high", severities("HIGH")),
        ("incidents_low", severities("low")),
        ("mean_time_to_detect_hours", detect),
        ("incidents_auto_resolved", auto),
        ("organizations_total", account.organizations.to_string()),
        ("organizations_with_agents", with_agents.to_string()),
        ("organization_coverage_pct", percent(with_agents, account.organizations as usize)),
        ("average_agents_per_org", average.map_or_else(nothing, |average| average.rounded(2).to_string())),
        ("agents_isolated", isolated.to_string()),
        ("agents_edr_installed_pct", edr),
        ("agents_defender_healthy_pct", pct_of(|agent| agent.defender.map(|word| word != "Unhealthy"))),
        ("agents_firewall_enabled_pct", pct_of(|agent| agent.firewall.map(|word| word != "Disabled"))),
        ("agents_tamper_protected_pct", pct_of(|agent| agent.tamper)),
        ("agents_online", of("online").to_string()),
        ("agents_offline", of("offline").to_string()),
        ("agents_missing", of("missing").to_string()),
        ("agents_unknown", of("unknown").to_string()),
        ("agents_total", counted.len().to_string()),
        ("agents_online_percentage", share.map_or_else(nothing, |share| share.rounded(1).to_string())),
        ("organizations_with_online_agents", with_online.to_string()),
        ("agents_servers_total", servers(None)),
        ("agents_servers_online", servers(Some("online"))),
        ("incidents_opened_30d", opened.to_string()),
        ("incidents_resolved_90d", ended.to_string()),
        ("mean_time_to_resolve_hours", mean(&all)),
        ("median_time_to_resolve_hours", rank(&all, 50)),
        ("p90_time_to_resolve_hours", rank(&all, 90)),
        ("mean_time_to_resolve_hours_90d", mean(&recent)),
        ("median_time_to_resolve_hours_90d", rank(&recent, 50)),
        ("p90_time_to_resolve_hours_90d", rank(&recent, 90)),
        ("oldest_open_incident_age_hours", oldest(None)),
        ("oldest_open_critical_incident_age_hours", oldest(Some("critical"))),
        ("oldest_open_high_incident_age_hours", oldest(Some("HIGH"))),
        ("incidents_open_critical", open_of("critical").to_string()),
        ("incidents_open_high", open_of("HIGH").to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Whether the state of an agent is unknown under the limits that all start from.
fn unknown(agent: &Agent) -> bool {
    let one = Account { organizations: 0, agents: vec![agent.clone()], incidents: vec![] };
    one.bundle(EdrSettings::default()).facts.unwrap().agents.by_state(EdrSettings::default()).unknown > 0
}

fn rules(online: u32, missing: u32, opened: u32, resolved: u32) -> EdrRules {
    let agents = EdrSettings::new(online, missing).unwrap();
    EdrRules { opened_within_days: opened, resolved_within_days: resolved, ..EdrRules::from(agents) }
}

/// All limits in the nightly tests, some in others.
fn limits() -> Vec<u32> {
    if option_env!("HUNTRESS_EVIDENCE_ALL_LIMITS").is_some() {
        return (1..=2_160).collect();
    }
    vec![1, 2, 23, 24, 25, 48, 71, 72, 168, 503, 504, 505, 719, 720, 1_000, 2_159, 2_160]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tally_survives_a_checkpoint(account in account()) {
        let tally = account.tally(EdrSettings::default());
        let kept: EdrTally = postcard::from_bytes(&postcard::to_allocvec(&tally).unwrap()).unwrap();
        let collection = Collection { collected_at: as_of(), duration_ms: 0, api_calls: 3, run: None };
        let bundle = |tally| bundle_of(tally, &collection, Tenant { company_id: None, client_id: None }, &[]).unwrap();
        prop_assert_eq!(bundle(&kept), bundle(&tally));
    }

    /// Whatever the agents of unknown state turn out to be, the true value lies within the bounds; and what is shown is the exact value, rounded.
    #[test]
    fn measures_hold_for_every_reading_of_the_unknown(account in account(), truth in prop::collection::vec(select(vec!["online", "offline", "missing"]), 30)) {
        let rules = EdrRules::from(EdrSettings::default());
        let bundle = account.bundle(rules.agents);
        let facts = bundle.facts.clone().unwrap();
        let given = measures(&facts, rules);
        for metric in bundle.metrics.iter().chain(&bundle.extended_metrics) {
            let kind = MetricDefinition::find(&metric.metric_key).unwrap().kind;
            let measure = given.get(&metric.metric_key);
            let shown = measure.ratio().map(|ratio| kind.show(ratio));
            prop_assert_eq!(&shown, &metric.metric_value, "{}", metric.metric_key);
            for end in [measure.least, measure.greatest] {
                // A percentile is rounded to the same value wherever in its class it lies.
                if metric.metric_key.contains("time_to_resolve") && let Reading::At(ratio) = end {
                    prop_assert_eq!(Some(kind.show(ratio)), metric.metric_value.clone());
                }
            }
        }
        let mut known = account.clone();
        for (agent, state) in known.agents.iter_mut().zip(truth) {
            if unknown(agent) {
                agent.status = Some(state);
            }
        }
        let known = known.bundle(rules.agents).facts.unwrap();
        for (key, truth) in measures(&known, rules).iter().filter(|(key, _)| key.contains("online") || key.starts_with("agents_")) {
            let (Some(value), measure) = (truth.ratio(), given.get(key)) else { continue };
            if key == "agents_unknown" {
                continue;
            }
            let (Reading::At(least), Reading::At(greatest)) = (measure.least, measure.greatest) else {
                panic!("{key} has no bounds")
            };
            let at_most = |a: Ratio, b: Ratio| a.numerator() * b.denominator() <= b.numerator() * a.denominator();
            prop_assert!(at_most(least, value) && at_most(value, greatest), "{}: {:?} not in {:?}", key, value, measure);
        }
    }

    #[test]
    fn facts_alone_give_the_numbers_under_any_limits(account in account(), opened in 0_u32..100, resolved in 0_u32..100) {
        let bundle = account.bundle(EdrSettings::default());
        prop_assert_eq!(recomputed(&bundle, EdrSettings::default().into()), committed(&bundle));
        for hours in limits() {
            // As the limit of online, and as the limit of missing where it is one of whole days.
            let mut tried = vec![rules(hours, 91, opened, resolved)];
            if hours % 24 == 0 {
                tried.push(rules(1.max(hours / 48), hours / 24, opened, resolved));
            }
            for rules in tried {
                let from_facts = recomputed(&bundle, rules);
                prop_assert_eq!(&from_facts, &expected(&account, rules), "under {:?}", rules);
                let evaluated_anew = account.bundle(rules.agents);
                prop_assert_eq!(recomputed(&evaluated_anew, rules), from_facts);
                prop_assert_eq!(&evaluated_anew.facts, &bundle.facts);
            }
        }
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides).cast_signed()
    }
}

/// The size of the facts of an account whose agents and incidents are spread evenly over so many days.
fn size(agents: u64, incidents: u64, organizations: u64, days: u64, longest_hours: u64) -> usize {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut tally = EdrTally::new(EdrSettings::default(), as_of());
    for id in 0..organizations {
        tally.add_organization(&OrganizationFacts { id: Some(&id.to_string()), ..Default::default() });
    }
    for id in 0..agents {
        // Most call every few minutes, some have not for weeks.
        let hours = if dice.below(10) < 8 { dice.below(30) } else { dice.below(60 * 24) };
        let call = before((hours * HOUR + dice.below(3_600)) * 1_000_000_000);
        let facts = AgentFacts {
            id: Some(RecordKey::Number(id)),
            organization: Some(RecordKey::Number(dice.below(organizations).cast_unsigned())),
            last_callback_at: RawTimestamp::Text(&call),
            edr_version: if dice.below(50) == 0 { Presence::Null } else { Presence::Value },
            defender_status: Some(if dice.below(20) == 0 { "Unhealthy" } else { "Healthy" }),
            firewall_status: Some(["Enabled", "Disabled", "Isolated"][dice.below(3) as usize]),
            tamper_protection: Some(dice.below(9) > 0),
            os: Some(if dice.below(8) == 0 { "Windows Server 2022" } else { "Windows 11 Pro" }),
            ..Default::default()
        };
        tally.add_agent(&facts, observed_at());
    }
    for id in 0..incidents {
        let end = dice.below(days * 86_400);
        let (sent, closed) =
            (before((end + dice.below(longest_hours * 3_600)) * 1_000_000_000), before(end * 1_000_000_000));
        let facts = IncidentFacts {
            id: Some(RecordKey::Number(id)),
            organization: Some(RecordKey::Number(dice.below(organizations).cast_unsigned())),
            status: Some(if dice.below(20) == 0 { "sent" } else { "closed" }),
            severity: Some(["low", "high", "critical"][dice.below(3) as usize]),
            sent_at: RawTimestamp::Text(&sent),
            closed_at: RawTimestamp::Text(&closed),
            ..Default::default()
        };
        tally.add_incident(&facts, observed_at());
    }
    let collection = Collection { collected_at: as_of(), duration_ms: 0, api_calls: 3, run: None };
    let bundle = bundle_of(&tally, &collection, Tenant { company_id: None, client_id: None }, &[]).unwrap();
    serde_json::to_string(&bundle.facts).unwrap().len()
}

#[test]
fn facts_stay_small() {
    let small = size(100, 50, 5, 365, 200);
    assert!(small <= 1_000, "{small} bytes for 100 agents and 50 incidents");
    // Two years of incidents, and five years of long ones.
    for (days, longest_hours) in [(730, 500), (5 * 365, 2_160)] {
        let large = size(100_000, 30_000, 2_000, days, longest_hours);
        assert!(large <= 100_000, "{large} bytes for 100,000 agents and 30,000 incidents in {days} days");
    }
}

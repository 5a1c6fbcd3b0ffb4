use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::Value;

use super::*;

fn as_of() -> DateTime<Utc> {
    "2026-03-22T12:00:00Z".parse().unwrap()
}

fn spec(shape: Shape) -> AccountSpec {
    AccountSpec { seed: 3, shape, organizations: 60, agents: 5000, incidents: 1200, as_of: as_of() }
}

fn records(account: &Account, list: List) -> Vec<Value> {
    account.records(list).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn tally<'a>(records: &'a [Value], key: &str) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for record in records {
        *counts.entry(record[key].as_str().unwrap_or("null")).or_default() += 1;
    }
    counts
}

fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn equal_specifications_give_equal_accounts() {
    for list in [List::Organizations, List::Agents, List::IncidentReports] {
        let once = records(&spec(Shape::Vendor).generate(), list);
        assert_eq!(once, records(&spec(Shape::Vendor).generate(), list));
        assert_ne!(once, records(&AccountSpec { seed: 4, ..spec(Shape::Vendor) }.generate(), list));
    }
}

#[test]
fn organizations_count_what_is_there() {
    for shape in [Shape::Vendor, Shape::Platform] {
        let account = spec(shape).generate();
        let agents = records(&account, List::Agents);
        let incidents = records(&account, List::IncidentReports);
        let mut total = 0;
        for organization in account.records(List::Organizations) {
            let own = |it: &&Value| it["organization_id"] == organization["id"];
            let counted =
                agents.iter().filter(own).filter(|it| it.get("status") != Some(&"decommissioned".into())).count();
            assert_eq!(organization["agents_count"], counted);
            assert_eq!(organization["incident_reports_count"], incidents.iter().filter(own).count());
            total += counted;
        }
        match shape {
            Shape::Vendor => assert_eq!(total, 5000),
            Shape::Platform => assert!((4950..5000).contains(&total), "{total}"),
        }
    }
}

#[test]
fn ids_ascend_and_times_lie_before_as_of() {
    let account = spec(Shape::Vendor).generate();
    for list in [List::Organizations, List::Agents, List::IncidentReports] {
        let records = records(&account, list);
        assert!(records.windows(2).all(|pair| pair[0]["id"].as_i64() < pair[1]["id"].as_i64()));
        for (key, value) in records.iter().flat_map(|record| record.as_object().unwrap()) {
            if key.ends_with("_at") && !value.is_null() {
                assert!(time(value) <= as_of(), "{key} {value}");
            }
        }
    }
}

#[test]
fn agents_are_in_the_states_of_a_real_fleet() {
    let agents = records(&spec(Shape::Vendor).generate(), List::Agents);
    let age =
        |agent: &Value| (!agent["last_callback_at"].is_null()).then(|| as_of() - time(&agent["last_callback_at"]));
    let share =
        |test: &dyn Fn(Option<TimeDelta>) -> bool| agents.iter().filter(|it| test(age(it))).count() * 1000 / 5000;
    assert!((950..970).contains(&share(&|age| age.is_some_and(|it| it <= TimeDelta::hours(24)))));
    assert!(
        (18..32)
            .contains(&share(&|age| { age.is_some_and(|it| it > TimeDelta::hours(24) && it <= TimeDelta::days(21)) }))
    );
    assert!((8..17).contains(&share(&|age| age.is_some_and(|it| it > TimeDelta::days(21)))));
    assert!((1..7).contains(&share(&|age| age.is_none())));
    for agent in &agents {
        assert!(agent["last_callback_at"].is_null() || time(&agent["last_callback_at"]) >= time(&agent["created_at"]));
    }
}

#[test]
fn each_shape_has_its_own_fields_and_words() {
    let vendor = spec(Shape::Vendor).generate();
    let platform = spec(Shape::Platform).generate();
    let absent = ["created_at", "detected_at", "resolved_at", "resolution_source", "resolved_by"];
    for incident in vendor.records(List::IncidentReports) {
        assert!(absent.iter().all(|key| incident.get(key).is_none()));
        assert_eq!(incident["closed_at"].is_null(), incident["status"] != "closed");
    }
    assert!(vendor.records(List::Agents).all(|agent| agent.get("status").is_none()));
    let mut words: Vec<_> =
        tally(&records(&vendor, List::IncidentReports), "status").into_keys().map(str::to_owned).collect();
    words.sort();
    assert_eq!(words, ["auto_remediating", "closed", "deleting", "dismissed", "partner_dismissed", "sent"]);

    let agents = records(&platform, List::Agents);
    let mut words: Vec<_> = tally(&agents, "status").into_keys().collect();
    words.sort();
    assert_eq!(words, ["active", "decommissioned", "missing", "offline", "online"]);
    for incident in platform.records(List::IncidentReports) {
        let resolved = ["resolved", "closed"].contains(&incident["status"].as_str().unwrap());
        assert_eq!(incident["resolved_at"].is_null(), !resolved);
        let named = ["resolution_source", "resolved_by"].iter().filter(|key| incident.get(*key).is_some()).count();
        assert_eq!(named, usize::from(resolved));
        assert!(time(&incident["created_at"]) <= time(&incident["detected_at"]));
        assert!(["sent_at", "closed_at", "remediations"].iter().all(|key| incident.get(key).is_none()));
    }
}

#[test]
fn open_incidents_are_recent() {
    for shape in [Shape::Vendor, Shape::Platform] {
        for incidents in [1, 2, 15, 1200] {
            let account = AccountSpec { agents: 300, incidents, ..spec(shape) }.generate();
            let incidents = records(&account, List::IncidentReports);
            let is_open = |it: &&Value| {
                ["sent", "auto_remediating", "open", "in_progress", "investigating"]
                    .contains(&it["status"].as_str().unwrap())
            };
            for incident in incidents.iter().filter(is_open) {
                let since = incident.get("detected_at").unwrap_or(&incident["updated_at"]);
                assert!(as_of() - time(since) <= TimeDelta::days(10), "{incident}");
            }
            let open = incidents.iter().filter(is_open).count();
            assert!(incidents.len() < 1200 || (60..150).contains(&open), "{open}");
        }
    }
}

#[test]
fn incidents_happen_where_their_agent_is() {
    let account = spec(Shape::Vendor).generate();
    let agents: HashMap<_, _> = account.records(List::Agents).map(|it| (it["id"].as_i64(), it)).collect();
    let mut on_identities = 0;
    for incident in account.records(List::IncidentReports) {
        let Some(agent) = incident["agent_id"].as_i64().map(|id| &agents[&Some(id)]) else {
            assert_eq!(incident["platform"], "microsoft_365");
            on_identities += 1;
            continue;
        };
        assert_eq!(agent["organization_id"], incident["organization_id"]);
        assert_eq!(agent["platform"], incident["platform"]);
        assert!(incident["subject"].as_str().unwrap().contains(agent["hostname"].as_str().unwrap()));
    }
    assert!((60..240).contains(&on_identities));
}

#[test]
fn accounts_may_be_empty_or_tiny() {
    for (organizations, agents, incidents) in [(0, 0, 0), (0, 3, 2), (1, 0, 2), (1, 1, 1), (13, 1, 0)] {
        let account = AccountSpec { organizations, agents, incidents, ..spec(Shape::Vendor) }.generate();
        assert_eq!(
            (account.organizations(), account.agents(), account.incident_reports()),
            (organizations, agents, incidents)
        );
        for list in List::EDR {
            assert_eq!(account.records(list).count() as u64, account.count(list));
            assert_eq!(account.record(list, account.count(list)), None);
        }
    }
}

/// Generated without being looked at: the first and the last record of a million.
#[test]
fn a_million_agents_are_no_burden() {
    let account = AccountSpec { agents: 1_000_000, ..spec(Shape::Vendor) }.generate();
    let last = account.record(List::Agents, 999_999).unwrap();
    assert!(last["id"].as_i64() < Some(i64::from(i32::MAX)));
    assert_eq!(account.record(List::Agents, 1_000_000), None);
}

#[test]
fn the_demo_has_something_of_everything() {
    let account = Account::demo(as_of());
    let incidents = records(&account, List::IncidentReports);
    let statuses = tally(&incidents, "status");
    assert_eq!(
        statuses,
        HashMap::from([
            ("sent", 2),
            ("auto_remediating", 1),
            ("closed", 10),
            ("dismissed", 1),
            ("partner_dismissed", 1)
        ])
    );
    assert!(incidents.iter().any(|it| it["status"] == "sent" && it["severity"] == "critical"));
    let staffed = account.records(List::Organizations).filter(|it| it["agents_count"].as_u64() > Some(0)).count();
    assert_eq!((account.agents(), account.organizations(), staffed), (90, 12, 11));
    let online = account
        .records(List::Agents)
        .filter(|it| {
            !it["last_callback_at"].is_null() && as_of() - time(&it["last_callback_at"]) <= TimeDelta::hours(24)
        })
        .count();
    assert_eq!(online, 85);
}

#[test]
fn the_worked_example_has_its_metrics() {
    let account = Account::worked_example(as_of());
    let agents = records(&account, List::Agents);
    assert_eq!(agents.len(), 87);
    assert_eq!(tally(&agents, "status"), HashMap::from([("online", 85), ("offline", 1), ("missing", 1)]));
    let organizations = records(&account, List::Organizations);
    assert_eq!(organizations.len(), 12);
    let counts: Vec<_> = organizations.iter().map(|it| it["agents_count"].as_u64().unwrap()).collect();
    assert_eq!((counts.iter().sum::<u64>(), counts.iter().filter(|it| **it > 0).count()), (87, 11));

    let incidents = records(&account, List::IncidentReports);
    assert_eq!(incidents.len(), 14);
    let resolved: Vec<_> = incidents.iter().filter(|it| !it["resolved_at"].is_null()).collect();
    assert_eq!(resolved.len(), 11);
    let minutes = |from: &str, to: &str| -> i64 {
        resolved.iter().map(|it| (time(&it[to]) - time(&it[from])).num_minutes()).sum()
    };
    assert_eq!(minutes("created_at", "detected_at"), 11 * 252);
    assert_eq!(minutes("detected_at", "resolved_at"), 11 * 1110);
    let automatic = resolved.iter().filter(|it| {
        let word = it.get("resolution_source").or(it.get("resolved_by")).unwrap().as_str().unwrap().to_lowercase();
        word.split_whitespace().any(|it| it.starts_with("auto") || it == "system")
    });
    assert_eq!(automatic.count(), 8);
    for record in agents.iter().chain(&incidents) {
        for (key, value) in record.as_object().unwrap() {
            assert!(!key.ends_with("_at") || value.is_null() || time(value) <= as_of(), "{key}");
        }
        assert!(
            record["last_callback_at"].is_null() || time(&record["last_callback_at"]) > time(&record["created_at"])
        );
    }
    // Fields must not depend on which record it is.
    assert!(agents.iter().all(|agent| keys(agent) == keys(&agents[0])));
}

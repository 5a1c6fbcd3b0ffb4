//! `explain`, `what-if` and `forecast`: what facts say, command by command.

use super::{Home, now, worked_example};
use chrono::TimeDelta;
use common::domain::calendar::Calendar;
use serde_json::{Value, json};

/// A connection whose client `acme` is measured by the baseline policy.
fn measured() -> Home {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    home.on_data(&["sync", "edr"]).done();
    home
}

#[test]
fn a_rule_is_explained_by_its_numbers_limits_and_requests() {
    let home = measured();
    let explained = home.on_data(&["explain", "acme", "edr-online", "--json"]).json();
    assert_eq!(explained["formula"], "agents online / agents × 100");
    let numbers = json!([{"what": "agents online", "value": "85"}, {"what": "agents", "value": "87"}]);
    assert_eq!((&explained["numbers"], &explained["value"]), (&numbers, &json!("97.7")));
    assert_eq!(explained["committed"], true);
    let rule = &explained["rule"];
    assert_eq!(
        (&rule["policy"], &rule["version"], &rule["outcome"]),
        (&json!("baseline"), &json!("1.0.0"), &json!("pass"))
    );
    // 95 % of 87 are 82.65, 90 % are 78.3.
    let changes = json!([{"outcome": "warning", "text": "3 fewer agents online"}, {"outcome": "fail", "text": "7 fewer agents online"}]);
    assert_eq!(rule["changes"], changes);
    let lists: Vec<&str> =
        explained["requests"].as_array().unwrap().iter().map(|it| it["list"].as_str().unwrap()).collect();
    assert_eq!(lists, ["organizations", "agents"]);
    // The metric stands for the rule about it, and one without a rule for itself.
    let by_metric = home.on_data(&["explain", "acme", "agents_online_percentage", "--json"]).json();
    assert_eq!(by_metric["rule"]["rule"], "edr-online");
    let without = home.on_data(&["explain", "acme", "agents_isolated", "--json"]).json();
    assert_eq!((&without["rule"], &without["value"]), (&Value::Null, &json!("0")));
    let text = home.on_data(&["explain", "acme", "edr-online"]).done().stdout;
    for part in [
        "agents_online_percentage = 97.7 %",
        "85 agents online, 87 agents",
        "edr-online of baseline 1.0.0: pass at least 95, warning at least 90",
        "warning with 3 fewer agents online",
        "online up to 24 h after its last call",
        "/v1/agents",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_rule_that_was_chosen_later_is_explained_and_said_to_count_from_the_next_sync_on() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let line = home.on_data(&["explain", "acme", "edr-online"]).refused(2);
    assert!(
        line.contains("there is no rule and no metric edr-online; the rules in force are sat-coverage, sat-phishing"),
        "{line}"
    );
    home.on_data(&["policy", "acme", "--set", "strict"]).done();
    let explained = home.on_data(&["explain", "acme", "edr-online", "--json"]).json();
    assert_eq!((&explained["committed"], &explained["rule"]["outcome"]), (&json!(false), &json!("warning")));
    let text = home.on_data(&["explain", "acme", "edr-online"]).done().stdout;
    assert!(text.contains("counts from the next sync on"), "{text}");
    // Before it was chosen there was no such rule, and before the evidence no evidence.
    let before = (now() - TimeDelta::days(1)).to_rfc3339();
    let line = home.on_data(&["explain", "acme", "agents_total", "--as-of", &before]).refused(4);
    assert!(line.contains("there is no endpoint evidence of a client acme until"), "{line}");
    home.on_data(&["explain", "acme", "edr-online", "--as-of", &before]).refused(2);
    let line = home.on_data(&["explain", "globex", "agents_total"]).refused(4);
    assert!(line.contains("there is no client globex:"), "{line}");
}

#[test]
fn other_limits_are_tried_out_and_nothing_is_stored() {
    let home = measured();
    let before = home.on_data(&["metrics", "acme", "--json"]).json();
    let what_if = |more: &[&str]| home.on_data(&[&["what-if", "acme"][..], more].concat());
    let tried = what_if(&["--set", "edr-online.pass=98", "--json"]).json();
    assert_eq!((&tried["evaluated"], &tried["days_changed"]), (&json!(1), &json!(1)));
    let rows = tried["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{tried}");
    assert_eq!(rows[0]["day"], Calendar::default().day_of(now()).to_string());
    assert_eq!((&rows[0]["before"]["outcome"], &rows[0]["after"]["outcome"]), (&json!("pass"), &json!("warning")));
    assert_eq!(rows[0]["after"]["limit"]["pass"]["at_least"], "98");
    // A limit that changes nothing.
    let same = what_if(&["--set", "edr-online.pass=97"]).done().stdout;
    assert!(same.contains("nothing would differ"), "{same}");
    // Another policy, by name and by file; and limits of agent age, under which numbers differ, too.
    let strict = what_if(&["--policy", "strict"]).done().stdout;
    assert!(strict.contains("edr-tamper") && strict.contains("not evaluated"), "{strict}");
    let file = home.folder.path().join("ours.json");
    let ours = r#"{"policy": "ours", "version": "1.0.0", "rules": [{"id": "few-missing", "evidence": "endpoint_protection",
        "metric": "agents_missing", "pass": {"at_most": "100"}}]}"#;
    std::fs::write(&file, ours).unwrap();
    let ours = what_if(&["--policy", file.to_str().unwrap(), "--json"]).json();
    let rules: Vec<&str> = ours["rows"].as_array().unwrap().iter().map(|row| row["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["edr-missing", "edr-online", "few-missing"], "its rules, and those that it would replace");
    // Its states are words, which no limit of age changes.
    let ages = what_if(&["--online-within-hours", "1", "--missing-after-days", "1", "--json"]).json();
    assert_eq!((&ages["evaluated"], &ages["rows"]), (&json!(1), &json!([])));

    for (more, says) in [
        (&[][..], "say what is to be different"),
        (&["--set", "edr-online=98"], "sets no limit: write RULE.pass=NUMBER"),
        (
            &["--set", "edr-online.pass=89"],
            "rule edr-online: the warning (at least 90) is stricter than the pass (at least 89)",
        ),
        (&["--set", "edr-nothing.pass=89"], "no rule edr-nothing is in force; there are sat-coverage"),
        (&["--policy", "basline"], "there is no policy basline"),
        (&["--online-within-hours", "0"], "online-within-hours must be at least 1"),
        (&["--set", "edr-online.pass=98", "--from", "2026-03-02", "--to", "2026-03-01"], "swap --from and --to"),
        (&["--set", "edr-online.pass=98", "--from", "2199-01-01", "--to", "2199-01-02"], "which lies ahead"),
    ] {
        let line = what_if(more).refused(2);
        assert!(line.contains(says), "{line}");
    }
    assert_eq!(
        home.on_data(&["metrics", "acme", "--json"]).json()["evidence"][0]["sha256"],
        before["evidence"][0]["sha256"]
    );
    let policies = home.on_data(&["policies"]).done().stdout;
    assert!(!policies.contains("ours"), "{policies}");
}

#[test]
fn other_limits_of_agent_age_are_tried_out_on_the_ages_that_are_kept() {
    let home = Home::new(simulator::Account::demo(now()));
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    home.on_data(&["sync", "edr"]).done();
    let tried = home.on_data(&["what-if", "acme", "--online-within-hours", "1", "--json"]).json();
    let rows = tried["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["rule"].as_str().unwrap()).collect::<Vec<_>>(), ["edr-online"], "{tried}");
    let online = |side: &str| rows[0][side]["value"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(online("after") < online("before"), "{tried}");
}

#[test]
fn a_client_without_training_has_no_forecast() {
    let home = measured();
    let line = home.on_data(&["forecast", "training", "acme"]).refused(4);
    assert!(line.contains("there is no training evidence of a client acme"), "{line}");
}

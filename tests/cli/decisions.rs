//! What people decide about a client, command by command.

use super::{Home, now, worked_example};
use chrono::TimeDelta;
use common::domain::calendar::{Calendar, days_after};
use serde_json::Value;

const REASON: &str = "The laptops of the sales team are replaced in May.";

fn day(ahead: i64) -> String {
    Calendar::default().day_of(now() + TimeDelta::days(ahead)).to_string()
}

/// A connection whose client `acme` is measured by the baseline policy.
fn measured() -> Home {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    home.on_data(&["sync", "edr"]).done();
    home
}

fn control(home: &Home, id: &str) -> Value {
    let controls = home.on_data(&["controls", "acme", "--json"]).json();
    let controls = controls["controls"].as_array().unwrap();
    controls.iter().find(|control| control["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
}

fn verdicts(home: &Home) -> Vec<(String, String)> {
    let metrics = home.on_data(&["metrics", "acme", "--json"]).json();
    let bundle = &metrics["evidence"][0]["bundle"];
    let bundle = if bundle.is_null() { &metrics } else { bundle };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let verdicts = bundle["verdicts"].as_array().unwrap_or_else(|| panic!("{metrics}"));
    verdicts.iter().map(|verdict| (text(&verdict["rule"]), text(&verdict["outcome"]))).collect()
}

#[test]
fn a_client_is_measured_by_the_policy_that_was_chosen_from_the_next_sync_on() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    assert_eq!(verdicts(&home), []);
    assert_eq!(control(&home, "CC6.8")["status"]["text"], "not evaluated");
    let policies = home.on_data(&["policies"]).done().stdout;
    assert!(policies.contains("baseline") && policies.contains("no standard gives the numbers"), "{policies}");
    let rules = home.on_data(&["policy", "acme", "--set", "baseline@1.0.0", "--by", "alice"]).done().stdout;
    assert!(rules.contains("edr-online") && rules.contains("from the next sync on"), "{rules}");
    // What was committed keeps what it says.
    assert_eq!(verdicts(&home), []);
    home.on_data(&["sync", "edr"]).done();
    let named = verdicts(&home);
    let rules: Vec<_> = named.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(rules, ["edr-online", "edr-missing", "edr-coverage", "ir-critical-24h", "ir-resolve-90d"]);
    let line = home.on_data(&["policy", "acme", "--set", "basline"]).refused(2);
    assert!(
        line.contains("there is no policy basline; there are training 1.0.0, baseline 1.0.0, strict 1.0.0"),
        "{line}"
    );
    let line = home.on_data(&["policy", "globex", "--set", "baseline"]).refused(2);
    assert!(line.contains("there is no client globex"), "{line}");
}

#[test]
fn a_policy_of_ones_own_is_imported_once() {
    let home = measured();
    let file = home.folder.path().join("ours.json");
    let write = |limit: &str| {
        let text = format!(
            r#"{{"policy": "ours", "version": "1.0.0", "rules": [{{"id": "few-missing", "evidence": "endpoint_protection",
                "metric": "agents_missing", "pass": {{"at_most": "{limit}"}}}}]}}"#
        );
        std::fs::write(&file, text).unwrap();
    };
    let import = || home.on_data(&["policy", "import", file.to_str().unwrap()]);
    write("lots");
    let line = import().refused(2);
    assert!(line.contains("rule few-missing: pass: \"lots\" is no decimal"), "{line}");
    write("100");
    import().done();
    import().done();
    write("200");
    let line = import().refused(2);
    assert!(line.contains("ours 1.0.0 exists with other content (rule few-missing differs)"), "{line}");
    home.on_data(&["policy", "acme", "--set", "ours"]).done();
    home.on_data(&["sync", "edr"]).done();
    let named = verdicts(&home);
    assert_eq!(named[0], ("few-missing".to_owned(), "pass".to_owned()));
    // The baseline stays for what this one has no rules for.
    assert_eq!(named.len(), 4);
}

#[test]
fn an_exception_takes_two_people_and_shows_in_the_status_of_the_control() {
    let home = measured();
    // One of 87 agents is missing: the baseline warns of it.
    let before = control(&home, "CC6.8");
    assert_eq!(before["status"]["outcome"], "warning", "{before}");
    let until = day(30);
    let add = |more: &[&str]| {
        let arguments = [&["exception", "add", "acme", "--until", until.as_str(), "--by", "alice"], more].concat();
        home.on_data(&arguments)
    };
    for (more, says) in [
        (&["--rule", "edr-missing", "--reason", "because"][..], "the reason has 7 characters"),
        (&["--rule", "edr-nothing", "--reason", REASON], "no rule edr-nothing is in force for acme; there are"),
        (&["--control", "SOC 3", "--reason", REASON], "the control map has no \"SOC 3\""),
        (&["--person", "nobody", "--reason", REASON], "no training connection of acme keeps a person nobody"),
        (&["--rule", "edr-missing", "--reason", REASON, "--approved-by", "Alice"], "Alice proposed this exception"),
    ] {
        let line = add(more).refused(2);
        assert!(line.contains(says), "{line}");
    }
    let far = days_after(Calendar::default().day_of(now()), 366).to_string();
    let line = home
        .on_data(&["exception", "add", "acme", "--rule", "edr-missing", "--reason", REASON, "--until", far.as_str()])
        .refused(2);
    assert!(line.contains("the exception would last 366 days"), "{line}");
    assert_eq!(home.on_data(&["exception", "list", "--json"]).json(), serde_json::json!([]));

    let mut proposed = Vec::new();
    // Whatever is not met is accepted, so that the control is.
    for (rule, outcome) in verdicts(&home) {
        if rule.starts_with("edr-") && outcome == "warning" {
            let view: Value =
                serde_json::from_str(&add(&["--rule", &rule, "--reason", REASON, "--json"]).done().stdout).unwrap();
            assert_eq!(view["state"], "proposed");
            proposed.push(view["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(control(&home, "CC6.8")["status"]["text"], "warning");
    for id in &proposed {
        let line = home.on_data(&["exception", "approve", id, "--by", "ALICE"]).refused(2);
        assert!(line.contains("somebody else has to decide about it"), "{line}");
        home.on_data(&["exception", "approve", id, "--by", "bob"]).done();
        let line = home.on_data(&["exception", "approve", id, "--by", "carol"]).refused(2);
        assert!(line.contains("the exception is approved: it cannot be approved; it can be revoked"), "{line}");
    }
    let text = control(&home, "CC6.8")["status"]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with(&format!("warning, accepted until {until}")), "{text}");
    // The outcome itself is what it was.
    assert_eq!(control(&home, "CC6.8")["status"]["outcome"], "warning");
    let listed = home.on_data(&["exception", "list", "acme"]).done().stdout;
    assert!(listed.contains("approved") && listed.contains(REASON), "{listed}");
    for id in &proposed {
        home.on_data(&["exception", "revoke", id, "--by", "bob"]).done();
    }
    assert_eq!(control(&home, "CC6.8")["status"]["text"], "warning");
    let line = home.on_data(&["exception", "revoke", "x1", "--by", "bob"]).refused(2);
    assert!(line.contains("there is no exception x1"), "{line}");
}

#[test]
fn a_number_of_devices_is_attested() {
    let home = measured();
    let (today, until) = (day(0), day(30));
    let attest = |value: &str| {
        let source = ["--source", "RMM export", "--dated", &today, "--until", &until, "--by", "alice"];
        home.on_data(&[&["attest", "acme", "expected_devices", value][..], &source].concat())
    };
    for bad in ["0", "-3", "some"] {
        let line = attest(bad).refused(2);
        assert!(line.contains("give a whole number above 0"), "{line}");
    }
    let said = attest("90").done().stdout;
    assert!(said.contains("alice states expected_devices = 90 for acme, from RMM export"), "{said}");
    // 85 of the 87 agents are online.
    let metrics = home.on_data(&["metrics", "acme", "--json"]).json();
    assert_eq!(metrics["endpoint_coverage"]["endpoint_coverage_pct"], "94.4", "{metrics}");
    // Values have their unit and their age, and the worst stands first.
    let controls = home.on_data(&["controls", "acme"]).done().stdout;
    assert!(controls.contains("edr-online 97.7 %: pass") && controls.contains("┆ 0 h "), "{controls}");
    let (worse, better) = (controls.find("edr-missing 1: warning"), controls.find("edr-online 97.7 %: pass"));
    assert!(worse.is_some() && worse < better, "{controls}");
    for command in ["metrics", "controls"] {
        let shown = home.on_data(&[command, "acme"]).done().stdout;
        assert!(
            shown.contains("endpoint_coverage_pct 94.4 %: 85 agents online of 90 devices, as alice attested"),
            "{shown}"
        );
    }
    attest("80").done();
    let shown = home.on_data(&["metrics", "acme"]).done().stdout;
    assert!(shown.contains("endpoint_coverage_pct 106.3 %") && shown.contains("5 more than expected"), "{shown}");
    let before = (now() - TimeDelta::days(1)).to_rfc3339();
    home.on_data(&["metrics", "acme", "--as-of", &before]).refused(4);
    home.on_data(&["controls", "acme", "--as-of", &before]).refused(4);
}

#[test]
fn what_a_rule_said_and_how_a_control_stood_is_read_over_time() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    home.on_data(&["sync", "edr"]).done();
    let history = |key: &str| {
        let history = home.on_data(&["history", key, "--client", "acme", "--json"]).json();
        let values = history["values"].as_array().unwrap().iter();
        values.map(|it| it["metric_value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The rule was in force at the second sync alone.
    assert_eq!(history("edr-online"), ["pass"]);
    assert_eq!(history("agents_total"), ["87", "87"]);
    let control = history("SOC 2 CC6.8");
    assert_eq!(control, ["not evaluated", "warning"]);
    assert_eq!(history("tsc-cc6.8"), control);
    let line = home.on_data(&["history", "edr-nothing", "--client", "acme"]).refused(4);
    assert!(line.contains("no values of edr-nothing"), "{line}");
}

#[test]
fn the_window_has_a_row_for_each_day_and_a_reason_for_each_without_evidence() {
    let home = measured();
    let (from, to) = (day(-3), day(0));
    let window = home.on_data(&["window", "acme", "--from", &from, "--to", &to, "--json"]).json();
    let rows = window["rows"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["day"].as_str().unwrap(), row["reason"].as_str(), row["outcome"].as_str()))
        .collect();
    let before = Some("before_connection");
    let expected =
        [(day(-3), before, None), (day(-2), before, None), (day(-1), before, None), (day(0), None, Some("fail"))];
    assert_eq!(told, expected.each_ref().map(|(day, reason, outcome)| (day.as_str(), *reason, *outcome)));
    assert_eq!(rows.iter().filter(|row| row["as_of"].is_null()).count(), 3, "{window}");
    assert_eq!(window["totals"]["days"], 4);
    assert_eq!(window["totals"]["covered"]["edr"], 1);
    assert_eq!(window["totals"]["policies"], serde_json::json!(["baseline 1.0.0"]));
    let csv = home.folder.path().join("window.csv");
    let html = home.folder.path().join("window.html");
    let files = ["--csv", csv.to_str().unwrap(), "--html", html.to_str().unwrap()];
    home.on_data(&[&["window", "acme", "--from", from.as_str(), "--to", to.as_str()][..], &files].concat()).done();
    let csv = std::fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.starts_with("day,connection,product,as_of,run,outcome,reason,failure_code,failure_request\r\n"));
    assert!(std::fs::read_to_string(html).unwrap().contains("before_connection"));
    let table = home.on_data(&["window", "acme", "--from", &from, "--to", &to]).done().stdout;
    assert!(table.contains("the connection was made after that day's sync"), "{table}");

    let line = home.on_data(&["window", "acme", "--from", &to, "--to", &from]).refused(2);
    assert!(line.contains("swap --from and --to"), "{line}");
    let line = home.on_data(&["window", "acme", "--from", &day(2), "--to", &day(3)]).refused(2);
    assert!(line.contains("which lies ahead"), "{line}");
    home.on_data(&["window", "globex", "--from", &from, "--to", &to]).refused(4);
}

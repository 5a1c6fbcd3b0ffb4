//! `collect edr` as it should go.

use super::{Home, METRICS, eventually, metric, now, simulated, worked_example};
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use simulator::{Account, List};
use std::process::Stdio;

fn bundle(home: &Home, options: &[&str]) -> Value {
    home.run(&[&["collect", "edr", "--json"], options].concat()).json()
}

#[test]
fn json_is_one_bundle_with_the_18_metrics_in_order() {
    let home = Home::new(worked_example());
    let printed = home.run(&["collect", "edr", "--json"]).done().stdout;
    let bundle: Value = serde_json::from_str(&printed).unwrap();
    let keys: Vec<&str> =
        bundle["metrics"].as_array().unwrap().iter().map(|it| it["metric_key"].as_str().unwrap()).collect();
    assert_eq!(keys, METRICS);
    let values = METRICS.map(|key| metric(&bundle, key));
    assert_eq!(
        values,
        ["87", "85", "1", "1", "97.7", "14", "2", "1", "11", "2", "4", "12", "11", "7.25", "91.7", "4.2", "18.5", "8"]
    );
    assert_eq!(bundle["connector_type_id"], "huntress");
    assert_eq!(bundle["tenant"], json!({"company_id": null, "client_id": null}));
    assert_eq!(bundle["metadata"]["api_calls_made"], 3);
    assert!(bundle["metadata"].get("run_id").is_none());
    // The keys of the bundle have an order, too.
    let order = ["connector_type_id", "collected_at", "tenant", "metrics", "extended_metrics", "metadata"];
    let places = order.map(|key| printed.find(&format!("\n  \"{key}\"")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    // Nothing is stored.
    assert_eq!(super::files(home.folder.path()), []);
}

#[test]
fn without_json_it_is_a_table() {
    let home = Home::new(worked_example());
    let table = home.run(&["collect", "edr"]).done().stdout;
    for key in METRICS {
        assert!(table.contains(&format!(" {key} ")), "{key} in {table}");
    }
    assert!(table.contains("97.7 %") && table.contains("18.5 h"), "{table}");
    assert!(table.contains("read 12 organizations, 87 agents, 14 incident reports"), "{table}");
}

#[test]
fn company_and_client_are_named_in_the_evidence() {
    let home = Home::new(worked_example());
    let bundle = bundle(&home, &["--company", "msp-acme", "--client", "client-acme-corp"]);
    assert_eq!(bundle["tenant"], json!({"company_id": "msp-acme", "client_id": "client-acme-corp"}));
}

#[test]
fn organizations_narrow_the_scope() {
    let account = worked_example();
    let ids: Vec<String> = account.records(List::Organizations).take(3).map(|it| it["id"].to_string()).collect();
    let agents = |wanted: &[String]| {
        let of = |agent: &Value| wanted.contains(&agent["organization_id"].to_string());
        account.records(List::Agents).filter(of).count().to_string()
    };
    let home = Home::new(account.clone());
    let one = bundle(&home, &["--organization", &ids[0]]);
    assert_eq!((metric(&one, "organizations_total"), metric(&one, "agents_total")), ("1", &*agents(&ids[..1])));
    let all = bundle(&home, &["--organization", &ids[0], &ids[1], "--organization", &ids[2]]);
    assert_eq!((metric(&all, "organizations_total"), metric(&all, "agents_total")), ("3", &*agents(&ids)));
}

#[test]
fn the_instant_and_the_limits_of_the_rules_can_be_chosen() {
    let made = now();
    // In the vendor's shape there is no status, so states follow from times.
    let home = Home::new(Account::demo(made));
    let at = |days| (made + TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let states =
        |bundle: &Value| ["agents_online", "agents_offline", "agents_missing"].map(|key| metric(bundle, key) != "0");

    let today = bundle(&home, &["--as-of", &at(0)]);
    assert_eq!(today["metadata"]["as_of"], at(0));
    assert_eq!(states(&today), [true, true, true]);
    let later = bundle(&home, &["--as-of", &at(3)]);
    assert_eq!(states(&later), [false, true, true]);
    let generous = bundle(&home, &["--as-of", &at(3), "--online-within-hours", "96"]);
    assert_eq!(states(&generous), [true, true, true]);
    let strict = bundle(&home, &["--as-of", &at(3), "--missing-after-days", "2"]);
    assert_eq!(states(&strict), [false, false, true]);
    assert_eq!(strict["metadata"]["derivation"]["agent_state"]["missing_after_days"], 2, "{strict}");
}

#[test]
fn requests_per_minute_hold_requests_back_and_0_does_not() {
    let home = Home::of(simulated(worked_example()).max_page(1).rate_headers(false));
    // 12 organizations, 87 agents and 14 incidents, one a page.
    assert_eq!(bundle(&home, &["--requests-per-minute", "0"])["metadata"]["api_calls_made"], 113);

    home.simulator.reset_log();
    let mut held = home.command(&["collect", "edr", "--json", "--requests-per-minute", "5"]);
    let mut held = held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("fifth request", || (home.simulator.requests().len() >= 5).then_some(()));
    // A process without the limit made all 113 in much less.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let requests = home.simulator.requests().len();
    held.kill().unwrap();
    held.wait().unwrap();
    assert_eq!(requests, 5);
}

#[test]
fn the_demonstration_needs_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = super::bare(folder.path(), &[]);
    let shown = super::output(command.env("TMPDIR", folder.path())).done().stdout;
    for key in METRICS {
        assert!(shown.contains(&format!(" {key} ")), "{key} in {shown}");
    }
    assert!(shown.contains(" succeeded "), "{shown}");
    for part in [
        " fail ",
        " warning, accepted until ",
        "agent_missing 4200255 since ",
        "CC7.2, CC7.3, CC7.4",
        "90 days of runs",
        "approved exception for rule edr-missing",
        "it is no longer ",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(super::files(folder.path()), []);
}

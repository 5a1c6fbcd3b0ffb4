//! The stored life of a connection, command by command.

use super::{Home, KEY, METRICS, SECRET, files, metric, now, output, worked_example};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use simulator::{Fault, FaultKind, List};

/// The one connection, as JSON tells it.
#[track_caller]
fn connection(home: &Home) -> Value {
    let listed = home.on_data(&["connections", "--json"]).json();
    assert_eq!(listed["connections"].as_array().unwrap().len(), 1, "{listed}");
    listed["connections"][0].clone()
}

fn time(value: &Value) -> DateTime<Utc> {
    common::domain::time::parse(value.as_str().unwrap()).unwrap()
}

#[test]
fn a_wrong_key_is_not_saved() {
    let home = Home::new(worked_example());
    let wrong = |arguments: &[&str]| {
        output(home.command(arguments).arg("--data").arg(home.data()).env("HUNTRESS_API_SECRET", "hs_wrong"))
    };
    let line = wrong(&["connect", "edr"]).refused(3);
    assert!(line.contains("the API key or secret was not accepted"), "{line}");
    assert_eq!(home.on_data(&["connections", "--json"]).json(), json!({"connections": []}));
    let sealed = |home: &Home| {
        super::files(&home.data()).iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "sealed")).count()
    };
    assert_eq!(sealed(&home), 0);

    // Nor does it replace a right one.
    home.connect();
    wrong(&["connect", "edr", "--replace-key"]).refused(3);
    home.on_data(&["sync", "edr"]).done();
    // Who says so saves it untested.
    wrong(&["connect", "edr", "--id", "other", "--no-test"]).done();
    let line = home.on_data(&["sync", "other"]).refused(3);
    assert!(line.contains("the API key or secret was not accepted"), "{line}");
}

#[test]
fn a_permission_that_is_missing_is_not_saved_either() {
    let home = Home::new(worked_example());
    home.simulator.set_faults(vec![Fault::always(Some(List::IncidentReports), FaultKind::Forbidden)]);
    let line = home.on_data(&["connect", "edr"]).refused(3);
    assert!(line.contains("the permission to view incident reports is missing"), "{line}");
    assert_eq!(home.on_data(&["connections", "--json"]).json(), json!({"connections": []}));
}

#[test]
fn a_dry_run_says_what_a_sync_asks_and_asks_nothing() {
    let home = Home::new(worked_example());
    home.on_data(&["sync", "edr", "--dry-run"]).refused(4);
    home.connect();
    home.simulator.reset_log();
    let said = home.on_data(&["sync", "edr", "--dry-run"]).done().stdout;
    assert!(said.contains("no run of edr has succeeded yet"), "{said}");
    assert_eq!(home.on_data(&["sync", "edr", "--dry-run", "--json"]).json(), json!({"forecast": null}));
    assert_eq!(home.on_data(&["runs", "edr", "--json"]).json(), json!({"runs": []}));
    let run = home.on_data(&["sync", "edr", "--json"]).json();
    let asked = home.simulator.requests().len();

    let foretold = home.on_data(&["sync", "edr", "--dry-run", "--json"]).json()["forecast"].clone();
    assert_eq!(
        (&foretold["requests"], &foretold["parts"], &foretold["last_run"], &foretold["basis"]),
        (&run["api_calls"], &json!(1), &run["id"], &json!("pages"))
    );
    let agents = json!({"list": "agents", "records": run["records"]["agents"], "requests": 1});
    assert!(foretold["lists"].as_array().unwrap().contains(&agents), "{foretold}");
    // The test of the connection and the sync are still in the account's minute, as far as another process can know.
    assert!(foretold["left_now"].as_u64().unwrap() < 60, "{foretold}");
    let said = home.on_data(&["sync", "edr", "--dry-run"]).done().stdout;
    assert!(said.contains("3 requests in one go") && said.contains("nothing was asked of Huntress"), "{said}");
    assert_eq!(home.simulator.requests().len(), asked);
    assert_eq!(home.on_data(&["runs", "edr", "--json"]).json()["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn from_connect_to_history() {
    let home = Home::new(worked_example());
    let said = home.on_data(&["connections"]).done().stdout;
    assert!(said.contains("no connections yet") && said.contains("connect edr"), "{said}");

    let said = home.on_data(&["connect", "edr", "--client", "acme"]).done().stdout;
    assert!(said.contains("connection edr tested and saved"), "{said}");
    let tested: Vec<_> = home.simulator.requests().into_iter().filter_map(|it| it.list).collect();
    assert_eq!(tested.len(), 4, "the account and one record of each list: {tested:?}");
    let line = home.on_data(&["connect", "edr"]).refused(2);
    assert!(line.contains("there is a connection edr already") && line.contains("--replace-key"), "{line}");

    let new = connection(&home);
    assert_eq!((&new["id"], &new["status"], &new["company"]), (&json!("edr"), &json!("new"), &json!("local")));
    assert_eq!((&new["last_attempt_at"], &new["last_success_at"]), (&Value::Null, &Value::Null));
    assert!(time(&new["next_run_at"]) > now());
    let table = home.on_data(&["connections"]).done().stdout;
    assert!(table.contains(" edr ") && table.contains(" acme ") && table.contains(" new "), "{table}");

    let line = home.on_data(&["metrics", "edr"]).refused(4);
    assert!(line.contains("no evidence yet"), "{line}");

    let report = home.on_data(&["test", "edr", "--json"]).json();
    let permissions: Vec<&Value> =
        report["permissions"].as_array().unwrap().iter().map(|it| &it["permission"]).collect();
    assert_eq!(permissions, ["account", "organizations", "agents", "incident_reports"]);
    assert_eq!(report["passed"], true);
    let table = home.on_data(&["test", "edr"]).done().stdout;
    assert_eq!(table.matches(" yes ").count(), 4, "{table}");
    assert_eq!(connection(&home)["last_test"]["passed"], true);

    home.simulator.reset_log();
    let run = home.on_data(&["sync", "edr", "--json"]).json();
    assert_eq!((&run["status"], &run["trigger"]), (&json!("succeeded"), &json!("on_demand")));
    assert_eq!((&run["api_calls"], &run["bundles"]), (&json!(3), &json!(2)));
    assert_eq!(home.simulator.requests().len(), 3);
    let said = home.on_data(&["sync", "edr"]).done().stdout;
    assert!(said.contains("succeeded: 3 requests, 2 bundles"), "{said}");

    let runs = home.on_data(&["runs", "edr", "--json"]).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    assert_eq!(runs["runs"][1], run, "newest first");
    let second = runs["runs"][0]["id"].as_str().unwrap();
    let table = home.on_data(&["runs", "edr"]).done().stdout;
    assert!(table.contains(second) && table.contains(" succeeded "), "{table}");

    let of_company = home.on_data(&["metrics", "edr", "--json"]).json();
    let entry = &of_company["evidence"][0];
    assert_eq!((&entry["run_id"], &entry["stale"]), (&json!(second), &json!(false)));
    assert_eq!(entry["bundle"]["tenant"], json!({"company_id": "local", "client_id": null}));
    assert_eq!(entry["bundle"]["metadata"]["run_id"], second);
    let printed = home.on_data(&["metrics", "acme", "--json"]).done().stdout;
    let of_client: Value = serde_json::from_str(&printed).unwrap();
    let bundle = &of_client["evidence"][0]["bundle"];
    assert_eq!(bundle["tenant"], json!({"company_id": "local", "client_id": "acme"}));
    let keys: Vec<&str> =
        bundle["metrics"].as_array().unwrap().iter().map(|it| it["metric_key"].as_str().unwrap()).collect();
    assert_eq!(keys, METRICS);
    assert!(printed.find("\"connector_type_id\"") < printed.find("\"collected_at\""), "the bundle's own order of keys");
    for subject in ["edr", "acme"] {
        let table = home.on_data(&["metrics", subject]).done().stdout;
        assert!(table.contains("97.7 %") && table.contains("age 0 h") && table.contains("last success"), "{table}");
    }

    let history = home.on_data(&["history", "agents_online_percentage", "--client", "acme", "--json"]).json();
    let values: Vec<&Value> = history["values"].as_array().unwrap().iter().map(|it| &it["metric_value"]).collect();
    assert_eq!(values, ["97.7", "97.7"]);
    assert_eq!(history["values"][1]["run_id"], second, "oldest first");
    let table = home.on_data(&["history", "agents_online_percentage", "--client", "acme"]).done().stdout;
    assert_eq!(table.matches("97.7 %").count(), 2, "{table}");
    home.on_data(&["history", "agents_total"]).done();

    let ok = connection(&home);
    assert_eq!(ok["status"], "ok");
    assert!(time(&ok["last_attempt_at"]) <= time(&ok["last_success_at"]));
}

#[test]
fn what_is_not_there_is_said() {
    let home = Home::new(worked_example());
    home.connect();
    for arguments in [
        &["test", "nobody"][..],
        &["sync", "nobody"],
        &["runs", "nobody"],
        &["metrics", "nobody"],
        &["pause", "nobody"],
        &["resume", "nobody"],
        &["disconnect", "nobody"],
        &["map", "nobody", "--client", "a"],
        &["connect", "edr", "--id", "nobody", "--replace-key"],
    ] {
        let line = home.on_data(arguments).refused(4);
        assert!(
            line.contains("there is no connection nobody") && line.contains("huntress-evidence connections"),
            "{line}"
        );
    }
    home.on_data(&["sync", "edr"]).done();
    let line = home.on_data(&["history", "agents_totl", "--client", "acme"]).refused(4);
    assert!(line.contains("no such metric"), "{line}");
    // A client that nobody knows is told so by every command about one, with what shows which there are.
    for (arguments, exit) in [
        (&["history", "agents_total", "--client", "nobody"][..], 4),
        (&["controls", "nobody"], 4),
        (&["signals", "nobody"], 4),
        (&["findings", "nobody"], 4),
        (&["completeness", "nobody"], 4),
        (&["explain", "nobody", "edr-online"], 4),
        (&["forecast", "training", "nobody"], 4),
        (&["what-if", "nobody", "--set", "sat-coverage.pass=95"], 4),
        (&["window", "nobody", "--from", "2026-03-01", "--to", "2026-03-02"], 4),
        (&["provider", "nobody"], 4),
        (&["provider", "nobody", "edr"], 4),
        (&["provider", "nobody", "--none"], 4),
        (&["policy", "nobody"], 2),
        (&["policy", "nobody", "--set", "baseline"], 2),
        (&["exception", "list", "nobody"], 2),
        (&["hold", "place", "--client", "nobody", "--reason", "a suit"], 2),
    ] {
        let line = home.on_data(arguments).refused(exit);
        assert!(
            line.contains("there is no client nobody") && line.ends_with("see: huntress-evidence clients"),
            "{arguments:?}: {line}"
        );
    }
    // One that is known and has no training evidence is another matter.
    let line = home.on_data(&["signals", "acme"]).refused(4);
    assert!(line.contains("there is no training evidence of a client acme"), "{line}");
    // Another company sees nothing of this one.
    let line = home.on_data(&["sync", "edr", "--company", "other"]).refused(4);
    assert!(line.contains("there is no connection edr"), "{line}");
    assert_eq!(home.on_data(&["connections", "--company", "other", "--json"]).json(), json!({"connections": []}));
}

#[test]
fn data_goes_to_its_own_folder_by_default() {
    let home = Home::new(worked_example());
    home.run(&["connect", "edr"]).done();
    home.run(&["sync", "edr"]).done();
    let there: Vec<_> = std::fs::read_dir(home.folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(there, ["huntress-evidence-data"]);
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &str| std::fs::metadata(home.folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("huntress-evidence-data"), 0o700);
    assert_eq!(mode("huntress-evidence-data/credentials/sealing.key"), 0o600);
}

#[test]
fn organizations_are_divided_among_clients() {
    let account = worked_example();
    let ids: Vec<String> = account.records(List::Organizations).map(|it| it["id"].to_string()).collect();
    let name =
        |index: usize| account.record(List::Organizations, index as u64).unwrap()["name"].as_str().unwrap().to_owned();
    let home = Home::new(account.clone());
    let file = home.folder.path().join("clients.csv");
    std::fs::write(
        &file,
        format!("# organization,client\n{},client-a\n{}, client-a\n\n{},client-b\n", ids[0], ids[1], ids[2]),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    home.on_data(&["connect", "edr", "--map-file", file, "--map", "999999=client-b", "--ignore", &ids[3]]).done();
    let run = home.on_data(&["sync", "edr", "--json"]).json();
    assert_eq!((&run["bundles"], &run["api_calls"]), (&json!(3), &json!(3)), "three bundles for the price of one");

    let of = |subject: &str| home.on_data(&["metrics", subject, "--json"]).json()["evidence"][0]["bundle"].clone();
    assert_eq!(metric(&of("client-a"), "organizations_total"), "2");
    assert_eq!(metric(&of("client-b"), "organizations_total"), "1");
    let company = of("edr");
    assert_eq!(metric(&company, "organizations_total"), "11", "all but the ignored one");
    let coverage = &company["metadata"]["organizations"];
    assert_eq!(
        (&coverage["unmapped_total"], &coverage["ignored"], &coverage["missing"]),
        (&json!(8), &json!([ids[3]]), &json!(["999999"]))
    );
    let table = home.on_data(&["metrics", "edr"]).done().stdout;
    assert!(table.contains("unmapped organizations") && table.contains(&name(11)), "{table}");
    assert!(table.contains("does not list: 999999"), "{table}");

    // A new mapping holds from the next sync on.
    let mapped = home.on_data(&["map", "edr", "--client", "everyone", "--json"]).json();
    assert_eq!(mapped["connection"]["id"], "edr");
    home.on_data(&["metrics", "everyone"]).refused(4);
    home.on_data(&["sync", "edr"]).done();
    assert_eq!(metric(&of("everyone"), "organizations_total"), "12");
    let said = home.on_data(&["map", "edr", "--map-file", file]).done().stdout;
    assert!(said.contains("the next sync"), "{said}");

    std::fs::write(file, format!("{},client-a\n{};client-b\n", ids[0], ids[1])).unwrap();
    let line = home.on_data(&["map", "edr", "--map-file", file]).refused(2);
    assert!(line.contains("line 2") && line.contains("expected organization,client"), "{line}");
}

#[test]
fn pause_and_resume() {
    let home = Home::new(worked_example());
    home.connect();
    let paused = home.on_data(&["pause", "edr", "--json"]).json();
    assert_eq!((&paused["connection"]["paused"], &paused["connection"]["next_run_at"]), (&json!(true), &Value::Null));
    assert!(home.on_data(&["connections"]).done().stdout.contains(" paused "));
    // Now is now, also for a paused one; and that schedules nothing.
    home.on_data(&["sync", "edr"]).done();
    assert_eq!(connection(&home)["next_run_at"], Value::Null);
    let said = home.on_data(&["resume", "edr"]).done().stdout;
    assert!(said.contains("daily again"), "{said}");
    let resumed = connection(&home);
    assert_eq!(resumed["paused"], false);
    assert_eq!(time(&resumed["next_run_at"]), common::domain::schedule::Schedule::default().next_after(now()));
    assert!(home.on_data(&["pause", "edr"]).done().stdout.contains("paused"));
}

#[test]
fn what_is_disconnected_keeps_its_evidence_and_not_its_credential() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["connect", "edr", "--id", "second"]).done();
    home.on_data(&["sync", "edr"]).done();
    let sealed = |id: &str| home.data().join("credentials").join(format!("{id}@local.sealed"));
    let bundle = || home.on_data(&["metrics", "edr", "--json"]).json()["evidence"][0]["bundle"].take();
    let before = bundle();
    assert!(before.is_object() && sealed("edr").exists());
    let said = home.on_data(&["disconnect", "edr"]).done().stdout;
    assert!(said.contains("its runs and its evidence stay"), "{said}");
    assert!(!sealed("edr").exists() && sealed("second").exists());
    let left = home.on_data(&["connections", "--json"]).json();
    assert_eq!((left["connections"].as_array().unwrap().len(), &left["connections"][0]["id"]), (1, &json!("second")));
    home.on_data(&["sync", "edr"]).refused(4);
    home.on_data(&["disconnect", "edr"]).refused(4);
    assert_eq!(bundle(), before);
    // Connected anew, it is what it was, with all that it has proved.
    home.connect();
    let line = home.on_data(&["runs", "edr"]).done().stdout;
    assert!(line.contains("succeeded"), "{line}");
    assert_eq!(bundle(), before);
}

#[test]
fn a_key_can_be_replaced() {
    let home = Home::new(worked_example());
    home.connect();
    let before = connection(&home);
    let new = super::wait(super::simulated(worked_example()).credentials("hk_new", "hs_new").start()).unwrap();
    let at_new = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.arg("--data").arg(home.data()).env("HUNTRESS_EDR_URL", new.origin());
        command.env("HUNTRESS_API_KEY", "hk_new").env("HUNTRESS_API_SECRET", "hs_new");
        output(&mut command)
    };
    at_new(&["sync", "edr"]).refused(3);
    at_new(&["connect", "edr", "--replace-key"]).done();
    at_new(&["sync", "edr"]).done();
    let after = connection(&home);
    assert_eq!((&before["mapping"], &before["created_at"]), (&after["mapping"], &after["created_at"]));
    assert_eq!(after["status"], "ok");
}

#[test]
fn a_missing_permission_is_in_the_table_and_in_one_line() {
    let home = Home::new(worked_example());
    home.connect();
    home.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Forbidden)]);
    let tested = home.on_data(&["test", "edr"]);
    assert_eq!(tested.code, 3, "{tested:?}");
    assert_eq!((tested.stdout.matches(" yes ").count(), tested.stdout.matches(" no ").count()), (3, 1), "{tested:?}");
    assert_eq!(tested.stderr.lines().count(), 1, "{tested:?}");
    assert!(tested.stderr.contains("the permission to view agents is missing"), "{tested:?}");
    let tested = home.on_data(&["test", "edr", "--json"]);
    let report: Value = serde_json::from_str(&tested.stdout).unwrap();
    assert_eq!(
        (tested.code, &report["passed"], &report["permissions"][2]["granted"]),
        (3, &json!(false), &json!(false))
    );

    home.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(404))]);
    let tested = home.on_data(&["test", "edr"]);
    assert_eq!((tested.code, tested.stderr.lines().count()), (4, 1), "{tested:?}");
    assert_eq!(connection(&home)["last_test"]["passed"], false);
}

#[test]
fn a_failed_sync_keeps_the_last_good_evidence_with_its_age() {
    let home = Home::new(worked_example());
    home.connect();
    let good = home.on_data(&["sync", "edr", "--json"]).json();
    let evidence = |home: &Home| home.on_data(&["metrics", "acme", "--json"]).json()["evidence"][0].clone();
    let before = evidence(&home);

    home.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(404))]);
    for arguments in [&["sync", "edr"][..], &["sync", "edr", "--json"]] {
        let line = home.on_data(arguments).refused(4);
        assert!(line.starts_with("refused: ") && line.contains("GET /v1/agents"), "{line}");
    }
    let failed = connection(&home);
    assert_eq!((&failed["status"], &failed["last_failure"]["code"]), (&json!("error"), &json!("refused")));
    assert_eq!(failed["next_run_at"], before["next_run_at"], "the next tick tries again");
    assert!(time(&failed["last_attempt_at"]) >= time(&failed["last_success_at"]) - TimeDelta::seconds(1));
    let after = evidence(&home);
    for key in ["run_id", "as_of", "sha256", "bundle", "committed_at", "last_success_at"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(after["run_id"], good["id"]);
    assert!(after["age_seconds"].as_i64() >= before["age_seconds"].as_i64());
    assert_eq!(after["last_failure"]["code"], "refused");
    let table = home.on_data(&["metrics", "acme"]).done().stdout;
    assert!(table.contains("the last run failed: refused"), "{table}");
    let runs = home.on_data(&["runs", "edr", "--json"]).json();
    let statuses: Vec<&Value> = runs["runs"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, ["failed", "failed", "succeeded"]);
    assert!(home.on_data(&["runs", "edr"]).done().stdout.contains("Huntress answered 404 for agents"));

    home.simulator.set_faults(vec![Fault::always(None, FaultKind::Unauthorized)]);
    let line = home.on_data(&["sync", "edr"]).refused(3);
    assert!(line.starts_with("auth_failed: "), "{line}");
    let refused = connection(&home);
    assert_eq!(refused["status"], "auth_failed");
    // Scheduled runs wait for a day, and no longer than until the tick of the next one.
    assert_eq!(time(&refused["next_run_at"]), common::domain::schedule::Schedule::default().a_day_later(now()));
    assert_eq!(evidence(&home)["bundle"], before["bundle"]);

    home.simulator.set_faults(Vec::new());
    home.on_data(&["sync", "edr"]).done();
    let well = connection(&home);
    assert_eq!((&well["status"], &well["last_failure"]), (&json!("ok"), &Value::Null));
    assert_ne!(evidence(&home)["run_id"], good["id"]);
}

#[test]
fn no_file_of_the_data_folder_has_the_credential() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    home.simulator.set_faults(vec![Fault::always(None, FaultKind::Unauthorized)]);
    home.on_data(&["sync", "edr"]).refused(3);
    let files = super::files(&home.data());
    assert!(files.len() >= 4, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    for secret in
        [KEY, SECRET, &STANDARD.encode(KEY), &STANDARD.encode(SECRET), &STANDARD.encode(format!("{KEY}:{SECRET}"))]
    {
        for (path, bytes) in &files {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
    }
}

#[test]
fn a_thousand_unmapped_organizations_with_long_names_are_stored_and_shown_whole() {
    let example = worked_example();
    let mut organizations: Vec<Value> = example.records(List::Organizations).collect();
    let model = organizations[0].clone();
    for number in 0..1_000 {
        let mut more = model.clone();
        (more["id"], more["name"]) = (json!(900_000 + number), json!("組織".repeat(200)));
        more["agents_count"] = json!(0);
        more["incident_reports_count"] = json!(0);
        organizations.push(more);
    }
    let account = simulator::Account::from_records(
        organizations,
        example.records(List::Agents).collect(),
        example.records(List::IncidentReports).collect(),
    );
    let home = Home::new(account);
    home.on_data(&["connect", "edr", "--map", "1=acme"]).done();
    let run = home.on_data(&["sync", "edr", "--json"]).json();
    assert_eq!(run["status"], "succeeded", "{run}");
    let shown = home.on_data(&["metrics", "edr", "--json"]).done().stdout;
    assert!(shown.len() > 500_000, "{} bytes", shown.len());
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let unmapped = shown["evidence"][0]["bundle"]["metadata"]["organizations"]["unmapped"].as_array().unwrap().len();
    assert!(unmapped >= 1_000, "{unmapped}");
}

#[test]
fn findings_and_completeness_are_printed_for_people_and_for_programs() {
    let home = Home::new(worked_example());
    home.on_data(&["connect", "edr", "--client", "acme"]).done();
    let line = home.on_data(&["findings", "acme"]).refused(4);
    assert!(line.contains("there is no endpoint evidence of a client acme"), "{line}");
    home.on_data(&["sync", "edr"]).done();

    let said = home.on_data(&["findings", "acme"]).done().stdout;
    assert!(said.contains("agent_missing") && said.contains("4200493") && said.contains("critical"), "{said}");
    let view = home.on_data(&["findings", "acme", "--json"]).json()["findings"][0].clone();
    assert_eq!(view["findings"]["total"]["agent_missing"], 1);
    let committed = home.on_data(&["metrics", "acme", "--json"]).json()["evidence"][0].clone();
    assert_eq!(view["findings"], committed["bundle"]["findings"]);
    assert_eq!(view["run_id"], committed["run_id"]);

    let said = home.on_data(&["completeness", "acme"]).done().stdout;
    assert!(said.contains("/v1/agents?limit=500") && said.contains("agrees: 87"), "{said}");
    let view = home.on_data(&["completeness", "acme", "--json"]).json()["completeness"][0].clone();
    assert_eq!(view["lists"], committed["bundle"]["metadata"]["completeness"]);

    let line = home.on_data(&["completeness", "acme", "--as-of", "2020-01-01T00:00:00Z"]).refused(4);
    assert!(line.contains("until 2020-01-01"), "{line}");
    home.on_data(&["findings", "acme", "--as-of", "yesterday"]).refused(2);
}

#[test]
fn the_names_of_findings_are_asked_for_when_somebody_looks_and_kept_nowhere() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let ids = home.on_data(&["findings", "acme"]).done().stdout;
    home.simulator.reset_log();
    let named = home.on_data(&["findings", "acme", "--names", "--by", "alice"]).done().stdout;
    // Of each record once, and of nothing else.
    let asked: Vec<String> = home.simulator.requests().into_iter().map(|request| request.path).collect();
    assert!(asked.contains(&"/v1/agents/4200493".to_owned()), "{asked:?}");
    let mut different = asked.clone();
    different.sort();
    different.dedup();
    assert_eq!(asked.len(), different.len(), "{asked:?}");
    let host =
        worked_example().records(List::Agents).find(|agent| agent["id"] == 4_200_493).unwrap()["hostname"].clone();
    let host = host.as_str().unwrap();
    assert!(named.contains(host) && !ids.contains(host), "{named}");
    let answer = home.on_data(&["findings", "acme", "--names", "--json"]).json();
    assert_eq!(answer["names"]["edr"]["agent"]["4200493"], host);
    // But for the age, which counts to the second of the read.
    let without_age = |mut answer: Value| {
        answer["findings"][0].as_object_mut().unwrap().remove("age_seconds").unwrap();
        answer["findings"].take()
    };
    let unnamed = home.on_data(&["findings", "acme", "--json"]).json();
    assert_eq!(without_age(answer), without_age(unnamed));
    // It is kept that somebody asked, and in no file what the answer was.
    let events = home.on_data(&["audit-log", "--json"]).json();
    let opened: Vec<&Value> =
        events["items"].as_array().unwrap().iter().filter(|it| it["action"] == "names.opened").collect();
    assert!(opened.len() == 2 && opened.iter().all(|event| event["client"] == "acme"), "{opened:?}");
    assert!(opened.iter().any(|event| event["actor"] == "alice"), "{opened:?}");
    for (path, bytes) in files(&home.data()) {
        assert!(!bytes.windows(host.len()).any(|part| part == host.as_bytes()), "{}", path.display());
    }
    // What is gone is said to be; a connection that was removed can be asked nothing.
    home.on_data(&["disconnect", "edr"]).done();
    let line = home.on_data(&["findings", "acme", "--names"]).refused(4);
    assert!(line.contains("edr"), "{line}");
}

#[test]
fn a_client_gets_limits_of_agent_age_of_its_own_and_loses_them_again() {
    let home = Home::new(super::worked_example());
    home.connect();
    let settings = |more: &[&str]| home.on_data(&[&["settings", "edr"][..], more].concat());
    let changed = settings(&["--client", "acme", "--missing-after-days", "40", "--json"]).json();
    let own = serde_json::json!({"acme": {"online_within_hours": 24, "missing_after_days": 40}});
    assert_eq!(changed["connection"]["edr_clients"], own, "{changed}");
    assert_eq!(changed["connection"]["edr"]["missing_after_days"], 21);
    home.on_data(&["sync", "edr"]).done();
    let explained = home.on_data(&["explain", "acme", "agents_missing"]).done().stdout;
    assert!(explained.contains("missing after 40 days"), "{explained}");
    for (more, says) in [
        (&["--client", "acme"][..], "--client needs a limit"),
        (
            &["--client", "globex", "--missing-after-days", "40"],
            "no organization of connection edr belongs to a client globex",
        ),
        (&["--client", "acme", "--online-within-hours", "0"], "client acme: online-within-hours must be at least 1"),
    ] {
        let line = settings(more).refused(2);
        assert!(line.contains(says), "{line}");
    }
    let changed = settings(&["--client", "acme", "--as-others", "--json"]).json();
    assert_eq!(changed["connection"]["edr_clients"], serde_json::json!({}));
}

#[test]
fn the_end_of_a_key_is_told_where_connections_are_listed() {
    let home = Home::new(worked_example());
    let line = home.on_data(&["connect", "edr", "--expires-at", "2001-01-01"]).refused(2);
    assert!(line.contains("give a later time"), "{line}");
    let day = |days| (now() + TimeDelta::days(days)).format("%Y-%m-%d").to_string();
    home.on_data(&["connect", "edr", "--expires-at", &day(8)]).done();
    assert_eq!(connection(&home)["expiry"]["state"], "expiring");
    let listed = home.on_data(&["connections"]).done().stdout;
    assert!(listed.contains("expires") && listed.contains(&day(8)), "{listed}");
    home.on_data(&["settings", "edr", "--expires-at", &day(100)]).done();
    assert_eq!(connection(&home)["expiry"]["state"], "ok");
    assert!(!home.on_data(&["connections"]).done().stdout.contains("expires"));
    home.on_data(&["settings", "edr", "--expires-at", "never"]).done();
    assert_eq!(connection(&home)["expiry"], json!(null));
    let days = home.on_data(&["settings", "edr", "--credential-valid-days", "20", "--json"]).json();
    assert_eq!(days["connection"]["expiry"]["state"], "expiring");
}

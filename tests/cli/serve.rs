//! `serve`: who may ask what, and what is answered.

use super::server::{Answer, Server};
use super::{Home, metric, now, worked_example};
use common::domain::calendar::Calendar;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::{Fault, FaultKind, List};
use std::time::Duration;

const CONNECTION: &str = "/v1/companies/local/connections/edr";

fn served() -> (Home, Server) {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &[]);
    (home, server)
}

/// An RFC 9457 problem with this status and code.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.media_type.as_str()), (status, "application/problem+json"), "{answer:?}");
    assert_eq!((&answer.body["status"], &answer.body["code"]), (&json!(status), &json!(code)), "{answer:?}");
    for text in ["title", "detail"] {
        assert!(answer.body[text].as_str().is_some_and(|it| !it.is_empty()), "{answer:?}");
    }
}

#[test]
fn every_route_wants_the_token_and_the_own_company() {
    let (home, server) = served();
    home.simulator.reset_log();
    let routes = [
        (Method::POST, "sync"),
        (Method::GET, "runs"),
        (Method::GET, "runs/019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11"),
        (Method::POST, "test"),
    ];
    for (method, route) in routes {
        let own = format!("{CONNECTION}/{route}");
        let (token, bearer) = (server.token.clone(), server.bearer());
        for headers in [
            &[][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer wrong")],
            &[("authorization", &*token)],
            &[("authorization", &format!("Basic {token}"))],
            &[("authorization", &bearer[..bearer.len() - 1])],
        ] {
            let answer = server.ask(method.clone(), &own, headers);
            assert_problem(&answer, 401, "unauthenticated");
            // What is told is what counts here, and not the claims of an issuer.
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(detail.contains("Authorization: Bearer TOKEN") && detail.contains("token add"), "{detail}");
        }
        let other = format!("/v1/companies/other/connections/edr/{route}");
        assert_problem(&server.ask(method.clone(), &other, &[("authorization", &bearer)]), 403, "forbidden");
    }
    assert_eq!(home.simulator.requests(), []);
    assert_eq!(server.get(&format!("{CONNECTION}/runs")).body, json!({"runs": []}));
}

#[test]
fn what_is_not_there_or_not_understood_is_a_problem() {
    let (_home, server) = served();
    for path in ["sync", "test"] {
        let answer = server.post(&format!("/v1/companies/local/connections/nobody/{path}"));
        assert_problem(&answer, 404, "not_found");
    }
    assert_problem(&server.get(&format!("{CONNECTION}/runs/019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11")), 404, "not_found");
    assert_problem(&server.get("/v1/companies/local"), 404, "not_found");
    // Everywhere else are pages, which a token does not open.
    let page = server.get("/");
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/login")));
    assert_problem(&server.get(&format!("{CONNECTION}/sync")), 405, "method_not_allowed");
    assert_problem(&server.post("/v1/companies/local/connections/a%23b/sync"), 400, "bad_request");
    for limit in ["0", "101", "-1", "many"] {
        assert_problem(&server.get(&format!("{CONNECTION}/runs?limit={limit}")), 400, "bad_request");
    }
    let bearer = server.bearer();
    let keyed = |key: &str| {
        let headers = [("authorization", &*bearer), ("idempotency-key", key)];
        server.ask(Method::POST, &format!("{CONNECTION}/sync"), &headers)
    };
    assert_problem(&keyed(""), 400, "bad_request");
    assert_problem(&keyed(&"k".repeat(256)), 400, "bad_request");
}

#[test]
fn sync_now_is_accepted_at_once_and_its_run_can_be_followed() {
    let (home, server) = served();
    let answer = server.post(&format!("{CONNECTION}/sync"));
    assert_eq!((answer.status, &answer.body["joined"]), (202, &json!(false)), "{answer:?}");
    let id = answer.body["run_id"].as_str().unwrap().to_owned();
    let location = answer.location.unwrap();
    assert_eq!(location, format!("{CONNECTION}/runs/{id}"));
    let run = server.run_in(&id, "succeeded");
    assert_eq!((&run["bundles"], &run["api_calls"], &run["trigger"]), (&json!(2), &json!(3), &json!("on_demand")));
    assert_eq!(server.get(&location).body["run"], run);
    assert_eq!(server.get(&format!("{CONNECTION}/runs?limit=1")).body["runs"], json!([run]));
    assert_eq!(server.terminate().code(), Some(0));
    let evidence = home.on_data(&["metrics", "acme", "--json"]).json();
    assert_eq!(evidence["evidence"][0]["run_id"], id);
    assert_eq!(metric(&evidence["evidence"][0]["bundle"], "agents_total"), "87");
}

#[test]
fn a_repeated_key_is_the_same_run_and_another_request_joins_the_one_that_runs() {
    let (home, server) = served();
    home.simulator.reset_log();
    home.simulator.set_faults(vec![Fault::once(Some(List::Agents), 1, FaultKind::Hang(Duration::from_secs(2)))]);
    let bearer = server.bearer();
    let keyed = |key: &str| {
        let headers = [("authorization", &*bearer), ("idempotency-key", key)];
        let answer = server.ask(Method::POST, &format!("{CONNECTION}/sync"), &headers);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.body
    };
    let first = keyed("order-1");
    let id = first["run_id"].as_str().unwrap();
    let joined = server.post(&format!("{CONNECTION}/sync")).body;
    assert_eq!((&joined["run_id"], &joined["joined"]), (&first["run_id"], &json!(true)));
    assert_eq!(keyed("order-2")["run_id"], id, "another key joins, too");
    server.run_in(id, "succeeded");
    // After its end, a key still leads to its run; a request without one begins anew.
    assert_eq!(keyed("order-1")["run_id"], id);
    assert_eq!(keyed("order-2")["run_id"], id);
    assert_eq!(home.simulator.requests().len(), 3, "one run");
    let second = server.sync();
    assert_ne!(second, id);
    server.run_in(&second, "succeeded");
}

#[test]
fn a_test_answers_for_each_permission() {
    let (home, server) = served();
    home.simulator.set_faults(vec![Fault::always(Some(List::IncidentReports), FaultKind::Forbidden)]);
    let answer = server.post(&format!("{CONNECTION}/test"));
    assert_eq!((answer.status, &answer.body["passed"]), (200, &json!(false)), "{answer:?}");
    let granted: Vec<(&str, bool)> = answer.body["permissions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["permission"].as_str().unwrap(), it["granted"].as_bool().unwrap()))
        .collect();
    assert_eq!(granted, [("account", true), ("organizations", true), ("agents", true), ("incident_reports", false)]);
    let failure = &answer.body["permissions"][3]["failure"];
    assert_eq!((&failure["code"], &failure["request"]), (&json!("auth_failed"), &json!("GET /v1/incident_reports")));
    // Nothing is stored but the outcome.
    assert_eq!(server.get(&format!("{CONNECTION}/runs")).body, json!({"runs": []}));
}

#[test]
fn the_folder_belongs_to_one_process() {
    let (home, server) = served();
    for arguments in
        [&["connections"][..], &["metrics", "acme"], &["sync", "edr"], &["serve", "--listen", "127.0.0.1:0"]]
    {
        let line = home.on_data(arguments).refused(4);
        assert!(line.contains("is in use by another huntress-evidence") && line.contains("stop it"), "{line}");
    }
    let taken = server.origin.strip_prefix("http://").unwrap();
    let other = Home::new(worked_example());
    let line = other.on_data(&["serve", "--listen", taken]).refused(4);
    assert!(line.contains(taken) && line.contains("--listen"), "{line}");
    assert_eq!(server.terminate().code(), Some(0));
    home.on_data(&["connections"]).done();
}

#[test]
fn the_log_has_no_secret_and_the_token_stays() {
    let (home, server) = served();
    let run = server.sync();
    server.run_in(&run, "succeeded");
    // The run's state is to be read before its line is written.
    server.logged("run ended");
    let token = server.token.clone();
    let log: Vec<Value> = server.log();
    assert_eq!(server.terminate().code(), Some(0));
    for secret in [super::KEY, super::SECRET, &token] {
        assert!(!log.iter().any(|line| line.to_string().contains(secret)));
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(home.data().join("api-token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Server::start(&home, &[]).token, token);
}

#[test]
fn the_days_of_every_command_are_those_of_the_schedule_that_serves() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    let server = Server::start(&home, &["--schedule", "cron(15 5 * * ? *)", "--zone", "Asia/Kolkata"]);
    let exception = json!({"rule": "edr-missing", "reason": "The laptops of the sales team are replaced in May.", "until": "2099-01-01"});
    let path = "/v1/companies/local/clients/acme/exceptions";
    let headers = [("authorization", server.bearer()), ("content-type", "application/json".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let far = server.send(Method::POST, path, &headers, exception.to_string());
    assert_eq!(far.status, 422, "{far:?}");
    let zone = Calendar::parse("cron(15 5 * * ? *)", "Asia/Kolkata").unwrap();
    let day = zone.day_of(now() + chrono::TimeDelta::days(30));
    let exception = json!({"rule": "edr-missing", "reason": exception["reason"], "until": day.to_string()});
    let made = server.send(Method::POST, path, &headers, exception.to_string());
    let midnight = zone.end_of(day).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!((made.status, &made.body["until"]), (201, &json!(midnight)), "{made:?}");
    drop(server);
    // The schedule is known to the commands that come after it, and to the next connection.
    home.on_data(&["sync", "edr"]).done();
    let today = zone.day_of(now()).to_string();
    let window = home.on_data(&["window", "acme", "--from", &today, "--to", &today, "--json"]).json();
    assert_eq!((&window["zone"], &window["rows"][0]["day"]), (&json!("Asia/Kolkata"), &json!(today)));
    assert!(window["rows"][0]["run"].is_string(), "{window}");
    let listed = home.on_data(&["exception", "list", "acme"]).done().stdout;
    assert!(listed.contains(&day.to_string()), "{listed}");
    let asked = home.on_data(&[
        "exception",
        "add",
        "acme",
        "--rule",
        "edr-online",
        "--reason",
        "The laptops of the sales team are replaced in May.",
        "--until",
        &day.to_string(),
        "--json",
    ]);
    assert_eq!(asked.json()["until"], json!(midnight));
    let tried = home.on_data(&["what-if", "acme", "--set", "edr-online.pass=100", "--json"]).json();
    assert_eq!(tried["zone"], "Asia/Kolkata");
    // Started without one, it is what it always was.
    drop(Server::start(&home, &[]));
    let window = home.on_data(&["window", "acme", "--from", "2026-01-01", "--to", "2026-01-01", "--json"]).json();
    assert_eq!(window["zone"], "America/New_York");
}

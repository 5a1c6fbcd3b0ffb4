//! Collections that fail: exit 3 for a refused credential, 4 for the rest, and one line that says what to do.

use super::{Home, KEY, Output, SECRET, output, worked_example};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use simulator::{Fault, FaultKind, List};

fn struck(fault: Fault) -> Home {
    let home = Home::new(worked_example());
    home.simulator.set_faults(vec![fault]);
    home
}

fn collect(home: &Home) -> Output {
    home.run(&["collect", "edr", "--json"])
}

#[test]
fn a_refused_credential_is_3() {
    let home = Home::new(worked_example());
    let line = output(home.command(&["collect", "edr"]).env("HUNTRESS_API_SECRET", "hs_other")).refused(3);
    assert!(line.contains("the API key or secret was not accepted"), "{line}");
    assert!(line.contains("check the API key and secret"), "{line}");
    assert!(home.simulator.requests().len() <= 3, "not retried");

    for (list, noun, path) in [
        (List::Organizations, "organizations", "/v1/organizations"),
        (List::Agents, "agents", "/v1/agents"),
        (List::IncidentReports, "incident reports", "/v1/incident_reports"),
    ] {
        let home = struck(Fault::always(Some(list), FaultKind::Forbidden));
        let line = collect(&home).refused(3);
        assert!(line.contains(&format!("the permission to view {noun} is missing")), "{line}");
        assert!(line.contains(&format!("GET {path}")), "{line}");
    }
}

#[test]
fn everything_else_is_4_and_names_the_request() {
    let broken = || FaultKind::Body(br#"{"agents": 5}"#.to_vec());
    for (kind, code) in [
        (FaultKind::Status(404), "refused"),
        (FaultKind::MissingKey, "malformed"),
        (broken(), "malformed"),
        (FaultKind::RepeatToken, "inconsistent"),
        (FaultKind::Redirect("https://elsewhere.example/".to_owned()), "refused"),
        (FaultKind::RetryAfter(429, "86400".to_owned()), "rate_limited"),
    ] {
        let home = Home::of(
            super::simulated(worked_example()).max_page(20).fault(Fault::always(Some(List::Agents), kind.clone())),
        );
        let line = collect(&home).refused(4);
        assert!(line.starts_with(&format!("{code}: ")), "{kind:?}: {line}");
        assert!(line.contains("(GET /v1/agents") && line.contains("; "), "{kind:?}: {line}");
    }
}

#[test]
fn an_organization_that_is_not_there_is_4() {
    let home = Home::new(worked_example());
    let line = home.run(&["collect", "edr", "--json", "--organization", "404404"]).refused(4);
    assert!(line.contains("organization 404404 is not in the account's list"), "{line}");
}

#[test]
fn retries_are_bounded_and_shown_with_v() {
    let home = struck(Fault::always(Some(List::Agents), FaultKind::Status(503)));
    let line = collect(&home).refused(4);
    assert!(line.starts_with("unavailable: "), "{line}");
    let to_agents = |home: &Home| home.simulator.requests().iter().filter(|it| it.list == Some(List::Agents)).count();
    assert_eq!(to_agents(&home), 4);

    home.simulator.reset_log();
    let shown = home.run(&["collect", "edr", "-v"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (4, ""), "{shown:?}");
    let lines: Vec<&str> = shown.stderr.lines().collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(last.starts_with("huntress-evidence: unavailable: "), "{shown:?}");
    assert_eq!(before.iter().filter(|line| line.contains("retrying") && line.contains("/v1/agents")).count(), 3);
    assert_eq!(before.len(), 3, "{shown:?}");
    assert_eq!(to_agents(&home), 4);
}

#[test]
fn a_passing_trouble_is_no_failure() {
    let home = struck(Fault::once(Some(List::Agents), 1, FaultKind::Reset));
    let bundle = collect(&home).json();
    assert_eq!((super::metric(&bundle, "agents_total"), &bundle["metadata"]["api_calls_made"]), ("87", &4.into()));
}

#[test]
fn nobody_listening_is_4_after_bounded_retries() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let home = Home::new(worked_example());
    let line = output(home.command(&["collect", "edr"]).env("HUNTRESS_EDR_URL", origin)).refused(4);
    assert!(line.starts_with("unavailable: ") && line.contains("no connection"), "{line}");
}

#[test]
fn no_secret_is_ever_printed() {
    let encoded = STANDARD.encode(format!("{KEY}:{SECRET}"));
    let home = Home::new(worked_example());
    let echo = FaultKind::StatusWithBody(
        400,
        format!("{{\"error\": \"{KEY} {SECRET} {encoded}\"}}").into_bytes(),
        "application/json".to_owned(),
    );
    let faults = [
        None,
        Some(FaultKind::Unauthorized),
        Some(FaultKind::Forbidden),
        Some(FaultKind::Reset),
        Some(FaultKind::Redirect(format!("https://elsewhere.example/{SECRET}"))),
        Some(FaultKind::Body(format!("{{\"agents\": [\"{SECRET}\"]}}").into_bytes())),
        Some(echo),
    ];
    for fault in faults {
        home.simulator.set_faults(fault.iter().map(|kind| Fault::once(Some(List::Agents), 1, kind.clone())).collect());
        for logged in [false, true] {
            let mut command = home.command(&["collect", "edr", "-v"]);
            if logged {
                command.env("HUNTRESS_EVIDENCE_LOG", "trace");
            }
            let said = output(&mut command);
            for secret in [KEY, SECRET, &encoded] {
                assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "{fault:?}");
            }
        }
    }
}

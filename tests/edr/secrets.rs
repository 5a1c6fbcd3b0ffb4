//! Nothing that comes out, neither evidence nor failure nor log, holds a credential, a name of a machine or person, or an answer's text.

use crate::records::{agent, hours_ago, incident, organization};
use acceptance::edr::{Outcome, Scene};
use acceptance::log::Log;
use common::domain::id::ClientId;
use common::domain::mapping::Mapping;
use common::huntress::request::{Timeouts, http_client};
use serde_json::{Value, json};
use simulator::{Account, FaultKind, List};

const KEY: &str = "hk_zebrakey7731";
const SECRET: &str = "hs_zebrasecret7731";
/// `hk_zebrakey7731:hs_zebrasecret7731` as HTTP Basic sends it.
const BASIC: &str = "aGtfemVicmFrZXk3NzMxOmhzX3plYnJhc2VjcmV0NzczMQ==";
/// Part of every name, text and token that the account holds.
const MARKER: &str = "zebra";

fn private() -> Account {
    let host = |id: u64| {
        json!({
            "hostname": format!("ZEBRA-LT-{id:04}"), "domain_name": "ZEBRA", "serial_number": "zebra-serial", "ipv4_address": "10.77.31.9",
            "status": "Zebra's laptop", "last_callback_at": "zebra o'clock", "tags": ["zebra"], "defender_status": "zebra!",
        })
    };
    let told = json!({
        "status": "J. Zebra", "severity": "ZEBRA-LT-0001", "subject": "HIGH - ZEBRA-LT-0001", "summary": "zebra", "body": "zebra",
        "sent_at": "the day of the zebra", "resolved_by": "zebra@example.com",
    });
    let mut closed = told.clone();
    (closed["status"], closed["sent_at"], closed["closed_at"]) =
        (json!("closed"), json!(hours_ago(5)), json!(hours_ago(3)));
    closed["remediations"] =
        json!({"items": [{"status": "zebra", "approved_by": {"name": "J. Zebra", "email": "zebra@example.com"}}]});
    Account::from_records(
        vec![
            organization(1, json!({"key": "zebra", "report_recipients": ["zebra@example.com"]})),
            organization(2, json!({})),
        ],
        (1..=6).map(|id| agent(id, host(id))).chain([json!({"hostname": "ZEBRA-NO-ID"})]).collect(),
        vec![incident(1, told), incident(2, closed)],
    )
}

/// A collection that sends the marked credential, with its log.
fn observed(change: impl FnOnce(Scene) -> Scene) -> (Outcome, String) {
    let scene =
        Scene::of(private()).credential(KEY, SECRET).simulator(|builder| builder.credentials(KEY, SECRET)).max_page(2);
    Log::of(|| change(scene).collect_blocking())
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for secret in [KEY, SECRET, BASIC, "10.77.31.9"] {
        assert!(!text.contains(secret), "{secret} in {what}: {text}");
    }
    assert!(!text.to_lowercase().contains(MARKER), "a marked name in {what}: {text}");
}

fn shown(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn a_collection_with_retries_leaves_no_secret_in_its_log_and_evidence() {
    let marked = || FaultKind::StatusWithBody(502, b"zebra is down".to_vec(), "text/plain".to_owned());
    let (outcome, log) = observed(|scene| {
        scene
            .fault(List::Agents, 1, 1, marked())
            .fault(List::Agents, 3, 1, FaultKind::Reset)
            .fault(List::IncidentReports, 1, 1, FaultKind::RetryAfter(429, "7".to_owned()))
            .fault(List::Organizations, 1, 1, FaultKind::TruncateJson)
    });
    assert_eq!(log.matches("retrying").count(), 4, "{log}");
    assert_clean("the log", &log);
    let bundle = outcome.bundle();
    assert!(bundle.metadata.data_quality.len() >= 4, "the anomalies are reported: {:?}", bundle.metadata.data_quality);
    assert_clean("the evidence", &shown(&bundle));
    assert_clean("the evidence", &format!("{bundle:?}"));
    let clients = [("1".to_owned(), ClientId::parse("acme").unwrap())].into();
    for bundle in outcome.split(&Mapping::ByOrganization { clients, ignored: [].into() }) {
        assert_clean("the evidence of a client", &shown(&bundle));
    }
}

#[test]
fn no_failure_holds_a_secret_or_an_answers_text() {
    let page = |body: &str| FaultKind::Body(body.as_bytes().to_vec());
    let token = json!({"next_page_token": {"zebra": 1}});
    let kinds = [
        FaultKind::Unauthorized,
        FaultKind::Forbidden,
        FaultKind::StatusWithBody(404, b"no zebra".to_vec(), "text/plain".to_owned()),
        FaultKind::StatusWithBody(418, b"zebra".to_vec(), "zebra/zebra".to_owned()),
        FaultKind::StatusWithBody(500, b"zebra".to_vec(), "text/plain".to_owned()),
        FaultKind::Redirect("http://zebra.example/zebra".to_owned()),
        FaultKind::RetryAfter(429, "99999".to_owned()),
        FaultKind::Status(429),
        FaultKind::Reset,
        FaultKind::Truncate,
        FaultKind::RepeatToken,
        page("zebra"),
        page(r#"{"zebra":[]}"#),
        page(r#"{"agents":"zebra"}"#),
        page(r#"{"agents":[{"id":1,"status":"zebra","status":"zebra"}]}"#),
        page(r#"{"agents":[{"hostname":"zebra"}]}"#),
        FaultKind::patch(move |page| page["pagination"] = token.clone()),
    ];
    for kind in kinds {
        let (outcome, log) = observed(|scene| scene.always(List::Agents, kind.clone()));
        let failure = outcome.failure();
        assert_clean("a failure", &format!("{failure}\n{failure:?}\n{}", shown(failure)));
        assert_clean(&format!("the log of {kind:?}"), &log);
    }
    let (outcome, log) = observed(|scene| scene.credential(KEY, "hs_zebra_wrong"));
    assert_clean("a failure", &format!("{:?}", outcome.failure()));
    assert_clean("the log", &log);
}

/// What the account says is in the log's reach: without the rule this test would see it.
#[test]
fn the_markers_are_in_what_the_account_says() {
    let text = |list| private().records(list).map(|it: Value| it.to_string()).collect::<String>().to_lowercase();
    for list in [List::Organizations, List::Agents, List::IncidentReports] {
        assert!(text(list).contains(MARKER));
    }
    let request = http_client(Timeouts::default())
        .unwrap()
        .get("http://127.0.0.1/")
        .basic_auth(KEY, Some(SECRET))
        .build()
        .unwrap();
    assert_eq!(request.headers()["authorization"].to_str().unwrap(), format!("Basic {BASIC}"));
}

/// The subscriber hears libraries, too, so silence means that nothing was said.
#[test]
fn the_log_is_heard() {
    let ((), log) = Log::of(|| tracing::trace!(credential = SECRET, "for the test"));
    assert!(log.contains(SECRET) && log.contains("for the test"), "{log}");
    let (_, log) = observed(|scene| scene);
    assert!(log.contains("hyper_util"), "{log}");
}

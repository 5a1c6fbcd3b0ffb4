//! Policies, exceptions and attestations over HTTP, and what facts say.

use super::people::event;
use super::{World, ask, company, connection};
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use serde_json::{Value, json};

const CLIENT: &str = "/clients/client-acme-corp";
const REASON: &str = "The laptops of the sales team are replaced in May.";

impl World {
    async fn decided(&self, method: &str, path: &str, body: Value, who: &str) -> (u16, Value) {
        let mut event = event(method, path, body);
        event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = json!(who);
        ask(self.connections_api(), &event).await
    }

    async fn asked(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        ask(self.evidence_api(), &event(method, path, body)).await
    }

    async fn synced(&mut self) {
        self.planner().sync_now(&company(), &connection("edr-main"), None).await.unwrap();
        let message = self.sent().remove(0);
        let deadline = self.huntress.clock.now() + TimeDelta::minutes(10);
        let processed = self.worker().process(&message, "worker", deadline, std::sync::Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Succeeded { .. }), "{processed:?}");
    }
}

/// Over HTTP there are fields and no options, and no commands to see.
#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_the_route() {
    let world = World::with(&["edr-main"]).await;
    let window = format!("{CLIENT}/window?from=2026-03-09&to=2026-03-08");
    let backwards = json!({"set": {"sat-coverage": {"pass": "95"}}, "from": "2026-03-09", "to": "2026-03-08"});
    for (method, path, body) in [("GET", window, Value::Null), ("POST", format!("{CLIENT}/what-if"), backwards)] {
        let (status, problem) = world.asked(method, &path, body).await;
        assert_eq!((status, &problem["code"]), (422, &json!("window_refused")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().ends_with("swap from and to"), "{problem}");
    }
    for (subject, named) in [("control", "SOC 3"), ("person", "nobody"), ("rule", "edr-nothing")] {
        let body = json!({subject: named, "reason": REASON, "until": "2026-06-01"});
        let (status, problem) = world.decided("POST", &format!("{CLIENT}/exceptions"), body, "alice").await;
        assert_eq!((status, &problem["code"]), (422, &json!("refused_exception")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.contains("huntress-evidence ") && !detail.contains(" --"), "{detail}");
    }
    let (status, problem) = world.asked("GET", &format!("{CLIENT}/controls?foo=1"), Value::Null).await;
    assert_eq!(status, 400);
    let told = "there is no parameter foo, only framework and as_of: framework must be";
    assert!(problem["detail"].as_str().unwrap().starts_with(told), "{problem}");
}

#[tokio::test]
async fn a_policy_is_imported_chosen_and_explained() {
    let mut world = World::with(&["edr-main"]).await;
    let path = format!("{CLIENT}/policy");
    let (status, chosen) = world.decided("PUT", &path, json!({"policy": "baseline"}), "alice").await;
    assert_eq!(status, 200, "{chosen}");
    let rules: Vec<&str> = chosen["rules"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(rules.contains(&"edr-online") && rules.contains(&"sat-coverage"), "{rules:?}");
    let (status, before) =
        world.decided("GET", &format!("{path}?as_of=2026-03-22T11:00:04Z"), Value::Null, "alice").await;
    assert_eq!((status, before["rules"].as_array().unwrap().len()), (200, 2));
    world.synced().await;

    let ours = json!({"policy": "ours", "version": "1.0.0", "rules": [{"id": "few-missing", "evidence": "endpoint_protection",
        "metric": "agents_missing", "pass": {"at_most": "3"}}]});
    let (status, kept) = world.decided("PUT", "/policies/ours/1.0.0", ours.clone(), "alice").await;
    assert_eq!((status, &kept["preset"], &kept["content"]), (200, &json!(false), &ours));
    assert_eq!(world.decided("PUT", "/policies/ours/1.0.0", ours.clone(), "alice").await.0, 200, "again");
    let mut other = ours.clone();
    other["rules"][0]["pass"]["at_most"] = json!("4");
    let mut wrong = ours.clone();
    wrong["rules"][0]["metric"] = json!("agents_lost");
    for (path, body, status, code, says) in [
        ("/policies/ours/1.0.0", other, 409, "conflict", "rule few-missing differs"),
        ("/policies/ours/1.0.1", ours.clone(), 422, "refused_policy", "the name and the version of the path"),
        ("/policies/ours/1.0.0", wrong, 422, "refused_policy", "rule few-missing: there is no metric"),
    ] {
        let (is, problem) = world.decided("PUT", path, body, "alice").await;
        assert_eq!((is, problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let (_, listed) = world.decided("GET", "/policies", Value::Null, "alice").await;
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|it| it["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["training", "baseline", "strict", "ours"]);
    assert_eq!(world.decided("GET", "/policies/ours/1.0.0", Value::Null, "alice").await.1, kept);
    assert_eq!(world.decided("GET", "/policies/ours/1", Value::Null, "alice").await.0, 404);
    let (status, problem) = world.decided("PUT", &path, json!({"policy": "basline"}), "alice").await;
    assert_eq!((status, &problem["code"]), (422, &json!("refused_policy")));

    let (status, explained) = world.asked("GET", &format!("{CLIENT}/explain/edr-online"), Value::Null).await;
    assert_eq!((status, &explained["value"], &explained["rule"]["outcome"]), (200, &json!("97.7"), &json!("pass")));
    assert_eq!(world.asked("GET", &format!("{CLIENT}/explain/nothing"), Value::Null).await.0, 404);
    assert_eq!(world.asked("GET", "/clients/nobody/explain/agents_total", Value::Null).await.0, 404);
    let tried = json!({"set": {"edr-online": {"pass": "98"}}});
    let (status, differs) = world.asked("POST", &format!("{CLIENT}/what-if"), tried).await;
    assert_eq!((status, &differs["rows"][0]["after"]["outcome"]), (200, &json!("warning")), "{differs}");
    let (status, differs) = world.asked("POST", &format!("{CLIENT}/what-if"), json!({"policy": ours})).await;
    assert_eq!((status, differs["rows"].as_array().unwrap().len()), (200, 3), "{differs}");
    for (body, code) in [
        (json!({}), "refused_policy"),
        (json!({"set": {"edr-online": {"pass": "101"}}}), "refused_policy"),
        (json!({"policy": {"policy": "x"}}), "refused_policy"),
        (json!({"online_within_hours": 0}), "refused_setting"),
        (json!({"online_within_hours": 1, "from": "2026-03-22", "to": "2026-03-01"}), "window_refused"),
    ] {
        let (status, problem) = world.asked("POST", &format!("{CLIENT}/what-if"), body).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some(code)), "{problem}");
    }
    assert_eq!(world.asked("GET", &format!("{CLIENT}/forecast-training"), Value::Null).await.0, 404);
    let (status, window) =
        world.asked("GET", &format!("{CLIENT}/window?from=2026-03-21&to=2026-03-22"), Value::Null).await;
    assert_eq!((status, window["rows"].as_array().unwrap().len()), (200, 2), "{window}");
    assert_eq!(window["rows"][1]["outcome"], "fail");
    let backwards = format!("{CLIENT}/window?from=2026-03-22&to=2026-03-21");
    assert_eq!(world.asked("GET", &backwards, Value::Null).await.1["code"], "window_refused");
    assert_eq!(world.asked("GET", &format!("{CLIENT}/window"), Value::Null).await.0, 400);
}

#[tokio::test]
async fn nobody_approves_what_they_proposed_and_everything_is_recorded() {
    let world = World::with(&["edr-main"]).await;
    world.decided("PUT", &format!("{CLIENT}/policy"), json!({"policy": "baseline"}), "alice").await;
    let path = format!("{CLIENT}/exceptions");
    let new = json!({"rule": "edr-missing", "reason": REASON, "until": "2026-06-01"});
    let (status, proposed) = world.decided("POST", &path, new.clone(), "alice").await;
    assert_eq!((status, &proposed["state"]), (201, &json!("proposed")), "{proposed}");
    // A day means its end in the zone of days.
    assert_eq!(proposed["until"], "2026-06-02T04:00:00Z");
    let id = proposed["id"].as_str().unwrap();
    let approve = format!("{path}/{id}/approve");
    let (status, problem) = world.decided("POST", &approve, Value::Null, "alice").await;
    assert_eq!((status, &problem["code"]), (422, &json!("refused_exception")), "{problem}");
    let of_another = format!("/clients/client-globex/exceptions/{id}/approve");
    assert_eq!(world.decided("POST", &of_another, Value::Null, "bob").await.0, 404);
    assert_eq!(world.decided("POST", &approve, Value::Null, "bob").await.1["state"], "approved");
    assert_eq!(world.decided("POST", &approve, Value::Null, "carol").await.0, 422);
    assert_eq!(world.decided("POST", &format!("{path}/{id}/revoke"), Value::Null, "bob").await.1["state"], "revoked");
    let (_, second) = world.decided("POST", &path, new.clone(), "alice").await;
    let reject = format!("{path}/{}/reject", second["id"].as_str().unwrap());
    assert_eq!(world.decided("POST", &reject, Value::Null, "bob").await.1["state"], "rejected");
    let (_, listed) = world.decided("GET", &path, Value::Null, "alice").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let (_, before) = world.decided("GET", &format!("{path}?as_of=2026-03-01T00:00:00Z"), Value::Null, "alice").await;
    assert_eq!(before["items"], json!([]));
    for (body, status) in [
        (json!({"rule": "edr-missing", "reason": "short", "until": "2026-06-01"}), 422),
        (json!({"rule": "edr-missing", "reason": REASON, "until": "2028-06-01"}), 422),
        (json!({"rule": "edr-missing", "control": "SOC 2 CC6.8", "reason": REASON, "until": "2026-06-01"}), 400),
        (json!({"reason": REASON, "until": "2026-06-01"}), 400),
        (json!({"rule": "edr-missing", "reason": REASON, "until": "some day"}), 400),
        (json!({"rule": "nothing", "reason": REASON, "until": "2026-06-01"}), 422),
    ] {
        assert_eq!(world.decided("POST", &path, body.clone(), "alice").await.0, status, "{body}");
    }

    let path = format!("{CLIENT}/attestations/expected_devices");
    assert_eq!(world.decided("GET", &path, Value::Null, "alice").await.0, 404);
    let stated =
        |value: i64| json!({"value": value, "source": "RMM export", "dated": "2026-03-20", "until": "2026-12-31"});
    assert_eq!(world.decided("PUT", &path, stated(90), "alice").await.1["value"], 90);
    assert_eq!(world.decided("GET", &path, Value::Null, "alice").await.1["source"], "RMM export");
    for (path, body, status) in [
        (path.clone(), stated(0), 422),
        (path.clone(), stated(-1), 422),
        (path.clone(), json!({"value": 1.5, "source": "x", "dated": "2026-03-20", "until": "2026-12-31"}), 422),
        (format!("{CLIENT}/attestations/expected_cats"), stated(3), 404),
        ("/clients/nobody/attestations/expected_devices".to_owned(), stated(3), 404),
    ] {
        assert_eq!(world.decided("PUT", &path, body.clone(), "alice").await.0, status, "{path} {body}");
    }

    let (_, log) = world.asked("GET", "/audit-log", Value::Null).await;
    let events = log["items"].as_array().or(log["events"].as_array()).unwrap_or_else(|| panic!("{log}"));
    let said: Vec<(&str, &str)> =
        events.iter().map(|it| (it["actor"].as_str().unwrap(), it["action"].as_str().unwrap())).collect();
    let mut expected = vec![
        ("alice", "attestation.made"),
        ("alice", "exception.proposed"),
        ("alice", "exception.proposed"),
        ("alice", "policy.chosen"),
        ("bob", "exception.approved"),
        ("bob", "exception.rejected"),
        ("bob", "exception.revoked"),
    ];
    let mut said = said;
    said.sort_unstable();
    expected.sort_unstable();
    assert_eq!(said, expected);
}

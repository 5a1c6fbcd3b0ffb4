//! Connections over HTTP: made, changed by revision, tested, removed, and what the audit log says of it.

use super::people::event;
use super::{World, ask, ask_for_all};
use serde_json::{Value, json};
use simulator::{API_KEY, API_SECRET, Fault, FaultKind, List};

impl World {
    async fn connections(&self, method: &str, path: &str, body: Value, revision: Option<&str>) -> (u16, Value, String) {
        let mut asked = event(method, &format!("/connections{path}"), body);
        if let Some(revision) = revision {
            asked["headers"]["if-match"] = json!(revision);
        }
        let (status, headers, body) = ask_for_all(self.of_connections(path), &asked).await;
        let etag = headers.get("etag").map_or(String::new(), |etag| etag.to_str().unwrap().to_owned());
        (status, body, etag)
    }

    fn of_connections(&self, path: &str) -> axum::Router {
        if path.ends_with("/test") { self.connection_test() } else { self.connections_api() }
    }

    async fn audited(&self, query: &str, claims: Value) -> (u16, Value) {
        let mut asked = event("GET", &format!("/audit-log{query}"), Value::Null);
        asked["requestContext"]["authorizer"]["jwt"]["claims"] = claims;
        ask(self.evidence_api(), &asked).await
    }
}

fn new(id: &str) -> Value {
    json!({"id": id, "product": "huntress-edr", "credential": {"apiKey": API_KEY, "apiSecret": API_SECRET},
        "mapping": {"default_client": "client-acme-corp"}})
}

fn admin() -> Value {
    json!({"sub": "user-7f3a", "company_id": "msp-acme", "role": "admin"})
}

#[tokio::test]
async fn a_connection_is_made_changed_and_removed() {
    let world = World::with(&[]).await;
    let (status, made, etag) = world.connections("POST", "", new("edr"), None).await;
    assert_eq!((status, etag.as_str(), &made["connection"]["revision"]), (201, "\"0\"", &json!(0)), "{made}");
    assert!(!made.to_string().contains(API_SECRET) && made.get("note").is_none());
    assert_eq!(world.connections("POST", "", new("edr"), None).await.0, 409);
    let (status, one, etag) = world.connections("GET", "/edr", Value::Null, None).await;
    assert_eq!(
        (status, &one["connection"]["default_client"], etag.as_str()),
        (200, &json!("client-acme-corp"), "\"0\"")
    );

    let mapping = json!({"clients": {"101": "client-a", "102": "client-b"}, "ignored": ["103"]});
    let (status, problem, _) = world.connections("PUT", "/edr/mapping", mapping.clone(), None).await;
    assert_eq!((status, &problem["code"]), (428, &json!("revision_needed")));
    let (status, mapped, etag) = world.connections("PUT", "/edr/mapping", mapping.clone(), Some("\"0\"")).await;
    assert_eq!((status, etag.as_str(), &mapped["connection"]["clients"]["101"]), (200, "\"1\"", &json!("client-a")));
    for old in ["\"0\"", "\"7\"", "1", "\"x\"", "W/\"1\""] {
        let (status, problem, _) = world.connections("PUT", "/edr/mapping", mapping.clone(), Some(old)).await;
        assert_eq!((status, &problem["code"]), (412, &json!("stale")), "{old}");
    }
    let settings = json!({"missing_after_days": 30});
    let (status, patched, _) = world.connections("PATCH", "/edr", settings, Some("\"1\"")).await;
    assert_eq!(
        (status, &patched["connection"]["settings"]),
        (200, &json!({"online_within_hours": 24, "missing_after_days": 30}))
    );
    for (refused, code) in [
        (json!({"max_activity": 5}), 422),
        (json!({"online_within_hours": 0}), 422),
        (json!({}), 422),
        (json!({"unknown": 1}), 400),
        (json!({"online_within_hours": -1}), 400),
    ] {
        assert_eq!(world.connections("PATCH", "/edr", refused.clone(), Some("*")).await.0, code, "{refused}");
    }
    assert_eq!(world.connections("POST", "/edr/pause", Value::Null, None).await.1["connection"]["paused"], true);
    assert_eq!(world.connections("POST", "/edr/resume", Value::Null, None).await.1["connection"]["paused"], false);
    let (status, page, _) = world.connections("GET", "?limit=1", Value::Null, None).await;
    assert_eq!((status, page["items"].as_array().unwrap().len(), &page["next_after"]), (200, 1, &Value::Null));
    assert_eq!(world.connections("GET", "?limit=0", Value::Null, None).await.0, 400);
    let (status, setup, _) = world.connections("GET", "/edr/setup", Value::Null, None).await;
    assert_eq!((status, &setup["product"]), (200, &json!("huntress-edr")));

    assert_eq!(world.connections("DELETE", "/edr", Value::Null, None).await.0, 428);
    assert_eq!(world.connections("DELETE", "/edr", Value::Null, Some("\"0\"")).await.0, 412);
    assert_eq!(world.connections("DELETE", "/edr", Value::Null, Some("\"4\"")).await.0, 204);
    assert_eq!(world.connections("GET", "/edr", Value::Null, None).await.0, 404);

    let (status, log) = world.audited("", admin()).await;
    let said: Vec<_> = log["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(status, 200);
    let mut sorted = said.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "connection.created",
            "connection.paused",
            "connection.removed",
            "connection.resumed",
            "mapping.changed",
            "settings.changed"
        ],
        "one event for each change, and none for what was refused"
    );
    assert!(log["items"].as_array().unwrap().iter().all(|it| it["actor"] == "user-7f3a" && it["actor_kind"] == "api"));
    assert!(!log.to_string().contains(API_SECRET));
}

#[tokio::test]
async fn a_credential_is_kept_only_after_it_has_passed() {
    let world = World::with(&["edr-main"]).await;
    let put = async |key: &str, secret: &str, query: &str| {
        let body = json!({"apiKey": key, "apiSecret": secret});
        world.connections("PUT", &format!("/edr-main/credential{query}"), body, Some("*")).await
    };
    let (status, problem, _) = put("wrong", "wrong", "").await;
    assert_eq!((status, &problem["code"]), (424, &json!("auth_failed")), "{problem}");
    let (status, tested, _) = world.connections("POST", "/edr-main/test", Value::Null, None).await;
    assert_eq!((status, &tested["passed"]), (200, &json!(true)), "the earlier one stays");
    let (status, replaced, _) = put(&format!(" {API_KEY}\r\n"), &format!("\"{API_SECRET}\""), "").await;
    assert_eq!(status, 200, "{replaced}");
    assert!(replaced["note"].as_str().unwrap().contains("removed"), "{replaced}");
    assert_eq!(put(" ", "x", "").await.0, 422);
    let (status, other, _) = world
        .connections("PUT", "/edr-main/credential", json!({"clientId": "a", "clientSecret": "b"}), Some("*"))
        .await;
    assert_eq!((status, &other["code"]), (422, &json!("other_product")));
    assert_eq!(put("anything", "else", "?test=false").await.0, 200);
    let (_, tested, _) = world.connections("POST", "/edr-main/test", Value::Null, None).await;
    assert_eq!(tested["passed"], false);
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(503))]);
    let (status, problem, _) = put(API_KEY, API_SECRET, "").await;
    assert!(status == 424 && problem["code"] == "unavailable", "what is Huntress's is no 5xx of ours: {problem}");
}

#[tokio::test]
async fn of_twenty_writers_one_wins_each_revision() {
    let world = World::with(&["edr-main"]).await;
    for revision in 0..3 {
        let etag = format!("\"{revision}\"");
        let write = |writer: u32| {
            let mapping = json!({"default_client": format!("client-{writer}")});
            world.connections("PUT", "/edr-main/mapping", mapping, Some(&etag))
        };
        let answers = futures_util::future::join_all((0..20).map(write)).await;
        let won: Vec<_> = answers.iter().filter(|(status, ..)| *status == 200).collect();
        assert_eq!((won.len(), won[0].2.clone()), (1, format!("\"{}\"", revision + 1)));
        assert!(answers.iter().all(|(status, ..)| [200, 412].contains(status)));
        let (_, one, _) = world.connections("GET", "/edr-main", Value::Null, None).await;
        assert_eq!(one["connection"]["default_client"], won[0].1["connection"]["default_client"]);
    }
    let (_, log) = world.audited("", admin()).await;
    assert_eq!(log["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_audit_log_is_read_in_pages_and_by_an_auditor_without_other_clients() {
    let world = World::with(&["edr-main"]).await;
    for path in ["pause", "resume", "pause"] {
        assert_eq!(world.connections("POST", &format!("/edr-main/{path}"), Value::Null, None).await.0, 200);
    }
    let mapping = json!({"clients": {"1": "client-acme-corp", "2": "client-secret-other"}});
    assert_eq!(world.connections("PUT", "/edr-main/mapping", mapping, Some("*")).await.0, 200);
    let (_, first) = world.audited("?limit=3", admin()).await;
    let after = first["next_after"].as_str().unwrap();
    let (_, second) = world.audited(&format!("?limit=3&after={}", after.replace('#', "%23")), admin()).await;
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_after"]), (1, &Value::Null));
    for wrong in ["?limit=0", "?limit=101", "?after=x", "?from=now", "?other=1"] {
        assert_eq!(world.audited(wrong, admin()).await.0, 400, "{wrong}");
    }
    let auditor = |client: &str, window: &str| json!({"sub": "a", "company_id": "msp-acme", "role": "auditor", "clients": client, "window": window});
    let (_, own) = world.audited("", auditor("client-acme-corp", "2026-01-01/2026-12-31")).await;
    assert_eq!(own["items"].as_array().unwrap().len(), 4);
    assert!(!own.to_string().contains("client-secret-other"), "{own}");
    let (_, before) = world.audited("", auditor("client-acme-corp", "2026-01-01/2026-01-31")).await;
    assert_eq!(before["items"], json!([]));
    let (_, others) = world.audited("", auditor("client-globex", "2026-01-01/2026-12-31")).await;
    assert_eq!(others["items"], json!([]));
    let asked = auditor("client-globex", "2026-01-01/2026-12-31");
    assert_eq!(world.audited("?client=client-acme-corp", asked).await.0, 404);
}

#[tokio::test]
async fn the_end_of_a_credential_is_told_before_it_comes() {
    // It is 2026-03-22T11:00:05Z here.
    let world = World::with(&[]).await;
    let expiry = |connection: &Value| connection["connection"]["expiry"].clone();
    let (_, made, _) = world.connections("POST", "", new("plain"), None).await;
    assert_eq!(expiry(&made), Value::Null, "nobody has said when it ends");
    let mut ending = new("edr");
    ending["expires_at"] = json!("2026-06-01T00:00:00Z");
    let (status, made, _) = world.connections("POST", "", ending.clone(), None).await;
    assert_eq!((status, expiry(&made)), (201, json!({"state": "ok", "at": "2026-06-01T00:00:00Z"})));

    let patch = async |body: Value| world.connections("PATCH", "/edr", body, Some("*")).await;
    for (at, state) in
        [("2026-04-21T11:00:06Z", "ok"), ("2026-04-21T11:00:05Z", "expiring"), ("2026-03-22T11:00:06Z", "expiring")]
    {
        let (status, patched, _) = patch(json!({"expires_at": at})).await;
        assert_eq!((status, expiry(&patched)), (200, json!({"state": state, "at": at})));
    }
    let (_, listed, _) = world.connections("GET", "", Value::Null, None).await;
    assert_eq!(listed["items"][0]["expiry"]["state"], "expiring");
    for (refused, code, status) in [
        (json!({"expires_at": "2026-03-22T11:00:05Z"}), "refused_setting", 422),
        (json!({"expires_at": "soon"}), "bad_request", 400),
        (json!({"credential_valid_days": 0}), "refused_setting", 422),
        (json!({"credential_valid_days": 70000}), "bad_request", 400),
    ] {
        let (got, problem, _) = patch(refused.clone()).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{refused}");
    }
    // Days count from when the credential was saved; a date goes before them, and goes with its credential.
    let days = json!({"missing_after_days": 30, "credential_valid_days": 100});
    assert_eq!(expiry(&patch(days).await.1)["at"], "2026-03-22T11:00:06Z");
    let (_, patched, _) = patch(json!({"expires_at": null})).await;
    assert_eq!(expiry(&patched), json!({"state": "ok", "at": "2026-06-30T11:00:05Z"}));
    assert_eq!(patched["connection"]["settings"]["missing_after_days"], 30);
    let put = async |query: &str| {
        let path = format!("/edr/credential{query}");
        world.connections("PUT", &path, new("edr")["credential"].clone(), Some("*")).await
    };
    assert_eq!(expiry(&put("?expires_at=2026-03-25T00:00:00Z").await.1)["state"], "expiring");
    assert_eq!(expiry(&put("").await.1)["at"], "2026-06-30T11:00:05Z", "the date was that of the earlier credential");
    assert_eq!(put("?expires_at=2020-01-01T00:00:00Z").await.0, 422);
    ending["id"] = json!("past");
    ending["expires_at"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(world.connections("POST", "", ending, None).await.1["code"], "refused_setting");
}

//! Evidence over HTTP: the latest, as of an instant, over time, and the committed bytes.

use super::people::event;
use super::{World, ask, ask_for_all, company, connection, sample, tick};
use axum::body::{Body, to_bytes};
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::aws::queue::RunMessage;
use common::aws::secrets::Binding;
use common::domain::product::Product;
use lambda_http::request::LambdaRequest;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// A world whose one connection was synced on two days.
pub async fn world() -> World {
    let mut world = World::with(&["edr-main"]).await;
    for days in [0, 1] {
        let clock = super::Stopped(tick() + TimeDelta::days(days) + TimeDelta::seconds(5));
        world.huntress.clock = Arc::new(clock);
        world.planner().sync_now(&company(), &connection("edr-main"), None).await.unwrap();
        let message: RunMessage = world.sent().remove(0);
        let deadline = world.huntress.clock.now() + TimeDelta::minutes(10);
        let processed = world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Succeeded { .. }), "{processed:?}");
    }
    world
}

impl World {
    pub async fn read(&self, path: &str) -> (u16, Value) {
        ask(self.evidence_api(), &event("GET", path, Value::Null)).await
    }

    pub async fn read_as(&self, path: &str, claims: Value) -> (u16, Value) {
        let mut event = event("GET", path, Value::Null);
        event["requestContext"]["authorizer"]["jwt"]["claims"] = claims;
        ask(self.evidence_api(), &event).await
    }
}

const CLIENT: &str = "/clients/client-acme-corp";

fn as_of(answer: &Value) -> Vec<&str> {
    answer["evidence"].as_array().unwrap().iter().map(|it| it["as_of"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_latest_evidence_of_a_client_is_that_of_the_instant() {
    let world = world().await;
    let (status, latest) = world.read(&format!("{CLIENT}/evidence")).await;
    assert_eq!((status, as_of(&latest)), (200, vec!["2026-03-23T11:00:05Z"]));
    let entry = &latest["evidence"][0];
    assert_eq!(
        (&entry["connection"], &entry["stale"], &entry["age_seconds"]),
        (&json!("edr-main"), &json!(false), &json!(0))
    );
    assert_eq!(entry["bundle"]["metrics"][0]["metric_value"], "87");
    let (_, before) = world.read(&format!("{CLIENT}/metrics?as_of=2026-03-23T11:00:04Z")).await;
    assert_eq!(as_of(&before), ["2026-03-22T11:00:05Z"]);
    // Its age is that of the instant: a second less than a day, and then fresh, whatever it is now.
    let aged = |answer: &Value| (answer["evidence"][0]["age_seconds"].clone(), answer["evidence"][0]["stale"].clone());
    assert_eq!(aged(&before), (json!(24 * 3_600 - 1), json!(false)));
    let (_, soon) = world.read(&format!("{CLIENT}/metrics?as_of=2026-03-22T12:00:05Z")).await;
    assert_eq!(aged(&soon), (json!(3_600), json!(false)));
    let (_, found) = world.read(&format!("{CLIENT}/findings?as_of=2026-03-22T12:00:05Z")).await;
    assert_eq!(found["findings"][0]["age_seconds"], 3_600);
    let (_, read) = world.read(&format!("{CLIENT}/controls?as_of=2026-03-22T12:00:05Z")).await;
    let ages: Vec<&Value> = read["controls"].as_array().unwrap().iter().map(|it| &it["status"]["age_hours"]).collect();
    assert!(!ages.is_empty() && ages.iter().all(|age| **age == json!(1)), "{ages:?}");
    let (_, exact) = world.read(&format!("{CLIENT}/metrics?as_of=2026-03-23T11:00:05Z")).await;
    assert_eq!(as_of(&exact), ["2026-03-23T11:00:05Z"]);
    let (_, none) = world.read(&format!("{CLIENT}/metrics?as_of=2026-03-01T00:00:00Z")).await;
    assert_eq!(none, json!({"evidence": []}));
    assert_eq!(world.read(&format!("{CLIENT}/signals")).await, (200, json!({"evidence": []})));
    assert_eq!(as_of(&world.read("/evidence").await.1), ["2026-03-23T11:00:05Z"]);
    for wrong in ["as_of=today", "product=edr", "of=x", "as_of="] {
        let (status, problem) = world.read(&format!("{CLIENT}/evidence?{wrong}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{wrong}");
    }
    let (status, listed) = ask(world.evidence_api(), &sample("evidence-api/events/evidence.json")).await;
    assert_eq!((status, as_of(&listed).len()), (200, 1));
}

#[tokio::test]
async fn what_happened_after_an_instant_is_not_told_of_it() {
    let mut world = world().await;
    world.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::hours(26)));
    let (company, id) = (company(), connection("edr-main"));
    let binding = Binding { company: &company, connection: &id, product: Product::Edr };
    world.credentials.remove(binding).await.unwrap();
    world.planner().sync_now(&company, &id, None).await.unwrap();
    let message = world.sent().remove(0);
    let deadline = world.huntress.clock.now() + TimeDelta::minutes(10);
    let failed = world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
    assert!(matches!(failed, Processed::Failed(_)), "{failed:?}");
    let fields = ["last_attempt_at", "last_success_at", "next_run_at", "last_failure"];
    for path in [format!("{CLIENT}/evidence"), format!("{CLIENT}/metrics"), "/evidence".to_owned()] {
        let (_, now) = world.read(&path).await;
        let now = &now["evidence"][0];
        assert_eq!((&now["last_attempt_at"], now.get("read_as_of")), (&json!("2026-03-23T13:00:00Z"), None), "{path}");
        assert_eq!(now["last_failure"]["code"], "credential_missing");
        let (_, then) = world.read(&format!("{path}?as_of=2026-03-23T12:00:00Z")).await;
        let then = &then["evidence"][0];
        assert_eq!((&then["run_id"], &then["read_as_of"]), (&now["run_id"], &json!("2026-03-23T12:00:00Z")), "{path}");
        assert!(fields.iter().all(|field| then[field].is_null()), "{path}: {then}");
        // What is to come is not behind: an instant ahead is now.
        let (_, ahead) = world.read(&format!("{path}?as_of=2027-01-01T00:00:00Z")).await;
        assert_eq!(&ahead["evidence"][0], now, "{path}");
    }
}

#[tokio::test]
async fn a_number_is_read_over_time() {
    let world = world().await;
    let (status, history) = world.read(&format!("{CLIENT}/history?key=agents_total")).await;
    let values: Vec<_> = history["values"].as_array().unwrap().iter().map(|it| it["metric_value"].clone()).collect();
    assert_eq!((status, values), (200, vec![json!("87"), json!("87")]));
    let (_, later) = world.read(&format!("{CLIENT}/history?key=agents_total&from=2026-03-23T00:00:00Z")).await;
    assert_eq!(later["values"].as_array().unwrap().len(), 1);
    let (_, company) = world.read("/evidence/history?key=organizations_total").await;
    assert_eq!((company["values"].as_array().unwrap().len(), &company["client_id"]), (2, &Value::Null));
    assert_eq!(world.read(&format!("{CLIENT}/history")).await.0, 400);
    assert_eq!(world.read(&format!("{CLIENT}/history?key=nothing")).await.1["values"], json!([]));
}

#[tokio::test]
async fn the_committed_bytes_are_told_by_their_hash_and_never_change() {
    let world = world().await;
    let (_, latest) = world.read(&format!("{CLIENT}/evidence")).await;
    let (run, sha256) =
        (latest["evidence"][0]["run_id"].as_str().unwrap(), latest["evidence"][0]["sha256"].as_str().unwrap());
    let path = format!("{CLIENT}/evidence/huntress-edr/{run}");
    let mut asked = event("GET", &path, Value::Null);
    let request: LambdaRequest = serde_json::from_str(&asked.to_string()).unwrap();
    let request: axum::http::Request<lambda_http::Body> = request.into();
    let answer = world.evidence_api().oneshot(request.map(|body| Body::from(body.to_vec()))).await.unwrap();
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"sha256-{sha256}\""));
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    use sha2::Digest;
    assert_eq!(sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>(), sha256);
    asked["headers"]["if-none-match"] = json!(etag);
    assert_eq!(ask_for_all(world.evidence_api(), &asked).await.0, 304);
    for nothing in ["evidence/huntress-sat/x", "evidence/huntress-edr/none", "evidence/other/x"] {
        assert_eq!(world.read(&format!("{CLIENT}/{nothing}")).await.0, 404, "{nothing}");
    }
}

#[tokio::test]
async fn an_auditor_sees_own_clients_and_the_own_window_alone() {
    let world = world().await;
    let auditor = |window: &str| json!({"sub": "auditor", "company_id": "msp-acme", "role": "auditor", "clients": "client-acme-corp", "window": window});
    let seen = async |window: &str, path: &str| world.read_as(&format!("{CLIENT}/{path}"), auditor(window)).await;
    assert_eq!(as_of(&seen("2026-03-01/2026-03-22", "evidence").await.1), ["2026-03-22T11:00:05Z"]);
    assert_eq!(as_of(&seen("2026-03-23/2026-03-31", "evidence").await.1), ["2026-03-23T11:00:05Z"]);
    assert_eq!(seen("2026-04-01/2026-04-30", "metrics").await.1, json!({"evidence": []}));
    let (_, history) = seen("2026-03-01/2026-03-22", "history?key=agents_total&to=2026-12-31T00:00:00Z").await;
    assert_eq!(history["values"].as_array().unwrap().len(), 1);
    let (_, latest) = world.read(&format!("{CLIENT}/evidence")).await;
    let of_run = format!("evidence/huntress-edr/{}", latest["evidence"][0]["run_id"].as_str().unwrap());
    assert_eq!(seen("2026-03-23/2026-03-31", &of_run).await.0, 200);
    assert_eq!(seen("2026-03-01/2026-03-22", &of_run).await.0, 404, "outside of the window");
    let elsewhere = |path: &'static str| world.read_as(path, auditor("2026-01-01/2026-12-31"));
    let (other, nobody) =
        (elsewhere("/clients/client-globex/evidence").await, elsewhere("/clients/nobody/evidence").await);
    assert_eq!((other.0, other), (404, nobody), "another client and none are told alike");
    assert_eq!(elsewhere("/evidence").await.0, 403);
    let (status, me) = {
        let mut asked = event("GET", "", Value::Null);
        asked["rawPath"] = json!("/v1/me");
        asked["requestContext"]["http"]["path"] = json!("/v1/me");
        asked["requestContext"]["authorizer"]["jwt"]["claims"] = auditor("2026-01-01/2026-03-31");
        ask(world.evidence_api(), &asked).await
    };
    assert_eq!(
        (status, me),
        (
            200,
            json!({"subject": "auditor", "companies": ["msp-acme"], "scopes": ["evidence:read", "packs:make", "audit-log:read"],
            "clients": ["client-acme-corp"], "window": {"from": "2026-01-01T05:00:00Z", "to": "2026-04-01T03:59:59.999Z"}})
        )
    );
}

#[tokio::test]
async fn what_stands_at_the_root_is_told() {
    let world = World::with(&[]).await;
    let at = async |path: &str, claims: Value| {
        let mut asked = event("GET", "", Value::Null);
        asked["rawPath"] = json!(path);
        asked["requestContext"]["http"]["path"] = json!(path);
        asked["requestContext"]["authorizer"]["jwt"]["claims"] = claims;
        ask(world.evidence_api(), &asked).await
    };
    assert_eq!(at("/healthz", json!({})).await.1["status"], "ok");
    let known = json!({"sub": "u", "company_id": "msp-acme"});
    let (status, edr) = at("/v1/credential-schemas/huntress-edr", known.clone()).await;
    assert_eq!((status, &edr["schema"]["required"]), (200, &json!(["apiKey", "apiSecret"])));
    let secret = |schema: &Value, field: &str| schema["schema"]["properties"][field]["secret"].clone();
    assert_eq!((secret(&edr, "apiKey"), secret(&edr, "apiSecret")), (json!(false), json!(true)));
    assert!(!edr["setup"].as_array().unwrap().is_empty());
    let (_, sat) = at("/v1/credential-schemas/huntress-sat", known.clone()).await;
    assert_eq!(
        [secret(&sat, "clientId"), secret(&sat, "clientSecret"), secret(&sat, "accountId")],
        [json!(false), json!(true), json!(false)]
    );
    assert_eq!(at("/v1/credential-schemas/other", known).await.0, 404);
    assert_eq!(at("/v1/credential-schemas/huntress-edr", json!({})).await.0, 401);
}

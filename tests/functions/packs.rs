//! The evidence log, packs and exports over HTTP.

use super::people::event;
use super::{World, ask, company, connection, function, tick};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use chrono::TimeDelta;
use common::api::routes;
use common::app::log::{EvidenceLog, LogSigner};
use common::app::packs::{PackDispatch, PackMaker, PackReader, PackService, Shelf};
use common::app::stack::Stack;
use common::aws::documents::Documents;
use common::clock::Clock;
use common::domain::log::proof::root_of;
use common::domain::log::tree::leaf_hash;
use common::domain::log::{Checkpoint, Hash};
use common::domain::note::{Note, VerifierKey};
use common::pack::verify::{Known, verify};
use common::pack::zip::Archive;
use lambda_http::request::LambdaRequest;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

const CLIENT: &str = "/clients/client-acme-corp";

impl World {
    pub fn signer(&self) -> Arc<LogSigner> {
        Arc::new(LogSigner::of_file(&self.folder.path().join("log.key")).unwrap())
    }

    pub fn pack_reader(&self) -> PackReader {
        let Ok(reader) = self.parts().pack_reader();
        reader
    }

    /// Packs as `serve` puts them together.
    pub fn packs(&self) -> PackService {
        let reader = self.pack_reader();
        let maker = PackMaker { reader: reader.clone(), signer: self.signer() };
        let shelf = Shelf { documents: Documents::Folder(self.folder.path().join("packs")), prefix: "" };
        PackService { reader, dispatch: PackDispatch::Here(Arc::new(maker)), shelf: Arc::new(shelf) }
    }

    /// `packs-api` as its `main` puts it together.
    pub fn packs_api(&self) -> Router {
        function(routes::PACKS_API.router(Arc::new(self.packs())))
    }

    pub fn log(&self) -> EvidenceLog {
        let clock: Arc<dyn Clock> = self.huntress.clock.clone();
        EvidenceLog { store: self.store.clone(), signer: self.signer(), archive: None, clock }
    }

    /// Some hours after what was there.
    fn later(&mut self, days: i64) {
        self.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::days(days) + TimeDelta::hours(2)));
    }

    async fn packs_as(&self, method: &str, path: &str, body: Value, claims: Option<&Value>) -> (u16, Value) {
        let mut event = event(method, path, body);
        if let Some(claims) = claims {
            event["requestContext"]["authorizer"]["jwt"]["claims"] = claims.clone();
        }
        ask(self.packs_api(), &event).await
    }

    /// A file: what it is, and its bytes.
    async fn file(&self, path: &str, claims: Option<&Value>) -> (u16, HeaderMap, Vec<u8>) {
        let mut event = event("GET", path, Value::Null);
        if let Some(claims) = claims {
            event["requestContext"]["authorizer"]["jwt"]["claims"] = claims.clone();
        }
        let request: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
        let request: axum::http::Request<lambda_http::Body> = request.into();
        let answer = self.packs_api().oneshot(request.map(|body| Body::from(body.to_vec()))).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, to_bytes(body, 1 << 24).await.unwrap().to_vec())
    }

    /// Waits for the maker beside the answer.
    async fn made(&self, path: &str) -> (u16, HeaderMap, Vec<u8>) {
        for _ in 0..100_000 {
            let answer = self.file(path, None).await;
            if answer.0 != 202 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
        panic!("{path} is never made");
    }
}

fn auditor(window: &str) -> Value {
    json!({"sub": "auditor", "company_id": "msp-acme", "role": "auditor", "clients": "client-acme-corp", "window": window})
}

#[tokio::test]
async fn a_pack_is_asked_for_made_and_fetched() {
    let mut world = super::evidence::world().await;
    world.later(1);
    let days = json!({"from": "2026-03-22", "to": "2026-03-23"});
    let (status, asked) = world.packs_as("POST", &format!("{CLIENT}/packs"), days.clone(), None).await;
    assert_eq!((status, &asked["status"], &asked["at"]), (202, &json!("making"), &json!("2026-03-23T13:00:00Z")));
    let id = asked["id"].as_str().unwrap();
    let path = format!("{CLIENT}/packs/{id}");
    let (status, headers, bytes) = world.made(&path).await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/zip".parse().unwrap()));
    let report = verify(&bytes, &Known { keys: vec![world.signer().verifier().clone()], older: Vec::new() });
    assert!(report.is_good(), "{:?}", report.failure());
    let sha256 = Hash::of(&bytes).hex();
    assert_eq!(headers["etag"], format!("\"sha256-{sha256}\""));
    // The same one is not made twice.
    let (_, again) = world.packs_as("POST", &format!("{CLIENT}/packs"), days, None).await;
    assert_eq!((&again["id"], &again["status"], &again["sha256"]), (&asked["id"], &json!("ready"), &json!(sha256)));
    let (_, listed) = world.packs_as("GET", &format!("{CLIENT}/packs"), Value::Null, None).await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]), (1, &again));
    // It is kept who asked, once; no pack has that it was made.
    let log = world.read("/audit-log").await.1;
    let made: Vec<&Value> = log["items"].as_array().unwrap().iter().filter(|it| it["action"] == "pack.made").collect();
    assert_eq!((made.len(), &made[0]["client"]), (1, &json!("client-acme-corp")));
    // What is under another client's name is not there.
    assert_eq!(world.file(&format!("/clients/client-globex/packs/{id}"), None).await.0, 404);
    assert_eq!(world.file(&format!("{CLIENT}/packs/..%2f{id}"), None).await.0, 404);
}

#[tokio::test]
async fn what_no_pack_can_be_made_of_is_said() {
    let mut world = super::evidence::world().await;
    world.later(1);
    let ask = async |client: &str, from: &str, to: &str| {
        world.packs_as("POST", &format!("/clients/{client}/packs"), json!({"from": from, "to": to}), None).await
    };
    for (client, from, to, status, code) in [
        ("client-acme-corp", "2026-03-23", "2026-03-22", 422, "window_refused"),
        ("client-acme-corp", "2026-03-24", "2026-03-25", 422, "window_refused"),
        ("client-acme-corp", "soon", "2026-03-25", 400, "bad_request"),
        ("nobody", "2026-03-22", "2026-03-23", 404, "not_found"),
    ] {
        let (found, problem) = ask(client, from, to).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{client} {from} {to} {problem}");
    }
    // That there is nothing is found while it is made.
    let (status, asked) = ask("client-acme-corp", "2026-01-01", "2026-01-31").await;
    assert_eq!(status, 202);
    let path = format!("{CLIENT}/packs/{}", asked["id"].as_str().unwrap());
    let (status, _, body) = world.made(&path).await;
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &problem["code"]), (422, &json!("pack_failed")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail
            .contains("no log of client-acme-corp has an entry in these days; the first one is of 2026-03-22T11:00:0"),
        "{detail}"
    );
    // A maker that was stopped leaves no pack behind that is made for ever.
    let packs = world.store.packs(&company(), &"client-acme-corp".parse().unwrap()).await.unwrap();
    let stuck = common::store::PackRecord { state: common::store::PackState::Making, ..packs[0].clone() };
    world.store.keep_pack(&company(), &stuck, None).await.unwrap();
    assert_eq!(world.file(&path, None).await.0, 202);
    world.later(2);
    let (status, _, body) = world.file(&path, None).await;
    assert!(status == 422 && String::from_utf8(body).unwrap().contains("ask for it again"));
}

#[tokio::test]
async fn an_auditor_gets_packs_and_exports_of_own_clients_and_days_alone() {
    let mut world = super::evidence::world().await;
    world.later(1);
    let packs = format!("{CLIENT}/packs");
    let first_day = auditor("2026-03-01/2026-03-22");
    let asked = async |claims: &Value, from: &str, to: &str| {
        world.packs_as("POST", &packs, json!({"from": from, "to": to}), Some(claims)).await
    };
    for (from, to) in [("2026-03-22", "2026-03-23"), ("2026-02-28", "2026-03-22")] {
        let (status, problem) = asked(&first_day, from, to).await;
        assert_eq!((status, &problem["code"]), (422, &json!("window_refused")), "{from} {to}");
        assert!(problem["detail"].as_str().unwrap().contains("2026-03-01 to 2026-03-22"), "{problem}");
    }
    let (status, own) = asked(&first_day, "2026-03-22", "2026-03-22").await;
    // No later than the last instant that the auditor may see.
    assert_eq!((status, &own["at"]), (202, &json!("2026-03-23T03:59:59.999Z")));
    let path = format!("{packs}/{}", own["id"].as_str().unwrap());
    let (status, _, bytes) = world.made(&path).await;
    assert_eq!(status, 200);
    assert!(verify(&bytes, &Known::default()).is_good());
    let archive = Archive::open(&bytes).unwrap();
    let evidence = archive.entries().iter().filter(|entry| entry.name.starts_with("evidence/")).count();
    assert_eq!(evidence, 1);
    let (_, whole) = world.packs_as("POST", &packs, json!({"from": "2026-03-22", "to": "2026-03-23"}), None).await;
    let whole = format!("{packs}/{}", whole["id"].as_str().unwrap());
    assert_eq!(world.made(&whole).await.0, 200);
    // The auditor sees the one and not the other.
    let (_, listed) = world.packs_as("GET", &packs, Value::Null, Some(&first_day)).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((world.file(&path, Some(&first_day)).await.0, world.file(&whole, Some(&first_day)).await.0), (200, 404));
    // Of another client nothing is there.
    for path in ["/clients/client-globex/packs", "/clients/client-globex/export/oscal"] {
        assert_eq!(world.packs_as("GET", path, Value::Null, Some(&first_day)).await.0, 404, "{path}");
    }
    let export = format!("{CLIENT}/export/ocsf");
    let newest = async |claims: &Value| {
        let (status, _, body) = world.file(&export, Some(claims)).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        String::from_utf8(body).unwrap()
    };
    let run = |day: &str| format!("\"{day}T");
    assert!(!newest(&first_day).await.contains(&run("2026-03-23")));
    assert_eq!(world.file(&export, Some(&auditor("2026-04-01/2026-04-30"))).await.0, 404);
}

#[tokio::test]
async fn exports_are_given_alone() {
    let mut world = super::evidence::world().await;
    world.later(1);
    let (status, headers, oscal) = world.file(&format!("{CLIENT}/export/oscal"), None).await;
    assert_eq!((status, &headers["content-type"]), (200, &"application/json".parse().unwrap()));
    let oscal: Value = serde_json::from_slice(&oscal).unwrap();
    assert!(oscal["assessment-results"]["results"][0]["observations"].is_array());
    let (_, _, ocsf) = world.file(&format!("{CLIENT}/export/ocsf?as_of=2026-03-22T12:00:00Z"), None).await;
    assert!(serde_json::from_slice::<Value>(&ocsf).unwrap().is_array());
    let (_, headers, csv) = world.file(&format!("{CLIENT}/export/csv"), None).await;
    assert_eq!(headers["content-type"], "application/zip");
    let names: Vec<String> = Archive::open(&csv).unwrap().entries().iter().map(|entry| entry.name.clone()).collect();
    assert!(names.contains(&"metrics.csv".to_owned()), "{names:?}");
    for (path, status) in
        [("export/pdf", 404), ("export/csv?as_of=soon", 400), ("export/csv?as_of=2026-01-01T00:00:00Z", 422)]
    {
        assert_eq!(world.file(&format!("{CLIENT}/{path}"), None).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn the_log_is_read_and_proved_against_its_checkpoint() {
    let world = super::evidence::world().await;
    let log = "/log/edr-main";
    // Nothing is signed yet.
    assert_eq!(world.read(&format!("{log}/checkpoint")).await.0, 404);
    assert_eq!(world.read("/log-key").await.0, 404);
    let (status, entries) = world.read(&format!("{log}/entries")).await;
    assert_eq!((status, &entries["size"], entries["items"].as_array().unwrap().len()), (200, &json!(2), 2));
    let runs: Vec<String> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            serde_json::from_str::<Value>(item["data"].as_str().unwrap()).unwrap()["run_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let (status, problem) = world.read(&format!("{log}/proof?run={}", runs[0])).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")));
    let signed = world.log().sign_all(&company()).await.unwrap();
    assert_eq!(signed, 1);
    let (_, key) = world.read("/log-key").await;
    let key = VerifierKey::parse(key["key"].as_str().unwrap()).unwrap();
    assert_eq!(&key, world.signer().verifier());
    for run in &runs {
        let (status, proof) = world.read(&format!("{log}/proof?run={run}")).await;
        assert_eq!(status, 200);
        let note = Note::parse(proof["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
        assert!(note.is_signed_by(&key, common::signing::verify));
        let head = Checkpoint::parse(&note.text).unwrap().head;
        let path: Vec<Hash> = serde_json::from_value(proof["leaf_path"].clone()).unwrap();
        let leaf = leaf_hash(proof["data"].as_str().unwrap().as_bytes());
        let root = root_of(&leaf, proof["leaf_index"].as_u64().unwrap(), head.size, &path);
        assert_eq!(root, Some(head.root));
    }
    let (_, page) = world.read(&format!("{log}/entries?from=1&to=9")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["leaf_index"]), (1, &json!(1)));
    for (path, status) in [
        ("/log/nobody/checkpoint", 404),
        ("/log/nobody/proof?run=x", 404),
        ("/log/edr-main/proof?run=x", 404),
        ("/log/edr-main/proof", 400),
        ("/log/edr-main/entries?from=-1", 400),
        ("/log/_other/entries", 400),
    ] {
        assert_eq!(world.read(path).await.0, status, "{path}");
    }
    assert_eq!(world.read("/log/nobody/entries").await.1["size"], 0);
    assert_eq!(world.read("/log/_company/entries").await.1["items"], json!([]));
}

#[tokio::test]
async fn an_auditor_reads_the_logs_of_own_clients_up_to_the_end_of_the_window() {
    let world = super::evidence::world().await;
    world.log().sign_all(&company()).await.unwrap();
    let first_day = auditor("2026-03-01/2026-03-22");
    let (status, entries) = world.read_as("/log/edr-main/entries", first_day.clone()).await;
    assert_eq!((status, &entries["size"]), (200, &json!(1)));
    assert_eq!(world.read_as("/log/edr-main/checkpoint", first_day.clone()).await.0, 200);
    let other = json!({"sub": "a", "company_id": "msp-acme", "role": "auditor", "clients": "client-globex", "window": "2026-03-01/2026-03-22"});
    for path in ["checkpoint", "entries", "proof?run=x"] {
        assert_eq!(world.read_as(&format!("/log/edr-main/{path}"), other.clone()).await.0, 404, "{path}");
    }
    // The company's own log says nothing of a client.
    assert_eq!(world.read_as("/log/_company/entries", other).await.0, 200);
    assert_eq!(connection("edr-main").as_str(), "edr-main");
}

/// What its log contradicts is given out by no route, and each says so.
#[tokio::test]
async fn evidence_that_its_log_contradicts_is_given_out_by_no_route() {
    let mut world = super::evidence::world().await;
    world.later(1);
    for how in acceptance::tamper::every(1) {
        let before = acceptance::tamper::tamper(&world._engine.client(), "evidence", "msp-acme#edr-main", how).await;
        for path in [
            "evidence",
            "metrics",
            "controls",
            "findings",
            "completeness",
            "history?key=agents_total",
            "window?from=2026-03-22&to=2026-03-23",
        ] {
            let (status, problem) = world.read(&format!("{CLIENT}/{path}")).await;
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(
                status == 503 && detail.contains("evidence and its log disagree"),
                "{how:?} {path}: {status} {problem}"
            );
        }
        assert_eq!(world.file(&format!("{CLIENT}/export/csv"), None).await.0, 503, "{how:?}");
        for path in ["entries", "proof?run=x"] {
            assert_eq!(world.read(&format!("/log/edr-main/{path}")).await.0, 503, "{how:?} {path}");
        }
        acceptance::tamper::put_back(&world._engine.client(), "evidence", before).await;
    }
    assert_eq!(world.read(&format!("{CLIENT}/controls")).await.0, 200);
}

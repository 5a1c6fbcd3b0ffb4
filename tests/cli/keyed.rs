//! `Idempotency-Key`, the cool-down of Sync Now, and lists in pages, over HTTP in `serve`.

use super::server::{Answer, Server};
use super::{Home, worked_example};
use reqwest::Method;
use serde_json::{Value, json};

const COMPANY: &str = "/v1/companies/local";

fn post(server: &Server, path: &str, key: &str, body: &Value) -> Answer {
    let bearer = server.bearer();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", key)];
    server.send(Method::POST, &format!("{COMPANY}{path}"), &headers, body.to_string())
}

fn credential() -> Value {
    json!({"apiKey": super::KEY, "apiSecret": super::SECRET})
}

#[test]
fn a_keyed_request_is_carried_out_once_and_with_another_body_not_at_all() {
    let home = Home::new(worked_example());
    let server = Server::start(&home, &[]);
    let new = |id: &str| json!({"id": id, "product": "huntress-edr", "credential": credential(), "mapping": {"default_client": "acme"}});
    let first = post(&server, "/connections", "k1", &new("one"));
    assert_eq!(first.status, 201, "{first:?}");
    let asked = home.simulator.requests().len();
    let again = post(&server, "/connections", "k1", &new("one"));
    assert_eq!((again.status, &again.body, &again.location), (201, &first.body, &first.location), "the first answer");
    assert_eq!(again.media_type, "application/json");
    assert_eq!(home.simulator.requests().len(), asked, "nothing was done");
    let other = post(&server, "/connections", "k1", &new("two"));
    assert_eq!((other.status, &other.body["code"]), (422, &json!("key_reused")), "{other:?}");
    assert_eq!(server.get(&format!("{COMPANY}/connections/two")).status, 404);
    // Without a key it is another request, and with a key of its own, too.
    assert_eq!(post(&server, "/connections", "k2", &new("one")).status, 409);
    assert_eq!(post(&server, "/connections", "k2", &new("one")).status, 409, "a refusal is an answer");
    // A key of somebody else is another key; one that is none is refused.
    assert_eq!(post(&server, "/connections", "", &new("three")).status, 400);
    // What shows a secret is kept nowhere.
    let token = json!({"name": "ci", "role": "access-reviewer"});
    let made = post(&server, "/tokens", "k3", &token);
    assert_eq!(made.status, 201);
    assert_eq!(post(&server, "/tokens", "k3", &token).status, 409);
    let secret = made.body["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
    assert!(server.terminate().success());
    let kept = super::files(&home.data());
    for needle in [secret.as_str(), super::SECRET, super::KEY] {
        let held = kept.iter().find(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()));
        assert!(held.is_none(), "{:?}", held.map(|(path, _)| path));
    }
}

#[test]
fn a_sync_right_after_a_run_waits_and_a_repeated_one_has_its_run() {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &["--sync-cool-down", "60"]);
    let sync = "/connections/edr/sync";
    let first = post(&server, sync, "s1", &json!({}));
    assert_eq!(first.status, 202, "{first:?}");
    let run = first.body["run_id"].as_str().unwrap().to_owned();
    server.run_in(&run, "succeeded");
    let answer = server.post(&format!("{COMPANY}{sync}"));
    assert_eq!((answer.status, &answer.body["code"]), (429, &json!("cooling_down")), "{answer:?}");
    assert_eq!(post(&server, sync, "s2", &json!({})).status, 429);
    let again = post(&server, sync, "s1", &json!({}));
    assert_eq!((again.status, &again.body["run_id"]), (202, &json!(run)), "sent again");
    // The command line does not wait.
    assert!(server.terminate().success());
    home.on_data(&["sync", "edr"]).done();
    let server = Server::start(&home, &[]);
    // Lists in pages.
    let runs = |query: &str| server.get(&format!("{COMPANY}/connections/edr/runs{query}"));
    let page = runs("?limit=1");
    assert_eq!(page.body["runs"].as_array().unwrap().len(), 1);
    let after = page.body["next_after"].as_str().unwrap().to_owned();
    let rest = runs(&format!("?limit=1&after={after}"));
    assert_eq!((&rest.body["runs"][0]["id"], &rest.body["next_after"]), (&json!(run), &Value::Null), "{rest:?}");
    for wrong in ["limit=0", "limit=1000000000", "after=x", &format!("after={run}"), "page=1"] {
        assert_eq!(runs(&format!("?{wrong}")).status, 400, "{wrong}");
    }
    // What pulls numbers down, and how completely lists were read.
    let read = |path: &str| server.get(&format!("{COMPANY}{path}"));
    let findings = read("/clients/acme/findings");
    let total = findings.body["findings"][0]["findings"]["total"]["agent_missing"].as_u64();
    assert!(findings.status == 200 && total.is_some(), "{findings:?}");
    let completeness = read("/clients/acme/completeness?product=huntress-edr");
    assert_eq!(completeness.body["completeness"][0]["lists"].as_array().unwrap().len(), 3, "{completeness:?}");
    assert_eq!(read("/clients/acme/completeness?product=huntress-sat").body["completeness"], json!([]));
    assert_eq!(read("/evidence/findings").body["findings"].as_array().unwrap().len(), 1);
    assert_eq!(read("/evidence/completeness").body["completeness"].as_array().unwrap().len(), 1);
}

//! Lists over HTTP: pages whose cursors nobody can change, the organizations of a connection, the rows of controls, and the shapes that others build on.

use super::people::event;
use super::portfolio::{EDR, SAT, bundle};
use super::{World, ask, ask_for_all, company, connection, tick};
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::domain::product::Product;
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl World {
    async fn get(&self, path: &str) -> (u16, Value) {
        let function = if path.starts_with("/connections/edr-main/runs") {
            self.on_demand_sync()
        } else if path.starts_with("/connections") {
            self.connections_api()
        } else {
            self.evidence_api()
        };
        ask(function, &event("GET", path, Value::Null)).await
    }

    async fn run_once(&mut self, id: &str) {
        self.planner().sync_now(&company(), &connection(id), None).await.unwrap();
        let message = self.sent().remove(0);
        let deadline = self.huntress.clock.now() + TimeDelta::minutes(10);
        let processed = self.worker().process(&message, "worker", deadline, std::sync::Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Succeeded { .. }), "{processed:?}");
    }
}

/// All pages of a list, each of one item, with the cursors between them.
async fn pages(world: &World, path: &str, list: &str) -> (Vec<Value>, Vec<String>) {
    let sign = if path.contains('?') { '&' } else { '?' };
    let (mut items, mut cursors) = (Vec::new(), Vec::new());
    loop {
        let after = cursors.last().map_or_else(String::new, |after| format!("&after={after}"));
        let (status, page) = world.get(&format!("{path}{sign}limit=1{after}")).await;
        assert_eq!(status, 200, "{path}: {page}");
        let here = page[list].as_array().unwrap();
        assert!(here.len() <= 1, "{page}");
        items.extend(here.clone());
        let Some(next) = page["next_after"].as_str() else { return (items, cursors) };
        cursors.push(next.to_owned());
        assert!(cursors.len() < 100, "{path} never ends");
    }
}

#[tokio::test]
async fn every_list_is_read_in_pages_whose_cursor_nobody_can_change() {
    let mut world = World::with(&["edr-main", "edr-other"]).await;
    for _ in 0..2 {
        world.run_once("edr-main").await;
    }
    for path in ["pause", "resume"] {
        let pause = event("POST", &format!("/connections/edr-other/{path}"), Value::Null);
        assert_eq!(ask(world.connections_api(), &pause).await.0, 200);
    }
    let history = "/clients/client-acme-corp/history?key=agents_total";
    let mut known: Vec<String> = Vec::new();
    for (path, list, least) in [
        ("/connections", "items", 2),
        ("/connections/edr-main/organizations", "items", 2),
        ("/connections/edr-main/runs", "runs", 2),
        (history, "values", 2),
        ("/evidence/history?key=agents_total", "values", 2),
        ("/audit-log", "items", 2),
        ("/clients", "items", 1),
    ] {
        let (_, whole) = world.get(path).await;
        let (items, cursors) = pages(&world, path, list).await;
        assert!(items.len() >= least, "{path}: {items:?}");
        assert_eq!(json!(items), whole[list], "{path}: the pages are the list");
        let sign = if path.contains('?') { '&' } else { '?' };
        for cursor in &cursors {
            // The place is not what an id is, and one letter more or less, or another one, is refused.
            assert!(!cursor.contains('#') && !whole.to_string().contains(cursor.as_str()), "{path}: {cursor}");
            let other = if cursor.starts_with('A') { "B" } else { "A" };
            for changed in [&cursor[1..], &format!("{cursor}A"), &format!("{other}{}", &cursor[1..]), "edr-main"] {
                let (status, problem) = world.get(&format!("{path}{sign}after={changed}")).await;
                assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{path}: {changed}");
            }
        }
        // That of another list, too.
        for foreign in &known {
            assert_eq!(world.get(&format!("{path}{sign}after={foreign}")).await.0, 400, "{path}: {foreign}");
        }
        known.extend(cursors.into_iter().next());
        for limit in ["0", "101", "1000000000", "-1"] {
            assert_eq!(world.get(&format!("{path}{sign}limit={limit}")).await.0, 400, "{path}: {limit}");
        }
    }
    assert!(known.len() >= 5, "{known:?}");
    // The history of another number goes on elsewhere.
    let (_, cursors) = pages(&world, history, "values").await;
    let other = format!("/clients/client-acme-corp/history?key=agents_online&after={}", cursors[0]);
    assert_eq!(world.get(&other).await.0, 400);
}

#[tokio::test]
async fn a_history_without_a_limit_is_a_page_of_a_hundred() {
    let world = World::with(&[]).await;
    world.connect("edr", Product::Edr, &["client-a".to_owned()]).await;
    for hour in 0..101 {
        let at = tick() - TimeDelta::hours(101 - hour);
        world.commit("edr", at, Product::Edr, vec![("client-a".to_owned(), bundle(EDR, "pass", 0))]).await;
    }
    let path = "/clients/client-a/history?key=agents_total";
    let (status, first) = world.get(path).await;
    assert_eq!((status, first["values"].as_array().unwrap().len()), (200, 100));
    let after = first["next_after"].as_str().unwrap();
    let (_, rest) = world.get(&format!("{path}&after={after}")).await;
    let (last, rest_values) = (&first["values"][99], rest["values"].as_array().unwrap());
    assert_eq!((rest_values.len(), &rest["next_after"]), (1, &Value::Null));
    assert!(rest_values[0]["as_of"].as_str() > last["as_of"].as_str(), "{last} {rest}");
    let (_, fewer) = world.get(&format!("{path}&from=2026-03-22T00:00:00Z")).await;
    assert_eq!((fewer["values"].as_array().unwrap().len(), &fewer["next_after"]), (11, &Value::Null));
}

#[tokio::test]
async fn the_organizations_of_a_connection_are_listed_for_mapping() {
    let mut world = World::with(&["edr-main"]).await;
    let path = "/connections/edr-main/organizations";
    let (status, before) = world.get(path).await;
    assert_eq!((status, before), (200, json!({"items": [], "next_after": null, "run_id": null, "as_of": null})));
    world.run_once("edr-main").await;
    let (_, one) = world.get(path).await;
    let items = one["items"].as_array().unwrap();
    assert!(items.len() >= 2 && one["as_of"].is_string() && one["run_id"].is_string(), "{one}");
    for item in items {
        assert!(item["name"].is_string() && item["listed"] == true, "{item}");
        assert_eq!((&item["client"], &item["ignored"]), (&json!("client-acme-corp"), &json!(false)));
    }
    // Divided: one has a client, one is left out, one that the account does not list is mapped.
    let id = |number: usize| items[number]["id"].as_str().unwrap().to_owned();
    let mapping = json!({"clients": {id(0): "client-a", "no-such": "client-b"}, "ignored": []});
    let mut asked = event("PUT", "/connections/edr-main/mapping", mapping);
    asked["headers"]["if-match"] = json!("*");
    assert_eq!(ask(world.connections_api(), &asked).await.0, 200);
    world.huntress.clock = std::sync::Arc::new(super::Stopped(tick() + TimeDelta::hours(1)));
    world.run_once("edr-main").await;
    let (_, divided) = world.get(path).await;
    let of = |wanted: &str| divided["items"].as_array().unwrap().iter().find(|it| it["id"] == wanted).unwrap().clone();
    assert_eq!((&of(&id(0))["client"], &of(&id(0))["name"]), (&json!("client-a"), &items[0]["name"]));
    assert_eq!((&of(&id(1))["client"], &of(&id(1))["name"]), (&Value::Null, &items[1]["name"]));
    assert_eq!((&of("no-such")["listed"], &of("no-such")["client"]), (&json!(false), &json!("client-b")));
    // An id that has the name of a client of the company is proposed, and left out it is not any more.
    let named: String = items[1]["name"].as_str().unwrap().to_ascii_lowercase();
    let named =
        named.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("-");
    for (ignored, proposal) in [(json!([]), json!(named)), (json!([id(1)]), Value::Null)] {
        let mapping = json!({"clients": {id(0): named}, "ignored": ignored});
        let mut asked = event("PUT", "/connections/edr-main/mapping", mapping);
        asked["headers"]["if-match"] = json!("*");
        assert_eq!(ask(world.connections_api(), &asked).await.0, 200);
        let (_, now) = world.get(path).await;
        let second = now["items"].as_array().unwrap().iter().find(|it| it["id"] == id(1)).unwrap().clone();
        assert_eq!((&second["proposal"], &second["ignored"]), (&proposal, &json!(proposal.is_null())), "{now}");
    }
    world.make_training("edr-main").await;
    assert_eq!(world.get(path).await.1["items"], json!([]), "a training account has none");
    assert_eq!(world.get("/connections/none/organizations").await.0, 404);
}

#[tokio::test]
async fn sync_now_takes_no_body_and_its_key_no_other_request() {
    let world = World::with(&["edr-main"]).await;
    let sync = async |key: Option<&str>, body: &str| {
        let mut asked = event("POST", "/connections/edr-main/sync", Value::Null);
        asked["body"] = json!(body);
        asked["headers"].as_object_mut().unwrap().remove("idempotency-key");
        if let Some(key) = key {
            asked["headers"]["idempotency-key"] = json!(key);
        }
        let (status, answer) = ask(world.on_demand_sync(), &asked).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned(), answer["run_id"].clone())
    };
    assert_eq!(sync(None, "{\"full\": true}").await.1, "bad_request");
    assert_eq!(sync(Some("k"), "{\"full\": true}").await.0, 400, "nothing came with the key yet");
    let (status, _, run) = sync(Some("k"), "").await;
    assert_eq!(status, 202);
    assert_eq!(sync(Some("k"), " {} ").await.2, run, "an empty object says no more than nothing");
    let (status, code, _) = sync(Some("k"), "{\"full\": true}").await;
    assert_eq!((status, code.as_str()), (422, "key_reused"));
    assert_eq!(sync(Some("k"), "").await.2, run);
}

#[tokio::test]
async fn an_event_names_the_request_that_did_it_and_the_answer_has_its_id() {
    let world = World::with(&["edr-main"]).await;
    let mut asked = event("POST", "/connections/edr-main/pause", Value::Null);
    asked["requestContext"]["requestId"] = json!("gateway-1");
    let (status, headers, _) = ask_for_all(world.connections_api(), &asked).await;
    assert_eq!((status, headers["x-request-id"].to_str().unwrap()), (200, "gateway-1"));
    // The command line has no request.
    let actor = common::domain::audit::Actor::cli("op");
    world.connection_service().resume(&company(), &connection("edr-main"), &actor).await.unwrap();
    let (_, log) = world.get("/audit-log").await;
    let said: Vec<(&str, &Value)> =
        log["items"].as_array().unwrap().iter().map(|it| (it["action"].as_str().unwrap(), &it["request_id"])).collect();
    assert!(said.contains(&("connection.paused", &json!("gateway-1"))), "{said:?}");
    assert!(said.contains(&("connection.resumed", &Value::Null)), "{said:?}");
    // A host without a gateway gives each request its own.
    asked["requestContext"].as_object_mut().unwrap().remove("requestId");
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let (_, headers, _) = ask_for_all(world.connections_api(), &asked).await;
        ids.insert(headers["x-request-id"].to_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 3);
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// What api.md names of each shape is there, under these names.
#[tokio::test]
async fn the_shapes_that_others_build_on_are_what_is_answered() {
    let world = World::with(&[]).await;
    let clients = ["acme".to_owned()];
    world.connect("edr", Product::Edr, &clients).await;
    world.connect("sat", Product::Sat, &clients).await;
    for (id, product, sample) in [("edr", Product::Edr, EDR), ("sat", Product::Sat, SAT)] {
        world.commit(id, tick(), product, vec![("acme".to_owned(), bundle(sample, "fail", 1))]).await;
    }
    let (_, one) = world.get("/connections/edr").await;
    let expected = [
        "id",
        "product",
        "status",
        "revision",
        "clients",
        "ignored",
        "default_client",
        "settings",
        "last_attempt_at",
        "last_success_at",
        "next_run_at",
        "last_failure",
        "paused",
        "expiry",
    ];
    assert!(fields(&one["connection"]).is_superset(&expected.into()), "{one}");
    let (_, row) = world.get("/clients/acme").await;
    let expected = ["client", "products", "open_critical", "coverage_pct", "exceptions_due", "trend", "expiry"];
    assert_eq!(fields(&row), expected.into());
    assert_eq!(fields(&row["products"]), ["huntress-edr", "huntress-sat"].into());
    let status = &row["products"]["huntress-edr"];
    assert_eq!(fields(status), ["outcome", "freshness", "age_hours", "exception", "text"].into());

    let (_, controls) = world.get("/clients/acme/controls").await;
    let items = controls["items"].as_array().unwrap();
    assert!(!items.is_empty() && controls["next_after"].is_null());
    for item in items {
        let expected = ["framework", "version", "control", "title", "strength", "rationale", "evidence", "status"];
        assert_eq!(fields(item), expected.into());
        assert!(item["title"].is_string() && item["rationale"].is_string(), "{item}");
        assert!(["direct", "supporting"].contains(&item["strength"].as_str().unwrap()));
        for evidence in item["evidence"].as_array().unwrap() {
            assert_eq!(fields(evidence), ["key", "value", "outcome", "as_of"].into());
        }
    }
    let coverage = items.iter().find(|it| it["control"] == "CC1.4").unwrap();
    assert_eq!(
        (&coverage["evidence"][0]["key"], &coverage["evidence"][0]["outcome"]),
        (&json!("coverage_pct"), &json!("fail"))
    );
    // One framework alone, whatever the case of its letters.
    let (_, soc) = world.get("/clients/acme/controls?framework=soc%202").await;
    let of_soc: Vec<&Value> = items.iter().filter(|it| it["framework"] == "SOC 2").collect();
    assert!(!of_soc.is_empty());
    assert_eq!(soc["items"], json!(of_soc));
    assert_eq!(soc["controls"].as_array().unwrap().len(), of_soc.len());
    let (status, refused) = world.get("/clients/acme/controls?framework=COBIT").await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad_request")));
    assert!(refused["detail"].as_str().unwrap().contains("NIST CSF"), "{refused}");

    let (_, window) = world.get("/clients/acme/window?from=2026-03-22&to=2026-03-22").await;
    let row = &window["rows"][0];
    let expected = ["day", "connection", "product", "as_of", "run", "reason", "outcome"];
    assert!(fields(row).is_superset(&expected.into()), "{window}");
}

/// The end of a credential stands in the row of every client that its connection measures: the nearest one.
#[tokio::test]
async fn a_row_says_when_a_credential_ends() {
    let mut world = World::with(&["edr-main"]).await;
    assert_eq!(world.get("/clients/client-acme-corp").await.1["expiry"], Value::Null);
    for (days, state) in [(45, "ok"), (20, "expiring")] {
        let at = (tick() + TimeDelta::days(days)).to_rfc3339();
        let mut asked = event("PATCH", "/connections/edr-main", json!({"expires_at": at}));
        asked["headers"]["if-match"] = json!("*");
        assert_eq!(ask(world.connections_api(), &asked).await.0, 200);
        assert_eq!(world.get("/clients/client-acme-corp").await.1["expiry"]["state"], state);
        let (_, page) = world.get("/clients").await;
        assert_eq!(page["items"][0]["expiry"]["state"], state);
    }
    world.huntress.clock = std::sync::Arc::new(super::Stopped(tick() + TimeDelta::days(21)));
    assert_eq!(world.get("/clients/client-acme-corp").await.1["expiry"]["state"], "expired");
}

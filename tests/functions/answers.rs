//! Statuses, headers and JSON of the routes, as callers know them.

use super::people::{event, world as training_world};
use super::{World, ask_for_all};
use axum::Router;
use serde_json::{Value, json};
use std::fmt::Write;

/// Ids that differ from test to test, by their kind.
fn redact(value: &mut Value) {
    match value {
        Value::String(text) => *text = redacted(text),
        Value::Array(items) => {
            items.iter_mut().for_each(redact);
            // People come by their hash, whose key is another one in every test; of events of one instant none is the first.
            if items.iter().all(|item| item.get("person").or(item.get("what")).is_some()) {
                items.sort_by_key(ToString::to_string);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(redact),
        _ => {}
    }
}

fn redacted(text: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let word = |word: &str| match word.len() {
        36 if is_hex(word) => "[run]".to_owned(),
        32 if is_hex(word) => "[person]".to_owned(),
        64 if is_hex(word) => "[sha256]".to_owned(),
        _ => word.to_owned(),
    };
    text.split('/').map(word).collect::<Vec<_>>().join("/")
}

/// Asks one thing after the other and writes down what is answered.
struct Tour {
    text: String,
}

impl Tour {
    async fn ask(&mut self, function: Router, method: &str, path: &str, body: Value) -> Value {
        let (status, headers, answer) = ask_for_all(function, &event(method, path, body.clone())).await;
        let mut shown = answer.clone();
        redact(&mut shown);
        let asked = if body.is_null() { String::new() } else { format!(" {body}") };
        writeln!(self.text, "## {method} {}{asked}\n{status}", redacted(path)).unwrap();
        for name in
            ["content-type", "location", "cache-control", "content-disposition", "x-content-type-options", "etag"]
        {
            if let Some(value) = headers.get(name) {
                writeln!(self.text, "{name}: {}", redacted(value.to_str().unwrap().trim_matches('"'))).unwrap();
            }
        }
        if !answer.is_null() {
            writeln!(self.text, "{}", serde_json::to_string_pretty(&shown).unwrap()).unwrap();
        }
        self.text.push('\n');
        answer
    }
}

#[tokio::test]
async fn of_an_endpoint_connection() {
    let mut world = World::with(&["edr-main"]).await;
    let mut tour = Tour { text: String::new() };
    let none = || Value::Null;
    tour.ask(world.on_demand_sync(), "GET", "/connections/edr-main/forecast", none()).await;
    let asked = tour.ask(world.on_demand_sync(), "POST", "/connections/edr-main/sync", none()).await;
    tour.ask(world.on_demand_sync(), "POST", "/connections/nobody/sync", none()).await;
    let message = world.sent().remove(0);
    assert!(huntress_evidence::stack::deliver(&world.worker(), &message, chrono::TimeDelta::minutes(14)).await);
    let run = format!("/connections/edr-main/runs/{}", asked["run_id"].as_str().unwrap());
    tour.ask(world.on_demand_sync(), "GET", &run, none()).await;
    tour.ask(world.on_demand_sync(), "GET", "/connections/edr-main/runs?limit=1", none()).await;
    tour.ask(world.on_demand_sync(), "GET", "/connections/edr-main/runs?limit=0", none()).await;
    tour.ask(world.on_demand_sync(), "GET", "/connections/edr-main/runs/none", none()).await;
    tour.ask(world.on_demand_sync(), "GET", "/connections/edr-main/forecast", none()).await;
    tour.ask(world.connection_test(), "POST", "/connections/edr-main/test", none()).await;
    tour.ask(world.connection_test(), "GET", "/connections/edr-main/assignments", none()).await;
    tour.ask(world.people_api(), "GET", "/connections/edr-main/people", none()).await;
    insta::assert_snapshot!(tour.text);
}

#[tokio::test]
async fn of_a_training_connection() {
    let mut world = training_world().await;
    let mut tour = Tour { text: String::new() };
    let none = || Value::Null;
    let at = |path: &str| format!("/connections/sat{path}");
    tour.ask(world.connection_test(), "GET", &at("/assignments"), none()).await;
    tour.ask(world.connection_test(), "PUT", &at("/assignments"), json!({"assignments": ["Z"]})).await;
    tour.ask(world.connection_test(), "PUT", &at("/assignments"), json!({"picks": []})).await;
    tour.ask(world.connection_test(), "PUT", &at("/assignments"), json!({"assignments": ["A", "B"]})).await;
    tour.ask(world.people_api(), "PUT", &at("/privacy"), json!({"mode": "full"})).await;
    world.sync_people().await;
    tour.ask(world.connection_test(), "POST", &at("/test"), none()).await;
    tour.ask(world.people_api(), "GET", &at("/people"), none()).await;
    tour.ask(world.people_api(), "GET", &at("/people?limit=501"), none()).await;
    let found = tour.ask(world.people_api(), "POST", &at("/people/lookup"), json!({"learner_id": "person-1"})).await;
    let person = at(&format!("/people/{}", found["person"]["person"].as_str().unwrap()));
    tour.ask(world.people_api(), "GET", &format!("{person}/onboarding"), none()).await;
    tour.ask(world.people_api(), "POST", &format!("{person}/reset"), json!({"reason": "changed roles"})).await;
    tour.ask(world.people_api(), "POST", &format!("{person}/identity"), json!({"reason": "the audit"})).await;
    tour.ask(world.people_api(), "POST", &format!("{person}/certificate"), json!({"reason": "the audit"})).await;
    tour.ask(world.people_api(), "GET", &person, none()).await;
    tour.ask(world.people_api(), "DELETE", &person, none()).await;
    tour.ask(world.people_api(), "GET", &person, none()).await;
    tour.ask(world.people_api(), "DELETE", &at("/people"), none()).await;
    let provider = "/clients/client-acme-corp/training-provider";
    tour.ask(world.people_api(), "PUT", provider, json!({"connection": "sat"})).await;
    tour.ask(world.people_api(), "GET", provider, none()).await;
    tour.ask(world.people_api(), "DELETE", provider, none()).await;
    insta::assert_snapshot!(tour.text);
}

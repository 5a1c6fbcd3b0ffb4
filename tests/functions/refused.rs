//! What every route refuses: bodies, query strings and paths that are not what it is documented with. A row for each kind of bad input, for all routes.

use super::access::{event, function, nothing_happened};
use super::openapi::DOCUMENT;
use super::{World, ask};
use common::api::{Entry, routes};
use serde_json::{Value, json};

fn admin() -> Value {
    json!({"sub": "user-7f3a", "company_id": "msp-acme", "role": "admin"})
}

fn operation(entry: &Entry) -> &'static Value {
    &DOCUMENT["paths"][entry.path][entry.method.as_str().to_ascii_lowercase()]
}

/// A schema, or what it refers to.
fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str() {
        Some(place) => DOCUMENT.pointer(place.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// An event for a route with all that it needs beside its body.
fn good(entry: &Entry) -> Value {
    let mut event = event(entry, "msp-acme", &admin());
    event["headers"]["if-match"] = json!("*");
    event["headers"]["content-type"] = json!("application/json");
    event
}

#[tokio::test]
async fn a_body_that_is_not_what_the_route_takes_is_refused() {
    let mut world = World::with(&["edr-main"]).await;
    let large = format!("{{\"no_such_field\": \"{}\"}}", "x".repeat(65 * 1024));
    let deep = "[".repeat(20_000);
    let json = "application/json";
    let rows: [(&str, &str, &str, (u16, &str)); 14] = [
        ("no content type", "", "{}", (415, "not_json")),
        ("text", "text/plain", "{}", (415, "not_json")),
        ("a form", "application/x-www-form-urlencoded", "reason=x", (415, "not_json")),
        ("nothing", json, "", (400, "bad_request")),
        ("half of an object", json, "{\"reason\":", (400, "bad_request")),
        ("two objects", json, "{} {}", (400, "bad_request")),
        ("a list", json, "[]", (400, "bad_request")),
        ("a word", json, "\"x\"", (400, "bad_request")),
        ("null", json, "null", (400, "bad_request")),
        ("a byte-order mark", json, "\u{feff}{}", (400, "bad_request")),
        ("a key twice", json, "{\"reason\": \"x\", \"reason\": \"x\"}", (400, "bad_request")),
        ("an unknown field", json, "{\"no_such_field\": \"hs_marker\"}", (400, "bad_request")),
        ("lists in lists", json, &deep, (400, "bad_request")),
        ("65 KB", json, &large, (413, "body_too_large")),
    ];
    let with_body = routes::table().into_iter().filter(|entry| operation(entry)["requestBody"].is_object());
    let mut routes = 0;
    for entry in with_body {
        routes += 1;
        for (what, media_type, body, expected) in rows {
            let mut event = good(&entry);
            event["headers"]["content-type"] = json!(media_type);
            event["body"] = json!(body);
            let (status, answer) = ask(function(&world, &entry), &event).await;
            // A policy has a format of its own: what is JSON is read, and refused as one.
            if answer["code"] == "refused_policy" && entry.path.ends_with("/policies/{name}/{version}") {
                continue;
            }
            assert_eq!(
                (status, answer["code"].as_str().unwrap_or_default()),
                expected,
                "{} {}: {what}",
                entry.method,
                entry.path
            );
            assert!(!answer.to_string().contains("hs_marker"), "{} {} quotes what was sent", entry.method, entry.path);
        }
    }
    assert!(routes >= 10, "{routes} routes take a body");
    nothing_happened(&mut world).await;
}

/// So that a misspelt field is an error and not silently left out.
#[test]
fn every_body_denies_unknown_fields() {
    for entry in routes::table() {
        let schema = &operation(&entry)["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let schema = resolved(schema);
        if schema["type"].is_null() && schema["oneOf"].is_null() {
            // A policy, which has a format of its own.
            continue;
        }
        let variants =
            schema["oneOf"].as_array().map_or_else(|| vec![schema], |variants| variants.iter().map(resolved).collect());
        for variant in variants {
            assert_eq!(variant["additionalProperties"], json!(false), "{} {}", entry.method, entry.path);
        }
    }
}

#[tokio::test]
async fn a_query_string_that_is_not_what_the_route_takes_is_refused() {
    let mut world = World::with(&["edr-main"]).await;
    let mut asked = 0;
    for entry in routes::table() {
        let parameters = operation(&entry)["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let query: Vec<&str> =
            parameters.iter().filter(|it| it["in"] == "query").map(|it| it["name"].as_str().unwrap()).collect();
        let bad = query.iter().flat_map(|name| {
            let values: &[&str] = match *name {
                "limit" => &["0", "1000000000", "-1", "1.5", "x", ""],
                "after" => &["%23%23", "%00", "%F0%9F%92%A5"],
                "as_of" | "from" | "to" => &["yesterday", "2026-13-01T00:00:00Z", "-1"],
                "product" | "status" | "test" => &["no-such-word", ""],
                _ => &[],
            };
            values.iter().map(move |value| format!("{name}={value}"))
        });
        let mut bad: Vec<String> = bad.collect();
        // Whoever sends somebody back may add parameters of its own, which are passed over (RFC 6749, 4.1.2).
        if !query.is_empty() && !entry.path.starts_with("/oauth/") {
            bad.push("no_such_parameter=1".to_owned());
        }
        for text in bad {
            // What else the route cannot do without.
            let required = parameters.iter().filter(|it| it["in"] == "query" && it["required"] == true);
            let required =
                required.map(|it| it["name"].as_str().unwrap()).filter(|name| !text.starts_with(&format!("{name}=")));
            let mut whole: Vec<String> = required.map(|name| format!("{name}=x")).collect();
            whole.push(text);
            let whole = whole.join("&");
            let mut event = good(&entry);
            event["rawQueryString"] = json!(whole);
            let (status, answer) = ask(function(&world, &entry), &event).await;
            assert_eq!(
                (status, &answer["code"]),
                (400, &json!("bad_request")),
                "{} {}?{whole}",
                entry.method,
                entry.path
            );
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
    nothing_happened(&mut world).await;
}

/// A time that ends before it begins has nothing in it, and is no trouble of ours.
#[tokio::test]
async fn a_time_that_ends_before_it_begins_has_nothing_in_it() {
    let world = World::with(&["edr-main"]).await;
    let asked =
        [("audit-log", "items"), ("clients/client-acme-corp/history", "values"), ("evidence/history", "values")];
    for (path, list) in asked {
        let path = format!("/v1/companies/{{company}}/{path}").replace("client-acme-corp", "{client}");
        let entry = routes::table().into_iter().find(|entry| entry.path == path).unwrap();
        let mut event = good(&entry);
        let key = if list == "values" { "&key=agents_total" } else { "" };
        event["rawQueryString"] = json!(format!("from=2026-03-22T00:00:00Z&to=2000-01-01T00:00:00Z{key}"));
        let (status, answer) = ask(function(&world, &entry), &event).await;
        assert_eq!((status, &answer[list]), (200, &json!([])), "{path}");
    }
}

/// Ids are parsed before anything is looked for.
#[tokio::test]
async fn a_path_that_names_what_cannot_be_is_refused() {
    let mut world = World::with(&["edr-main"]).await;
    let long = "x".repeat(65);
    for entry in routes::table() {
        let names = entry.path.split('/').filter(|part| part.starts_with('{'));
        for name in names {
            for value in ["a%23b", "%00", "%FF", "%2F%2F", &long] {
                let mut event = good(&entry);
                let path = event["rawPath"].as_str().unwrap().to_owned();
                let at = entry.path.split('/').position(|part| part == name).unwrap();
                let parts: Vec<&str> =
                    path.split('/').enumerate().map(|(place, part)| if place == at { value } else { part }).collect();
                event["rawPath"] = json!(parts.join("/"));
                event["requestContext"]["http"]["path"] = event["rawPath"].clone();
                let (status, answer) = ask(function(&world, &entry), &event).await;
                let refused = [400, 403, 404].contains(&status) && answer["code"].is_string();
                assert!(refused, "{} {} as {value}: {status} {answer}", entry.method, entry.path);
            }
        }
    }
    nothing_happened(&mut world).await;
}

//! docs/openapi.json, compared with what the table of routes and its types say. `UPDATE_OPENAPI=1` writes it.

use axum::http::HeaderMap;
use common::api::openapi::document;
use common::api::routes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, Mutex};

fn in_workspace(file: &str) -> String {
    format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))
}

/// With a blank for each level: the document is in a bootstrap as it is.
fn pretty(document: &impl serde::Serialize) -> String {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format)).unwrap();
    String::from_utf8(text).unwrap() + "\n"
}

fn described() -> String {
    let source = |file: &str| std::fs::read_to_string(in_workspace(file)).unwrap();
    match document(source) {
        Ok(document) => pretty(&document),
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            panic!("{} routes are not described:\n{}", errors.len(), errors.join("\n"))
        }
    }
}

/// The document as the code has it.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&described()).unwrap());
static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// What a schema of the document validates.
fn validator(key: String, schema: &Value) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let made = known.entry(key).or_insert_with(|| {
        let whole = json!({"components": DOCUMENT["components"], "allOf": [schema]});
        Arc::new(jsonschema::draft202012::new(&whole).unwrap())
    });
    Arc::clone(made)
}

/// Whether a path is one of a template's.
fn is_of(path: &str, template: &str) -> bool {
    let mut parts = (path.split('/'), template.split('/'));
    loop {
        match (parts.0.next(), parts.1.next()) {
            (None, None) => return true,
            (Some(part), Some(wanted)) if part == wanted || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

/// Every answer that any test of the functions gets is one that the document has: its status, its headers, the shape of its body, its code.
#[track_caller]
pub fn assert_documented((method, path): (&str, &str), status: u16, headers: &HeaderMap, body: &Value) {
    let route = &format!("{method} {path}");
    if status == 404 && body["detail"].as_str().is_some_and(|detail| detail.contains("no such route")) {
        return;
    }
    let templates = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(template, _)| is_of(path, template));
    // A path without parameters goes before one with them.
    let template = templates.min_by_key(|(template, _)| template.matches('{').count());
    let Some((template, operation)) = template.map(|(template, item)| (template, &item[method.to_ascii_lowercase()]))
    else {
        assert_eq!(status, 404, "{route} is no route");
        return;
    };
    if operation.is_null() {
        assert_eq!(status, 405, "{route} has no such method");
        return;
    }
    let answer = &operation["responses"][status.to_string()];
    assert!(answer.is_object(), "{route} answers {status}, which it does not document: {body}");
    for header in answer["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        let is_there = headers.contains_key(header) || (header == "Retry-After" && status == 429) || header == "ETag";
        assert!(is_there, "{route} answers {status} without the {header} that it documents");
    }
    for required in ["Location", "ETag", "Retry-After"] {
        let is_documented = answer["headers"][required].is_object();
        assert!(
            is_documented || !headers.contains_key(required),
            "{route} answers {status} with a {required} that it does not document"
        );
    }
    let media_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default();
    let Some(content) = answer["content"].as_object() else {
        assert_eq!(media_type, "", "{route} answers {status} with a body that it does not document");
        return;
    };
    let Some(content) = content.get(media_type).or_else(|| content.get("*/*")) else {
        panic!("{route} answers {status} as {media_type:?}, which it does not document");
    };
    if media_type.ends_with("json") && content["schema"].is_object() {
        let validator = validator(format!("{method} {template} {status}"), &content["schema"]);
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{} {error}", error.instance_path())).collect();
        assert_eq!(errors, [""; 0], "{route} answers {status} in another shape than it documents: {body}");
    }
}

#[test]
fn openapi_is_as_the_table_of_routes_and_its_types() {
    let (described, path) = (described(), in_workspace("docs/openapi.json"));
    if std::env::vars().any(|(name, _)| name == "UPDATE_OPENAPI") {
        std::fs::write(&path, &described).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(described.as_bytes()).unwrap();
        std::fs::write(format!("{path}.gz"), gzip.finish().unwrap()).unwrap();
        return;
    }
    let mut served = String::new();
    GzDecoder::new(std::fs::File::open(format!("{path}.gz")).unwrap()).read_to_string(&mut served).unwrap();
    assert!(
        served == described,
        "docs/openapi.json.gz, which is served, is not docs/openapi.json; write both with UPDATE_OPENAPI=1"
    );
    let committed = std::fs::read_to_string(path).unwrap();
    let at = committed.lines().zip(described.lines()).position(|(committed, described)| committed != described);
    assert!(
        committed == described,
        "docs/openapi.json is not as the routes, from line {} on; write it with UPDATE_OPENAPI=1",
        at.unwrap_or_default() + 1
    );
}

/// The descriptions of a document, with where they stand.
fn descriptions(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Some(text)) = (name == "description", value.as_str()) {
                    found.push((place.to_owned(), text.to_owned()));
                }
                descriptions(value, &format!("{place}/{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| descriptions(item, place, found)),
        _ => {}
    }
}

/// Who reads it writes no Rust: the examples of types are for who works on this program.
#[test]
fn openapi_describes_nothing_in_code() {
    let mut found = Vec::new();
    descriptions(&DOCUMENT, "", &mut found);
    assert!(found.len() > 500, "{}", found.len());
    for (place, text) in found {
        assert!(
            !text.contains("```") && !text.contains("assert") && !text.contains("use evidence_"),
            "{place}: {text}"
        );
    }
}

#[test]
fn openapi_has_every_route_once_with_its_scope_and_every_code_has_its_anchor() {
    let document = &*DOCUMENT;
    let page = std::fs::read_to_string(in_workspace("docs/errors.md")).unwrap();
    let mut ids = BTreeSet::new();
    for entry in routes::table() {
        let operation = &document["paths"][entry.path][entry.method.as_str().to_ascii_lowercase()];
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{} {}", entry.method, entry.path));
        assert!(ids.insert(id.to_owned()), "two routes are called {id}");
        let scopes = &operation["security"][0]["token"];
        match entry.scope {
            Some(scope) => assert_eq!(*scopes, serde_json::json!([scope.as_str()]), "{id}"),
            None => assert_eq!(scopes.as_array().map(Vec::len), (!entry.is_public).then_some(0), "{id}"),
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let problem = &answer["content"]["application/problem+json"]["schema"]["allOf"][1];
            for code in problem["properties"]["code"]["enum"].as_array().into_iter().flatten() {
                let code = code.as_str().unwrap();
                assert!(
                    page.contains(&format!("<a id=\"{code}\"></a>")),
                    "docs/errors.md has no anchor {code} ({status} of {id})"
                );
            }
        }
    }
    let operations = document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len());
    assert_eq!(operations.sum::<usize>(), ids.len());
}

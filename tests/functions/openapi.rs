//! docs/openapi.json, compared with what the table of routes and its types say. `UPDATE_OPENAPI=1` writes it.

use common::api::openapi::document;
use common::api::routes;
use serde_json::Value;
use std::collections::BTreeSet;

fn in_workspace(file: &str) -> String {
    format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"))
}

fn described() -> String {
    let source = |file: &str| std::fs::read_to_string(in_workspace(file)).unwrap();
    match document(source) {
        Ok(document) => serde_json::to_string_pretty(&document).unwrap() + "\n",
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            panic!("{} routes are not described:\n{}", errors.len(), errors.join("\n"))
        }
    }
}

#[test]
fn openapi_is_as_the_table_of_routes_and_its_types() {
    let (described, path) = (described(), in_workspace("docs/openapi.json"));
    if std::env::vars().any(|(name, _)| name == "UPDATE_OPENAPI") {
        std::fs::write(path, described).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap();
    let at = committed.lines().zip(described.lines()).position(|(committed, described)| committed != described);
    assert!(
        committed == described,
        "docs/openapi.json is not as the routes, from line {} on; write it with UPDATE_OPENAPI=1",
        at.unwrap_or_default() + 1
    );
}

#[test]
fn openapi_has_every_route_once_with_its_scope_and_every_code_has_its_anchor() {
    let document: Value = serde_json::from_str(&described()).unwrap();
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

//! The routes of template.yaml and of `cargo lambda watch`, compared with the table of routes. `UPDATE_ROUTES=1` writes them from it.

use common::api::{Entry, Method, routes};
use common::console;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A part of a file that is written from the table, between two lines.
struct Part {
    file: &'static str,
    begin: &'static str,
    end: &'static str,
}

const TEMPLATE: Part = Part {
    file: "template.yaml",
    begin: "  # Written from the tables of routes (common/src/api/routes) and pages (common/src/console/pages) by UPDATE_ROUTES=1 cargo test table:",
    end: "  # End of what is written from the table of routes.",
};

const PAGE: Part = Part {
    file: "docs/http.md",
    begin: "<!-- Written from the table of routes by UPDATE_ROUTES=1 cargo test table: -->",
    end: "<!-- End of what is written from the table of routes. -->",
};

const WATCH: Part =
    Part { file: "Cargo.toml", begin: "[workspace.metadata.lambda.watch.router]", end: "[profile.dev]" };

impl Part {
    fn path(&self) -> String {
        format!("{}/../{}", env!("CARGO_MANIFEST_DIR"), self.file)
    }

    /// What is before the part, the part, and what is after it.
    fn split(&self, text: &str) -> [String; 3] {
        let from = text.find(self.begin).unwrap() + self.begin.len() + 1;
        let to = from + text[from..].find(self.end).unwrap();
        [text[..from].to_owned(), text[from..to].to_owned(), text[to..].to_owned()]
    }

    /// Compares the part with what the table says, or writes it.
    #[track_caller]
    fn compare(&self, expected: impl Fn(&str) -> String) {
        let [before, part, after] = self.split(&std::fs::read_to_string(self.path()).unwrap());
        let expected = expected(&part);
        if std::env::vars().any(|(name, _)| name == "UPDATE_ROUTES") {
            std::fs::write(self.path(), format!("{before}{expected}{after}")).unwrap();
        } else {
            assert!(part == expected, "{} is not as the table of routes; write it with UPDATE_ROUTES=1", self.file);
        }
    }
}

/// The name of a resource: that of a deployed route stays, since two resources of one route key cannot be at the same time.
fn logical_id(entry: &Entry, known: &BTreeMap<String, String>) -> String {
    let derived = || {
        let words =
            entry.path.split(['/', '-', '_', '.']).filter(|word| !["", "v1", "companies", "{company}"].contains(word));
        let capital = |word: &str| {
            let word = word.trim_matches(['{', '}']);
            word[..1].to_ascii_uppercase() + &word[1..]
        };
        let method = entry.method.as_str();
        let method = method[..1].to_owned() + &method[1..].to_ascii_lowercase();
        // A page has its place in the template beside the API's route of the same words.
        let kind = if is_console(entry.function) { "Console" } else { "" };
        format!("{method}{kind}{}Route", words.map(capital).collect::<String>())
    };
    known.get(&format!("{} {}", entry.method, entry.path)).cloned().unwrap_or_else(derived)
}

fn resource_of(function: &str) -> String {
    function.split('-').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// Whether a function serves pages, which not every stack has.
fn is_console(function: &str) -> bool {
    function == "console" || function.starts_with("console-")
}

/// The routes of the functions, without those that `serve` alone has.
fn deployed() -> impl Iterator<Item = Entry> {
    routes::table().into_iter().filter(|entry| entry.function != routes::SERVE)
}

fn template(part: &str) -> String {
    let mut known = BTreeMap::new();
    let mut name = "";
    for line in part.lines() {
        match line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            Some(resource) => name = resource.trim_end_matches(':'),
            None => {
                if let Some(key) = line.trim().strip_prefix("RouteKey: ") {
                    known.insert(key.to_owned(), name.to_owned());
                }
            }
        }
    }
    let mut text = "\n".to_owned();
    for entry in deployed().chain(console::table()) {
        let (id, function) = (logical_id(&entry, &known), resource_of(entry.function));
        let condition = if is_console(entry.function) { "    Condition: HasConsole\n" } else { "" };
        let head = "    Type: AWS::ApiGatewayV2::Route\n";
        write!(text, "  {id}:\n{head}{condition}    Properties:\n      ApiId: !Ref Api\n").unwrap();
        writeln!(text, "      RouteKey: {} {}", entry.method, entry.path).unwrap();
        match entry.scope {
            // Who looks at pages has a session of the console, which the gateway does not know.
            _ if is_console(entry.function) => text += "      AuthorizationType: NONE\n",
            Some(scope) => {
                text += "      AuthorizationType: JWT\n      AuthorizerId: !Ref ApiAuthorizer\n";
                if let Some(what) = scope.as_str().strip_prefix("people:") {
                    let scopes = format!("!If [DemandScopes, [!Sub \"${{PeopleScopes}}{what}\"], !Ref AWS::NoValue]");
                    writeln!(text, "      AuthorizationScopes: {scopes}").unwrap();
                }
            }
            None if entry.is_public => text += "      AuthorizationType: NONE\n",
            None => text += "      AuthorizationType: JWT\n      AuthorizerId: !Ref ApiAuthorizer\n",
        }
        write!(text, "      Target: !Sub integrations/${{{function}Integration}}\n\n").unwrap();
    }
    text
}

#[test]
fn the_template_has_the_routes_of_the_table() {
    TEMPLATE.compare(template);
    let text = std::fs::read_to_string(TEMPLATE.path()).unwrap();
    let [before, _, after] = TEMPLATE.split(&text);
    assert!(
        !before.contains("AWS::ApiGatewayV2::Route\n") && !after.contains("AWS::ApiGatewayV2::Route\n"),
        "a route of its own"
    );
    let functions = deployed().chain(console::table()).map(|entry| resource_of(entry.function));
    for function in functions.collect::<BTreeSet<_>>() {
        for resource in
            [format!("  {function}:\n"), format!("  {function}Integration:\n"), format!("  {function}Permission:\n")]
        {
            assert!(text.contains(&resource), "{resource}");
        }
    }
}

#[test]
fn the_watch_map_has_the_paths_of_the_table() {
    let paths: BTreeMap<&str, &str> = deployed().map(|entry| (entry.path, entry.function)).collect();
    let line = |(path, function): (&&str, &&str)| format!("\"{path}\" = \"{function}\"\n");
    let expected: String = paths.iter().map(line).collect();
    WATCH.compare(|_| format!("{expected}\n"));
}

#[test]
fn the_page_lists_the_routes_of_the_table() {
    let mut expected = "\n| method | path | scope | function |\n|---|---|---|---|\n".to_owned();
    for entry in routes::table() {
        let scope = entry.scope.map_or(if entry.is_public { "public" } else { "any token" }, |scope| scope.as_str());
        let path = entry.path.replace("/v1/companies/{company}", "…");
        writeln!(expected, "| {} | `{path}` | {scope} | {} |", entry.method, entry.function).unwrap();
    }
    PAGE.compare(|_| format!("{expected}\n"));
}

#[test]
fn the_page_lists_every_audit_action() {
    let page = std::fs::read_to_string(PAGE.path()).unwrap();
    for action in common::domain::audit::AuditAction::ALL {
        assert!(page.contains(&format!("`{action}`")), "{action}");
    }
}

#[test]
fn a_route_stands_once_and_a_path_has_one_function() {
    let table = routes::table();
    let keys: BTreeSet<_> = table.iter().map(|entry| (entry.method, entry.path)).collect();
    assert_eq!(keys.len(), table.len());
    let paths: BTreeSet<_> = table.iter().map(|entry| (entry.path, entry.function)).collect();
    let of_one: BTreeSet<_> = table.iter().map(|entry| entry.path).collect();
    assert_eq!(paths.len(), of_one.len(), "`cargo lambda watch` serves a path by one function");
    // What only reads asks for no scope that changes.
    for entry in table.iter().filter(|entry| entry.method == Method::Get) {
        let reads = entry.scope.is_none_or(|scope| {
            let scope = scope.as_str();
            scope.ends_with(":read") || ["tokens:write", "packs:make"].contains(&scope)
        });
        assert!(reads, "{} {:?}", entry.path, entry.scope);
    }
}

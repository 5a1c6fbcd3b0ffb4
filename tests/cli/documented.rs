//! The commands of docs/curl.md, as they stand there, against `serve --demo` over real HTTP.

use super::bare;
use common::api::routes;
use simulator::{API_KEY, API_SECRET};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// `serve --demo`. It ends with this value, as somebody at a terminal ends it, so that it removes what it made.
struct Demo {
    child: Child,
    origin: String,
    token_file: String,
}

impl Demo {
    fn start(folder: &TempDir) -> Self {
        let log = File::create(folder.path().join("serve.log")).unwrap();
        let mut command = bare(folder.path(), &["serve", "--demo", "--listen", "127.0.0.1:0", "--sync-cool-down", "0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("listening on "));
        let line =
            line.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(folder.path().join("serve.log")).unwrap()));
        let (origin, token_file) = line.trim_start_matches("listening on ").split_once(" · token in ").unwrap();
        Self { child, origin: origin.to_owned(), token_file: token_file.to_owned() }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status());
        drop(self.child.wait());
    }
}

/// What stands between the fences of a page, for bash.
fn commands(page: &str) -> String {
    let after = page.split("```bash\n").skip(1);
    after.filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect()
}

/// The routes that a traced script has asked.
fn asked(trace: &str, origin: &str) -> BTreeSet<String> {
    // A command that has line ends in its quotes is of several lines.
    let mut traced: Vec<String> = Vec::new();
    for line in trace.lines() {
        match (line.trim_start_matches('+').strip_prefix(' '), traced.last_mut()) {
            (Some(command), _) if line.starts_with('+') => traced.push(command.to_owned()),
            (_, Some(last)) => last.push_str(line),
            (_, None) => {}
        }
    }
    let table = routes::table();
    let of = |command: &String| {
        let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        let after = |option: &str| words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1));
        let method = after("-X").copied().unwrap_or(if words.contains(&"--json") { "POST" } else { "GET" });
        let url = words.iter().find_map(|word| word.strip_prefix(origin))?;
        let path = url.split('?').next().unwrap_or_default().replace("/v1/..", "");
        let is_of = |template: &str| {
            let (parts, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
            parts.len() == wanted.len()
                && parts.iter().zip(&wanted).all(|(part, wanted)| part == wanted || wanted.starts_with('{'))
        };
        let matching = table.iter().filter(|entry| entry.method.as_str() == method && is_of(entry.path));
        let entry = matching.min_by_key(|entry| entry.path.matches('{').count());
        Some(
            entry
                .map(|entry| format!("{} {}", entry.method, entry.path))
                .unwrap_or_else(|| panic!("{method} {path} is no route")),
        )
    };
    traced.iter().filter(|command| command.starts_with("curl ")).filter_map(of).collect()
}

#[test]
fn the_commands_of_the_page_do_as_they_stand() {
    let folder = TempDir::new().unwrap();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/curl.md")).unwrap();
    let demo = Demo::start(&folder);
    // A refusal fails the command, which ends the script.
    std::fs::write(folder.path().join(".curlrc"), "silent\nshow-error\nfail-with-body\n").unwrap();
    let script = commands(&page);
    assert!(script.matches("curl ").count() > 50, "the page has no commands");
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("API", &demo.origin)
        .env("TOKEN_FILE", &demo.token_file)
        .env("HUNTRESS_API_KEY", API_KEY)
        .env("HUNTRESS_API_SECRET", API_SECRET)
        .output()
        .unwrap();
    let (answers, trace) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let last: Vec<&str> = trace.lines().rev().take(3).collect();
    assert!(output.status.success(), "{last:#?}\n{}", answers.lines().last().unwrap_or_default());
    let asked = asked(&trace, &demo.origin);
    let unasked: Vec<String> = routes::table()
        .iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .filter(|route| !asked.contains(route))
        .collect();
    // What a browser sends after a choice on a page of ours.
    assert_eq!(unasked, ["POST /oauth/huntress/callback"], "docs/curl.md shows too little");
}

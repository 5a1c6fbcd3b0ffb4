//! What comes from Huntress cannot forge what a terminal shows.

use super::{Home, now, worked_example};
use serde_json::json;
use simulator::{Account, List};

const NAME: &str = "Acme\u{1b}[2J\nas of 2020 · all good\u{202e}\u{0}\u{9b}31m\r\u{feff}";

fn forging() -> Account {
    let example = worked_example();
    let mut organizations: Vec<_> = example.records(List::Organizations).collect();
    organizations[0]["name"] = json!(NAME);
    Account::from_records(
        organizations,
        example.records(List::Agents).collect(),
        example.records(List::IncidentReports).collect(),
    )
}

#[test]
fn no_output_has_what_a_terminal_would_act_on() {
    let home = Home::new(forging());
    home.on_data(&["connect", "edr", "--map", "1=acme"]).done();
    home.on_data(&["sync", "edr"]).done();
    let good = |c: char| c == '\n' || !common::domain::text::is_hidden(c);
    for arguments in [
        &["metrics", "edr"][..],
        &["metrics", "edr", "--json"],
        &["runs", "edr"],
        &["connections"],
        &["connections", "--json"],
        &["test", "edr"],
    ] {
        let shown = home.on_data(arguments).done().stdout;
        assert!(shown.chars().all(good), "{arguments:?}: {shown:?}");
    }
    let shown = home.on_data(&["metrics", "edr"]).done().stdout;
    assert!(shown.contains("Acme[2J as of 2020 · all good"), "{shown}");
    assert!(!shown.lines().any(|line| line.starts_with("as of 2020")), "{shown}");
}

/// A bundle of an earlier release may have names as they came.
#[test]
fn a_name_that_was_committed_as_it_came_is_cleaned_when_it_is_shown() {
    let home = Home::new(forging());
    home.on_data(&["connect", "edr", "--map", "1=acme"]).done();
    home.on_data(&["sync", "edr"]).done();
    let mut bundle = home.on_data(&["metrics", "edr", "--json"]).json()["evidence"][0]["bundle"].clone();
    bundle["metadata"]["organizations"]["unmapped"][0]["name"] = json!(NAME);
    super::clock::company_evidence_of(&home, now(), &bundle.to_string());
    let shown = home.on_data(&["metrics", "edr"]).done().stdout;
    assert!(shown.contains("Acme[2J as of 2020 · all good"), "{shown}");
    assert!(shown.chars().all(|c| c == '\n' || !common::domain::text::is_hidden(c)), "{shown:?}");
    let json = home.on_data(&["metrics", "edr", "--json"]).done().stdout;
    assert!(json.contains("\\u001b[2J") && json.contains("\\u202e") && json.contains("\\u009b"), "{json}");
    assert!(json.chars().all(|c| c == '\n' || !common::domain::text::is_hidden(c)));
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["evidence"][0]["bundle"]["metadata"]["organizations"]["unmapped"][0]["name"], NAME);
}

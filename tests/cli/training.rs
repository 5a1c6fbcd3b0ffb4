//! `collect training`.

use super::{bare, output, wait};
use acceptance::people::Workforce;
use serde_json::{Value, json};
use simulator::{SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use tempfile::TempDir;

fn collect(arguments: &[&str]) -> super::Output {
    let simulator = wait(Simulator::sat_only(Workforce::four_people().account()).start()).unwrap();
    let folder = TempDir::new().unwrap();
    let mut command = bare(folder.path(), &["collect", "training"]);
    command
        .args(arguments)
        .env("HUNTRESS_SAT_URL", simulator.origin())
        .env("HUNTRESS_ALLOW_LOOPBACK", "1")
        .env("HUNTRESS_SAT_CLIENT_ID", SAT_CLIENT_ID)
        .env("HUNTRESS_SAT_CLIENT_SECRET", SAT_CLIENT_SECRET);
    let printed = output(&mut command);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is stored");
    printed
}

#[test]
fn the_four_person_example_as_json() {
    let report = collect(&["--assignment", "A", "--assignment", "B", "--json"]).json();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["metadata", "people", "summary"]);
    let expected = json!([
        {"learner_id": "person-1", "status": "compliant", "completed": ["A", "B"], "missing": []},
        {"learner_id": "person-2", "status": "not_compliant", "completed": ["A"], "missing": ["B"]},
        {"learner_id": "person-3", "status": "compliant", "completed": ["A"], "missing": []},
        {"learner_id": "person-4", "status": "not_compliant", "completed": [], "missing": ["B"]},
    ]);
    assert_eq!(report["people"], expected);
    let summary = json!({"compliant": 2, "not_compliant": 2, "not_enrolled": 0, "unknown": 0});
    assert_eq!(report["summary"], summary);
    assert_eq!(report["metadata"]["truncated"], Value::Bool(false));
}

#[test]
fn people_get_a_table_and_several_ids_fit_one_option() {
    let table = collect(&["--assignment", "A", "B"]).done().stdout;
    assert!(table.contains("person-2") && table.contains("2 compliant, 2 not compliant"), "{table}");
}

#[test]
fn an_assignment_that_is_not_there_is_one_line_with_exit_code_4() {
    let line = collect(&["--assignment", "A", "Z", "--json"]).refused(4);
    assert!(line.contains("Z (not there)") && line.contains("A (in progress)"), "{line}");
}

#[test]
fn without_an_assignment_it_is_a_usage_error() {
    let line = collect(&["--json"]).refused(2);
    assert!(line.contains("--assignment"), "{line}");
}

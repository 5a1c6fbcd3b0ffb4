//! People on the command line: from selecting assignments to an erasing that leaves no byte.

use super::{Output, bare, files, output, wait};
use acceptance::people::Workforce;
use serde_json::{Value, json};
use simulator::{SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::path::PathBuf;
use tempfile::TempDir;

struct Home {
    simulator: Simulator,
    folder: TempDir,
}

impl Home {
    /// With a connection `sat` to the account of the four people.
    fn new() -> Self {
        let simulator = wait(Simulator::sat_only(Workforce::four_people().account()).start()).unwrap();
        let home = Self { simulator, folder: TempDir::new().unwrap() };
        home.run(&["connect", "sat", "--client", "acme"]).done();
        home
    }

    /// With people in this mode, synced once.
    fn tracking(mode: &str) -> Self {
        let home = Self::new();
        home.run(&["select", "sat", "A", "B"]).done();
        home.run(&["privacy", "sat", mode]).done();
        home.run(&["sync", "sat"]).done();
        home
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = bare(self.folder.path(), arguments);
        command
            .env("HUNTRESS_SAT_URL", self.simulator.origin())
            .env("HUNTRESS_ALLOW_LOOPBACK", "1")
            .env("HUNTRESS_SAT_CLIENT_ID", SAT_CLIENT_ID)
            .env("HUNTRESS_SAT_CLIENT_SECRET", SAT_CLIENT_SECRET)
            .env("USER", "operator-7")
            .arg("--data")
            .arg(self.data());
        output(&mut command)
    }

    fn statuses(&self) -> Vec<String> {
        let status = |learner: &str| {
            let person = self.run(&["person", "sat", learner, "--json"]).json();
            person["person"]["status"].as_str().unwrap().to_owned()
        };
        ["person-1", "person-2", "person-3", "person-4"].map(status).into()
    }
}

#[test]
fn assignments_are_listed_and_picked_and_a_bad_choice_is_refused_with_the_good_ones() {
    let home = Home::new();
    let listed = home.run(&["assignments", "sat", "--json"]).json();
    let first = json!({"id": "A", "name": "Course A", "status": "in_progress", "starts_at": "2026-01-01T00:00:00Z",
        "ends_at": "2026-06-30T00:00:00Z", "picked": false});
    assert_eq!((listed["assignments"].as_array().unwrap().len(), &listed["assignments"][0]), (3, &first));
    let line = home.run(&["select", "sat", "A", "nope"]).refused(4);
    assert!(
        line.contains("nope (not there)") && line.contains("A (in progress), B (completed), C (in progress)"),
        "{line}"
    );
    let line = home.run(&["select", "sat"]).refused(2);
    assert!(line.contains("huntress-evidence assignments sat"), "{line}");
    let said = home.run(&["select", "sat", "A", "B", "--recertify-after-days", "365"]).done().stdout;
    assert!(said.contains("A, B") && said.contains("nobody is tracked in the privacy mode aggregate"), "{said}");
    let table = home.run(&["assignments", "sat"]).done().stdout;
    assert!(table.contains("Course B") && table.contains("2026-06-30") && table.matches("yes").count() == 2, "{table}");
    home.run(&["sync", "sat"]).done();
    assert_eq!(home.run(&["people", "sat", "--json"]).json()["people"], json!([]), "aggregate keeps nobody");
    let connection = home.run(&["select", "sat", "--recertify-after-days", "0", "--json"]).json();
    assert_eq!(
        connection["connection"]["people"],
        json!({"mode": "aggregate", "picks": ["A", "B"], "recertify_after_days": null})
    );
    let connection = home.run(&["select", "sat", "--max-activity", "50000", "--json"]).json();
    assert_eq!(connection["connection"]["sat"]["caps"]["activity_per_assignment"], 50_000);
    home.run(&["select", "sat", "--max-activity", "0"]).refused(2);
    home.run(&["pick", "sat", "--none"]).done();
    assert_eq!(home.run(&["assignments", "sat"]).done().stdout.matches("yes").count(), 0);
}

#[test]
fn people_are_listed_by_status_and_reset_by_name_of_who_asks() {
    let home = Home::tracking("pseudonymous");
    assert_eq!(home.statuses(), ["compliant", "not_compliant", "compliant", "not_compliant"]);
    let listed = home.run(&["people", "sat", "--status", "not_compliant", "--json"]).json();
    assert_eq!(listed["people"].as_array().unwrap().len(), 2);
    assert_eq!(listed["summary"], json!({"compliant": 2, "not_compliant": 2, "not_enrolled": 0, "unknown": 0}));
    let person = listed["people"][0]["person"].as_str().unwrap();
    let table = home.run(&["people", "sat"]).done().stdout;
    assert!(table.contains(person) && table.contains("2 compliant, 2 not compliant"), "{table}");
    let line = home.run(&["people", "sat", "--names", "--reason", "audit"]).refused(4);
    assert!(line.contains("only the privacy mode full"), "{line}");

    let line = home.run(&["reset", "sat", "person-1"]).refused(2);
    assert!(line.contains("--reason"), "{line}");
    let shown = home.run(&["signals", "acme"]).done().stdout;
    assert!(shown.contains("people in A, B: 2 compliant, 2 not compliant"), "{shown}");
    let controls = home.run(&["controls", "acme"]).done().stdout;
    assert!(
        controls.contains("training of people (2 of 4 compliant)") && controls.contains("164.308(a)(5)(i)"),
        "{controls}"
    );
    home.run(&["reset", "sat", "nobody", "--reason", "x"]).refused(4);
    home.run(&["reset", "sat", "person-1", "--reason", "changed roles"]).done();
    let one = home.run(&["person", "sat", "person-1", "--json"]).json();
    assert_eq!(
        (&one["person"]["status"], &one["person"]["reset"]["by"], &one["person"]["reset"]["reason"]),
        (&json!("unknown"), &json!("operator-7"), &json!("changed roles"))
    );
    home.run(&["sync", "sat"]).done();
    let shown = home.run(&["person", "sat", "person-1"]).done().stdout;
    for part in
        ["is compliant since", "first seen: compliant", "reset by operator-7: changed roles", "unknown → compliant"]
    {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
}

#[test]
fn a_person_is_told_what_is_missing_and_where_to_do_it() {
    let home = Home::tracking("pseudonymous");
    let prompt = home.run(&["onboarding", "sat", "person-2", "--json"]).json();
    assert_eq!(
        (&prompt["status"], &prompt["missing"], &prompt["action_needed"]),
        (&json!("not_compliant"), &json!(["B"]), &json!(true))
    );
    assert_eq!(prompt["training_url"], "https://mycurricula.com/");
    let text = home.run(&["onboarding", "sat", "person-2"]).done().stdout;
    assert!(text.contains("Still to do: B") && text.contains("https://mycurricula.com/"), "{text}");
}

#[test]
fn a_link_for_a_person_is_printed_once() {
    let home = Home::tracking("pseudonymous");
    let made = home.run(&["onboarding", "sat", "person-2", "--link", "--days", "3", "--json"]).json();
    let url = made["url"].as_str().unwrap();
    let secret = url.strip_prefix("http://127.0.0.1:8787/onboarding/").unwrap();
    assert_eq!(secret.len(), 43, "{url}");
    let text = home.run(&["onboarding", "sat", "person-2", "--link"]).done().stdout;
    assert!(text.contains("/onboarding/") && text.contains("while `serve` runs") && !text.contains(secret), "{text}");
    let refused = home.run(&["onboarding", "sat", "person-2", "--link", "--days", "91"]);
    assert!(refused.stderr.contains("a link lasts 1 to 90 days"), "{}", refused.stderr);
    let text = home.run(&["onboarding", "sat", "person-2", "--take-back"]).done().stdout;
    assert_eq!(text, "2 links taken back; they show nothing from now on.\n");
    let none = home.run(&["onboarding", "sat", "person-2", "--take-back", "--json"]).json();
    assert_eq!(none, serde_json::json!({"ended": 0}));
}

#[test]
fn a_certificate_is_written_to_a_file_of_ones_own() {
    let home = Home::tracking("full");
    let file = home.folder.path().join("certificate.pdf");
    let path = file.to_str().unwrap();
    let written = home.run(&["certificate", "sat", "person-1", "-o", path, "--assignment", "A", "--json"]).json();
    let bytes = std::fs::read(&file).unwrap();
    assert!(
        bytes.starts_with(b"%PDF-")
            && written["bytes"] == json!(bytes.len())
            && written["content_type"] == "application/pdf"
    );
    assert_eq!(written["sha256"].as_str().unwrap().len(), 64);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    home.run(&["certificate", "sat", "person-1", "-o", path]).refused(4);
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "no file is overwritten");
    let line = home.run(&["certificate", "sat", "person-2", "-o", &format!("{path}.2")]).refused(4);
    assert!(line.contains("there is no certificate"), "{line}");
    let shown = home.run(&["person", "sat", "person-1"]).done().stdout;
    assert!(shown.contains("certificate/A opened by operator-7: exported by the command certificate"), "{shown}");
}

#[test]
fn names_open_with_a_reason_in_mode_full_alone() {
    let home = Home::tracking("full");
    home.run(&["people", "sat", "--names"]).refused(2);
    let named = home.run(&["people", "sat", "--names", "--reason", "the audit", "--json"]).json();
    let names: Vec<&str> = named["people"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"First-person-4 Last-person-4"), "{names:?}");
    let unnamed = home.run(&["people", "sat", "--json"]).done().stdout;
    assert!(!unnamed.contains("First-person"), "{unnamed}");
    // Less is kept only if that is meant.
    let line = home.run(&["privacy", "sat", "pseudonymous"]).refused(2);
    assert!(line.contains("--erase"), "{line}");
    home.run(&["privacy", "sat", "pseudonymous", "--erase"]).done();
    home.run(&["people", "sat", "--names", "--reason", "the audit"]).refused(4);
    assert_eq!(home.statuses(), ["compliant", "not_compliant", "compliant", "not_compliant"], "what they did is kept");
}

#[test]
fn what_is_erased_is_in_no_byte_of_the_data_folder() {
    let home = Home::tracking("full");
    let person =
        home.run(&["person", "sat", "person-1", "--json"]).json()["person"]["person"].as_str().unwrap().to_owned();
    let found = |text: &str| {
        let in_file = |(path, bytes): &(PathBuf, Vec<u8>)| {
            path.to_string_lossy().contains(text) || bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        files(&home.data()).iter().any(in_file)
    };
    assert!(found(&person), "it is kept before");
    let said = home.run(&["erase", "sat", &person]).done().stdout;
    assert!(said.contains("found again by the next sync"), "{said}");
    assert!(!found(&person));
    home.run(&["person", "sat", "person-1"]).refused(4);
    let others: Vec<String> = home.run(&["people", "sat", "--json"]).json()["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["person"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(others.len(), 3);
    home.run(&["erase", "sat"]).refused(2);
    home.run(&["erase", "sat", "--everybody"]).done();
    assert!(others.iter().all(|person| !found(person)));
    assert!(home.run(&["signals", "acme"]).done().stdout.contains("workforce_coverage"), "the evidence stays");
    // No name was ever there to be found.
    assert!(["First-person", "Last-person", "@learner.example"].iter().all(|marker| !found(marker)));
}

#[test]
fn a_client_has_one_provider() {
    let home = Home::new();
    assert_eq!(home.run(&["provider", "acme", "--json"]).json(), json!({"client": "acme", "provider": Value::Null}));
    home.run(&["provider", "acme", "sat"]).done();
    let named = home.run(&["provider", "acme", "--json"]).json();
    assert_eq!((&named["provider"]["connection"], &named["provider"]["by"]), (&json!("sat"), &json!("operator-7")));
    let line = home.run(&["provider", "globex", "sat"]).refused(4);
    assert!(line.contains("there is no client globex"), "{line}");
    home.run(&["provider", "acme", "nothing"]).refused(4);
    home.run(&["provider", "acme", "--none"]).done();
    assert!(home.run(&["provider", "acme"]).done().stdout.contains("no connection is named"));
}

#[test]
fn people_are_erased_before_their_connection_goes_and_it_provides_nothing_any_more() {
    let home = Home::tracking("full");
    home.run(&["provider", "acme", "sat"]).done();
    let line = home.run(&["disconnect", "sat"]).refused(4);
    assert!(line.contains("huntress-evidence erase sat --everybody"), "{line}");
    assert_eq!(home.statuses().len(), 4);
    home.run(&["erase", "sat", "--everybody"]).done();
    home.run(&["disconnect", "sat"]).done();
    assert_eq!(home.run(&["provider", "acme", "--json"]).json()["provider"], Value::Null);
    assert!(home.run(&["signals", "acme"]).done().stdout.contains("workforce_coverage"), "the evidence stays");
}

#[test]
fn a_connection_of_the_endpoint_api_knows_no_people() {
    let home = Home::new();
    let line = home.run(&["people", "other"]).refused(4);
    assert!(line.contains("there is no connection other"), "{line}");
}

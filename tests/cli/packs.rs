//! The log, packs and their check, command by command.

use super::server::Server;
use super::{Home, worked_example};
use common::pack::zip::Archive;
use simulator::{Account, List};

#[test]
fn a_sync_is_in_the_log_and_a_checkpoint_is_signed() {
    let home = Home::new(worked_example());
    home.connect();
    assert!(home.on_data(&["log", "edr"]).refused(4).contains("the log of edr is empty"));
    home.on_data(&["sync", "edr"]).done();
    let log = home.on_data(&["log", "edr", "--json"]).json();
    assert_eq!(
        (&log["size"], &log["entries"][0]["kind"], &log["checkpoint"]),
        (&1.into(), &"evidence".into(), &().into())
    );
    assert_eq!(log["entries"][0]["bundles"], 2);
    let key = home.on_data(&["log-key"]).done().stdout;
    assert!(key.starts_with("huntress-evidence.local/") && key.split('+').count() >= 3, "{key}");
    let signed = home.on_data(&["log", "edr", "--checkpoint"]).done().stdout;
    let root = log["root"].as_str().unwrap();
    let name = key.split('+').next().unwrap();
    assert!(signed.starts_with(&format!("{name}/local/edr\n1\n{root}\n\n\u{2014} {name} ")), "{signed}");
    // Signed once for each size.
    assert_eq!(home.on_data(&["log", "edr", "--checkpoint"]).done().stdout, signed);
    let shown = home.on_data(&["log", "edr"]).done().stdout;
    assert!(shown.contains("evidence, 2 bundles") && shown.contains("last signed at size 1"), "{shown}");
    assert_eq!(home.on_data(&["log-key", "--json"]).json()["key"], key.trim());
}

#[test]
fn what_no_pack_can_be_made_of_is_said_before_a_file_is_there() {
    let home = Home::new(worked_example());
    home.connect();
    let file = home.folder.path().join("pack.zip");
    let pack = |client: &str, from: &str, to: &str| {
        home.on_data(&["pack", client, "--from", from, "--to", to, "-o", file.to_str().unwrap()])
    };
    assert!(
        pack("nobody", "2026-01-01", "2026-01-02").refused(4).contains("no connection has evidence of a client nobody")
    );
    let empty = pack("acme", "2026-01-01", "2026-01-02").refused(4);
    assert!(empty.contains("the logs of acme are empty: run a sync first"), "{empty}");
    assert!(pack("acme", "2026-01-02", "2026-01-01").refused(2).contains("swap --from and --to"));
    assert!(pack("acme", "yesterday", "2026-01-01").refused(2).contains("give a day as 2026-03-22"));
    home.on_data(&["sync", "edr"]).done();
    // A pack ends with the last full hour, and the sync was in this one; on the hour itself it is there.
    let today = super::today();
    let made = pack("acme", "2026-01-01", &today);
    assert!(made.code == 0 || made.stderr.contains("make it after the next full hour, "), "{made:?}");
    assert_eq!(made.code == 0, file.exists());
}

#[test]
fn a_file_that_is_no_pack_is_named_with_the_step() {
    let home = Home::new(worked_example());
    let file = home.folder.path().join("pack.zip");
    std::fs::write(&file, b"PK, but no pack").unwrap();
    let path = file.to_str().unwrap();
    let output = home.run(&["verify", path]);
    assert_eq!(output.code, 4, "{output:?}");
    assert!(output.stdout.starts_with("WRONG   container"), "{output:?}");
    assert!(output.stderr.starts_with("huntress-evidence: container: it is no zip file"), "{output:?}");
    let missing = home.run(&["verify", "not-there.zip"]).refused(4);
    assert!(missing.starts_with("container: not-there.zip cannot be read"), "{missing}");
    let key = home.run(&["verify", path, "--key", "x+00000000+AQ=="]).refused(2);
    assert!(key.contains("the value of --key cannot be used"), "{key}");
    let json: serde_json::Value = serde_json::from_str(&home.run(&["verify", path, "--json"]).stdout).unwrap();
    assert_eq!((&json["good"], &json["steps"][0]["step"]), (&false.into(), &"container".into()));
}

/// What begins a formula somewhere, and what hides its beginning.
const FORMULAS: [&str; 14] = [
    "=1+1",
    "=HYPERLINK(\"http://x\",\"y\")",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3+cmd",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\u{ff1d}1+1",
    "\u{ff0b}1+1",
    "\u{ff0d}1+1",
    "\u{ff20}SUM(A1)",
    "\",=1+1,\"",
];

/// The cells of an RFC 4180 file.
fn cells(text: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(std::mem::take(&mut cell)),
            ('\r', false) if chars.peek() == Some(&'\n') => {
                chars.next();
                cells.push(std::mem::take(&mut cell));
            }
            (c, _) => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty(), "it does not end as a table does");
    cells
}

#[track_caller]
fn harmless(name: &str, text: &str) {
    for cell in cells(text) {
        let begins =
            cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
        assert!(!begins || cell.parse::<f64>().is_ok(), "{name}: a spreadsheet would run {cell:?}");
    }
}

#[test]
fn no_name_of_an_organization_and_nothing_that_somebody_typed_is_a_formula_in_a_table() {
    let example = worked_example();
    let mut organizations: Vec<serde_json::Value> = example.records(List::Organizations).collect();
    for (organization, formula) in organizations.iter_mut().zip(FORMULAS.iter().cycle()) {
        for field in ["name", "key"] {
            organization[field] = (*formula).into();
        }
    }
    let mut agents: Vec<serde_json::Value> = example.records(List::Agents).collect();
    for (agent, formula) in agents.iter_mut().zip(FORMULAS.iter().cycle()) {
        for field in ["hostname", "os", "version", "status"] {
            if agent[field].is_string() && field != "status" {
                agent[field] = (*formula).into();
            }
        }
    }
    let incidents = example.records(List::IncidentReports).collect();
    let home = Home::new(Account::from_records(organizations, agents, incidents));
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    assert_eq!(home.on_data(&["sync", "edr"]).code, 0);
    for formula in FORMULAS {
        let source = format!("{formula} of the export");
        let by = format!("{formula} alice");
        home.on_data(&[
            "attest",
            "acme",
            "expected_devices",
            "90",
            "--source",
            &source,
            "--dated",
            "2026-03-01",
            "--until",
            "2030-01-01",
        ]);
        let reason = format!("{formula} and twenty characters more");
        home.on_data(&[
            "exception",
            "add",
            "acme",
            "--rule",
            "edr-missing",
            "--reason",
            &reason,
            "--until",
            "2026-12-31",
            "--by",
            &by,
        ]);
        home.on_data(&["pause", "edr"]).done();
        home.on_data(&["settings", "edr", "--missing-after-days", "30", "--by", &by]);
    }
    let file = home.folder.path().join("tables.zip");
    home.on_data(&["export", "csv", "acme", "-o", file.to_str().unwrap()]).done();
    let bytes = std::fs::read(&file).unwrap();
    let archive = Archive::open(&bytes).unwrap();
    let mut typed = 0;
    for entry in archive.entries() {
        let text = String::from_utf8(archive.read(entry, 1 << 24).unwrap()).unwrap();
        typed += text.matches("of the export").count() + text.matches("twenty characters more").count();
        harmless(&entry.name, &text);
    }
    assert_eq!(archive.entries().len(), 10);
    assert!(typed >= FORMULAS.len(), "what was typed is in no table: {typed}");
    let window = home.folder.path().join("window.csv");
    let today = super::today();
    home.on_data(&["window", "acme", "--from", &today, "--to", &today, "--csv", window.to_str().unwrap()]).done();
    harmless("window --csv", &std::fs::read_to_string(window).unwrap());
    let log = home.on_data(&["audit-log", "--csv"]).done().stdout;
    assert!(log.contains("alice") && log.starts_with("at,company,actor,"), "{log}");
    harmless("audit-log --csv", &log);
}

#[test]
fn a_log_goes_on_under_another_key() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let old = home.on_data(&["log-key"]).done().stdout;
    home.on_data(&["log", "edr", "--checkpoint"]).done();
    let new = home.on_data(&["log-key", "--rotate", "--by", "alice"]).done().stdout;
    assert_eq!((old.split('+').next(), old == new), (new.split('+').next(), false));
    assert_eq!(home.on_data(&["log-key"]).done().stdout, new);
    // What was signed by the old one is signed anew, and the old one announces the new one.
    let key = common::domain::note::VerifierKey::parse(new.trim()).unwrap();
    let signed = home.on_data(&["log", "edr", "--checkpoint"]).done().stdout;
    let note = common::domain::note::Note::parse(signed.as_bytes()).unwrap();
    assert!(note.is_signed_by(&key, common::signing::verify));
    let events = home.on_data(&["audit-log", "--json"]).json();
    let events: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert!(events.contains(&"log-key.replaced"), "{events:?}");
}

#[test]
fn people_are_added_to_a_pack_only_where_they_are_kept() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let file = home.folder.path().join("pack.zip");
    let today = super::today();
    let pack = |more: &[&str]| {
        let given = ["pack", "acme", "--from", "2026-01-01", "--to", &today, "-o", file.to_str().unwrap()];
        home.on_data(&[&given, more].concat())
    };
    let refused = pack(&["--people"]).refused(4);
    assert!(refused.contains("no training connection of acme alone keeps people"), "{refused}");
    assert_eq!(pack(&["--names"]).code, 2, "names need a reason");
    assert!(!file.exists());
}

#[test]
fn serve_hands_out_the_key_the_signed_log_and_packs() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let key = home.on_data(&["log-key"]).done().stdout;
    let server = Server::start(&home, &[]);
    server.logged("evidence logs signed");
    assert_eq!(server.get("/v1/companies/local/log-key").body["key"], key.trim());
    let entries = server.get("/v1/companies/local/log/edr/entries").body;
    assert_eq!(entries["size"], 1);
    let statement: serde_json::Value = serde_json::from_str(entries["items"][0]["data"].as_str().unwrap()).unwrap();
    let proof = server.get(&format!("/v1/companies/local/log/edr/proof?run={}", statement["run_id"].as_str().unwrap()));
    assert_eq!((proof.status, &proof.body["size"]), (200, &1.into()));
    assert_eq!(server.get("/v1/companies/local/clients/acme/packs").body["items"], serde_json::json!([]));
    assert_eq!(server.get("/v1/companies/local/clients/acme/export/oscal").status, 200);
}

#[test]
fn serve_removes_packs_that_are_older_than_they_are_kept() {
    let home = Home::new(worked_example());
    home.connect();
    let folder = home.data().join("packs/local/acme");
    std::fs::create_dir_all(&folder).unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    for (name, days) in [("old.zip", 8), ("new.zip", 6)] {
        let file = std::fs::File::create(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::from(super::now()) - day * days).unwrap();
    }
    let server = Server::start(&home, &["--pack-retention-days", "7"]);
    assert_eq!(server.logged("old packs removed")["removed"], 1);
    assert_eq!((folder.join("old.zip").exists(), folder.join("new.zip").exists()), (false, true));
    let line = home.run(&["serve", "--pack-retention-days", "0"]).refused(2);
    assert!(line.contains("--pack-retention-days"), "{line}");
}

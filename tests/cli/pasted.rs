//! Credentials as people paste them, variables that are no text, and mapping files as spreadsheets save them.

use super::{Home, KEY, SECRET, bare, output, wait, worked_example};
use serde_json::json;
use simulator::{Account, List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use tempfile::TempDir;

/// What may come along.
const AROUND: [(&str, &str); 6] =
    [("", "\n"), ("", "\r\n"), (" ", "\t"), ("\u{feff}", ""), ("\"", "\""), ("\u{201c}", "\u{201d} ")];

#[test]
fn what_was_pasted_around_a_key_is_left_out_and_said() {
    let home = Home::new(worked_example());
    for (number, (before, after)) in AROUND.into_iter().enumerate() {
        let pasted = |text: &str| format!("{before}{text}{after}");
        for arguments in [&["collect", "edr", "--json"][..], &["connect", "edr", "--id", "pasted", "--json"]] {
            let mut command = home.command(arguments);
            command.env("HUNTRESS_API_KEY", pasted(KEY)).env("HUNTRESS_API_SECRET", pasted(SECRET));
            if arguments[0] == "connect" {
                command.arg("--data").arg(home.folder.path().join(format!("data-{number}")));
            }
            let said = output(&mut command);
            assert_eq!(said.code, 0, "{pasted:?} {said:?}", pasted = pasted("KEY"));
            assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
            assert!(said.stderr.contains("HUNTRESS_API_KEY and HUNTRESS_API_SECRET were left out"), "{said:?}");
            assert!(!said.stderr.contains(KEY) && !said.stderr.contains(SECRET));
            assert!(serde_json::from_str::<serde_json::Value>(&said.stdout).is_ok());
        }
    }
    // One line is one line: a failure says both.
    let mut command = home.command(&["collect", "edr"]);
    let line = output(command.env("HUNTRESS_API_SECRET", "hs_other\n")).refused(3);
    assert!(line.contains("not accepted") && line.contains("HUNTRESS_API_SECRET were left out"), "{line}");
}

#[test]
fn a_key_of_blanks_is_missing_and_nothing_is_asked() {
    let home = Home::new(worked_example());
    for blank in [" ", "\r\n", "\"\"", "' '", "\u{feff}", "\u{200b}"] {
        for name in ["HUNTRESS_API_KEY", "HUNTRESS_API_SECRET"] {
            for arguments in [&["collect", "edr"][..], &["connect", "edr"]] {
                let line = output(home.command(arguments).env(name, blank)).refused(2);
                assert!(line.contains(name) && line.contains("not set"), "{line}");
            }
        }
    }
    assert_eq!(home.simulator.requests().len(), 0);
}

#[test]
fn the_training_credential_is_cleaned_too_and_an_empty_account_is_none() {
    let account = acceptance::people::Workforce::four_people().account();
    let simulator = wait(Simulator::sat_only(account).start()).unwrap();
    let folder = TempDir::new().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = bare(folder.path(), arguments);
        command
            .env("HUNTRESS_SAT_URL", simulator.origin())
            .env("HUNTRESS_ALLOW_LOOPBACK", "1")
            .env("HUNTRESS_SAT_CLIENT_ID", format!("{SAT_CLIENT_ID}\n"))
            .env("HUNTRESS_SAT_CLIENT_SECRET", format!(" '{SAT_CLIENT_SECRET}'"))
            .env("HUNTRESS_SAT_ACCOUNT_ID", " \r\n");
        command
    };
    for arguments in [&["collect", "sat", "--json"][..], &["connect", "sat"]] {
        let said = output(&mut command(arguments));
        assert_eq!((said.code, said.stderr.lines().count()), (0, 1), "{said:?}");
        assert!(
            said.stderr.contains("HUNTRESS_SAT_CLIENT_ID and HUNTRESS_SAT_CLIENT_SECRET were left out"),
            "{said:?}"
        );
    }
    let line = output(command(&["collect", "sat"]).env("HUNTRESS_SAT_CLIENT_SECRET", "''")).refused(2);
    assert!(line.contains("HUNTRESS_SAT_CLIENT_SECRET"), "{line}");
}

#[test]
fn a_variable_that_is_no_text_is_an_error_before_any_request() {
    let home = Home::new(worked_example());
    let broken = OsString::from_vec(b"http://127.0.0.1:1/\xff".to_vec());
    for name in [
        "HUNTRESS_EDR_URL",
        "HUNTRESS_SAT_URL",
        "HUNTRESS_API_KEY",
        "HUNTRESS_ALLOW_LOOPBACK",
        "AWS_REGION",
        "TABLE_NAME",
    ] {
        for arguments in [&["collect", "edr"][..], &["connect", "edr"], &["connections"]] {
            let line = output(home.command(arguments).env(name, &broken)).refused(2);
            assert!(line.contains(name) && line.contains("not UTF-8"), "{line}");
        }
    }
    // Somebody else's is not our business.
    output(home.command(&["collect", "edr", "--json"]).env("LS_COLORS", &broken)).done();
    assert_eq!(home.simulator.requests().len(), 3);
}

fn ids(account: &Account) -> Vec<String> {
    account.records(List::Organizations).take(2).map(|it| it["id"].to_string()).collect()
}

#[test]
fn a_mapping_file_that_a_spreadsheet_saved_maps_every_line() {
    let account = worked_example();
    let ids = ids(&account);
    let home = Home::new(account);
    let file = home.folder.path().join("map.csv");
    let lines = format!("\u{feff}{},one\r\n# a remark\r\n\r\n\"{}\",\"two\"\r\n", ids[0], ids[1]);
    std::fs::write(&file, lines).unwrap();
    let connected = home.on_data(&["connect", "edr", "--json", "--map-file", file.to_str().unwrap()]).json();
    let clients = json!({&ids[0]: "one", &ids[1]: "two"});
    assert_eq!(connected["connection"]["mapping"]["clients"], clients, "{connected}");
}

#[test]
fn what_is_no_organization_id_is_refused_with_its_line() {
    let account = worked_example();
    let ids = ids(&account);
    let home = Home::new(account);
    let file = home.folder.path().join("map.csv");
    for (lines, number, word) in [
        (format!("organization,client\n{},one\n", ids[0]), 1, "organization is no organization id"),
        (format!("{},one\nOrganization ID,Client\n", ids[0]), 2, "is no organization id"),
        (format!("{}.0,one\n", ids[0]), 1, ids[0].as_str()),
        (format!("\u{feff}{},one\r\n # {},two\r\n", ids[0], ids[1]), 2, "is no organization id"),
        (format!("{}\tone\n", ids[0]), 1, "expected organization,client"),
        (format!("{},one,\n", ids[0]), 1, "client id"),
    ] {
        std::fs::write(&file, &lines).unwrap();
        let line = home.on_data(&["connect", "edr", "--map-file", file.to_str().unwrap()]).refused(2);
        assert!(line.contains(&format!("line {number}: ")) && line.contains(word), "{lines:?}: {line}");
    }
    std::fs::write(&file, b"\xff\xfe1\x00,\x00a\x00").unwrap();
    let line = home.on_data(&["connect", "edr", "--map-file", file.to_str().unwrap()]).refused(2);
    assert!(line.contains("UTF-8"), "{line}");
    assert_eq!(home.simulator.requests().len(), 0);
}

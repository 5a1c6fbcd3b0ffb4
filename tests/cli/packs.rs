//! The log, packs and their check, command by command.

use super::{Home, worked_example};

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
    let today = super::now().format("%Y-%m-%d").to_string();
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

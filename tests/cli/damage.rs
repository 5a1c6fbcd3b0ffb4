//! Data that is damaged is named and left as it is.

use super::{Home, files, worked_example};
use acceptance::engine::Engine;
use std::fs;
use std::path::Path;

/// Damages one file of a folder that holds evidence, and runs commands on it.
#[track_caller]
fn refused_and_kept(file: &str, damage: impl Fn(&Path)) -> String {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let damaged = home.data().join(file);
    damage(&damaged);
    let before = files(&home.data());
    home.simulator.reset_log();
    let mut line = String::new();
    for arguments in [
        &["metrics", "edr"][..],
        &["connections"],
        &["sync", "edr"],
        &["connect", "edr", "--id", "second"],
        &["pause", "edr"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        line = home.on_data(arguments).refused(4);
        assert!(line.contains(damaged.to_str().unwrap()) && line.contains("; "), "{arguments:?}: {line}");
    }
    let lists = home.simulator.requests();
    assert!(lists.is_empty(), "{lists:?}");
    let after = files(&home.data());
    let kept = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        files.iter().filter(|(path, _)| !path.ends_with("evidence.db-shm")).cloned().collect::<Vec<_>>()
    };
    assert!(kept(&before) == kept(&after), "the files changed");
    line
}

#[test]
fn a_data_file_of_garbage() {
    let line = refused_and_kept("evidence.db", |path| {
        fs::write(path, b"This is no database at all, but it is long enough.").unwrap()
    });
    assert!(line.contains("move it away to begin anew"), "{line}");
}

#[test]
fn a_data_file_that_is_shorter_than_a_header() {
    refused_and_kept("evidence.db", |path| fs::write(path, b"SQLi").unwrap());
}

#[test]
fn a_data_file_that_was_cut_in_half() {
    refused_and_kept("evidence.db", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_data_file_whose_pages_are_garbage() {
    refused_and_kept("evidence.db", |path| {
        let mut bytes = fs::read(path).unwrap();
        let header = bytes[..100].to_vec();
        bytes.iter_mut().for_each(|byte| *byte = 0xA5);
        bytes[..100].copy_from_slice(&header);
        fs::write(path, bytes).unwrap();
    });
}

#[test]
fn a_database_of_something_else() {
    refused_and_kept("evidence.db", |path| {
        fs::remove_file(path).unwrap();
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch("CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x');").unwrap();
    });
}

#[test]
fn a_damaged_sealing_key() {
    for bytes in [&b"short"[..], b"", &[7; 33]] {
        let line = refused_and_kept("credentials/sealing.key", |path| fs::write(path, bytes).unwrap());
        assert!(line.contains("is not a sealing key of 32 bytes"), "{line}");
    }
}

#[test]
fn a_credential_that_does_not_open_is_said_and_kept() {
    let home = Home::new(worked_example());
    home.connect();
    let sealed = home.data().join("credentials/edr@local.sealed");
    let good = fs::read(&sealed).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&b"garbage"[..], &good[..good.len() / 2], &flipped] {
        fs::write(&sealed, bytes).unwrap();
        let line = home.on_data(&["sync", "edr"]).refused(2);
        assert!(
            line.contains("the stored credential cannot be read") && line.contains("save the credential"),
            "{line}"
        );
        assert_eq!(fs::read(&sealed).unwrap(), bytes);
    }
    // Another key of the right length opens nothing, and is not taken for damage of the whole folder.
    fs::write(&sealed, &good).unwrap();
    fs::write(home.data().join("credentials/sealing.key"), [7; 32]).unwrap();
    home.on_data(&["sync", "edr"]).refused(2);
    assert_eq!(fs::read(&sealed).unwrap(), good);
    // The way out that the line names.
    home.on_data(&["connect", "edr", "--replace-key"]).done();
    home.on_data(&["sync", "edr"]).done();
}

#[test]
fn evidence_that_was_changed_is_not_shown() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let path = home.data().join("evidence.db");
    let changed = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let engine = Engine::file(&path).await;
        let changed =
            engine.change_bodies("huntress-evidence", r#""metric_value":"87""#, r#""metric_value":"88""#).await;
        engine.stop().await;
        changed
    });
    assert!(changed > 0, "no evidence says so");
    let line = home.on_data(&["metrics", "acme"]).refused(4);
    assert!(line.contains("SHA-256"), "{line}");
}

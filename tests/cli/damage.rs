//! Data that is damaged is named and left as it is.

use super::{Home, files, worked_example};
use acceptance::engine::Engine;
use acceptance::tamper::{Tampering, every, put_back, tamper};
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

/// A folder whose log and evidence disagree: every read says so and shows nothing, whichever of the two was changed, and how.
#[test]
fn a_folder_whose_log_and_evidence_disagree_shows_nothing() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["policy", "acme", "--set", "baseline"]).done();
    for _ in 0..3 {
        assert_eq!(home.on_data(&["sync", "edr"]).code, 0);
    }
    let (path, zip) = (home.data().join("evidence.db"), home.folder.path().join("out.zip"));
    let (table, connection) = ("huntress-evidence", "local#edr");
    let today = super::today();
    let zip = zip.to_str().unwrap();
    let reads: [&[&str]; 13] = [
        &["metrics", "acme"],
        &["metrics", "acme", "--as-of", "2100-01-01T00:00:00Z"],
        &["controls", "acme"],
        &["findings", "acme"],
        &["completeness", "acme"],
        &["history", "agents_total", "--client", "acme"],
        &["explain", "acme", "edr-online"],
        &["what-if", "acme", "--set", "edr-online.pass=90"],
        &["window", "acme", "--from", &today, "--to", &today],
        &["export", "csv", "acme", "-o", zip],
        &["export", "oscal", "acme"],
        &["log", "edr"],
        &["log", "edr", "--checkpoint"],
    ];
    let engine = |work: &mut dyn FnMut(&tokio::runtime::Runtime, &Engine)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let engine = runtime.block_on(Engine::file(&path));
        work(&runtime, &engine);
        runtime.block_on(engine.stop());
    };
    for arguments in reads {
        assert_eq!(home.on_data(arguments).code, 0, "{arguments:?}");
    }
    // Leaf 1 is on the way of no read of the newest evidence; whoever reads all of the log, or that day's history, says so.
    for how in every(2).into_iter().chain([Tampering::LeafChanged(1), Tampering::LeafRemoved(0)]) {
        let mut before = None;
        engine(&mut |runtime, engine| {
            before = Some(runtime.block_on(tamper(&engine.client(), table, connection, how)))
        });
        for arguments in reads {
            let whole = ["log", "export", "history", "window", "what-if"].contains(&arguments[0]);
            if matches!(how, Tampering::LeafChanged(1) | Tampering::LeafRemoved(0)) && !whole {
                continue;
            }
            std::fs::remove_file(zip).ok();
            let output = home.on_data(arguments);
            let said = output.stderr.contains("evidence log") && output.stderr.contains("restore the data");
            assert!(output.code == 4 && output.stdout.is_empty() && said, "{how:?}, {arguments:?}: {output:?}");
            assert!(!std::path::Path::new(zip).exists(), "{how:?}, {arguments:?}");
        }
        engine(&mut |runtime, engine| runtime.block_on(put_back(&engine.client(), table, before.take().unwrap())));
    }
    for arguments in reads {
        assert_eq!(home.on_data(arguments).code, 0, "{arguments:?}");
    }
}

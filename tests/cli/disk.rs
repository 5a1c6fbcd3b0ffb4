//! Storage that fails: files that may not grow, and a folder that cannot be written to. One line names the cause, nothing is lost, and reading works.

use super::server::Server;
use super::{Home, Output, files, output, worked_example};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

/// Commands that change nothing.
const READING: [&[&str]; 6] = [
    &["connections", "--json"],
    &["runs", "edr", "--json"],
    &["metrics", "acme"],
    &["controls", "acme", "--json"],
    &["history", "agents_total", "--client", "acme", "--json"],
    &["sync", "edr", "--dry-run"],
];

/// Runs a command on the data folder that may write no more than so many KiB into any one file.
fn limited(home: &Home, kib: u32, arguments: &[&str]) -> Output {
    let inner = home.command(&[arguments, &["--data"]].concat());
    let mut command = Command::new("sh");
    // The unit of `ulimit -f` is 512 bytes.
    command.arg("-c").arg(format!("ulimit -f {}; exec \"$0\" \"$@\"", kib * 2));
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .arg(home.data())
        .current_dir(home.folder.path())
        .env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    output(command.stdin(std::process::Stdio::null()))
}

/// What a command prints, without the ages that it tells.
fn ageless(printed: &str) -> String {
    let line = |line: &str| !line.starts_with("age ") && !line.contains("left now") && !line.contains("\"left_now\"");
    printed.lines().filter(|text| line(text)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_first_connect_that_is_stopped_leaves_a_folder_that_works() {
    let mut refused = 0;
    for kib in [1, 4, 8, 16, 24, 32, 36, 40, 44, 48, 52, 56, 60, 64, 80, 96, 120, 160] {
        let home = Home::new(worked_example());
        let stopped = limited(&home, kib, &["connect", "edr", "--client", "acme"]);
        if stopped.code == 0 {
            stopped.done();
            home.on_data(&["connections"]).done();
        } else {
            let line = stopped.refused(4);
            assert!(line.contains("ulimit -f"), "{kib} KiB: {line}");
            refused += 1;
            let after = home.on_data(&["connect", "edr", "--client", "acme"]);
            assert_eq!((after.code, after.stderr.as_str()), (0, ""), "{kib} KiB: {after:?}");
        }
        home.on_data(&["sync", "edr"]).done();
    }
    assert!(refused >= 6, "{refused}");
}

#[test]
fn reading_works_and_nothing_is_lost_where_files_may_not_grow() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let read = |home: &Home| READING.map(|arguments| ageless(&home.on_data(arguments).done().stdout));
    let mut refused = 0;
    for kib in [1, 4, 16, 31, 33, 64, 90] {
        let before = read(&home);
        for (arguments, before) in READING.iter().zip(&before) {
            assert_eq!(ageless(&limited(&home, kib, arguments).done().stdout), *before, "{kib} KiB: {arguments:?}");
        }
        let more = format!("more-{kib}");
        for arguments in [&["pause", "edr"][..], &["sync", "edr"], &["connect", "edr", "--id", &more]] {
            let done = limited(&home, kib, arguments);
            if done.code == 0 {
                // There was room for it.
                home.on_data(&["resume", "edr"]).done();
                continue;
            }
            refused += 1;
            let line = done.refused(4);
            assert!(line.contains("ulimit -f") && !line.contains("move it away"), "{kib} KiB: {arguments:?}: {line}");
        }
        if kib < 31 {
            assert_eq!(read(&home), before, "{kib} KiB");
        }
    }
    assert!(refused >= 6, "{refused}");
    home.on_data(&["sync", "edr"]).done();
}

/// Nobody may write below a folder from now on, the super-user's tests included: their commands run as another user.
fn make_read_only(path: &Path, user: u32) {
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| make_read_only(&entry.unwrap().path(), user));
    }
    if fs::metadata(path).unwrap().uid() != user {
        chown(path, Some(user), Some(user)).unwrap();
    }
    let mode = if path.is_dir() { 0o500 } else { 0o400 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn as_user(home: &Home, user: u32, arguments: &[&str]) -> Output {
    let inner = home.command(arguments);
    if fs::metadata("/proc/self").unwrap().uid() == user {
        return home.on_data(arguments);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
    command.arg(inner.get_program()).args(inner.get_args()).arg("--data").arg(home.data());
    command.current_dir(home.folder.path()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    output(command.stdin(std::process::Stdio::null()))
}

/// Who may not write to what is made read-only.
fn other_user() -> u32 {
    let own = fs::metadata("/proc/self").unwrap().uid();
    if own == 0 { 65_534 } else { own }
}

/// So that the folder of a test can be removed.
fn make_writable(home: &Home) {
    for folder in ["", "credentials", "people"] {
        fs::set_permissions(home.data().join(folder), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn what_a_killed_process_left_in_the_journal_is_read_where_nothing_can_be_written() {
    let home = Home::new(worked_example());
    home.connect();
    let server = Server::start(&home, &[]);
    let run = server.sync();
    server.run_in(&run, "succeeded");
    server.kill();
    assert!(fs::metadata(home.data().join("evidence.db-wal")).unwrap().len() > 0, "the journal is empty");
    fs::set_permissions(home.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    make_read_only(&home.data(), other_user());
    let shown = as_user(&home, other_user(), &["runs", "edr", "--json"]).json();
    assert_eq!((&shown["runs"][0]["id"], &shown["runs"][0]["status"]), (&run.into(), &"succeeded".into()));
    make_writable(&home);
}

#[test]
fn reading_works_in_a_folder_that_cannot_be_written_to() {
    let user = other_user();
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let before = READING.map(|arguments| ageless(&home.on_data(arguments).done().stdout));
    fs::set_permissions(home.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    make_read_only(&home.data(), user);
    let kept = files(&home.data());
    for (arguments, before) in READING.iter().zip(&before) {
        assert_eq!(ageless(&as_user(&home, user, arguments).done().stdout), *before, "{arguments:?}");
    }
    home.simulator.reset_log();
    for arguments in [&["pause", "edr"][..], &["sync", "edr"], &["connect", "edr", "--id", "more"]] {
        let line = as_user(&home, user, arguments).refused(4);
        assert!(line.contains("may not write") && line.contains("; "), "{arguments:?}: {line}");
    }
    assert_eq!(home.simulator.requests().len(), 0, "Huntress was asked for nothing");
    assert!(files(&home.data()) == kept, "the folder changed");
    make_writable(&home);
}

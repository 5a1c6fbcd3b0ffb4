//! What is refused before anything is done: exit 2, one line, no request.

use super::{Home, KEY, SECRET, bare, output, worked_example};

#[track_caller]
fn assert_no_marker(text: &str) {
    assert!(!text.contains("marker"), "{text}");
}

#[test]
fn usage_errors_are_one_line_that_says_what_to_do() {
    let home = Home::new(worked_example());
    for (arguments, said) in [
        (&["collect"][..], "the command is not complete"),
        (&["connect"], "the command is not complete"),
        (&["colect", "edr"], "did you mean collect?"),
        (&["collect", "siem"], "there is no such command"),
        (&["collect", "edr", "--jsn"], "there is no option --jsn here; did you mean --json?"),
        (&["collect", "edr", "--as-of"], "--as-of <T> needs a value"),
        (&["collect", "edr", "--as-of", "yesterday"], "expected a time with a zone, as in 2026-03-22T12:00:00Z"),
        (&["collect", "edr", "--as-of", "2026-03-22T12:00:00"], "expected a time with a zone"),
        (&["collect", "edr", "--company", "a/b"], "company id must be 1 to 64 characters"),
        (&["collect", "edr", "--client", ""], "--client <ID>"),
        (&["collect", "edr", "--requests-per-minute", "many"], "--requests-per-minute"),
        (&["collect", "edr", "--online-within-hours", "0"], "online"),
        (&["collect", "edr", "--missing-after-days", "1"], "online"),
        (&["collect", "edr", "--json", "--json"], "--json can be given once only"),
        (&["sync"], "<CONNECTION> is missing"),
        (&["history", "agents_total", "--from", "now"], "expected a time with a zone"),
        (&["connect", "edr", "--client", "a", "--map", "1=b"], "cannot be given together"),
        (&["connect", "edr", "--replace-key", "--client", "a"], "cannot be given together"),
        (&["connect", "edr", "--map", "1"], "expected ORGANIZATION=CLIENT"),
        (&["connect", "edr", "--map-file", "nowhere.csv"], "nowhere.csv"),
        (&["serve", "--listen", "0.0.0.0:0"], "must be a loopback address"),
        (&["serve", "--workers", "0"], "--workers"),
        (&["connections", "--aws"], "no AWS region is set; set AWS_REGION"),
        (&["connections", "--aws", "--data", "d"], "cannot be given together"),
        (&["sync", "edr", "--aws"], "the deployed stack has workers of its own"),
        (&["copy-credentials", "sealed"], "is for a deployed stack; add --aws"),
        (&["copy-credentials", "--aws"], "<TO> is missing"),
        (&["redrive"], "there are no dead letters on one machine"),
        (&["redrive", "--dry-run", "--aws"], "no AWS region is set; set AWS_REGION"),
        (&["serve", "--jitter-minutes", "721"], "--jitter-minutes"),
        (&["serve", "--aws"], "the deployed stack has workers of its own"),
    ] {
        let line = home.run(arguments).refused(2);
        assert!(line.contains(said), "{arguments:?}: {line}");
    }
    assert_eq!(home.simulator.requests(), []);
    assert_eq!(super::files(home.folder.path()), [], "a usage error stores nothing");
}

#[test]
fn a_missing_credential_is_named() {
    let home = Home::new(worked_example());
    for variable in ["HUNTRESS_API_KEY", "HUNTRESS_API_SECRET"] {
        for arguments in [&["collect", "edr"][..], &["collect", "edr", "--json"], &["connect", "edr"]] {
            for empty in [false, true] {
                let mut command = home.command(arguments);
                if empty {
                    command.env(variable, "")
                } else {
                    command.env_remove(variable)
                };
                let line = output(&mut command).refused(2);
                assert!(line.contains(&format!("the environment variable {variable} is not set")), "{line}");
                assert!(line.contains("; ") && line.contains(" set "), "{line}");
                assert_no_marker(&line);
            }
        }
    }
    assert_eq!(home.simulator.requests(), []);
}

#[test]
fn an_origin_that_is_not_allowed_gets_no_request() {
    let home = Home::new(worked_example());
    let port = home.simulator.origin().rsplit(':').next().unwrap().to_owned();
    let origins = [
        // This very simulator under other names, and hosts that are not on the list.
        ("https://mycurricula.com", "not on the list"),
        ("https://api.huntress.io.example", "not on the list"),
        ("https://api.huntress.io:8443", "not on the list"),
        ("http://api.huntress.io", "http is refused"),
        (&*format!("http://0.0.0.0:{port}"), "http is refused"),
        ("http://10.1.2.3", "http is refused"),
        (&*format!("http://127.0.0.1:{port}/v1"), "scheme, host and port only"),
        (&*format!("http://user:{SECRET}@127.0.0.1:{port}"), "scheme, host and port only"),
        ("api.huntress.io", "scheme, host and port only"),
    ];
    for (origin, why) in origins {
        for arguments in [&["collect", "edr"][..], &["connect", "edr"]] {
            let line = output(home.command(arguments).env("HUNTRESS_EDR_URL", origin)).refused(2);
            assert!(line.contains("HUNTRESS_EDR_URL") && line.contains(why), "{origin}: {line}");
            assert_no_marker(&line);
        }
    }
    for leave in ["", "0", "true", "yes"] {
        let line = output(home.command(&["collect", "edr"]).env("HUNTRESS_ALLOW_LOOPBACK", leave)).refused(2);
        assert!(line.contains("HUNTRESS_ALLOW_LOOPBACK=1"), "{line}");
    }
    assert_eq!(home.simulator.requests(), []);
}

#[test]
fn a_key_among_the_arguments_is_refused_and_not_repeated() {
    let home = Home::new(worked_example());
    for arguments in [
        &["collect", "edr", KEY, SECRET][..],
        &["collect", "edr", "--api-key", KEY],
        &["collect", "edr", &format!("--api-key={KEY}")],
        &["collect", "edr", "--api-secret", SECRET],
        &["collect", "edr", "-k", KEY],
        &["collect", "edr", &format!("-k{KEY}")],
        &["collect", KEY],
        &[KEY],
        &["connect", "edr", KEY],
        &["connect", "edr", "--key", KEY, "--secret", SECRET],
        &["collect", "edr", "--as-of", KEY],
        &["collect", "edr", "--requests-per-minute", SECRET],
        &["serve", "--listen", KEY],
    ] {
        let line = home.run(arguments).refused(2);
        assert_no_marker(&line);
    }
    assert_eq!(home.simulator.requests(), []);
}

#[test]
fn help_shows_every_command_and_no_value_of_the_environment() {
    let home = Home::new(worked_example());
    let help = home.run(&["--help"]).done().stdout;
    for command in [
        "demo",
        "collect",
        "connect",
        "map",
        "connections",
        "test",
        "sync",
        "runs",
        "metrics",
        "history",
        "pause",
        "resume",
        "disconnect",
        "serve",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
    }
    assert!(help.starts_with("Collects compliance evidence from Huntress\n"), "{help}");
    for arguments in [
        &["collect", "edr", "--help"][..],
        &["connect", "edr", "--help"],
        &["collect", "--help"],
        &["test", "--help"],
        &["serve", "--help"],
        &["--version"],
    ] {
        let help = home.run(arguments).done().stdout;
        assert!(!help.is_empty(), "{arguments:?}");
        assert_no_marker(&help);
    }
    let help = output(&mut bare(home.folder.path(), &["collect", "edr", "--help"])).done().stdout;
    for option in [
        "--json",
        "--as-of",
        "--company",
        "--client",
        "--organization",
        "--online-within-hours",
        "--missing-after-days",
        "--requests-per-minute",
        "[default: 60]",
    ] {
        assert!(help.contains(option), "{option} in {help}");
    }
}

//! The audit log after a day of everything on the command line: each command that changes something or opens names leaves one event.

use super::{Output, bare, files, now, output, wait};
use acceptance::people::Workforce;
use chrono::TimeDelta;
use common::domain::audit::AuditAction;
use common::domain::calendar::Calendar;
use serde_json::Value;
use simulator::{API_KEY, API_SECRET, SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::collections::BTreeMap;
use tempfile::TempDir;

const REASON: &str = "The laptops of the sales team are replaced in May.";

struct Day {
    edr: Simulator,
    sat: Simulator,
    folder: TempDir,
}

impl Day {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = bare(self.folder.path(), arguments);
        command
            .env("HUNTRESS_EDR_URL", self.edr.origin())
            .env("HUNTRESS_SAT_URL", self.sat.origin())
            .env("HUNTRESS_ALLOW_LOOPBACK", "1")
            .env("HUNTRESS_API_KEY", API_KEY)
            .env("HUNTRESS_API_SECRET", API_SECRET)
            .env("HUNTRESS_SAT_CLIENT_ID", SAT_CLIENT_ID)
            .env("HUNTRESS_SAT_CLIENT_SECRET", SAT_CLIENT_SECRET)
            .env("USER", "operator-7")
            .arg("--data")
            .arg(self.folder.path().join("data"));
        output(&mut command)
    }

    fn events(&self) -> Vec<Value> {
        self.run(&["audit-log", "--json"]).json()["items"].as_array().unwrap().clone()
    }
}

#[test]
fn after_a_day_of_commands_there_is_one_event_for_each_change() {
    let edr = wait(Simulator::builder(super::worked_example()).rate_limit(None).start()).unwrap();
    let sat = wait(Simulator::sat_only(Workforce::four_people().account()).start()).unwrap();
    let day = Day { edr, sat, folder: TempDir::new().unwrap() };
    let ours = r#"{"policy": "ours", "version": "1.0.0", "rules": [{"id": "few", "evidence": "endpoint_protection", "metric": "agents_missing", "pass": {"at_most": "3"}}]}"#;
    let in_folder = |name: &str| day.folder.path().join(name).to_str().unwrap().to_owned();
    let (policy, pack, certificate) = (in_folder("ours.json"), in_folder("pack.zip"), in_folder("certificate.pdf"));
    std::fs::write(&policy, ours).unwrap();
    let (today, next_month) = (
        Calendar::default().day_of(now()).to_string(),
        Calendar::default().day_of(now() + TimeDelta::days(30)).to_string(),
    );
    let except = ["exception", "add", "acme", "--rule", "few", "--reason", REASON, "--until", &next_month, "--json"];
    let attest = [
        "attest",
        "acme",
        "expected_devices",
        "60",
        "--source",
        "RMM export",
        "--dated",
        &today,
        "--until",
        &next_month,
    ];
    let mut exception = String::new();
    let filled = |word: &str, exception: &str| match word {
        "{id}" => exception.to_owned(),
        "{policy}" => policy.clone(),
        "{certificate}" => certificate.clone(),
        "{pack}" => pack.clone(),
        "{today}" => today.clone(),
        word => word.to_owned(),
    };
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    // The events of each command, in the order in which it leaves them.
    let steps: Vec<(&[&str], &[&str])> = vec![
        (&["connection.created"], &["connect", "edr", "--client", "acme"]),
        (&["connection.created"], &["connect", "sat", "--client", "acme"]),
        (&["connection.tested"], &["test", "edr"]),
        (&["credential.replaced"], &["connect", "edr", "--replace-key"]),
        (&["settings.changed"], &["settings", "edr", "--missing-after-days", "30"]),
        (&["connection.paused"], &["pause", "edr"]),
        (&["connection.resumed"], &["resume", "edr"]),
        (&["policy.imported"], &["policy", "import", "{policy}"]),
        (&["policy.chosen"], &["policy", "acme", "--set", "ours"]),
        (&["sync.requested"], &["sync", "edr"]),
        (&["names.opened"], &["findings", "acme", "--names"]),
        (&["mapping.changed"], &["map", "edr", "--client", "acme-two"]),
        (&["mapping.changed"], &["map", "edr", "--client", "acme"]),
        (&["exception.proposed"], &except),
        (&["exception.approved"], &["exception", "approve", "{id}", "--by", "bob"]),
        (&["exception.revoked"], &["exception", "revoke", "{id}", "--by", "bob"]),
        (&["exception.proposed"], &except),
        (&["exception.rejected"], &["exception", "reject", "{id}", "--by", "bob"]),
        (&["attestation.made"], &attest),
        (&["assignments.selected"], &["select", "sat", "A", "B"]),
        (&["privacy.changed"], &["privacy", "sat", "full"]),
        (&["sync.requested"], &["sync", "sat"]),
        (&["provider.named"], &["provider", "acme", "sat"]),
        (&["identity.opened"], &["people", "sat", "--names", "--reason", "asked by the auditor"]),
        (&["certificate.opened"], &["certificate", "sat", "person-1", "-o", "{certificate}"]),
        (&["onboarding_link.created"], &["onboarding", "sat", "person-1", "--link"]),
        (&["onboarding_link.revoked"], &["onboarding", "sat", "person-1", "--take-back"]),
        (&["person.reset"], &["reset", "sat", "person-1", "--reason", "changed roles"]),
        (&["pack.made"], &["pack", "acme", "--from", "{today}", "--to", "{today}", "-o", "{pack}"]),
        (&["hold.placed"], &["hold", "place", "--client", "acme", "--reason", "a lawsuit"]),
        (&["hold.released"], &["hold", "release", "--client", "acme", "--reason", "it is settled"]),
        (&["log-key.replaced"], &["log-key", "--rotate"]),
        (&["person.erased"], &["erase", "sat", "person-2"]),
        (&["people.erased"], &["erase", "sat", "--everybody"]),
        (&["provider.removed"], &["provider", "acme", "--none"]),
        (&["token.added"], &["token", "add", "ci", "--role", "access-reviewer"]),
        (&["token.revoked"], &["token", "revoke", "ci"]),
        (&["connection.removed"], &["disconnect", "edr"]),
        // What only reads leaves nothing.
        (&[], &["connections"]),
        (&[], &["clients"]),
        (&[], &["metrics", "acme"]),
        (&[], &["people", "sat"]),
        (&[], &["policies"]),
    ];
    let mut secrets: Vec<String> = Vec::new();
    for (actions, command) in steps {
        let before = day.events();
        let command: Vec<String> = command.iter().map(|word| filled(word, &exception)).collect();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut said = day.run(&command);
        if command.first() == Some(&"pack") && said.code == 4 {
            // The run of today ended after the last full hour, as of which a pack is: it is made of tomorrow's on. Nothing was done.
            assert_eq!(day.events(), before, "{command:?}");
            continue;
        }
        said = said.done();
        let events = day.events();
        for action in actions {
            *expected.entry(action).or_default() += 1;
        }
        // An event may be of the beginning of its second, before those that are there.
        let new = events.iter().filter(|event| !before.contains(event));
        let new: Vec<&str> = new.map(|event| event["action"].as_str().unwrap()).collect();
        assert_eq!(new, actions, "{command:?}");
        if actions == ["exception.proposed"] {
            exception = serde_json::from_str::<Value>(&said.stdout).unwrap()["id"].as_str().unwrap().to_owned();
        }
        if actions == ["token.added"] {
            secrets.push(said.stdout.split("het_").nth(1).unwrap().split_whitespace().next().unwrap().to_owned());
        }
    }
    let events = day.events();
    for action in AuditAction::ALL.iter().filter(|action| **action != AuditAction::PackMade) {
        let here = events.iter().filter(|event| event["action"] == action.as_str()).count();
        assert_eq!(here, expected.get(action.as_str()).copied().unwrap_or_default(), "{action}");
        assert!(here > 0, "{action} was not done: add it to the day");
    }
    for event in &events {
        assert_eq!((&event["actor_kind"], &event["request_id"]), (&Value::from("cli"), &Value::Null), "{event}");
    }
    let text = Value::from(events).to_string();
    secrets.extend([API_KEY, API_SECRET, SAT_CLIENT_ID, SAT_CLIENT_SECRET].map(str::to_owned));
    secrets.extend(["person-1", "person-2", "person-3", "person-4", "@"].map(str::to_owned));
    for secret in &secrets {
        assert!(!secret.is_empty() && !text.contains(secret.as_str()), "{secret} is in the audit log");
    }
    // What lets in stands in no file in the clear.
    for needle in [API_KEY, API_SECRET, SAT_CLIENT_SECRET]
        .iter()
        .map(|it| it.as_bytes())
        .chain(secrets.first().map(|it| it.as_bytes()))
    {
        let held = files(&day.folder.path().join("data"));
        let held = held.iter().find(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle));
        assert!(held.is_none(), "{:?}", held.map(|(path, _)| path));
    }
}

//! The audit log after a day of everything: each thing that changes something or opens names leaves one event, and none leaves a secret or a name.

use super::people::{event, world};
use super::{World, ask, company, connection};
use common::domain::audit::AuditAction;
use serde_json::{Value, json};
use simulator::{API_KEY, API_SECRET, SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::collections::BTreeMap;

/// What only the command line of the machine with the data does; tests/cli has them.
const NOT_OVER_HTTP: [AuditAction; 4] =
    [AuditAction::HoldPlaced, AuditAction::HoldReleased, AuditAction::LogKeyReplaced, AuditAction::NamesOpened];

const REASON: &str = "The laptops of the sales team are replaced in May.";

impl World {
    /// What somebody asks, of whichever function has the route.
    async fn does(&self, who: &str, (method, path): (&str, &str), body: Value) -> (u16, Value) {
        let mut asked = event(method, path, body);
        asked["headers"]["if-match"] = json!("*");
        asked["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = json!(who);
        let is_of = |parts: &[&str]| parts.iter().any(|part| path.contains(part));
        let function = if path.ends_with("/sync") {
            self.on_demand_sync()
        } else if path.starts_with("/connections") && is_of(&["/test", "/assignments"]) {
            self.connection_test()
        } else if is_of(&["/people", "/privacy", "/training-provider"]) {
            self.people_api()
        } else if is_of(&["/packs"]) {
            self.packs_api()
        } else if is_of(&["/tokens"]) {
            self.serve()
        } else {
            self.connections_api()
        };
        ask(function, &asked).await
    }

    /// The events by action, as they stand in the table.
    async fn events(&self) -> BTreeMap<String, Vec<Value>> {
        let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let (status, page) = ask(self.evidence_api(), &event("GET", "/audit-log", Value::Null)).await;
        assert_eq!((status, &page["next_after"]), (200, &Value::Null));
        for event in page["items"].as_array().unwrap() {
            events.entry(event["action"].as_str().unwrap().to_owned()).or_default().push(event.clone());
        }
        events
    }
}

#[tokio::test]
async fn after_a_day_of_everything_there_is_one_event_for_each_change() {
    let mut world = world().await;
    world.oauth = super::onboarding::with_pages();
    let edr = Simulator::builder(simulator::Account::worked_example(super::tick())).rate_limit(None);
    let edr = edr.start().await.unwrap();
    world.huntress.origins.edr =
        common::huntress::origin::Origin::parse(&edr.origin(), common::domain::product::Product::Edr, true).unwrap();
    let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
    let credential = json!({"apiKey": API_KEY, "apiSecret": API_SECRET});
    let new = json!({"id": "edr", "product": "huntress-edr", "credential": credential, "mapping": {"default_client": "client-acme-corp"}});
    let policy = json!({"policy": "ours", "version": "1.0.0", "rules": [{"id": "few", "evidence": "endpoint_protection",
        "metric": "agents_missing", "pass": {"at_most": "3"}}]});
    let attestation = json!({"value": 60, "source": "RMM export", "dated": "2026-03-20", "until": "2026-12-31"});
    let why = json!({"reason": "asked by the auditor"});
    // The first person that is listed, once people are tracked; `{id}`, the exception that was proposed last.
    let (mut person, mut exception, mut secrets) = (String::new(), String::new(), Vec::new());
    let propose = json!({"rule": "few", "reason": REASON, "until": "2026-06-01"});
    let steps = [
        ("connection.created", "POST", "/connections", new.clone()),
        ("connection.tested", "POST", "/connections/edr/test", Value::Null),
        ("credential.replaced", "PUT", "/connections/edr/credential", credential.clone()),
        ("mapping.changed", "PUT", "/connections/edr/mapping", json!({"clients": {"1": "client-acme-corp"}})),
        ("settings.changed", "PATCH", "/connections/edr", json!({"missing_after_days": 30})),
        ("connection.paused", "POST", "/connections/edr/pause", Value::Null),
        ("connection.resumed", "POST", "/connections/edr/resume", Value::Null),
        ("policy.imported", "PUT", "/policies/ours/1.0.0", policy),
        ("policy.chosen", "PUT", "/clients/client-acme-corp/policy", json!({"policy": "ours"})),
        ("exception.proposed", "POST", "/clients/client-acme-corp/exceptions", propose.clone()),
        ("exception.approved", "POST", "/clients/client-acme-corp/exceptions/{id}/approve", Value::Null),
        ("exception.revoked", "POST", "/clients/client-acme-corp/exceptions/{id}/revoke", Value::Null),
        ("exception.proposed", "POST", "/clients/client-acme-corp/exceptions", propose),
        ("exception.rejected", "POST", "/clients/client-acme-corp/exceptions/{id}/reject", Value::Null),
        ("attestation.made", "PUT", "/clients/client-acme-corp/attestations/expected_devices", attestation),
        ("assignments.selected", "PUT", "/connections/sat/assignments", json!({"assignments": ["A", "B"]})),
        ("privacy.changed", "PUT", "/connections/sat/privacy", json!({"mode": "full"})),
        ("sync.requested", "POST", "/connections/sat/sync", Value::Null),
        ("provider.named", "PUT", "/clients/client-acme-corp/training-provider", json!({"connection": "sat"})),
        ("identity.opened", "POST", "/connections/sat/people/{person}/identity", why.clone()),
        ("certificate.opened", "POST", "/connections/sat/people/{person}/certificate", why.clone()),
        ("onboarding_link.created", "POST", "/connections/sat/people/{person}/onboarding-link", json!({"days": 14})),
        ("onboarding_link.revoked", "DELETE", "/connections/sat/people/{person}/onboarding-link", Value::Null),
        ("person.reset", "POST", "/connections/sat/people/{person}/reset", why),
        ("pack.made", "POST", "/clients/client-acme-corp/packs", json!({"from": "2026-03-22", "to": "2026-03-22"})),
        ("person.erased", "DELETE", "/connections/sat/people/{person}", Value::Null),
        ("people.erased", "DELETE", "/connections/sat/people", Value::Null),
        ("provider.removed", "DELETE", "/clients/client-acme-corp/training-provider", Value::Null),
        (
            "token.added",
            "POST",
            "/tokens",
            json!({"name": "ci", "role": "auditor", "clients": ["client-acme-corp"],
            "from": "2026-01-01", "to": "2026-12-31"}),
        ),
        ("token.revoked", "DELETE", "/tokens/ci", Value::Null),
        ("connection.removed", "DELETE", "/connections/edr", Value::Null),
    ];
    for (action, method, path, body) in steps {
        let path = path.replace("{person}", &person).replace("{id}", &exception);
        // Nobody decides about what they proposed.
        let who = if path.contains("/exceptions/") { "bob" } else { "alice" };
        let before: usize = world.events().await.values().map(Vec::len).sum();
        let (status, answer) = world.does(who, (method, &path), body.clone()).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        let events = world.events().await;
        let after: usize = events.values().map(Vec::len).sum();
        assert_eq!(after, before + 1, "{method} {path} leaves one event: {events:#?}");
        *expected.entry(action).or_default() += 1;
        let own: Vec<&Value> = events[action].iter().filter(|event| event["actor"] == who).collect();
        assert_eq!(own.len(), expected[action], "{action}");
        assert!(own.iter().all(|event| event["actor_kind"] == "api" && event["request_id"].is_string()), "{own:?}");
        // What is refused, and what changes nothing, leaves none.
        let (again, _) = world.does("eve", (method, &path), json!({"no_such_field": 1})).await;
        if again >= 400 {
            let left: usize = world.events().await.values().map(Vec::len).sum();
            assert_eq!(left, after, "{method} {path} was refused with {again}");
        }
        match action {
            "exception.proposed" => exception = answer["id"].as_str().unwrap().to_owned(),
            "token.added" => secrets.push(answer["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned()),
            "sync.requested" => {
                let message = world.sent().remove(0);
                let deadline = world.huntress.clock.now() + chrono::TimeDelta::minutes(10);
                world.worker().process(&message, "worker", deadline, std::sync::Arc::default()).await.unwrap();
                let (_, page) = world.people("GET", "/people?status=compliant&limit=1", Value::Null).await;
                person = page["people"][0]["person"].as_str().unwrap().to_owned();
                // A pack has one instant, which lies behind the run.
                world.huntress.clock = std::sync::Arc::new(super::Stopped(super::tick() + chrono::TimeDelta::hours(3)));
            }
            _ => {}
        }
    }
    let events = world.events().await;
    for action in AuditAction::ALL.iter().filter(|action| !NOT_OVER_HTTP.contains(action)) {
        let here = events
            .get(action.as_str())
            .map_or(0, |events| events.iter().filter(|event| event["actor"] != "eve").count());
        assert_eq!(here, expected.get(action.as_str()).copied().unwrap_or_default(), "{action}");
        assert!(here > 0, "{action} was not done: add it to the day");
    }
    // No secret, and nobody of the account: not their names, not their addresses, not their ids, not even the hash that stands for them.
    let text = json!(events).to_string();
    let people = ["person-1", "person-2", "person-3", "person-4"];
    secrets.extend([API_KEY, API_SECRET, SAT_CLIENT_ID, SAT_CLIENT_SECRET].map(str::to_owned));
    secrets.extend(people.map(str::to_owned));
    secrets.push(person);
    secrets.extend(edr.access_tokens());
    secrets.extend(world.simulator.access_tokens());
    for secret in &secrets {
        assert!(!secret.is_empty() && !text.contains(secret.as_str()), "{secret} is in the audit log");
    }
    for word in ["@", "learner", "first_name", "email"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    assert!(world.store.connection(&company(), &connection("edr")).await.unwrap().is_none());
}

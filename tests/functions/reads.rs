//! How often the table is read for one client: what stands behind the routes of a page about a client is three reads, whatever was decided about it.

use super::people::event;
use super::portfolio::{EDR, SAT, bundle, client};
use super::{World, ask, company, tick};
use acceptance::tamper::{Tampering, put_back, tamper};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use common::domain::product::Product;
use serde_json::{Value, json};

/// The routes about one client as it is now.
const ROUTES: [&str; 10] = [
    "",
    "/evidence",
    "/metrics",
    "/signals",
    "/controls",
    "/findings",
    "/completeness",
    "/explain/edr-online",
    "/explain/few",
    "/forecast-training",
];

const MOST: usize = 3;

/// A company of so many clients with two days of evidence of both products; about the first one a good deal was decided.
async fn company_of(number: usize) -> World {
    let world = World::with(&[]).await;
    let clients: Vec<String> = (0..number).map(|number| format!("client-{number:03}")).collect();
    world.connect("edr", Product::Edr, &clients).await;
    world.connect("sat", Product::Sat, &clients).await;
    for (id, product, sample) in [("edr", Product::Edr, EDR), ("sat", Product::Sat, SAT)] {
        for day in [1, 0] {
            let of = |name: &String| (name.clone(), bundle(sample, "fail", 1));
            world.commit(id, tick() - TimeDelta::days(day), product, clients.iter().map(of).collect()).await;
        }
    }
    let policy = json!({"policy": "ours", "version": "1.0.0", "rules": [{"id": "few", "evidence": "endpoint_protection",
        "metric": "agents_missing", "pass": {"at_most": "3"}}]});
    let exception =
        json!({"rule": "few", "reason": "The laptops of the sales team are replaced in May.", "until": "2026-06-01"});
    let attestation = json!({"value": 60, "source": "RMM export", "dated": "2026-03-20", "until": "2026-12-31"});
    for (method, path, body, expected) in [
        ("PUT", "/policies/ours/1.0.0", policy, 200),
        ("PUT", "/clients/client-000/policy", json!({"policy": "ours"}), 200),
        ("POST", "/clients/client-000/exceptions", exception, 201),
        ("PUT", "/clients/client-000/attestations/expected_devices", attestation, 200),
        ("PUT", "/clients/client-001/policy", json!({"policy": "strict"}), 200),
    ] {
        let (status, answer) = ask(world.connections_api(), &event(method, path, body)).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    world
}

impl World {
    async fn of_client(&self, name: &str, path: &str) -> (u16, Value) {
        self.portfolio(&format!("/clients/{name}{path}")).await
    }

    /// Removes the records whose key has a partition and a sort key that begin so.
    pub(super) async fn remove(&self, pk: &str, sk: &str) -> usize {
        let items = self._engine.client().scan().table_name("evidence").send().await.unwrap().items.unwrap();
        let mut removed = 0;
        for item in items {
            let begins =
                |name: &str, with: &str| matches!(&item[name], AttributeValue::S(key) if key.starts_with(with));
            if begins("pk", pk) && begins("sk", sk) {
                let delete = self._engine.client().delete_item().table_name("evidence");
                delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
                removed += 1;
            }
        }
        removed
    }
}

#[tokio::test]
async fn a_client_takes_three_reads_of_the_table() {
    let mut world = company_of(60).await;
    let requests = world.count();
    // Decided about a good deal, by a preset alone, and not at all.
    for name in ["client-000", "client-001", "client-059"] {
        for path in ROUTES {
            let (status, answer) = world.of_client(name, path).await;
            let asked = requests.asked();
            println!("{name}{path}: {status}, {} reads {asked:?}", asked.len());
            assert!(status == 200 || path.starts_with("/explain/"), "{name}{path}: {answer}");
            assert!(asked.len() <= MOST, "{name}{path}: {asked:?}");
        }
    }
    // With an auditor's window that reaches to now, too.
    let mut asked = event("GET", "/clients/client-000/controls", Value::Null);
    asked["requestContext"]["authorizer"]["jwt"]["claims"] = json!({"sub": "auditor", "company_id": company().as_str(),
        "role": "auditor", "clients": "client-000", "window": "2026-01-01/2026-12-31"});
    assert_eq!(ask(world.evidence_api(), &asked).await.0, 200);
    assert!(requests.taken() <= MOST);
}

/// What lies in the log behind the newest evidence is read with it: failed runs, and of a client that is no longer measured the runs without it.
#[tokio::test]
async fn what_lies_behind_the_evidence_takes_no_more_reads() {
    let mut world = company_of(4).await;
    for run in 1..=16 {
        for id in ["edr", "sat"] {
            world.fail(id, tick() + TimeDelta::minutes(10 * run)).await;
        }
    }
    world.huntress.clock = std::sync::Arc::new(super::Stopped(tick() + TimeDelta::hours(3)));
    let requests = world.count();
    for path in ROUTES {
        let (status, answer) = world.of_client("client-000", path).await;
        let asked = requests.asked();
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(asked.len() <= MOST, "{path}: {asked:?}");
    }
    // Each of the leaves that are read with it counts as those that are read one by one: the evidence is leaf 1 of 18, which 3, 7, 15 and 17 prove.
    let dynamo = world._engine.client();
    for (how, refused) in [
        (Tampering::TreeBeforeLeafChanged(1), true),
        (Tampering::LeafRemoved(1), true),
        (Tampering::TreeBeforeLeafChanged(2), false),
        (Tampering::LeafRemoved(3), true),
        (Tampering::TreeBeforeLeafChanged(7), true),
        (Tampering::LeafRemoved(15), true),
        (Tampering::LeafRemoved(16), false),
        (Tampering::TreeBeforeLeafChanged(17), true),
        (Tampering::LeafRemoved(17), true),
        (Tampering::HeadChanged, true),
        (Tampering::HeadShorter, true),
        (Tampering::HeadRemoved, true),
    ] {
        let before = tamper(&dynamo, "evidence", "msp-acme#edr", how).await;
        let (status, answer) = world.of_client("client-000", "/controls").await;
        assert_eq!(status, if refused { 503 } else { 200 }, "{how:?}: {answer}");
        put_back(&dynamo, "evidence", before).await;
    }
    // Failed more often than is asked for at once: one more gets the newest leaf of both.
    for id in ["edr", "sat"] {
        world.fail(id, tick() + TimeDelta::minutes(170)).await;
    }
    requests.taken();
    let (status, answer) = world.of_client("client-000", "/controls").await;
    let asked = requests.asked();
    assert_eq!((status, asked.len()), (200, MOST + 1), "{asked:?} {answer}");
    // Which a run that succeeds ends, of other clients too.
    for (id, product, sample) in [("edr", Product::Edr, EDR), ("sat", Product::Sat, SAT)] {
        let others = (1..4).map(|number| (format!("client-{number:03}"), bundle(sample, "fail", 1))).collect();
        world.commit(id, tick() + TimeDelta::minutes(175), product, others).await;
    }
    requests.taken();
    for name in ["client-000", "client-001"] {
        assert_eq!(world.of_client(name, "/controls").await.0, 200);
        assert_eq!(requests.taken(), MOST, "{name}");
    }
}

/// What the few reads say is what the evidence and the decisions say one by one, as in a table of a release that did not keep them together.
#[tokio::test]
async fn the_few_reads_say_what_every_record_says() {
    let mut world = company_of(4).await;
    world.connect("gone", Product::Edr, &["client-000".to_owned(), "client-003".to_owned()]).await;
    let before = [("client-000".to_owned(), bundle(EDR, "pass", 0)), ("client-003".to_owned(), bundle(EDR, "pass", 0))];
    world.commit("gone", tick() - TimeDelta::days(100), Product::Edr, before.into()).await;
    // The client that it no longer measures stays known.
    world
        .commit(
            "gone",
            tick() - TimeDelta::days(2),
            Product::Edr,
            vec![("client-003".to_owned(), bundle(EDR, "pass", 0))],
        )
        .await;
    world.store.remove_connection(&company(), &super::connection("gone"), tick() - TimeDelta::days(1)).await.unwrap();
    let clients = ["client-000", "client-001", "client-003", "nobody"];
    let requests = world.count();
    let mut few = Vec::new();
    for name in clients {
        for path in ROUTES {
            few.push((name, path, world.of_client(name, path).await, requests.taken()));
        }
    }
    let of = |name: &str, path: &str| {
        few.iter().find(|it| (it.0, it.1) == (name, path)).map(|it| it.2.1.clone()).unwrap_or_default()
    };
    assert_eq!(of("client-000", "/metrics")["evidence"].as_array().unwrap().len(), 2, "what was removed proved stays");
    assert_eq!(of("client-000", "/metrics")["endpoint_coverage"]["expected_devices"], 60);
    assert_eq!(world.remove("DECISIONS#", "TOGETHER").await, 3, "of two clients, and the mark of the company");
    for (removed, pk) in [(0, "none"), (3, "PORTFOLIO#")] {
        assert_eq!(world.remove(pk, "").await, removed);
        for (name, path, answer, reads) in &few {
            // Nothing says any more that the removed connection was there.
            if (*name, removed) == ("nobody", 3) || path.is_empty() && removed == 3 {
                continue;
            }
            assert_eq!(world.of_client(name, path).await, *answer, "{name}{path}");
            let slowly = requests.taken();
            let more = if *name == "nobody" { 4 } else { 0 };
            assert!(*reads <= MOST + more, "{name}{path}: {reads}");
            assert!(slowly > *reads || *name == "nobody" || path.is_empty(), "{name}{path}: {slowly}");
        }
    }
}

/// A decision after one that an earlier release made keeps both together.
#[tokio::test]
async fn decisions_of_an_earlier_release_are_read_and_join_the_next_one() {
    let mut world = company_of(2).await;
    assert_eq!(world.remove("DECISIONS#", "TOGETHER").await, 3);
    let requests = world.count();
    assert_eq!(world.of_client("client-000", "/controls").await.0, 200);
    assert!(requests.taken() > MOST);
    world.huntress.clock = std::sync::Arc::new(super::Stopped(tick() + TimeDelta::hours(1)));
    let (_, before) = world.of_client("client-000", "/controls").await;
    let attestation = json!({"value": 50, "source": "RMM export", "dated": "2026-03-21", "until": "2026-12-31"});
    let path = "/clients/client-000/attestations/expected_devices";
    assert_eq!(ask(world.connections_api(), &event("PUT", path, attestation)).await.0, 200);
    requests.taken();
    let (_, after) = world.of_client("client-000", "/controls").await;
    assert!(requests.taken() <= MOST);
    assert_eq!(after["controls"], before["controls"]);
    assert_eq!(after["endpoint_coverage"]["expected_devices"], 50);
    let decided = world.store.decided(&company(), &client("client-000")).await.unwrap();
    assert_eq!((decided.decisions.len(), decided.policies.len()), (4, 1));
}

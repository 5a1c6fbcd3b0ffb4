//! A pack of a made-up client, for tests: three days of two connections, one of which failed on a day; a decision; what is of another client.

use super::contents::{
    BundleProof, ConnectionFacts, Contents, PackedBundle, PackedEvent, PackedLog, Scope, WindowFacts,
};
use super::make::prepare;
use crate::domain::controls::ControlMap;
use crate::domain::decisions::Decision;
use crate::domain::failure::FailureCode;
use crate::domain::id::{CompanyId, ConnectionId, RunId};
use crate::domain::log::proof::TreeHead;
use crate::domain::log::statement::{
    CompanyEvent, CompanyStatement, Event, EvidenceLeaf, FailureLeaf, Leaf, Statement, bundle_tree,
};
use crate::domain::log::{Checkpoint, Hash, Origin};
use crate::domain::policy::baseline;
use crate::domain::product::Product;
use crate::domain::time::parse;
use crate::domain::window::Tick;
use crate::signing::LogKey;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

pub(super) fn key() -> LogKey {
    LogKey::of_seed(&[7; 32], None).unwrap()
}

pub(super) fn company() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    parse(text).unwrap()
}

/// A bundle as it is committed; `online` of 50 agents are online.
fn body(product: Product, run: &str, as_of: DateTime<Utc>, online: u32) -> String {
    let policy = baseline();
    let percentage = format!("{:.1}", f64::from(online) * 2.0);
    let (outcome, warning) = if online >= 48 { ("pass", "90") } else { ("fail", "90") };
    let metric = |category: &str, key: &str, value: &str, kind: &str, unit: &str| json!({"category": category, "metric_key": key, "metric_value": value, "metric_type": kind, "unit": unit});
    let bundle = match product {
        Product::Edr => json!({
            "connector_type_id": "huntress", "collected_at": as_of,
            "tenant": {"company_id": "msp-acme", "client_id": "client-a"},
            "metrics": [metric("endpoint_protection", "agents_total", "50", "count", "devices"),
                metric("endpoint_protection", "agents_online_percentage", &percentage, "percentage", "%")],
            "extended_metrics": [],
            "findings": {"total": {"agent_missing": 1}, "items": [{"kind": "agent_missing", "id": "=1+1", "organization_id": "7"}]},
            "verdicts": [{"rule": "edr-online", "evidence": "endpoint_protection", "metric": "agents_online_percentage",
                "outcome": outcome, "reason": null, "value": percentage,
                "limit": {"pass": {"at_least": "95"}, "warning": {"at_least": warning}},
                "policy": "baseline", "version": "1.0.0", "policy_sha256": policy.sha256()}],
            "metadata": {"as_of": as_of, "run_id": run},
        }),
        Product::Sat => json!({
            "connector_type_id": "huntress-sat", "collected_at": as_of,
            "tenant": {"company_id": "msp-acme", "client_id": "client-a"},
            "signals": [{"signal_key": "workforce_coverage", "window_days": 365, "status": "pass", "reason": null,
                "values": {"coverage_pct": "93.1", "active_learners": 58, "departed_trained_learners": null}, "controls": []}],
            "metadata": {"as_of": as_of, "run_id": run},
        }),
    };
    bundle.to_string()
}

/// The contents, with checkpoints that `key` signed.
pub(super) fn contents(key: &LogKey) -> Contents {
    let first = at("2026-03-20T11:05:00Z");
    let (mut bundles, mut logs) = (Vec::new(), std::collections::BTreeMap::new());
    for (id, product) in [("edr", Product::Edr), ("sat", Product::Sat)] {
        let connection = ConnectionId::parse(id).unwrap();
        let (mut statements, mut pending) = (Vec::new(), Vec::new());
        for day in 0..3 {
            let as_of = first + TimeDelta::days(day);
            let run_id = RunId::parse(format!("run-{id}-{day}")).unwrap();
            let ended_at = as_of + TimeDelta::seconds(2);
            if id == "edr" && day == 1 {
                let request = Some("GET /v1/agents".to_owned());
                let failure = FailureLeaf { run_id, as_of, ended_at, code: FailureCode::Unavailable, request };
                statements.push(Statement::new(company(), connection.clone(), product, Event::Failure(failure)));
                continue;
            }
            let own = body(product, run_id.as_str(), as_of, 47 + day as u32);
            // The company's own comes first, another client's after it: of these only the hashes are in the pack.
            let tree = bundle_tree([b"of the company".as_slice(), own.as_bytes(), b"of client-b"]);
            let leaf = EvidenceLeaf {
                run_id,
                as_of,
                ended_at,
                bundles: 3,
                bundle_root: tree.root(),
                policies: vec![Hash::of(&crate::domain::log::jcs::to_bytes(baseline().as_ref()).unwrap())],
                control_map: Hash::of(&ControlMap::current_form()),
                rules: "2".to_owned(),
            };
            pending.push((own, statements.len() as u64, tree.inclusion_path(1).unwrap()));
            statements.push(Statement::new(company(), connection.clone(), product, Event::Evidence(leaf)));
        }
        let log = PackedLog::unsigned(statements).unwrap();
        for (body, leaf_index, bundle_path) in pending {
            let leaf_path = log.tree.inclusion_path(leaf_index).unwrap();
            let proof = Some(BundleProof { leaf_index, bundle_index: 1, bundle_path, leaf_path });
            let view = serde_json::from_str(&body).unwrap();
            bundles.push(PackedBundle { product, connection: connection.clone(), body, view, proof });
        }
        logs.insert(connection, log);
    }
    let decision: Decision = serde_json::from_value(json!({
        "kind": "attestation", "id": "a1", "client": "client-a", "key": "expected_devices", "value": 52,
        "source": "=HYPERLINK(\"http://x\")", "dated": "2026-03-01", "by": "alice", "at": "2026-03-01T12:00:00Z",
        "on_this_machine": true, "until": "2026-12-31T05:00:00Z", "nonce": "01".repeat(16)
    }))
    .unwrap();
    let own = [
        CompanyStatement::decision(company(), "a1", at("2026-03-01T12:00:00Z"), &decision).unwrap(),
        CompanyStatement::decision(company(), "of-b", at("2026-03-02T12:00:00Z"), &"of another client").unwrap(),
    ];
    let ticks = (0..3).map(|day| Tick { due: first + TimeDelta::days(day), handled: first + TimeDelta::days(day) });
    let facts = |product| ConnectionFacts { product, connected_at: at("2026-01-01T00:00:00Z"), pauses: Vec::new() };
    let connections = [("edr", Product::Edr), ("sat", Product::Sat)]
        .map(|(id, product)| (ConnectionId::parse(id).unwrap(), facts(product)));
    let mut contents = Contents {
        scope: Scope {
            company: company(),
            client: crate::domain::id::ClientId::parse("client-a").unwrap(),
            from: "2026-03-19".parse().unwrap(),
            to: "2026-03-22".parse().unwrap(),
            zone: "America/New_York".to_owned(),
            at: at("2026-03-23T04:00:00Z"),
            product_version: "0.1.0".to_owned(),
            log: key.verifier().name().to_owned(),
            key: key.verifier().to_string(),
        },
        bundles,
        logs,
        company_log: PackedLog::unsigned(own.to_vec()).unwrap(),
        decisions: vec![decision],
        events: vec![PackedEvent {
            at: at("2026-01-01T00:00:00Z"),
            company: company(),
            actor: "alice".to_owned(),
            actor_kind: "person".to_owned(),
            action: "connection.created".to_owned(),
            subject: "edr".to_owned(),
            before: serde_json::Value::Null,
            after: json!({"mapping": {"7": "client-a"}}),
            reason: None,
            request_id: None,
        }],
        people: None,
        window: WindowFacts {
            calendar: crate::domain::calendar::Calendar::default(),
            ticks: ticks.collect(),
            connections: connections.into(),
        },
        policies: vec![baseline().clone()],
        control_map: ControlMap::current_form(),
    };
    sign(&mut contents, key);
    contents
}

/// Signs all checkpoints as they are now.
pub(super) fn sign(contents: &mut Contents, key: &LogKey) {
    let name = contents.scope.log.clone();
    let note = |origin, head| key.note(Checkpoint { origin, head }.text()).to_string();
    for (id, log) in &mut contents.logs {
        let head = TreeHead { size: log.tree.size(), root: log.tree.root() };
        log.checkpoint = note(Origin::of_connection(&name, &company(), id), head);
    }
    let own = &mut contents.company_log;
    let head = TreeHead { size: own.tree.size(), root: own.tree.root() };
    own.checkpoint = note(Origin::of_company(&name, &company()), head);
}

/// The pack of these contents.
pub(super) fn pack(contents: &Contents, key: &LogKey) -> Vec<u8> {
    let unsigned = prepare(contents).unwrap();
    let note = key.note(unsigned.text());
    unsigned.finish(&note).unwrap()
}

/// A leaf that announces `new`, signed by `old`.
pub(super) fn announcement(old: &LogKey, new: &LogKey, moment: &str) -> CompanyStatement {
    use base64::Engine;
    let event = CompanyEvent::Key { key: new.verifier().to_string(), signature: String::new() };
    let mut statement = CompanyStatement { v: 1, company: company(), at: at(moment), event };
    let signed = old.sign(&statement.signed_form().unwrap());
    let signature = base64::engine::general_purpose::STANDARD.encode(signed);
    statement.event = CompanyEvent::Key { key: new.verifier().to_string(), signature };
    assert!(statement.data().is_ok());
    statement
}

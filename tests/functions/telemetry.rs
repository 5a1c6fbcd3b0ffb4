//! The metrics that the functions write.

use super::{World, company, connection, tick};
use chrono::TimeDelta;
use common::app::collection::batch;
use common::aws::queue::RunMessage;
use common::aws::telemetry::Telemetry;

use common::app::runs::tick::{self, Tick};
use common::domain::expiry::CredentialTerm;
use common::store::ConnectionChange;
use serde_json::{Value, json};
use simulator::{Fault, FaultKind, List};
use std::sync::{Arc, Mutex};

/// Metrics that are kept, as text and as what it says.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    fn telemetry(&self) -> Telemetry {
        let lines = Arc::clone(&self.0);
        Telemetry::new("evidence-prod", move |line| lines.lock().unwrap().push(line.to_owned()))
    }

    fn take(&self) -> Vec<Value> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        for line in &lines {
            for private in ["msp-acme", "edr-", "client-acme-corp", "marker"] {
                assert!(!line.replace("huntress-edr", "").contains(private), "{private} in {line}");
            }
        }
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn work(world: &World, telemetry: &Telemetry, id: &str) -> RunMessage {
    let asked = world.planner().sync_now(&company(), &connection(id), None).await.unwrap();
    let message = RunMessage { company: company(), connection: connection(id), run: asked.run.id };
    deliver(world, telemetry, &message).await;
    message
}

async fn deliver(world: &World, telemetry: &Telemetry, message: &RunMessage) {
    let batch = json!({"Records": [{"messageId": "m", "body": serde_json::to_string(message).unwrap()}]});
    let batch = serde_json::from_value(batch).unwrap();
    let deadline = tick() + TimeDelta::minutes(14);
    batch::handle(&world.worker(), telemetry, batch, deadline).await;
}

#[tokio::test]
async fn a_run_is_counted_once_by_product_and_outcome() {
    let world = World::with(&["edr-main"]).await;
    let kept = Kept::default();
    let telemetry = kept.telemetry();
    let message = work(&world, &telemetry, "edr-main").await;
    let lines = kept.take();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    let dimensions: Vec<_> =
        line["_aws"]["CloudWatchMetrics"].as_array().unwrap().iter().map(|it| &it["Dimensions"]).collect();
    assert_eq!(
        dimensions,
        [&json!([["Service", "Product", "Outcome"]]), &json!([["Service"]]), &json!([["Service", "Product"]])]
    );
    assert_eq!(
        (&line["Service"], &line["Product"], &line["Outcome"]),
        (&json!("evidence-prod"), &json!("huntress-edr"), &json!("succeeded"))
    );
    for (name, value) in [("Runs", 1), ("AuthFailures", 0), ("RunsEnded", 1), ("RunsFailed", 0), ("Requests", 3)] {
        assert_eq!(line[name], json!(value), "{name}");
    }
    assert!(line["Records"].as_u64().unwrap() > 0 && line["RunDuration"].is_u64(), "{line}");
    // Delivered once more, it is no second run.
    deliver(&world, &telemetry, &message).await;
    assert_eq!(kept.take(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_refused_credential_is_an_auth_failure_and_an_outage_is_none() {
    let world = World::with(&["edr-main", "edr-lab"]).await;
    let kept = Kept::default();
    // Whoever tries a bad key again is no second auth failure.
    for (id, fault, outcome, refused, failed) in [
        ("edr-main", FaultKind::Forbidden, "auth_failed", 1, 0),
        ("edr-main", FaultKind::Forbidden, "auth_failed", 0, 0),
        ("edr-lab", FaultKind::Status(404), "failed", 0, 1),
    ] {
        world.simulator.set_faults(vec![Fault::always(Some(List::Agents), fault)]);
        work(&world, &kept.telemetry(), id).await;
        let lines = kept.take();
        assert_eq!((&lines[0]["Outcome"], &lines[0]["AuthFailures"]), (&json!(outcome), &json!(refused)));
        assert_eq!((&lines[0]["RunsEnded"], &lines[0]["RunsFailed"]), (&json!(1), &json!(failed)));
    }
}

#[tokio::test]
async fn a_tick_counts_the_connections_without_fresh_evidence() {
    // All were made two days before the tick.
    let world = World::with(&["edr-main", "edr-lab", "edr-off"]).await;
    for (id, days) in [("edr-main", 31), ("edr-lab", 30), ("edr-off", -1)] {
        let term = CredentialTerm { expires_at: Some(tick() + TimeDelta::days(days)), ..CredentialTerm::default() };
        let change = ConnectionChange { credential_term: Some(term), ..ConnectionChange::default() };
        world.store.change_connection(&company(), &connection(id), change).await.unwrap();
    }
    let kept = Kept::default();
    work(&world, &Telemetry::none(), "edr-main").await;
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Forbidden)]);
    work(&world, &Telemetry::none(), "edr-off").await;
    let planner = world.planner();
    let tick = Tick::daily(tick());
    tick::handle(&planner, &kept.telemetry(), tick).await.unwrap();
    let lines = kept.take();
    assert_eq!(lines.len(), 2);
    for (name, value) in [("Ticks", 0), ("RunsStalled", 0), ("RunsResent", 0), ("RunsAbandoned", 0)] {
        assert_eq!(lines[0][name], json!(value), "{name}");
    }
    // The run above moved edr-main to the next morning: it is scheduled, fresh, and not due. What Huntress refuses is counted apart.
    for (name, value) in [
        ("Ticks", 1),
        ("ConnectionsDue", 1),
        ("RunsStarted", 1),
        ("Connections", 3),
        ("StaleConnections", 1),
        ("RefusedConnections", 1),
        ("ExpiringCredentials", 2),
    ] {
        assert_eq!(lines[1][name], json!(value), "{name}");
    }
}

//! Each handler with its sample events.

use super::{World, ask, ask_for_all, batch, company, connection, sample, tick};
use chrono::TimeDelta;
use common::app::collection::batch;
use common::app::collection::collect::Huntress;
use common::app::runs::plan::Planned;
use common::aws::telemetry::Telemetry;
use common::clock::SystemClock;
use common::domain::connection::ConnectionStatus;
use common::domain::failure::FailureCode;
use common::domain::id::{ClientId, RunId};
use common::domain::run::RunStatus;
use common::huntress::connection_test::PermissionResult;
use common::huntress::edr::EdrCredential;
use common::huntress::rate_limit::RateLimiter;
use common::store::EvidenceOwner;

use common::app::runs::tick::{self, Tick};
use serde_json::json;
use simulator::{API_KEY, API_SECRET, Fault, FaultKind, List};
use std::sync::Arc;
use std::time::Duration;

const MAIN_RUN: &str = "019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11";
const LAB_RUN: &str = "019d1533-a935-7d4f-8c2b-5a3e7f9b1d22";
const BATCH: &str = "sync-worker/events/sqs-batch.json";

fn scheduled() -> Tick {
    serde_json::from_value(sample("scheduled-sync/events/scheduled.json")).unwrap()
}

#[tokio::test]
async fn a_tick_plans_what_is_due_and_the_same_tick_makes_no_second_run() {
    let mut world = World::with(&["edr-main", "edr-lab"]).await;
    let later = common::store::ConnectionChange {
        scheduling: Some(common::store::Scheduling::Resume { next_run_at: tick() + TimeDelta::days(1) }),
        ..Default::default()
    };
    world.add("edr-later").await;
    world.store.change_connection(&company(), &connection("edr-later"), later).await.unwrap();

    let plan = async || {
        let planned = tick::handle(&world.planner(), &Telemetry::none(), scheduled()).await;
        planned.unwrap().planned.unwrap()
    };
    assert_eq!(plan().await, Planned { due: 2, new: 2, joined: 0, passed_over: 0 });
    assert_eq!(plan().await, Planned { due: 2, new: 0, joined: 2, passed_over: 0 });
    for id in ["edr-main", "edr-lab"] {
        let runs = world.store.runs(&company(), &connection(id), 10).await.unwrap();
        assert_eq!(runs.len(), 1, "{id}");
        assert_eq!(runs[0].status, RunStatus::Queued);
    }
    assert_eq!(world.store.runs(&company(), &connection("edr-later"), 10).await.unwrap(), []);
    // The second tick could not know that the first one's messages went out; they name the same two runs.
    let mut named: Vec<String> = world.sent().into_iter().map(|message| message.run.to_string()).collect();
    assert_eq!(named.len(), 4);
    named.sort();
    named.dedup();
    assert_eq!(named.len(), 2);
}

#[tokio::test]
async fn the_hourly_event_looks_after_runs_and_plans_none() {
    let mut world = World::with(&["edr-main", "edr-lab", "edr-old"]).await;
    world.queued_at("edr-lab", LAB_RUN, tick() - TimeDelta::hours(2)).await;
    world.queued_at("edr-old", MAIN_RUN, tick() - TimeDelta::hours(24)).await;
    let hourly: Tick = serde_json::from_value(sample("scheduled-sync/events/reconcile.json")).unwrap();
    let answer = tick::handle(&world.planner(), &Telemetry::none(), hourly).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer, json!({"reconciled": {"stalled": 2, "resent": 1, "abandoned": 1}}));
    assert_eq!(world.sent().into_iter().map(|it| it.run.to_string()).collect::<Vec<_>>(), [LAB_RUN]);
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 10).await.unwrap(), []);

    // The daily one does the same first, so that no run is joined that is too old to be gone on with.
    world.queued_at("edr-old", "older", tick() - TimeDelta::hours(30)).await;
    let daily = scheduled();
    let answer = tick::handle(&world.planner(), &Telemetry::none(), daily).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    let reconciled = json!({"stalled": 2, "resent": 0, "abandoned": 1});
    assert_eq!(answer, json!({"due": 3, "new": 2, "joined": 1, "passed_over": 0, "reconciled": reconciled}));
    let runs = world.store.runs(&company(), &connection("edr-old"), 10).await.unwrap();
    assert_eq!(runs.iter().filter(|run| run.status == RunStatus::Queued).count(), 1);
    assert_eq!(runs.iter().filter(|run| run.status == RunStatus::Failed).count(), 2);
}

#[tokio::test]
async fn a_run_that_was_away_for_a_day_is_not_gone_on_with() {
    let world = World::with(&["edr-main"]).await;
    world.queued("edr-main", MAIN_RUN).await;
    let (company, connection, run) = (company(), connection("edr-main"), RunId::parse(MAIN_RUN).unwrap());
    let yesterday = tick() - TimeDelta::hours(24);
    world.store.take(&company, &connection, &run, "dead", yesterday, TimeDelta::minutes(1)).await.unwrap();
    let message = common::aws::queue::RunMessage { company: company.clone(), connection: connection.clone(), run };
    assert!(huntress_evidence::stack::deliver(&world.worker(), &message, TimeDelta::minutes(14)).await);
    let ended = world.store.run(&company, &connection, &message.run).await.unwrap().unwrap();
    assert_eq!((ended.status, ended.failure.unwrap().code), (RunStatus::Failed, FailureCode::Abandoned));
    assert_eq!(world.simulator.requests(), [], "what Huntress says now did not hold then");
}

#[tokio::test]
async fn a_tick_that_comes_again_after_the_run_ended_makes_none() {
    let mut world = World::with(&["edr-main"]).await;
    let plan = async |world: &World| {
        let tick = scheduled();
        let planned = tick::handle(&world.planner(), &Telemetry::none(), tick).await;
        planned.unwrap().planned.unwrap()
    };
    assert_eq!(plan(&world).await.new, 1);
    let message = world.sent().remove(0);
    // It fails, so that the connection stays due.
    world.simulator.set_faults(vec![Fault::always(None, FaultKind::Status(404))]);
    assert!(huntress_evidence::stack::deliver(&world.worker(), &message, TimeDelta::minutes(14)).await);
    let failed = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
    assert_eq!(failed.status, ConnectionStatus::Error);
    assert_eq!(plan(&world).await, Planned { due: 1, new: 0, joined: 1, passed_over: 0 });
    assert_eq!(world.sent(), []);
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_worker_does_the_runs_of_a_batch() {
    let world = World::with(&["edr-main", "edr-lab"]).await;
    world.queued("edr-main", MAIN_RUN).await;
    world.queued("edr-lab", LAB_RUN).await;
    let work = async || {
        let deadline = tick() + TimeDelta::minutes(14);
        batch::handle(&world.worker(), &Telemetry::none(), batch(BATCH), deadline).await
    };
    assert_eq!(work().await.batch_item_failures, []);
    for (id, run) in [("edr-main", MAIN_RUN), ("edr-lab", LAB_RUN)] {
        let run = world.store.run(&company(), &connection(id), &RunId::parse(run).unwrap()).await.unwrap().unwrap();
        assert_eq!((run.status, run.bundles, run.api_calls), (RunStatus::Succeeded, 2, 3));
    }
    assert_eq!(world.simulator.requests().len(), 6);
    let owner = EvidenceOwner::Client(ClientId::parse("client-acme-corp").unwrap());
    assert_eq!(world.store.latest(&company(), &owner).await.unwrap().len(), 2, "one of each connection");
    // Delivered once more, the batch does nothing.
    assert_eq!(work().await.batch_item_failures, []);
    assert_eq!(world.simulator.requests().len(), 6);
}

#[tokio::test]
async fn a_message_that_is_none_comes_back_and_does_not_block_the_other() {
    for body in ["", "garbage", "{}", r#"{"company":"a/b","connection":"c","run":"d"}"#] {
        let world = World::with(&["edr-lab"]).await;
        world.queued("edr-lab", LAB_RUN).await;
        let mut garbled = batch(BATCH);
        garbled.records[0].body = body.to_owned();
        let bad = garbled.records[0].message_id.clone();
        let answer = batch::handle(&world.worker(), &Telemetry::none(), garbled, tick() + TimeDelta::minutes(14)).await;
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": bad}]}), "{body:?}");
        let run = world.store.run(&company(), &connection("edr-lab"), &RunId::parse(LAB_RUN).unwrap()).await;
        assert_eq!(run.unwrap().unwrap().status, RunStatus::Succeeded);
    }
}

#[tokio::test]
async fn only_what_cannot_be_dealt_with_comes_back() {
    let world = World::with(&["edr-main", "edr-lab"]).await;
    world.queued("edr-main", MAIN_RUN).await;
    world.queued("edr-lab", LAB_RUN).await;
    let mut mixed = batch(BATCH);
    let (unreadable, good) = (mixed.records[0].clone(), mixed.records[1].clone());
    let mut unknown = unreadable.clone();
    unknown.message_id = "unknown".to_owned();
    unknown.body = unknown.body.replace("edr-main", "edr-gone");
    // Its record is of a later release.
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let update = world._engine.client().update_item().table_name("evidence");
    update
        .key("pk", text(&format!("CONNECTION#{}#edr-main", company())))
        .key("sk", text("ACTIVE"))
        .update_expression("SET schema_version = :later")
        .expression_attribute_values(":later", aws_sdk_dynamodb::types::AttributeValue::N("99".to_owned()))
        .send()
        .await
        .unwrap();
    mixed.records = vec![unknown, unreadable.clone(), good];
    let deadline = tick() + TimeDelta::minutes(14);
    let answer = batch::handle(&world.worker(), &Telemetry::none(), mixed, deadline).await;
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": unreadable.message_id}]}));
    let run = world.store.run(&company(), &connection("edr-lab"), &RunId::parse(LAB_RUN).unwrap()).await;
    assert_eq!(run.unwrap().unwrap().status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_failed_run_is_done_with_and_its_message_does_not_come_back() {
    let world = World::with(&["edr-main", "edr-lab"]).await;
    world.queued("edr-main", MAIN_RUN).await;
    world.queued("edr-lab", LAB_RUN).await;
    world.simulator.set_faults(vec![Fault::once(Some(List::Agents), 1, FaultKind::Forbidden)]);
    let answer =
        batch::handle(&world.worker(), &Telemetry::none(), batch(BATCH), tick() + TimeDelta::minutes(14)).await;
    assert_eq!(answer.batch_item_failures, []);
    let status = async |id: &str| world.store.connection(&company(), &connection(id)).await.unwrap().unwrap().status;
    assert_eq!(
        (status("edr-main").await, status("edr-lab").await),
        (ConnectionStatus::AuthFailed, ConnectionStatus::Ok)
    );
}

#[tokio::test]
async fn sync_now_and_the_state_of_its_run() {
    let mut world = World::with(&["edr-main"]).await;
    let asked = sample("on-demand-sync/events/sync-now.json");
    let (status, headers, body) = ask_for_all(world.on_demand_sync(), &asked).await;
    assert_eq!((status, &body["joined"], &body["run"]["status"]), (202, &json!(false), &json!("queued")));
    let run = body["run_id"].as_str().unwrap().to_owned();
    let location = format!("/v1/companies/msp-acme/connections/edr-main/runs/{run}");
    assert_eq!(headers["location"], location.as_str());
    let (status, again) = ask(world.on_demand_sync(), &asked).await;
    assert_eq!((status, &again["joined"], &again["run_id"]), (202, &json!(true), &json!(run)));
    assert!(world.sent().iter().all(|message| message.run.as_str() == run));

    let mut state = sample("on-demand-sync/events/run-state.json");
    assert_eq!(ask(world.on_demand_sync(), &state).await.0, 404, "the run of the sample is not there");
    for place in [&["rawPath"][..], &["requestContext", "http", "path"]] {
        let field = place.iter().fold(&mut state, |value, key| &mut value[*key]);
        *field = json!(location);
    }
    let (status, body) = ask(world.on_demand_sync(), &state).await;
    assert_eq!((status, &body["run"]["id"]), (200, &json!(run)));
}

#[tokio::test]
async fn the_forecast_is_told_from_the_last_run_and_asks_nothing() {
    let mut world = World::with(&["edr-main"]).await;
    let mut event = sample("on-demand-sync/events/run-state.json");
    let path = json!("/v1/companies/msp-acme/connections/edr-main/forecast");
    (event["rawPath"], event["requestContext"]["http"]["path"]) = (path.clone(), path);
    assert_eq!(ask(world.on_demand_sync(), &event).await, (200, json!({"forecast": null})));
    let (_, asked) = ask(world.on_demand_sync(), &sample("on-demand-sync/events/sync-now.json")).await;
    let message = world.sent().remove(0);
    assert!(huntress_evidence::stack::deliver(&world.worker(), &message, TimeDelta::minutes(14)).await);
    let requests = world.simulator.requests().len();
    let (status, body) = ask(world.on_demand_sync(), &event).await;
    assert_eq!((status, &body["forecast"]["last_run"], &body["forecast"]["parts"]), (200, &asked["run_id"], &json!(1)));
    assert_eq!(body["forecast"]["requests"], json!(requests));
    assert_eq!(body["forecast"]["left_now"], json!(60 - requests), "what the worker left word of is known");
    assert_eq!(world.simulator.requests().len(), requests);
    let other = event.to_string().replace("edr-main", "edr-none");
    assert_eq!(ask(world.on_demand_sync(), &serde_json::from_str(&other).unwrap()).await.0, 404);
}

#[tokio::test]
async fn a_repeated_idempotency_key_is_the_same_run() {
    let world = World::with(&["edr-main"]).await;
    let mut asked = sample("on-demand-sync/events/sync-now.json");
    asked["headers"]["idempotency-key"] = json!("order-1");
    let (_, first) = ask(world.on_demand_sync(), &asked).await;
    let message = common::aws::queue::RunMessage {
        company: company(),
        connection: connection("edr-main"),
        run: RunId::parse(first["run_id"].as_str().unwrap()).unwrap(),
    };
    assert!(huntress_evidence::stack::deliver(&world.worker(), &message, TimeDelta::minutes(14)).await);
    let (status, again) = ask(world.on_demand_sync(), &asked).await;
    assert_eq!((status, &again["run_id"], &again["run"]["status"]), (202, &first["run_id"], &json!("succeeded")));
    asked["headers"]["idempotency-key"] = json!("order-2");
    assert_ne!(ask(world.on_demand_sync(), &asked).await.1["run_id"], first["run_id"]);
}

#[tokio::test]
async fn a_test_of_an_account_that_does_not_answer_ends_at_its_deadline() {
    let world = World::with(&[]).await;
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Hang(Duration::from_secs(600)))]);
    let huntress = Huntress { clock: Arc::new(SystemClock), ..world.huntress.clone() };
    let credential = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
    let deadline = huntress.clock.now() + TimeDelta::seconds(2);
    let test = huntress.test_edr(&credential, Arc::new(RateLimiter::per_minute(0)), deadline);
    // The client's own time-out with a silent account is 30 seconds.
    let report = tokio::time::timeout(Duration::from_secs(20), test).await.unwrap();
    let failed = |of: &PermissionResult| of.failure.as_ref().map(|failure| failure.code);
    let told: Vec<_> = report.permissions.iter().map(|it| (it.permission.as_str(), it.granted, failed(it))).collect();
    let expected = [
        ("account", true, None),
        ("organizations", true, None),
        ("agents", false, Some(FailureCode::Unavailable)),
        ("incident_reports", true, None),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_connection_test_answers_for_each_permission() {
    let world = World::with(&["edr-main"]).await;
    let asked = sample("connection-test/events/test.json");
    let (status, body) = ask(world.connection_test(), &asked).await;
    assert_eq!((status, &body["passed"]), (200, &json!(true)));
    assert_eq!(body["permissions"].as_array().unwrap().len(), 4);
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Forbidden)]);
    let (status, body) = ask(world.connection_test(), &asked).await;
    assert_eq!((status, &body["passed"]), (200, &json!(false)));
    let permissions = body["permissions"].as_array().unwrap();
    let agents = permissions.iter().find(|it| it["permission"] == "agents").unwrap();
    assert_eq!(agents["failure"]["code"], "auth_failed");
    let tested = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
    assert_eq!((tested.last_test.unwrap().passed, tested.status), (false, ConnectionStatus::New), "a test is no run");
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 1).await.unwrap(), []);
}

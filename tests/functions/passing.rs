//! Faults that pass: whatever of AWS does not answer, the message comes back after seconds, and its run goes on as the same run.

use super::services::Service;
use super::{World, company, connection, tick as seven};
use acceptance::aws::Aws;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::batch;
use common::app::collection::worker::Worker;
use common::app::runs::plan::Planner;
use common::app::runs::tick::{self, Tick};
use common::aws::queue::RunMessage;
use common::aws::secrets::{Binding, Credential, Credentials};
use common::aws::telemetry::Telemetry;
use common::domain::product::Product;
use common::domain::run::{Run, RunStatus};
use common::huntress::edr::EdrCredential;
use common::store::Store;
use serde_json::{Value, json};
use simulator::{API_KEY, API_SECRET, Fault, FaultKind, List};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A run whose worker has its credentials and its table from a stand-in of AWS.
struct Waiting {
    world: World,
    worker: Worker,
    queue: Service,
    message: RunMessage,
}

impl Waiting {
    async fn with(credentials: Credentials, store: impl FnOnce(&World) -> Store) -> Self {
        let world = World::with(&["edr-main"]).await;
        let (company, id) = (company(), connection("edr-main"));
        let binding = Binding { company: &company, connection: &id, product: Product::Edr };
        let credential = EdrCredential { key: API_KEY.into(), secret: API_SECRET.into() };
        credentials.put(binding, &Credential::Edr(credential)).await.unwrap();
        let run = world.planner().sync_now(&company, &id, None).await.unwrap().run.id;
        let message = RunMessage { company, connection: id, run };
        let queue = Service::start(|_| (200, json!({}))).await;
        let worker = Worker {
            store: store(&world),
            credentials: Arc::new(credentials),
            queue: Arc::new(queue.queue()),
            ..world.worker()
        };
        Self { world, worker, queue, message }
    }

    /// Delivers the message for the nth time; whether it is done with.
    async fn deliver(&self, nth: u32) -> bool {
        let body = serde_json::to_string(&self.message).unwrap();
        let batch = json!({"Records": [{
            "messageId": "the-message", "receiptHandle": format!("receipt-{nth}"), "body": body,
            "attributes": {"ApproximateReceiveCount": nth.to_string(), "SentTimestamp": "1"},
        }]});
        let batch = serde_json::from_value(batch).unwrap();
        let deadline: DateTime<Utc> = seven() + TimeDelta::minutes(14);
        let answer = batch::handle(&self.worker, &Telemetry::none(), batch, deadline).await;
        answer.batch_item_failures.is_empty()
    }

    async fn run(&self) -> Run {
        let RunMessage { company, connection, run } = &self.message;
        self.world.store.run(company, connection, run).await.unwrap().unwrap()
    }

    /// What was given back: the receipts, and after how many seconds they come again.
    fn returned(&self) -> Vec<(String, i64)> {
        let entry = |(operation, input): (String, Value)| {
            assert_eq!(operation, "AmazonSQS.ChangeMessageVisibility");
            (input["ReceiptHandle"].as_str().unwrap().to_owned(), input["VisibilityTimeout"].as_i64().unwrap())
        };
        self.queue.calls().into_iter().map(entry).collect()
    }
}

#[tokio::test]
async fn a_secret_or_a_key_that_is_refused_costs_seconds() {
    for (refused, sealed) in [("secretsmanager", false), ("TrentService", true)] {
        let aws = Aws::start().await;
        let credentials = if sealed { aws.sealed(aws.store()) } else { aws.managed() };
        let waiting = Waiting::with(credentials, |world| world.store.clone()).await;
        aws.refuse(refused);
        for nth in 1..=3 {
            assert!(!waiting.deliver(nth).await, "{refused}");
            let run = waiting.run().await;
            assert_eq!((run.status, run.failure), (RunStatus::Running, None), "{refused}");
        }
        let receipts = [("receipt-1", 15), ("receipt-2", 30), ("receipt-3", 60)];
        assert_eq!(waiting.returned(), receipts.map(|(receipt, seconds)| (receipt.to_owned(), seconds)));

        // The lease of the attempt before is still in force: it is the message's own.
        aws.refuse("-");
        assert!(waiting.deliver(4).await, "{refused}");
        let run = waiting.run().await;
        assert_eq!((run.status, run.as_of), (RunStatus::Succeeded, Some(seven() + TimeDelta::seconds(5))));
        assert_eq!(waiting.returned().len(), 3, "what is done with is not given back");
    }
}

#[tokio::test]
async fn a_table_that_is_refused_costs_seconds() {
    // Its table is away, and comes back.
    let aws = Aws::start().await;
    let away = aws.store();
    aws.refuse("DynamoDB");
    let credentials = Aws::start().await;
    let mut waiting = Waiting::with(credentials.managed(), |_| away).await;
    assert!(!waiting.deliver(1).await);
    assert_eq!(waiting.returned(), [("receipt-1".to_owned(), 15)]);
    assert_eq!(waiting.run().await.status, RunStatus::Queued);
    waiting.worker.store = waiting.world.store.clone();
    assert!(waiting.deliver(2).await);
    assert_eq!(waiting.run().await.status, RunStatus::Succeeded);
}

/// What the hour after a tick does, so long after it.
async fn hour(world: &World, after: TimeDelta) -> usize {
    let clock = Arc::new(super::Stopped(seven() + after));
    let planner = Planner { clock, ..world.planner() };
    tick::handle(&planner, &Telemetry::none(), Tick::hourly(seven() + after)).await.unwrap();
    world.store.runs(&company(), &connection("edr-main"), 10).await.unwrap().len()
}

async fn work(world: &mut World) {
    for message in world.sent() {
        let deadline = world.huntress.clock.now() + TimeDelta::minutes(10);
        world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
    }
}

#[tokio::test]
async fn what_failed_for_a_passing_reason_is_tried_again_the_same_day() {
    let mut world = World::with(&["edr-main", "edr-off", "edr-lab"]).await;
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(503))]);
    tick::handle(&world.planner(), &Telemetry::none(), Tick::daily(seven())).await.unwrap();
    work(&mut world).await;
    // One is refused, which does not pass by itself, and one has been collected since.
    for (id, faults) in
        [("edr-off", vec![Fault::always(Some(List::Agents), FaultKind::Forbidden)]), ("edr-lab", vec![])]
    {
        world.simulator.set_faults(faults);
        world.planner().sync_now(&company(), &connection(id), None).await.unwrap();
        work(&mut world).await;
    }
    world.simulator.set_faults(vec![Fault::always(Some(List::Agents), FaultKind::Status(503))]);
    let shown = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
    assert_eq!(shown.next_run_at, Some(seven() + TimeDelta::hours(1)));
    let mut runs = Vec::new();
    for half_hours in 1..=15 {
        runs.push(hour(&world, TimeDelta::minutes(30 * half_hours)).await);
        work(&mut world).await;
    }
    // At 07:00; an hour later, at three and at six.
    assert_eq!(runs, [1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4]);
    for id in ["edr-off", "edr-lab"] {
        assert_eq!(world.store.runs(&company(), &connection(id), 10).await.unwrap().len(), 2, "{id}");
    }
    // Whatever the schedule becomes, the next tick takes whom the last one did not serve, and the one that was refused a day later.
    let due = |at: DateTime<Utc>| {
        let store = world.store.clone();
        async move { store.due(at).await.unwrap().into_iter().map(|it| it.connection.to_string()).collect::<BTreeSet<_>>() }
    };
    assert_eq!(due(seven() + TimeDelta::hours(2)).await, ["edr-lab", "edr-main"].map(str::to_owned).into());
    assert_eq!(due(seven() + TimeDelta::hours(24)).await.len(), 3);
}

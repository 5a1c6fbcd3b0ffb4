//! Messages in the dead-letter queue, and their way back: against a queue that holds them as SQS does.

use super::{World, company, connection, tick};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use chrono::TimeDelta;
use common::app::runs::redrive::{RedriveAction, Redriven, Redriver, Wanted};
use common::aws::dead_letters::DeadLetters;
use common::aws::queue::{Queue, RunMessage};
use common::domain::id::{CompanyId, RunId};
use common::domain::run::RunStatus;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A message in a queue, and who holds it.
#[derive(Debug, Clone)]
struct Stored {
    body: String,
    held: Option<String>,
}

/// Queues by the last part of their URLs.
#[derive(Debug, Default)]
struct Sqs {
    queues: BTreeMap<String, BTreeMap<String, Stored>>,
    received: u32,
    refuses_to_send: bool,
}

type Shared = Arc<Mutex<Sqs>>;

async fn answer(State(sqs): State<Shared>, headers: HeaderMap, body: String) -> Json<Value> {
    let input: Value = serde_json::from_str(&body).unwrap();
    let mut sqs = sqs.lock().unwrap();
    let queue = input["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap();
    if operation == "ReceiveMessage" {
        sqs.received += 1;
        let receipt = format!("receipt-{}", sqs.received);
        let most = usize::try_from(input["MaxNumberOfMessages"].as_u64().unwrap()).unwrap();
        let free = sqs.queues.get_mut(&queue).unwrap().iter_mut().filter(|(_, message)| message.held.is_none());
        let messages = free.take(most).map(|(id, message)| {
            message.held = Some(format!("{receipt}-{id}"));
            let sent_at = tick().timestamp_millis().to_string();
            json!({"MessageId": id, "ReceiptHandle": message.held, "Body": message.body, "Attributes": {"SentTimestamp": sent_at}})
        });
        return Json(json!({"Messages": messages.collect::<Vec<_>>()}));
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    let refuses_to_send = sqs.refuses_to_send;
    for entry in input["Entries"].as_array().unwrap() {
        let there = sqs.queues.entry(queue.clone()).or_default();
        let held = |message: &Stored| message.held.as_deref() == entry["ReceiptHandle"].as_str();
        match operation {
            "SendMessageBatch" if refuses_to_send => {
                failed.push(json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"}));
                continue;
            }
            "SendMessageBatch" => {
                let id = format!("sent-{}", there.len());
                there.insert(id, Stored { body: entry["MessageBody"].as_str().unwrap().to_owned(), held: None });
            }
            "DeleteMessageBatch" => there.retain(|_, message| !held(message)),
            "ChangeMessageVisibilityBatch" => {
                assert_eq!(entry["VisibilityTimeout"], 0);
                there.values_mut().filter(|message| held(message)).for_each(|message| message.held = None);
            }
            other => unreachable!("redrive asks for {other}"),
        }
        successful.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"}));
    }
    Json(json!({"Successful": successful, "Failed": failed}))
}

struct Scene {
    world: World,
    sqs: Shared,
    redriver: Redriver,
}

impl Scene {
    /// Runs without an end of three connections, an ended one, and what they left among the dead letters, beside what is no message.
    async fn new() -> Self {
        let world = World::with(&["edr-main", "edr-lab", "edr-old"]).await;
        for (id, run) in [("edr-main", "queued"), ("edr-lab", "dead"), ("edr-old", "ended")] {
            world.queued(id, run).await;
        }
        let take = async |id: &str, run: &str| {
            let (company, connection, run) = (company(), connection(id), RunId::parse(run).unwrap());
            world.store.take(&company, &connection, &run, "dead", tick(), TimeDelta::minutes(1)).await.unwrap()
        };
        take("edr-lab", "dead").await;
        let message = message("msp-acme", "edr-old", "ended");
        assert!(huntress_evidence::stack::deliver(&world.worker(), &message, TimeDelta::minutes(5)).await);

        let sqs = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&sqs));
        tokio::spawn(axum::serve(listener, router).into_future());
        let service = || super::services::signed("sqs", &endpoint);
        let dead_letters = DeadLetters { service: service(), url: format!("{endpoint}/1/dead") };
        let queue = Queue::Sqs { service: Box::new(service()), url: format!("{endpoint}/1/runs") };
        let redriver = Redriver { store: world.store.clone(), dead_letters, queue };
        let scene = Self { world, sqs, redriver };
        for (id, body) in [
            ("a-queued", text(&message_of("edr-main", "queued"))),
            ("b-dead", text(&message_of("edr-lab", "dead"))),
            ("c-ended", text(&message_of("edr-old", "ended"))),
            ("d-unknown", text(&message_of("edr-main", "never-there"))),
            ("e-garbage", "{\"hello\": 1}".to_owned()),
            ("f-other", text(&self::message("msp-other", "edr", "theirs"))),
        ] {
            scene.put_aside(id, body);
        }
        scene
    }

    fn put_aside(&self, id: &str, body: String) {
        let mut sqs = self.sqs.lock().unwrap();
        sqs.queues.entry("dead".to_owned()).or_default().insert(id.to_owned(), Stored { body, held: None });
    }

    async fn redrive(&self, wanted: Wanted) -> Vec<Redriven> {
        let mut all = Vec::new();
        self.redriver.redrive(&wanted, |redriven| all.extend_from_slice(redriven)).await.unwrap();
        all
    }

    /// What can be received of a queue.
    fn free(&self, queue: &str) -> Vec<String> {
        let sqs = self.sqs.lock().unwrap();
        let messages = sqs.queues.get(queue).into_iter().flatten();
        messages.filter(|(_, message)| message.held.is_none()).map(|(id, _)| id.clone()).collect()
    }
}

fn message(company: &str, id: &str, run: &str) -> RunMessage {
    let company = CompanyId::parse(company).unwrap();
    RunMessage { company, connection: connection(id), run: RunId::parse(run).unwrap() }
}

fn message_of(id: &str, run: &str) -> RunMessage {
    message("msp-acme", id, run)
}

fn text(message: &RunMessage) -> String {
    serde_json::to_string(message).unwrap()
}

fn everything() -> Wanted {
    Wanted { company: None, most: 1_000, dry_run: false }
}

fn dealt_with(redriven: &[Redriven]) -> Vec<(&str, Option<RunStatus>, RedriveAction)> {
    redriven.iter().map(|it| (it.message_id.as_str(), it.status, it.done)).collect()
}

#[tokio::test]
async fn runs_that_have_not_ended_go_back_to_the_workers() {
    let scene = Scene::new().await;
    let expected = [
        ("a-queued", Some(RunStatus::Queued), RedriveAction::Moved),
        ("b-dead", Some(RunStatus::Running), RedriveAction::Moved),
        ("c-ended", Some(RunStatus::Succeeded), RedriveAction::Dropped),
        ("d-unknown", None, RedriveAction::Left),
        ("e-garbage", None, RedriveAction::Left),
        ("f-other", None, RedriveAction::Left),
    ];
    let left = expected.into_iter().filter(|(_, _, done)| *done == RedriveAction::Left).collect::<Vec<_>>();
    let ids = |of: &[(&str, Option<RunStatus>, RedriveAction)]| of.iter().map(|(id, ..)| (*id).to_owned()).collect();
    let (all_ids, left_ids): (Vec<String>, Vec<String>) = (ids(&expected), ids(&left));
    // First only to see: everything is there for the next one at once.
    let seen = scene.redrive(Wanted { dry_run: true, ..everything() }).await;
    assert_eq!(dealt_with(&seen), expected);
    assert_eq!((scene.free("dead"), scene.free("runs").len()), (all_ids, 0));

    let moved = scene.redrive(everything()).await;
    assert_eq!(moved, seen);
    assert_eq!(moved[0].sent_at, Some(tick()));
    assert_eq!(scene.free("dead"), left_ids);
    let bodies: Vec<RunMessage> = scene.sqs.lock().unwrap().queues["runs"]
        .values()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect();
    assert_eq!(bodies, [message_of("edr-main", "queued"), message_of("edr-lab", "dead")]);
    // And they go on as the same runs.
    for message in bodies {
        assert!(huntress_evidence::stack::deliver(&scene.world.worker(), &message, TimeDelta::minutes(5)).await);
    }
    assert_eq!(dealt_with(&scene.redrive(everything()).await), left);
}

#[tokio::test]
async fn another_companys_messages_are_left_alone_and_no_more_are_looked_at_than_asked_for() {
    let scene = Scene::new().await;
    let other = Some(CompanyId::parse("msp-other").unwrap());
    let seen = scene.redrive(Wanted { company: other, ..everything() }).await;
    assert_eq!(dealt_with(&seen), [("f-other", None, RedriveAction::Left)]);
    assert_eq!((scene.free("dead").len(), scene.free("runs").len()), (6, 0));
    for number in 0..25 {
        scene.put_aside(&format!("0-{number:02}"), text(&message_of("edr-old", "ended")));
    }
    // Whole receipts of ten.
    let seen = scene.redrive(Wanted { most: 15, ..everything() }).await;
    assert_eq!(seen.len(), 20);
    assert_eq!(scene.free("dead").len(), 31 - 20);
}

#[tokio::test]
async fn what_cannot_be_sent_stays_among_the_dead_letters() {
    let scene = Scene::new().await;
    scene.sqs.lock().unwrap().refuses_to_send = true;
    let refused = scene.redriver.redrive(&everything(), |_| panic!("nothing is dealt with")).await;
    assert!(refused.is_err());
    assert_eq!(scene.sqs.lock().unwrap().queues["dead"].len(), 6);
}

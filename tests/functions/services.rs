//! Secrets Manager and SQS as the functions use them, against a server that writes requests down.

use super::{World, company, connection};
use aws_sdk_secretsmanager::config::{
    BehaviorVersion, Credentials as AwsCredentials, Region, SharedCredentialsProvider,
};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use chrono::TimeDelta;
use common::app::collection::worker::{Processed, Worker};
use common::aws::queue::{Queue, QueueError, Queued, RunMessage};
use common::aws::secrets::{Binding, Credential, Credentials, NewSecrets, SecretError, SecretsManager};
use common::domain::failure::FailureCode;
use common::domain::id::RunId;
use common::domain::product::Product;
use common::domain::run::RunStatus;
use common::huntress::edr::EdrCredential;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A service for requests that are signed by hand, at a stand-in.
pub fn signed(name: &'static str, url: &str) -> common::aws::client::Service {
    let credentials = AwsCredentials::new("test", "test", None, None, "static");
    common::aws::client::Service {
        name,
        url: url.parse().unwrap(),
        region: "eu-central-1".to_owned(),
        credentials: SharedCredentialsProvider::new(credentials),
        http: common::aws::sdk_http::SdkHttp::loopback(),
        patience: common::aws::client::Patience::WORKER,
        clock: Arc::new(common::clock::SystemClock),
    }
}

/// An operation, e.g. `secretsmanager.GetSecretValue`, and its input.
pub type Call = (String, Value);

/// Answers an operation.
pub type Script = fn(&Call) -> (u16, Value);

/// A service of AWS with one script.
pub struct Service {
    endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Service {
    pub async fn start(script: Script) -> Self {
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state((Arc::clone(&calls), script));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { endpoint, calls }
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn secrets(&self) -> Credentials {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(common::aws::sdk_http::SdkHttp::loopback())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(AwsCredentials::new("test", "test", None, None, "static"));
        let client = aws_sdk_secretsmanager::Client::from_conf(config.build());
        let tags = vec![("stage".to_owned(), "prod".to_owned())];
        let new = NewSecrets { key_id: Some("arn:of-the-key".to_owned()), tags };
        Credentials::Manager(SecretsManager::new(client, "huntress-evidence/prod").making(new))
    }

    pub fn queue(&self) -> Queue {
        Queue::Sqs {
            service: Box::new(signed("sqs", &self.endpoint)),
            url: format!("{}/123456789012/runs", self.endpoint),
        }
    }
}

async fn answer(
    State((calls, script)): State<(Arc<Mutex<Vec<Call>>>, Script)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let call = (target, serde_json::from_slice(&body).unwrap());
    let (status, answer) = script(&call);
    calls.lock().unwrap().push(call);
    let media_type = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), media_type, answer.to_string())
}

fn secret(company: &str, connection: &str) -> (u16, Value) {
    let content = json!({
        "company": company, "connection": connection, "product": "huntress-edr",
        "api_key": "hk_stored", "api_secret": "hs_stored",
    });
    (200, json!({"ARN": "arn", "Name": "name", "SecretString": content.to_string()}))
}

fn not_found() -> (u16, Value) {
    (400, json!({"__type": "ResourceNotFoundException", "message": "no such secret"}))
}

async fn get(service: &Service) -> Result<Credential, SecretError> {
    let (company, connection) = (company(), connection("edr-main"));
    service.secrets().get(Binding { company: &company, connection: &connection, product: Product::Edr }).await
}

#[tokio::test]
async fn a_secret_is_found_by_company_and_connection() {
    let service = Service::start(|_| secret("msp-acme", "edr-main")).await;
    let Credential::Edr(found) = get(&service).await.ok().unwrap() else { panic!("another product's credential") };
    assert_eq!((found.key.expose_secret(), found.secret.expose_secret()), ("hk_stored", "hs_stored"));
    let wanted = json!({"SecretId": "huntress-evidence/prod/msp-acme/edr-main"});
    assert_eq!(service.calls(), [("secretsmanager.GetSecretValue".to_owned(), wanted)]);
}

#[tokio::test]
async fn a_secret_of_another_connection_is_refused() {
    for script in [
        (|_| secret("msp-other", "edr-main")) as Script,
        |_| secret("msp-acme", "edr-lab"),
        |_| {
            let (status, mut answer) = secret("msp-acme", "edr-main");
            answer["SecretString"] =
                json!(answer["SecretString"].as_str().unwrap().replace("huntress-edr", "huntress-sat"));
            (status, answer)
        },
    ] {
        let service = Service::start(script).await;
        assert!(matches!(get(&service).await, Err(SecretError::BoundElsewhere)));
    }
    let binary = Service::start(|_| (200, json!({"Name": "name", "SecretBinary": "AAAA"}))).await;
    assert!(matches!(get(&binary).await, Err(SecretError::Malformed)));
    let refused = Service::start(|_| (400, json!({"__type": "AccessDeniedException", "message": "no"}))).await;
    assert!(matches!(get(&refused).await, Err(SecretError::Unavailable(_))));
}

#[tokio::test]
async fn a_run_without_its_secret_fails_as_credential_missing() {
    const RUN: &str = "019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11";
    for (script, said) in [
        ((|_| not_found()) as Script, "there is no credential"),
        (|_| secret("msp-other", "edr-main"), "bound to another connection"),
    ] {
        let service = Service::start(script).await;
        let world = World::with(&["edr-main"]).await;
        world.queued("edr-main", RUN).await;
        let worker = Worker { credentials: Arc::new(service.secrets()), ..world.worker() };
        let message =
            RunMessage { company: company(), connection: connection("edr-main"), run: RunId::parse(RUN).unwrap() };
        let deadline = super::tick() + chrono::TimeDelta::minutes(10);
        let processed = worker.process(&message, "worker", deadline, Arc::default()).await.unwrap();
        let Processed::Failed(failure) = processed else { panic!("{processed:?}") };
        assert_eq!(failure.code, FailureCode::CredentialMissing);
        assert!(failure.message.contains(said), "{failure}");
        let run = world.store.run(&company(), &connection("edr-main"), &message.run).await.unwrap().unwrap();
        assert_eq!(run.status, RunStatus::Failed);
        assert_eq!(world.simulator.requests(), [], "nothing is sent to the vendor");
    }
}

#[tokio::test]
async fn a_credential_is_put_and_its_secret_made_on_first_use() {
    async fn put(service: &Service) {
        let (company, connection) = (company(), connection("edr-main"));
        let binding = Binding { company: &company, connection: &connection, product: Product::Edr };
        let credential = Credential::Edr(EdrCredential { key: "hk".into(), secret: "hs".into() });
        service.secrets().put(binding, &credential).await.unwrap();
    }
    let there = Service::start(|_| (200, json!({"Name": "name"}))).await;
    put(&there).await;
    let calls = there.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].0.as_str(), &calls[0].1["SecretId"]),
        ("secretsmanager.PutSecretValue", &json!("huntress-evidence/prod/msp-acme/edr-main"))
    );
    let content: Value = serde_json::from_str(calls[0].1["SecretString"].as_str().unwrap()).unwrap();
    let bound = json!({"company": "msp-acme", "connection": "edr-main", "product": "huntress-edr", "api_key": "hk", "api_secret": "hs"});
    assert_eq!(content, bound);

    let new =
        Service::start(|call| if call.0.ends_with("PutSecretValue") { not_found() } else { (200, json!({})) }).await;
    put(&new).await;
    let operations: Vec<String> = new.calls().into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(operations, ["secretsmanager.PutSecretValue", "secretsmanager.CreateSecret"]);
    let made = &new.calls()[1].1;
    assert_eq!(made["Name"], "huntress-evidence/prod/msp-acme/edr-main");
    // Under the key of the stack, with the tags that were asked for and those that every secret has.
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let own = [("application", "huntress-evidence"), ("company", "msp-acme"), ("connection", "edr-main")];
    let tags: Vec<_> = [("stage", "prod")].iter().chain(&own).map(|(key, value)| tag(key, value)).collect();
    assert_eq!((&made["KmsKeyId"], &made["Tags"]), (&json!("arn:of-the-key"), &json!(tags)));
}

fn messages(count: usize) -> Vec<RunMessage> {
    let message = |number| RunMessage {
        company: company(),
        connection: connection("edr-main"),
        run: RunId::parse(format!("run-{number}")).unwrap(),
    };
    (0..count).map(message).collect()
}

/// All entries of a batch but those whose body ends a refused run's.
fn take(call: &Call, refused: &[&str]) -> (u16, Value) {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in call.1["Entries"].as_array().unwrap() {
        let body = entry["MessageBody"].as_str().unwrap();
        if refused.iter().any(|run| body.contains(&format!("\"{run}\""))) {
            failed.push(json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"}));
        } else {
            successful.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"}));
        }
    }
    (200, json!({"Successful": successful, "Failed": failed}))
}

fn queued(number: usize) -> Vec<Queued> {
    messages(number).into_iter().map(Queued::now).collect()
}

#[tokio::test]
async fn each_message_has_a_delay_of_its_own_and_none_is_longer_than_the_queue_allows() {
    let service = Service::start(|call| take(call, &[])).await;
    let delays = [0, 1, 1_500, 900_000, 86_400_000].map(TimeDelta::milliseconds);
    let sent: Vec<Queued> =
        messages(5).into_iter().zip(delays).map(|(message, delay)| Queued::after(delay, message)).collect();
    service.queue().send(&sent).await.unwrap();
    let entries = service.calls()[0].1["Entries"].clone();
    let seconds: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["DelaySeconds"].clone()).collect();
    assert_eq!(seconds, [0, 1, 2, 900, 900]);
}

#[tokio::test]
async fn messages_go_out_ten_in_a_request() {
    let service = Service::start(|call| take(call, &[])).await;
    let sent = messages(23);
    let queued: Vec<Queued> = sent.iter().cloned().map(Queued::now).collect();
    service.queue().send(&queued).await.unwrap();
    let calls = service.calls();
    let sizes: Vec<usize> = calls.iter().map(|(_, input)| input["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 10, 3]);
    let mut arrived = Vec::new();
    for (operation, input) in &calls {
        assert_eq!(operation, "AmazonSQS.SendMessageBatch");
        assert!(input["QueueUrl"].as_str().unwrap().ends_with("/123456789012/runs"));
        let entries = input["Entries"].as_array().unwrap();
        let ids: std::collections::BTreeSet<&str> = entries.iter().map(|entry| entry["Id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), entries.len(), "ids are unique in a batch");
        let bodies = entries.iter().map(|entry| entry["MessageBody"].as_str().unwrap());
        arrived.extend(bodies.map(|body| serde_json::from_str::<RunMessage>(body).unwrap()));
    }
    assert_eq!(arrived, sent);
    service.queue().send(&[]).await.unwrap();
    assert_eq!(service.calls().len(), 3, "nothing is sent for nothing");
}

#[tokio::test]
async fn a_message_that_the_queue_refuses_is_an_error() {
    let service = Service::start(|call| take(call, &["run-3", "run-7"])).await;
    let refused = service.queue().send(&queued(12)).await;
    assert!(matches!(refused, Err(QueueError::Refused { refused: 2 })), "{refused:?}");
    let denied = Service::start(|_| (400, json!({"__type": "AccessDenied", "message": "no"}))).await;
    assert!(matches!(denied.queue().send(&queued(1)).await, Err(QueueError::Unavailable(_))));
}

#[tokio::test]
async fn a_tick_whose_messages_are_refused_can_be_repeated() {
    let world = World::with(&["edr-main"]).await;
    let down = Service::start(|_| (400, json!({"__type": "AccessDenied", "message": "no"}))).await;
    let planner = common::app::runs::plan::Planner { queue: Arc::new(down.queue()), ..world.planner() };
    assert!(planner.tick(super::tick()).await.is_err());
    let up = Service::start(|call| take(call, &[])).await;
    let planner = common::app::runs::plan::Planner { queue: Arc::new(up.queue()), ..world.planner() };
    let planned = planner.tick(super::tick()).await.unwrap();
    assert_eq!((planned.due, planned.new, planned.joined), (1, 0, 1));
    assert_eq!(up.calls().len(), 1, "the message that was lost goes out again");
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn throttling_is_waited_out_and_a_refusal_is_not_repeated() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let message = Queued::now(RunMessage {
        company: company(),
        connection: connection("edr-main"),
        run: RunId::parse("019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11").unwrap(),
    });
    let busy = Service::start(|call| match ASKED.fetch_add(1, Ordering::Relaxed) {
        0 => (400, json!({"__type": "com.amazonaws.sqs#RequestThrottled", "message": "later"})),
        1 => (503, json!("")),
        _ => take(call, &[]),
    })
    .await;
    busy.queue().send(std::slice::from_ref(&message)).await.unwrap();
    assert_eq!(busy.calls().len(), 3);

    let refusing = Service::start(|_| (403, json!({"__type": "AccessDeniedException", "message": "no"}))).await;
    let Err(QueueError::Unavailable(source)) = refusing.queue().send(&[message]).await else { panic!("sent") };
    assert_eq!(source.to_string(), "AmazonSQS.SendMessageBatch was refused: AccessDeniedException (status 403)");
    assert_eq!(refusing.calls().len(), 1);
}

//! DynamoDB and SQS in this process, and what goes wrong with calls of them.
//!
//! The table is the embedded engine behind the SDK's own client, without a socket: ten thousand runs have half a million calls. The queue is a model: what
//! was sent lies in [`Aws::sent`] until somebody delivers it.

use acceptance::clock::SteppingClock;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    AsyncSleep, BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents, SharedHttpClient, Sleep,
    StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use common::aws::queue::RunMessage;
use common::clock::Clock;
use dynoxide::Database;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulator::{API_KEY, API_SECRET};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

pub const TABLE: &str = "evidence";

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// It is refused because there are too many.
    Throttled,
    /// It is refused because the role may not do it.
    Denied,
    /// 500, and nothing is done.
    Broken,
    /// The connection breaks before it arrives.
    Reset,
    /// It is carried out, and the connection breaks before the answer.
    AnswerLost,
    /// It is carried out, and answered with 500.
    AnswerBroken,
    /// It takes so long.
    Slow(TimeDelta),
    /// A transaction that met another one; writes that were not all taken; messages that were not all taken.
    Partial,
    /// The process ends before the call arrives.
    DiesBefore,
    /// The process ends after the call was carried out.
    DiesAfter,
    /// The process stops before the call is sent, and goes on much later.
    StallsBefore,
    /// The call is carried out, and its answer arrives much later.
    StallsAfter,
}

/// Which calls something goes wrong with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultRule {
    /// Of this operation; `None` for any of the table's.
    pub operation: Option<&'static str>,
    /// The first of them, from 1.
    pub from: u32,
    /// How many in a row.
    pub times: u32,
    pub trouble: Trouble,
}

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsService {
    Table,
    Queue,
    Secrets,
    Keys,
}

impl AwsService {
    fn of(operation: &str) -> Self {
        match operation {
            SEND | RETURN => Self::Queue,
            "GetSecretValue" => Self::Secrets,
            "Decrypt" | "GenerateDataKey" => Self::Keys,
            _ => Self::Table,
        }
    }
}

/// A time in which nothing of a service is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outage {
    pub service: AwsService,
    /// With which call it begins, of whatever service, from 1.
    pub from: u32,
    pub lasts: TimeDelta,
    pub trouble: Trouble,
}

/// Why a process does not go on.
pub enum Interrupt {
    Died,
    /// It goes on once it is notified.
    Stalled(Arc<Notify>),
}

/// A message in the queue.
#[derive(Debug, Clone)]
pub struct Sent {
    pub message: RunMessage,
    pub delay: TimeDelta,
}

#[derive(Clone)]
pub struct Aws(Arc<Shared>);

struct Shared {
    database: Database,
    clock: SteppingClock,
    state: Mutex<State>,
    interrupted: Notify,
}

#[derive(Default)]
struct State {
    armed: bool,
    /// Each with the calls that it has seen.
    rules: Vec<(FaultRule, u32)>,
    outage: Option<Outage>,
    /// When the outage ends, once it has begun.
    outage_until: Option<DateTime<Utc>>,
    /// Calls of all services.
    calls: u32,
    interrupt: Option<Interrupt>,
    sent: Vec<Sent>,
    /// After what time the message that is at work comes again, if it was given back.
    returned: Option<TimeDelta>,
    struck: Vec<Trouble>,
    trace: Vec<String>,
}

impl Aws {
    pub fn new(database: Database, clock: SteppingClock) -> Self {
        Self(Arc::new(Shared { database, clock, state: Mutex::default(), interrupted: Notify::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// From now on these go wrong.
    pub fn arm(&self, rules: &[FaultRule]) {
        let mut state = self.state();
        state.armed = true;
        state.rules = rules.iter().map(|rule| (*rule, 0)).collect();
    }

    /// From now on calls are counted, and this goes wrong.
    pub fn arm_outage(&self, outage: Option<Outage>) {
        let mut state = self.state();
        (state.armed, state.calls, state.outage, state.outage_until) = (true, 0, outage, None);
    }

    /// Calls since they are counted.
    pub fn calls(&self) -> u32 {
        self.state().calls
    }

    /// Whether what was armed goes wrong now, and whether it did before.
    pub fn set_armed(&self, armed: bool) -> bool {
        std::mem::replace(&mut self.state().armed, armed)
    }

    /// What went wrong so far.
    pub fn struck(&self) -> Vec<Trouble> {
        self.state().struck.clone()
    }

    /// The messages that were sent since the last call.
    pub fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state().sent)
    }

    /// After what time the last message that was given back since the last call comes again.
    pub fn returned(&self) -> Option<TimeDelta> {
        self.state().returned.take()
    }

    /// Notes a step, for whoever looks into a failed seed.
    pub fn note(&self, step: impl fmt::Display) {
        let now = self.0.clock.now();
        self.state().trace.push(format!("{} {step}", now.format("%dT%H:%M:%S%.3f")));
    }

    pub fn trace(&self) -> String {
        self.state().trace.join("\n")
    }

    /// Stops the process that is at work.
    pub fn interrupt(&self, interrupt: Interrupt) {
        self.note(match interrupt {
            Interrupt::Died => "the process dies",
            Interrupt::Stalled(_) => "the process stalls",
        });
        // Of requests that it makes at the same time, another may have stopped it already: who is dead does not stall.
        let mut state = self.state();
        if !matches!(state.interrupt, Some(Interrupt::Died)) {
            state.interrupt = Some(interrupt);
        }
        drop(state);
        self.0.interrupted.notify_one();
    }

    /// Waits until the process that is at work is stopped.
    pub async fn interrupted(&self) -> Interrupt {
        loop {
            if let Some(interrupt) = self.state().interrupt.take() {
                return interrupt;
            }
            self.0.interrupted.notified().await;
        }
    }

    /// The SDK's own client of the table. `name` tells its allowance of retries from those of others.
    pub fn client(&self, name: &str) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http_client())
            .endpoint_url("http://table.invalid")
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "static"))
            .retry_config(RetryConfig::standard())
            .retry_partition(RetryPartition::new(format!("table of {name}")))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .sleep_impl(self.clone());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// The SDK's own client of Secrets Manager.
    pub fn secrets_client(&self, name: &str) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http_client())
            .endpoint_url("http://secrets.invalid")
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "static"))
            .retry_config(RetryConfig::standard())
            .retry_partition(RetryPartition::new(format!("secrets of {name}")))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .sleep_impl(self.clone());
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// The trouble with a call, if there is any.
    fn trouble(&self, operation: &str) -> Option<Trouble> {
        let mut state = self.state();
        if !state.armed {
            return None;
        }
        let mut struck = None;
        state.calls += 1;
        let service = AwsService::of(operation);
        if let Some(outage) = state.outage
            && state.calls >= outage.from
        {
            let now = self.0.clock.now();
            let until = *state.outage_until.get_or_insert(now + outage.lasts);
            struck = (service == outage.service && now < until).then_some(outage.trouble);
        }
        for (rule, seen) in &mut state.rules {
            let concerned = rule.operation.map_or(service == AwsService::Table, |wanted| wanted == operation);
            if concerned {
                *seen += 1;
                let in_range = (rule.from..rule.from.saturating_add(rule.times)).contains(seen);
                struck = struck.or(in_range.then_some(rule.trouble));
            }
        }
        state.struck.extend(struck);
        struck
    }

    /// Status and body; nothing if the connection breaks.
    pub async fn answer(&self, operation: &str, body: &[u8]) -> Option<Answer> {
        let trouble = self.trouble(operation);
        match trouble {
            Some(trouble) => self.note(format_args!("{operation}: {trouble:?}")),
            None => self.note(operation),
        }
        match trouble {
            None => Some(self.carry_out(operation, body)),
            Some(Trouble::Throttled) => {
                let kind =
                    if operation == SEND || operation == RETURN { "RequestThrottled" } else { "ThrottlingException" };
                Some(error(400, kind))
            }
            Some(Trouble::Denied) => Some(error(400, "AccessDeniedException")),
            Some(Trouble::Broken) => Some(error(500, "InternalServerError")),
            Some(Trouble::Reset) => None,
            Some(Trouble::AnswerLost) => {
                self.carry_out(operation, body);
                None
            }
            Some(Trouble::AnswerBroken) => {
                self.carry_out(operation, body);
                Some(error(500, "InternalServerError"))
            }
            Some(Trouble::Slow(time)) => {
                self.0.clock.sleep_until(self.0.clock.now() + time).await;
                Some(self.carry_out(operation, body))
            }
            Some(Trouble::Partial) => Some(self.carry_out_in_part(operation, body)),
            Some(Trouble::DiesBefore) => self.die().await,
            Some(Trouble::DiesAfter) => {
                self.carry_out(operation, body);
                self.die().await
            }
            Some(Trouble::StallsBefore) => {
                self.stall().await;
                Some(self.carry_out(operation, body))
            }
            Some(Trouble::StallsAfter) => {
                let answer = self.carry_out(operation, body);
                self.stall().await;
                Some(answer)
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.interrupt(Interrupt::Died);
        std::future::pending().await
    }

    async fn stall(&self) {
        // Requests that stall at the same time go on together.
        let resumed = match &self.state().interrupt {
            Some(Interrupt::Stalled(resumed)) => Arc::clone(resumed),
            _ => Arc::new(Notify::new()),
        };
        self.interrupt(Interrupt::Stalled(Arc::clone(&resumed)));
        resumed.notified().await;
    }

    fn carry_out(&self, operation: &str, body: &[u8]) -> Answer {
        if operation == SEND {
            return self.take_messages(body, usize::MAX);
        }
        if operation == RETURN {
            let asked: Value = serde_json::from_slice(body).unwrap();
            self.state().returned = Some(TimeDelta::seconds(asked["VisibilityTimeout"].as_i64().unwrap()));
            return (200, b"{}".to_vec());
        }
        if let AwsService::Secrets | AwsService::Keys = AwsService::of(operation) {
            return (200, kept(operation, &serde_json::from_slice(body).unwrap()).to_string().into_bytes());
        }
        let database = &self.0.database;
        let done = match operation {
            "GetItem" => call(body, |it| database.get_item(it)),
            "PutItem" => call(body, |it| database.put_item(it)),
            "UpdateItem" => call(body, |it| database.update_item(it)),
            "DeleteItem" => call(body, |it| database.delete_item(it)),
            "Query" => call(body, |it| database.query(it)),
            "BatchGetItem" => call(body, |it| database.batch_get_item(it)),
            "BatchWriteItem" => call(body, |it| database.batch_write_item(it)),
            "TransactWriteItems" => call(body, |it| database.transact_write_items(it)),
            "CreateTable" => call(body, |it| database.create_table(it)),
            "DescribeTimeToLive" => call(body, |it| database.describe_time_to_live(it)),
            "UpdateTimeToLive" => call(body, |it| database.update_time_to_live(it)),
            other => panic!("the table is not known to be asked for {other}"),
        };
        match done {
            Ok(answer) => (200, answer),
            Err(refused) => (refused.status_code(), refused.to_json().into_bytes()),
        }
    }

    /// Half of what can be done in part; of the rest nothing, for now.
    fn carry_out_in_part(&self, operation: &str, body: &[u8]) -> Answer {
        match operation {
            SEND => self.take_messages(body, 0),
            "BatchWriteItem" => {
                let mut asked: Value = serde_json::from_slice(body).unwrap();
                let writes = asked["RequestItems"][TABLE].as_array_mut().unwrap();
                let left = writes.split_off(writes.len() / 2);
                if !writes.is_empty() {
                    self.carry_out(operation, asked.to_string().as_bytes());
                }
                (200, json!({"UnprocessedItems": {TABLE: left}}).to_string().into_bytes())
            }
            "TransactWriteItems" => {
                let asked: Value = serde_json::from_slice(body).unwrap();
                let mut reasons = vec![json!({"Code": "None"}); asked["TransactItems"].as_array().unwrap().len()];
                reasons[0] = json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
                let cancelled = json!({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled", "CancellationReasons": reasons});
                (400, cancelled.to_string().into_bytes())
            }
            _ => error(400, "ProvisionedThroughputExceededException"),
        }
    }

    fn take_messages(&self, body: &[u8], most: usize) -> Answer {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (place, entry) in asked["Entries"].as_array().unwrap().iter().enumerate() {
            if place >= most {
                failed.push(json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"}));
                continue;
            }
            let message = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
            let delay = TimeDelta::seconds(entry["DelaySeconds"].as_i64().unwrap_or_default());
            self.state().sent.push(Sent { message, delay });
            successful.push(json!({"Id": entry["Id"], "MessageId": "sent", "MD5OfMessageBody": ""}));
        }
        (200, json!({"Successful": successful, "Failed": failed}).to_string().into_bytes())
    }
}

/// What Secrets Manager and KMS answer: the endpoint account's credential, and keys that open for the context that they were made for.
fn kept(operation: &str, asked: &Value) -> Value {
    let context = asked["EncryptionContext"].to_string();
    match operation {
        "GetSecretValue" => {
            let name = asked["SecretId"].as_str().unwrap();
            let parts: Vec<&str> = name.rsplit('/').collect();
            let content = json!({"company": parts[1], "connection": parts[0], "product": "huntress-edr",
                "api_key": API_KEY, "api_secret": API_SECRET});
            json!({"Name": name, "SecretString": content.to_string()})
        }
        "GenerateDataKey" => {
            let wrapped = STANDARD.encode([&[7; 32], context.as_bytes()].concat());
            json!({"Plaintext": STANDARD.encode([7; 32]), "CiphertextBlob": wrapped, "KeyId": "key"})
        }
        "Decrypt" => {
            let wrapped = STANDARD.decode(asked["CiphertextBlob"].as_str().unwrap()).unwrap();
            assert_eq!(&wrapped[32..], context.as_bytes());
            json!({"Plaintext": STANDARD.encode(&wrapped[..32]), "KeyId": "key"})
        }
        other => panic!("{other} is no operation of a secret or a key"),
    }
}

/// Status and body of an answer.
pub type Answer = (u16, Vec<u8>);

/// The queue's operations.
pub const SEND: &str = "SendMessageBatch";
pub const RETURN: &str = "ChangeMessageVisibility";

fn call<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    work: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> dynoxide::Result<Vec<u8>> {
    let asked = serde_json::from_slice(body).expect("the engine knows every request of the store");
    Ok(serde_json::to_vec(&work(asked)?).unwrap())
}

fn error(status: u16, kind: &str) -> Answer {
    (status, json!({"__type": kind, "message": "injected"}).to_string().into_bytes())
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aws")
    }
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body = request.body().bytes().unwrap_or_default().to_vec();
            let answer = aws.answer(&operation, &body).await;
            let (status, body) = answer.ok_or_else(|| ConnectorError::io("the connection was reset".into()))?;
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}

/// The clients wait in the test's time.
impl AsyncSleep for Aws {
    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.0.clock.clone();
        Sleep::new(async move {
            // A time-out is such a wait beside something that has its turn first.
            tokio::task::yield_now().await;
            clock.move_to(clock.now() + TimeDelta::from_std(duration).unwrap());
        })
    }
}

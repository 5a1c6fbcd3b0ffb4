//! The embedded DynamoDB engine, in this process and behind HTTP, as the application meets it on one machine.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, Config};
use common::store::Store;
use dynoxide::Database;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running engine. It stops when this is dropped, or by [`Engine::stop`].
#[derive(Debug)]
pub struct Engine {
    endpoint: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Engine {
    /// An engine that forgets everything.
    pub async fn memory() -> Self {
        Self::over(Database::memory().unwrap()).await
    }

    /// An engine whose tables are in a file.
    pub async fn file(path: &Path) -> Self {
        Self::over(Database::new(path.to_str().expect("a path in UTF-8")).unwrap()).await
    }

    /// An engine over what is there.
    pub async fn over(database: Database) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async move {
                // A dropped sender stops it too.
                let _ = stopped.await;
            };
            dynoxide::server::serve_with_shutdown(listener, database, stopped).await.unwrap();
        });
        Self { endpoint, stop, served }
    }

    /// Ends the engine once all clients' requests are answered.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap();
    }

    /// Where it listens, e.g. `http://127.0.0.1:41234`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_conf(self.config().build())
    }

    /// A client that asks somebody in between.
    #[must_use]
    pub fn client_through(&self, endpoint: &str) -> Client {
        Client::from_conf(self.config().endpoint_url(endpoint).build())
    }

    /// A client that never hears the next `answers` answers to `operation`, e.g. `PutItem`, although the engine does what it is asked.
    #[must_use]
    pub fn client_losing(&self, answers: u32, operation: &'static str) -> Client {
        let lost = LostAnswers { operation, left: AtomicU32::new(answers), concerned: AtomicBool::new(false) };
        Client::from_conf(self.config().interceptor(lost).build())
    }

    /// A client whose transactions with this text in them are refused for what they are.
    #[must_use]
    pub fn client_refused(&self, text: &'static str) -> Client {
        Client::from_conf(self.config().interceptor(Refused(text)).build())
    }

    /// A client that counts what it asks of the table.
    #[must_use]
    pub fn client_counting(&self) -> (Client, Counted) {
        let counted = Counted::default();
        (Client::from_conf(self.config().interceptor(counted.clone()).build()), counted)
    }

    /// A store with its table.
    pub async fn store(&self) -> Store {
        let store = Store::new(self.client(), TABLE);
        store.create_table().await.unwrap();
        store
    }

    /// What evidence says, which is compressed in the table, and thus found in none of its files: every body, one below the other.
    pub async fn bodies(&self) -> String {
        let mut bodies = String::new();
        for item in self.evidence(TABLE).await {
            GzDecoder::new(body(&item)).read_to_string(&mut bodies).unwrap();
            bodies.push('\n');
        }
        bodies
    }

    /// Replaces a text in the evidence that has it, behind the back of the store; in how many records.
    pub async fn change_bodies(&self, table: &str, old: &str, new: &str) -> usize {
        let mut changed = 0;
        for mut item in self.evidence(table).await {
            let mut text = String::new();
            GzDecoder::new(body(&item)).read_to_string(&mut text).unwrap();
            if text.contains(old) {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
                gzip.write_all(text.replace(old, new).as_bytes()).unwrap();
                item.insert("body".to_owned(), AttributeValue::B(gzip.finish().unwrap().into()));
                self.client().put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
                changed += 1;
            }
        }
        changed
    }

    async fn evidence(&self, table: &str) -> Vec<HashMap<String, AttributeValue>> {
        let scan = self.client().scan().table_name(table).into_paginator().items().send();
        let mut items = scan.collect::<Result<Vec<_>, _>>().await.unwrap();
        items.retain(|item| item["pk"].as_s().unwrap().starts_with("EVIDENCE#"));
        items
    }

    fn config(&self) -> Builder {
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(common::aws::sdk_http::SdkHttp::loopback())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "static"))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
    }
}

/// The gzip of a piece of evidence.
fn body(item: &HashMap<String, AttributeValue>) -> &[u8] {
    item["body"].as_b().unwrap().as_ref()
}

/// The table of [`Engine::store`].
pub const TABLE: &str = "evidence";

/// How often the client of an engine sends a request before it gives up.
pub const SENDS: u32 = 3;

/// What a client asked of the table: requests by operation, and written records by the first word of their sort key.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    times: Arc<Mutex<Times>>,
}

/// When the table was at work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    in_flight: usize,
    since: Option<Instant>,
    /// Together; what was asked for at the same time counts once.
    pub at_work: Duration,
    /// When the last answer was there.
    pub last_answer: Option<Instant>,
}

impl Counted {
    /// The counts since the last call.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }

    /// The times since the last call, between requests.
    #[must_use]
    pub fn take_times(&self) -> Times {
        std::mem::take(&mut *self.times.lock().unwrap())
    }

    fn add(&self, what: String) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }
}

impl Intercept for Counted {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut times = self.times.lock().unwrap();
        if times.in_flight == 0 {
            times.since = Some(Instant::now());
        }
        times.in_flight += 1;
        Ok(())
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut times = self.times.lock().unwrap();
        let now = Instant::now();
        times.in_flight = times.in_flight.saturating_sub(1);
        times.last_answer = Some(now);
        if times.in_flight == 0
            && let Some(since) = times.since.take()
        {
            times.at_work += now - since;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(context.request().body().bytes().unwrap_or_default())?;
        for put in body.pointer("/TransactItems").and_then(Value::as_array).into_iter().flatten() {
            let key = put.pointer("/Put/Item/sk/S").and_then(Value::as_str);
            key.and_then(|key| key.split('#').next()).into_iter().for_each(|kind| self.add(format!("write {kind}")));
        }
        self.add(operation);
        Ok(())
    }
}

/// Makes requests of what no table accepts.
#[derive(Debug)]
struct Refused(&'static str);

impl Intercept for Refused {
    fn name(&self) -> &'static str {
        "Refused"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let transaction = request.headers().get("x-amz-target").is_some_and(|it| it.ends_with("TransactWriteItems"));
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        if transaction && body.contains(self.0) {
            *request.body_mut() = "{}".into();
            request.headers_mut().insert("content-length", "2");
        }
        Ok(())
    }
}

/// For a client that sends one request at a time.
#[derive(Debug)]
struct LostAnswers {
    operation: &'static str,
    left: AtomicU32,
    concerned: AtomicBool,
}

impl Intercept for LostAnswers {
    fn name(&self) -> &'static str {
        "LostAnswers"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        self.concerned.store(target.ends_with(self.operation), Ordering::SeqCst);
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let left = self.left.load(Ordering::SeqCst);
        if self.concerned.load(Ordering::SeqCst) && left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
            *context.response_mut() = HttpResponse::new(502.try_into()?, "".into());
        }
        Ok(())
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

//! SQS and KMS as the product sends to them: over HTTP, to whatever deployment the address names.

use crate::aws::Aws;
use acceptance::clock::SteppingClock;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use common::aws::client::{Patience, Service};
use common::aws::queue::Queue;
use common::aws::sdk_http::SdkHttp;
use common::aws::secrets::wrapping::Wrapping;
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The queues and keys of the last few deployments; no more of them are at work at once.
const KEPT: usize = 24;

type Known = Arc<Mutex<VecDeque<(u64, Aws)>>>;

/// The server, on the runtime that started it.
pub struct Queues {
    endpoint: String,
    http: SdkHttp,
    known: Known,
    next: u64,
}

impl Queues {
    pub async fn start() -> Self {
        let known = Known::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/{queue}", axum::routing::post(answer)).with_state(Arc::clone(&known));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { endpoint, http: SdkHttp::loopback(), known, next: 0 }
    }

    /// A queue of its own for a deployment.
    pub fn of(&mut self, aws: &Aws, clock: &SteppingClock) -> Queue {
        let service = self.service("sqs", aws, clock);
        let url = service.url.to_string();
        Queue::Sqs { service: Box::new(service), url }
    }

    /// Keys of its own for a deployment.
    pub fn keys_of(&mut self, aws: &Aws, clock: &SteppingClock) -> Wrapping {
        Wrapping::Kms { service: Box::new(self.service("kms", aws, clock)), key_id: "key".to_owned() }
    }

    fn service(&mut self, name: &'static str, aws: &Aws, clock: &SteppingClock) -> Service {
        self.next += 1;
        let mut known = self.known.lock().unwrap();
        known.push_back((self.next, aws.clone()));
        if known.len() > KEPT {
            known.pop_front();
        }
        let url = format!("{}/{}", self.endpoint, self.next);
        Service {
            name,
            url: url.parse().unwrap(),
            region: "us-east-1".to_owned(),
            credentials: SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "static")),
            http: self.http.clone(),
            patience: Patience::WORKER,
            clock: Arc::new(clock.clone()),
        }
    }
}

async fn answer(State(known): State<Known>, Path(queue): Path<u64>, headers: HeaderMap, body: Bytes) -> Response {
    let aws = known.lock().unwrap().iter().find(|(number, _)| *number == queue).map(|(_, aws)| aws.clone());
    let Some(aws) = aws else { panic!("a message to a queue that is gone") };
    let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap();
    let answer = aws.answer(operation, &body).await;
    let (status, body): (u16, Body) = match answer {
        Some((status, body)) => (status, body.into()),
        // An answer that breaks off before its first byte.
        None => (200, Body::from_stream(stream::once(async { Err::<Bytes, _>("the connection was reset") }))),
    };
    Response::builder().status(status).header("content-type", "application/x-amz-json-1.0").body(body).unwrap()
}

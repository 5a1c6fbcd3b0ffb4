//! KMS and Secrets Manager as far as a stand-in can show, and the engine's table, behind one address, as `AWS_ENDPOINT_URL` has them.

use crate::engine::{Engine, TABLE};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::aws::client::{Patience, Service};
use common::aws::sdk_http::SdkHttp;
use common::aws::secrets::wrapping::Wrapping;
use common::aws::secrets::{Credentials as Secrets, SealedTable, SecretsManager};
use common::clock::SystemClock;
use common::store::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// First part of the names of secrets.
pub const SECRET_PREFIX: &str = "huntress-evidence/prod";

/// The key that wraps others.
pub const KEY_ID: &str = "alias/evidence";

const REGION: &str = "us-east-1";

/// An operation, e.g. `TrentService.Decrypt`, and its input.
pub type Call = (String, Value);

/// The stand-in. It ends with the runtime that it was started on.
pub struct Aws {
    endpoint: String,
    state: Arc<Services>,
    /// What the table is in.
    pub engine: Engine,
}

struct Services {
    table: String,
    http: reqwest::Client,
    calls: Mutex<Vec<Call>>,
    secrets: Mutex<BTreeMap<String, String>>,
    refused: Mutex<&'static str>,
}

impl Aws {
    /// A stand-in with an empty table.
    pub async fn start() -> Self {
        let engine = Engine::memory().await;
        engine.store().await;
        let state = Arc::new(Services {
            table: engine.endpoint().to_owned(),
            http: common::huntress::request::http_client(Default::default()).unwrap(),
            calls: Mutex::default(),
            secrets: Mutex::default(),
            // No operation has this.
            refused: Mutex::new("-"),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { endpoint, state, engine }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What clients of it are made of.
    #[must_use]
    pub fn config(&self) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "static");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(SdkHttp::loopback())
            .endpoint_url(&self.endpoint)
            .region(Region::from_static(REGION))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    }

    /// Keys wrapped by its KMS.
    #[must_use]
    pub fn wrapping(&self) -> Wrapping {
        let service = Service {
            name: "kms",
            url: self.endpoint.parse().unwrap(),
            region: REGION.to_owned(),
            credentials: self.config().credentials_provider().unwrap(),
            http: SdkHttp::loopback(),
            patience: Patience::WORKER,
            clock: Arc::new(SystemClock),
        };
        Wrapping::Kms { service: Box::new(service), key_id: KEY_ID.to_owned() }
    }

    /// Credentials in its Secrets Manager.
    #[must_use]
    pub fn managed(&self) -> Secrets {
        Secrets::Manager(SecretsManager::new(aws_sdk_secretsmanager::Client::new(&self.config()), SECRET_PREFIX))
    }

    /// Credentials in a table, under its KMS.
    #[must_use]
    pub fn sealed(&self, store: Store) -> Secrets {
        Secrets::Table(Box::new(SealedTable::new(store, self.wrapping())))
    }

    /// Its table.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(aws_sdk_dynamodb::Client::new(&self.config()), TABLE)
    }

    /// The contents of all secrets, by name, to look into and to change.
    pub fn secrets<T>(&self, look: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        look(&mut self.state.secrets.lock().unwrap())
    }

    /// What it was asked, without what the table was.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Refuses from now on every operation that begins so, e.g. `TrentService`.
    pub fn refuse(&self, beginning: &'static str) {
        *self.state.refused.lock().unwrap() = beginning;
    }
}

async fn answer(State(services): State<Arc<Services>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let refused = *services.refused.lock().unwrap();
    let (status, answer) = if target.starts_with(refused) {
        (400, json!({"__type": "AccessDeniedException", "message": "no"}).to_string().into())
    } else if target.starts_with("DynamoDB") {
        let request = services.http.post(&services.table).headers(headers).body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    } else {
        // Whose request it is has to be signed, for this service.
        let signed =
            format!("/{REGION}/{}/aws4_request", if target.starts_with("Trent") { "kms" } else { "secretsmanager" });
        assert!(headers[header::AUTHORIZATION].to_str().unwrap().contains(&signed));
        let (status, answer) = services.operate(target, serde_json::from_slice(&body).unwrap());
        (status, answer.to_string().into())
    };
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), kind, answer)
}

impl Services {
    fn operate(&self, target: String, input: Value) -> (u16, Value) {
        let mut calls = self.calls.lock().unwrap();
        calls.push((target.clone(), input.clone()));
        let mut secrets = self.secrets.lock().unwrap();
        let text = |name: &str| input[name].as_str().unwrap().to_owned();
        let context = input["EncryptionContext"].to_string();
        match target.as_str() {
            "secretsmanager.CreateSecret" => {
                secrets.insert(text("Name"), text("SecretString"));
                (200, json!({"Name": input["Name"]}))
            }
            "secretsmanager.PutSecretValue" if secrets.contains_key(&text("SecretId")) => {
                secrets.insert(text("SecretId"), text("SecretString"));
                (200, json!({"Name": input["SecretId"]}))
            }
            "secretsmanager.DeleteSecret" if secrets.contains_key(&text("SecretId")) => {
                assert_eq!(input["ForceDeleteWithoutRecovery"], true);
                secrets.remove(&text("SecretId"));
                (200, json!({"Name": input["SecretId"]}))
            }
            "secretsmanager.GetSecretValue" if secrets.contains_key(&text("SecretId")) => {
                (200, json!({"Name": input["SecretId"], "SecretString": secrets[&text("SecretId")]}))
            }
            "secretsmanager.PutSecretValue" | "secretsmanager.GetSecretValue" | "secretsmanager.DeleteSecret" => {
                (400, json!({"__type": "ResourceNotFoundException", "message": "no such secret"}))
            }
            // A wrapped key is the plain one with its context, and opens for that context alone.
            "TrentService.GenerateDataKey" => {
                let key = [u8::try_from(calls.len()).unwrap(); 32];
                let wrapped = STANDARD.encode([&key[..], context.as_bytes()].concat());
                (200, json!({"Plaintext": STANDARD.encode(key), "CiphertextBlob": wrapped, "KeyId": "key"}))
            }
            "TrentService.Decrypt" => {
                let wrapped = STANDARD.decode(text("CiphertextBlob")).unwrap();
                match wrapped.split_at_checked(32) {
                    Some((key, bound)) if bound == context.as_bytes() => {
                        (200, json!({"Plaintext": STANDARD.encode(key), "KeyId": "key"}))
                    }
                    _ => (400, json!({"__type": "InvalidCiphertextException"})),
                }
            }
            other => panic!("the stand-in knows no {other}"),
        }
    }
}

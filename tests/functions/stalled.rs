//! AWS that takes a request and never answers it: every call ends by its time-out, as something that may pass.

use super::{company, connection};
use aws_sdk_dynamodb::config::{Credentials as AwsCredentials, SharedCredentialsProvider};
use chrono::TimeDelta;
use common::aws::client::{Patience, ServiceError};
use common::aws::documents::Documents;
use common::aws::lambda::Aws;
use common::aws::queue::{QueueError, Queued, RunMessage};
use common::aws::secrets::{Binding, SecretError};
use common::domain::id::RunId;
use common::domain::product::Product;
use common::store::StoreError;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// A service that answers nothing, and how often somebody came.
async fn stalled() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, came) = (format!("http://{}", listener.local_addr().unwrap()), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            kept.push(socket);
        }
    });
    (endpoint, came)
}

/// A call that ends by itself, whatever it ends with.
async fn ends<T>(what: &str, call: impl Future<Output = T>) -> T {
    let most = Duration::from_secs(60);
    tokio::time::timeout(most, call).await.unwrap_or_else(|_| panic!("{what} waits for ever"))
}

#[tokio::test]
async fn no_call_of_aws_waits_for_ever() {
    let (endpoint, came) = stalled().await;
    let lookup = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
        "AWS_REGION" => Some("eu-central-1".to_owned()),
        "QUEUE_URL" | "DEAD_LETTERS_URL" => Some("https://sqs.eu-central-1.amazonaws.com/1/runs".to_owned()),
        "CERTIFICATE_BUCKET_URL" => Some("https://certificates.s3.eu-central-1.amazonaws.com".to_owned()),
        "TABLE_NAME" | "SECRET_PREFIX" | "SAT_OAUTH_SECRET" | "LOG_KEY_ID" | "LOG_SIGNING_FUNCTION" => {
            Some("name".to_owned())
        }
        _ => None,
    };
    let patience = Patience { attempt: Duration::from_millis(60), operation: Duration::from_millis(700) };
    let keys = AwsCredentials::new("test", "test", None, None, "static");
    let aws = Aws::with_patience(&lookup, patience).with_credentials(SharedCredentialsProvider::new(keys));
    let (company, connection) = (company(), connection("edr-main"));
    let binding = || Binding { company: &company, connection: &connection, product: Product::Edr };
    let (store, managed, queue) = (aws.table().unwrap(), aws.managed().unwrap(), aws.run_queue().unwrap());
    let (lambda, function) = aws.log_signing().unwrap();
    let certificates = Documents::Bucket(aws.certificates().unwrap());
    let message =
        RunMessage { company: company.clone(), connection: connection.clone(), run: RunId::parse("run").unwrap() };
    let messages = [Queued::after(TimeDelta::zero(), message)];
    let oauth = aws.oauth_client();
    let event = serde_json::Value::Null;
    let (found, secret, client, sent, invoked, kept, key) = tokio::join!(
        ends("the table", store.connection(&company, &connection)),
        ends("Secrets Manager", managed.get(binding())),
        ends("the secret of the OAuth client", oauth.get()),
        ends("the queue", queue.send(&messages)),
        ends("Lambda", lambda.invoke(&function, &event)),
        ends("S3", certificates.put("certificate", Vec::new())),
        ends("KMS", aws.log_keys(None)),
    );
    assert!(matches!(found, Err(StoreError::Unavailable { .. })), "{found:?}");
    assert!(matches!(secret, Err(SecretError::Unavailable(_))));
    assert!(matches!(client, Err(SecretError::Unavailable(_))));
    assert!(matches!(sent, Err(QueueError::Unavailable(_))), "{sent:?}");
    let Err(error @ ServiceError::NoAnswer { .. }) = invoked else { panic!("{invoked:?}") };
    assert!(error.may_pass());
    assert!(kept.is_err() && key.is_err());
    let came = came.load(Ordering::Relaxed);
    assert!(came >= 7, "each of the seven was asked, and {came} came");
}

//! What every function starts with: its log, its settings and the AWS clients it needs.

use crate::aws::client::{Function, Patience, Service};
use crate::aws::dead_letters::DeadLetters;
use crate::aws::documents::Bucket;
use crate::aws::queue::Queue;
use crate::aws::sdk_http::{CONNECT_TIMEOUT, SdkHttp};
use crate::aws::secrets::oauth_client::OauthClient;
use crate::aws::secrets::wrapping::Wrapping;
use crate::aws::secrets::{Credentials, NewSecrets, SealedTable, SecretsManager};
use crate::aws::signing::KmsKey;
use crate::aws::telemetry::Telemetry;
use crate::clock::{Clock, SystemClock};
use crate::settings::{Lookup, Origins, SettingsError, required, retention, schedule};
use crate::store::Store;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use axum::Router;
use axum::body::to_bytes;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use lambda_http::IntoResponse;
use lambda_http::tower::ServiceExt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

const SECRET_PREFIX: &str = "SECRET_PREFIX";
const CREDENTIAL_KEY_ID: &str = "CREDENTIAL_KEY_ID";
const LOG_KEY_ID: &str = "LOG_KEY_ID";

/// JSON lines on stdout, as Lambda's JSON log format expects them, from the level that the function's own setting `AWS_LAMBDA_LOG_LEVEL` names.
///
/// A plain level and no filter language: its regular expressions would be a tenth of every bootstrap.
pub fn start_logging(lookup: Lookup<'_>) {
    let level = lookup("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_ansi(false).with_max_level(level);
    // A second start in one process changes nothing.
    drop(log.try_init());
}

/// Serves routes as a function behind an HTTP API, for as long as there are events.
///
/// # Errors
/// Without the runtime that gives them.
pub async fn serve(routes: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(ServiceExt::<lambda_http::Request>::map_response(routes, Answer)).await
}

/// An answer as an event has it: text where it is UTF-8, and Base64 otherwise, which are the same bytes to who asked. The library's own way goes by the media
/// type, and has the tables of forty character sets with it.
struct Answer(Response);

impl IntoResponse for Answer {
    fn into_response(self) -> Pin<Box<dyn Future<Output = http::Response<lambda_http::Body>> + Send>> {
        Box::pin(async {
            let (mut parts, body) = self.0.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap_or_else(|error| {
                tracing::error!(%error, "an answer could not be made");
                parts.status = StatusCode::INTERNAL_SERVER_ERROR;
                Bytes::new()
            });
            let body = String::from_utf8(body.into()).map_or_else(|error| error.into_bytes().into(), Into::into);
            http::Response::from_parts(parts, body)
        })
    }
}

/// AWS as one function sees it. Nothing is asked of it before it is used.
pub struct Aws<'a> {
    config: aws_config::SdkConfig,
    http: SdkHttp,
    lookup: Lookup<'a>,
    patience: Patience,
}

impl<'a> Aws<'a> {
    /// Reads region, credentials and endpoint where Lambda puts them, which is the environment; the rest from `lookup`.
    ///
    /// The chain of every other place where credentials may be costs start-up time and a sixth of a bootstrap.
    #[must_use]
    pub fn load(lookup: Lookup<'a>) -> Self {
        Self::with_patience(lookup, Patience::API)
    }

    /// As [`Aws::load`], and AWS is waited for so long.
    #[must_use]
    pub fn with_patience(lookup: Lookup<'a>, patience: Patience) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(patience.attempt)
            .read_timeout(patience.attempt)
            .operation_timeout(patience.operation)
            .build();
        let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
        let http = SdkHttp::https();
        let mut config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(lookup("AWS_REGION").map(aws_config::Region::new))
            .credentials_provider(credentials)
            .timeout_config(timeouts)
            .http_client(http.clone());
        config.set_endpoint_url(lookup("AWS_ENDPOINT_URL"));
        // What Service does for the requests that are signed by hand.
        config.set_use_fips(Some(uses_fips(lookup)));
        Self { config: config.build(), http, lookup, patience }
    }

    /// With credentials from elsewhere.
    #[must_use]
    pub fn with_credentials(self, credentials: SharedCredentialsProvider) -> Self {
        Self { config: self.config.into_builder().credentials_provider(credentials).build(), ..self }
    }

    /// The table `TABLE_NAME`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn table(&self) -> Result<Store, SettingsError> {
        let store = Store::new(aws_sdk_dynamodb::Client::new(&self.config), required(self.lookup, "TABLE_NAME")?);
        Ok(store.with_retention(retention(self.lookup)?).with_calendar(schedule(self.lookup)?))
    }

    /// The queue `QUEUE_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn run_queue(&self) -> Result<Queue, SettingsError> {
        let (service, url) = self.sqs("QUEUE_URL")?;
        Ok(Queue::Sqs { service: Box::new(service), url })
    }

    /// The queue that a variable names, and SQS, which is where the queue is.
    fn sqs(&self, name: &'static str) -> Result<(Service, String), SettingsError> {
        let url = required(self.lookup, name)?;
        let mut service = self.service("sqs", self.as_asked_for("sqs", url_of(name, &url)?)?)?;
        service.url.set_path("/");
        Ok((service, url))
    }

    /// What that queue put aside: `DEAD_LETTERS_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn dead_letters(&self) -> Result<DeadLetters, SettingsError> {
        let (service, url) = self.sqs("DEAD_LETTERS_URL")?;
        Ok(DeadLetters { service, url })
    }

    /// Secrets below `SECRET_PREFIX`; or the table's sealed credentials, under the key `CREDENTIAL_KEY_ID` of KMS. A stack has one of the two.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn secrets(&self) -> Result<Arc<Credentials>, SettingsError> {
        let [prefix, key_id] = [SECRET_PREFIX, CREDENTIAL_KEY_ID].map(self.lookup);
        Ok(Arc::new(match (prefix, key_id) {
            (Some(_), None) => self.managed()?,
            (None, Some(_)) => self.sealed()?,
            _ => return Err(SettingsError::OneOf(SECRET_PREFIX, CREDENTIAL_KEY_ID)),
        }))
    }

    /// Secrets below `SECRET_PREFIX`. New ones are made under the key `SECRET_KEY_ID` with the tags `SECRET_TAGS`, e.g. `stage=prod owner=security`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn managed(&self) -> Result<Credentials, SettingsError> {
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let new = NewSecrets { key_id: (self.lookup)("SECRET_KEY_ID"), tags: tags((self.lookup)("SECRET_TAGS"))? };
        Ok(Credentials::Manager(SecretsManager::new(client, required(self.lookup, SECRET_PREFIX)?).making(new)))
    }

    /// Credentials in the table `TABLE_NAME`, sealed under the key `CREDENTIAL_KEY_ID` of KMS.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn sealed(&self) -> Result<Credentials, SettingsError> {
        Ok(Credentials::Table(Box::new(SealedTable::new(self.table()?, self.wrapping(CREDENTIAL_KEY_ID)?))))
    }

    /// Secrets Manager.
    #[must_use]
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.config)
    }

    /// The OAuth client in the secret `SAT_OAUTH_SECRET`; none where that is not set.
    #[must_use]
    pub fn oauth_client(&self) -> OauthClient {
        match (self.lookup)("SAT_OAUTH_SECRET") {
            Some(id) => OauthClient::Secret { client: aws_sdk_secretsmanager::Client::new(&self.config), id },
            None => OauthClient::None,
        }
    }

    /// Keys wrapped under the key of KMS that a variable names.
    fn wrapping(&self, name: &'static str) -> Result<Wrapping, SettingsError> {
        let key_id = required(self.lookup, name)?;
        Ok(Wrapping::Kms { service: Box::new(self.kms()?), key_id })
    }

    fn kms(&self) -> Result<Service, SettingsError> {
        let kms = self.regional("kms")?;
        self.service("kms", kms)
    }

    /// Where a service of the region is.
    fn regional(&self, service: &str) -> Result<Url, SettingsError> {
        let region = required(self.lookup, "AWS_REGION")?;
        let fips = if uses_fips(self.lookup) { "-fips" } else { "" };
        url_of("AWS_REGION", &format!("https://{service}{fips}.{region}.{}/", suffix_of(&region)))
    }

    /// The address of a queue or a bucket as a stack says it, at the FIPS endpoint where that is asked for.
    fn as_asked_for(&self, service: &str, mut url: Url) -> Result<Url, SettingsError> {
        let region = required(self.lookup, "AWS_REGION")?;
        // SQS of GovCloud has one endpoint, which is a FIPS endpoint.
        if !uses_fips(self.lookup) || (service == "sqs" && region.starts_with("us-gov-")) {
            return Ok(url);
        }
        let host = url.host_str().unwrap_or_default();
        let parts = host.split('.').map(|part| if part == service { format!("{part}-fips") } else { part.to_owned() });
        let host = parts.collect::<Vec<_>>().join(".");
        url.set_host(Some(&host))
            .map_err(|_| SettingsError::Invalid { name: "AWS_USE_FIPS_ENDPOINT", why: format!("{host} is no host") })?;
        Ok(url)
    }

    /// The key `LOG_KEY_ID` of KMS that signs checkpoints and packs; and the key `PREVIOUS_LOG_KEY_ID` that announces it, where it takes the place of that one.
    /// Their log is called `LOG_NAME`, or as it is `known`, or after the first key.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable, or that a key cannot be used.
    pub async fn log_keys(
        &self,
        known: Option<&str>,
    ) -> Result<(KmsKey, Option<KmsKey>), Box<dyn std::error::Error + Send + Sync>> {
        let key_id = required(self.lookup, LOG_KEY_ID)?;
        let name = (self.lookup)("LOG_NAME");
        let name = name.as_deref().or(known);
        let before = (self.lookup)("PREVIOUS_LOG_KEY_ID");
        Ok(KmsKey::open_with([self.kms()?, self.kms()?], key_id, before, name).await?)
    }

    /// The bucket that a variable names; `None` where it is not set.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn bucket(&self, name: &'static str) -> Result<Option<Bucket>, SettingsError> {
        let Some(url) = (self.lookup)(name) else { return Ok(None) };
        let url = self.as_asked_for("s3", url_of(name, &url)?)?;
        Ok(Some(Bucket { service: Service { url: url.clone(), ..self.service("s3", url)? } }))
    }

    /// Lambda, and the function that `LOG_SIGNING_FUNCTION` names.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn log_signing(&self) -> Result<(Service, Function), SettingsError> {
        let name = required(self.lookup, "LOG_SIGNING_FUNCTION")?;
        let lambda = self.regional("lambda")?;
        Ok((self.service("lambda", lambda)?, Function { name, qualifier: "live".to_owned() }))
    }

    /// Keys of people, wrapped under the key `PEOPLE_KEY_ID` of KMS.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn people_wrapping(&self) -> Result<Wrapping, SettingsError> {
        self.wrapping("PEOPLE_KEY_ID")
    }

    /// The bucket at `CERTIFICATE_BUCKET_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn certificates(&self) -> Result<Bucket, SettingsError> {
        let name = "CERTIFICATE_BUCKET_URL";
        self.bucket(name)?.ok_or(SettingsError::Missing(name))
    }

    /// A service at `url`, or at the endpoint that stands for all of them.
    fn service(&self, name: &'static str, url: Url) -> Result<Service, SettingsError> {
        let url = match (self.lookup)("AWS_ENDPOINT_URL") {
            Some(endpoint) => url_of("AWS_ENDPOINT_URL", &endpoint)?,
            None => url,
        };
        let missing = || SettingsError::Missing("AWS_REGION");
        Ok(Service {
            name,
            url,
            region: required(self.lookup, "AWS_REGION")?,
            credentials: self.config.credentials_provider().ok_or_else(missing)?,
            http: self.http.clone(),
            patience: self.patience,
            clock: self.system_clock(),
        })
    }

    /// Where the vendor's APIs are.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable of an origin that is not allowed.
    pub fn origins(&self) -> Result<Origins, SettingsError> {
        Origins::read(self.lookup)
    }

    /// The settings of this process.
    pub fn lookup(&self) -> Lookup<'a> {
        self.lookup
    }

    /// Metrics of the service `SERVICE_NAME`, by default the application's own name.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        Telemetry::on_stdout((self.lookup)("SERVICE_NAME").unwrap_or_else(|| "huntress-evidence".to_owned()))
    }

    /// The machine's clock.
    #[must_use]
    pub fn system_clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
}

/// Whether AWS is to be asked at its FIPS endpoints: `AWS_USE_FIPS_ENDPOINT`, as for every other tool.
fn uses_fips(lookup: Lookup<'_>) -> bool {
    lookup("AWS_USE_FIPS_ENDPOINT").is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// What the names of hosts end with in the partition of a region.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
fn suffix_of(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "amazonaws.com.cn",
        region if region.starts_with("us-iso-") => "c2s.ic.gov",
        region if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        region if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        region if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        region if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

fn tags(text: Option<String>) -> Result<Vec<(String, String)>, SettingsError> {
    let tag = |tag: &str| tag.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let tags = text.as_deref().unwrap_or_default().split_whitespace().map(tag).collect::<Option<_>>();
    tags.ok_or_else(|| SettingsError::Invalid {
        name: "SECRET_TAGS",
        why: "write it as key=value, divided by blanks".to_owned(),
    })
}

fn url_of(name: &'static str, url: &str) -> Result<Url, SettingsError> {
    url.parse().map_err(|_| SettingsError::Invalid { name, why: "it is no URL".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Where requests to KMS, Lambda, SQS and S3 go, of a stack of this region.
    fn hosts(region: &str, suffix: &str, fips: Option<&str>, endpoint: Option<&str>) -> [String; 4] {
        let queue = format!("https://sqs.{region}.{suffix}/123456789012/runs");
        // A name may have such a part, too, and keeps it.
        let bucket = format!("https://s3-of-acme.s3.{region}.{suffix}");
        let lookup = |name: &str| match name {
            "AWS_REGION" => Some(region.to_owned()),
            "AWS_USE_FIPS_ENDPOINT" => fips.map(str::to_owned),
            "AWS_ENDPOINT_URL" => endpoint.map(str::to_owned),
            "KEY" | "LOG_SIGNING_FUNCTION" => Some("name".to_owned()),
            "QUEUE_URL" | "DEAD_LETTERS_URL" => Some(queue.clone()),
            "CERTIFICATE_BUCKET_URL" => Some(bucket.clone()),
            _ => None,
        };
        let aws = Aws::load(&lookup);
        let Wrapping::Kms { service: kms, .. } = aws.wrapping("KEY").unwrap() else { unreachable!() };
        let Queue::Sqs { service: sqs, url } = aws.run_queue().unwrap() else { unreachable!() };
        // SQS takes the address of a queue as its name, whatever endpoint is asked.
        assert_eq!(url, queue);
        assert_eq!(aws.dead_letters().unwrap().service.url, sqs.url);
        let services = [*kms, aws.log_signing().unwrap().0, *sqs, aws.certificates().unwrap().service];
        for (service, name) in services.iter().zip(["kms", "lambda", "sqs", "s3"]) {
            assert_eq!((service.name, service.region.as_str()), (name, region), "whom requests are signed for");
        }
        services.map(|service| service.url.to_string())
    }

    /// As AWS's own rules say it (botocore's `endpoint-rule-set-1.json` and `partitions.json` of each service).
    #[test]
    fn each_partition_has_hosts_of_its_own_and_fips_where_it_is_asked_for() {
        for (region, suffix) in [
            ("eu-central-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            let at = |parts: [&str; 4]| parts.map(|part| format!("https://{part}.{region}.{suffix}/"));
            let plain = at(["kms", "lambda", "sqs", "s3-of-acme.s3"]);
            assert_eq!(hosts(region, suffix, None, None), plain);
            assert_eq!(hosts(region, suffix, Some("false"), None), plain);
            let sqs = if region.starts_with("us-gov-") { "sqs" } else { "sqs-fips" };
            let fips = at(["kms-fips", "lambda-fips", sqs, "s3-of-acme.s3-fips"]);
            assert_eq!(hosts(region, suffix, Some("true"), None), fips);
        }
        let stand_in = Some("http://127.0.0.1:4566");
        let [kms, lambda, sqs, _] = hosts("eu-central-1", "amazonaws.com", Some("true"), stand_in);
        assert_eq!([kms, lambda, sqs], ["http://127.0.0.1:4566/"; 3].map(str::to_owned));
    }

    #[test]
    fn every_client_waits_for_so_long() {
        for (patience, attempt, operation) in [(Patience::API, 3, 8), (Patience::WORKER, 5, 20)] {
            let aws = Aws::with_patience(&|_| None, patience);
            let timeouts = aws.config.timeout_config().unwrap();
            let [attempt, operation] = [attempt, operation].map(|seconds| Some(Duration::from_secs(seconds)));
            assert_eq!((timeouts.read_timeout(), timeouts.operation_attempt_timeout()), (attempt, attempt));
            assert_eq!((timeouts.operation_timeout(), timeouts.connect_timeout()), (operation, Some(CONNECT_TIMEOUT)));
            let service =
                Aws { patience, ..Aws::load(&|name| (name == "AWS_REGION").then(|| "eu-central-1".to_owned())) };
            let service = service.kms().unwrap();
            assert_eq!((Some(service.patience.attempt), Some(service.patience.operation)), (attempt, operation));
        }
        assert_eq!(Aws::load(&|_| None).patience, Patience::API);
    }

    /// What the event of an answer has as its body.
    async fn body_of(body: impl Into<axum::body::Body>) -> lambda_http::Body {
        Answer(Response::new(body.into())).into_response().await.into_body()
    }

    #[tokio::test]
    async fn a_body_is_text_where_it_is_utf_8_and_bytes_otherwise() {
        use lambda_http::Body;
        assert_eq!(body_of("Grüße <b>").await, Body::Text("Grüße <b>".to_owned()));
        assert_eq!(body_of("").await, Body::Text(String::new()));
        let zip = b"PK\x03\x04\xff\xfe".to_vec();
        assert_eq!(body_of(zip.clone()).await, Body::Binary(zip));
    }

    /// Half of it is not passed off as the whole.
    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let parts = futures_util::stream::iter([Ok("half"), Err(std::io::Error::other("gone"))]);
        let answer = Answer(Response::new(axum::body::Body::from_stream(parts))).into_response().await;
        assert_eq!(
            (answer.status(), answer.body()),
            (StatusCode::INTERNAL_SERVER_ERROR, &lambda_http::Body::Text(String::new()))
        );
    }

    #[test]
    fn tags_are_pairs_divided_by_blanks() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let written = "stage=prod  owner=security=team".to_owned();
        assert_eq!(tags(Some(written)).unwrap(), [pair("stage", "prod"), pair("owner", "security=team")]);
        assert_eq!(tags(None).unwrap(), []);
        assert!(tags(Some("stage".to_owned())).is_err());
    }
}

//! Requests to the services of AWS of which the product needs one or two each, signed with Signature Version 4 and repeated while that may help.
//!
//! By hand and not by the SDKs of those services, which together would be a tenth of every bootstrap.

use crate::aws::sdk_http::SdkHttp;
use crate::clock::Clock;
use crate::settings::environment;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Attempts at one request, the first one included.
const ATTEMPTS: u32 = 4;

/// How long AWS is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest that one attempt may take.
    pub attempt: Duration,
    /// After so long no further attempt is begun.
    pub operation: Duration,
}

impl Patience {
    /// Where somebody waits for an answer: API Gateway gives up after 30 s, and some requests are made one after the other.
    pub const API: Self = Self { attempt: Duration::from_secs(3), operation: Duration::from_secs(8) };

    /// Where nobody does.
    pub const WORKER: Self = Self { attempt: Duration::from_secs(5), operation: Duration::from_secs(20) };
}

/// A service in one region, as one caller sees it.
#[derive(Clone)]
pub struct Service {
    /// The name that requests are signed for, e.g. `kms`.
    pub name: &'static str,
    /// Where it is.
    pub url: Url,
    /// Its region.
    pub region: String,
    /// Whose requests they are.
    pub credentials: SharedCredentialsProvider,
    /// The HTTP client.
    pub http: SdkHttp,
    /// Time, for signatures and waits between attempts.
    pub clock: Arc<dyn Clock>,
    /// How long it is waited for.
    pub patience: Patience,
}

/// Why there is no answer to go by.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// None came, or none that can be read.
    #[error("{service} does not answer")]
    NoAnswer {
        /// The service's name.
        service: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service refused.
    #[error("{action} was refused: {code} (status {status})")]
    Refused {
        /// What was asked for.
        action: &'static str,
        /// The service's own code, e.g. `AccessDeniedException`.
        code: String,
        /// The HTTP status.
        status: u16,
    },
}

impl ServiceError {
    /// Whether the service may answer the same request otherwise in a moment.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Refused { status, code, .. } => *status >= 500 || *status == 429 || code.contains("Throttl"),
        }
    }
}

/// A function of Lambda, by its name and its alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its alias or version.
    pub qualifier: String,
}

/// An operation of a service that speaks JSON.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// What it is called on the wire, e.g. `TrentService.Decrypt`.
    pub target: &'static str,
    /// The version of the protocol, e.g. `1.1`.
    pub version: &'static str,
}

impl Service {
    /// Carries out an operation; an answer that may have been lost is asked for again, so it has to bear being carried out twice.
    ///
    /// # Errors
    /// [`ServiceError`], after the last attempt.
    pub async fn call(&self, operation: Operation, input: &Value) -> Result<Value, ServiceError> {
        let kind = format!("application/x-amz-json-{}", operation.version);
        let mut headers = vec![("content-type", kind.as_str()), ("x-amz-target", operation.target)];
        // So that a trace goes on where the message is received.
        let trace = environment("_X_AMZN_TRACE_ID");
        headers.extend(trace.as_deref().map(|trace| ("x-amzn-trace-id", trace)));
        let body = input.to_string().into_bytes();
        let (status, body) = self.send(Method::POST, self.url.clone(), &headers, body).await?;
        if status != StatusCode::OK {
            let code = code_of(&body).unwrap_or_else(|| "no code".to_owned());
            return Err(ServiceError::Refused { action: operation.target, code, status: status.as_u16() });
        }
        serde_json::from_slice(&body).map_err(|error| self.no_answer(error))
    }

    /// Sends a request; server errors, throttling and answers that do not come are worth other attempts.
    ///
    /// # Errors
    /// [`ServiceError::NoAnswer`], after the last attempt.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), ServiceError> {
        let mut attempt = 1;
        let operation = TimeDelta::from_std(self.patience.operation).unwrap_or(TimeDelta::MAX);
        let end = self.clock.now() + operation;
        loop {
            let outcome = self.attempt(&method, &url, headers, body.clone()).await;
            let passing = outcome.as_ref().map_or(true, |(status, body)| may_pass(*status, body));
            if !passing || attempt == ATTEMPTS {
                return outcome;
            }
            // Up to twice as long, so that clients which failed together do not come back together.
            let wait = 100_i64 << attempt;
            let resume = self.clock.now() + TimeDelta::milliseconds(wait + fastrand::i64(0..wait));
            if resume > end {
                return outcome;
            }
            self.clock.sleep_until(resume).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), ServiceError> {
        let signed = self.signature(method, url, headers, &body).await?;
        let http = self.http.client().map_err(|error| self.no_answer(error))?;
        let mut request = http.request(method.clone(), url.clone()).timeout(self.patience.attempt).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        // Without the address: that of a document has a person in it.
        let answer = request.send().await.map_err(|error| self.no_answer(error.without_url()))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.no_answer(error.without_url()))?;
        Ok((status, bytes.to_vec()))
    }

    /// Has Lambda run a function with an event, beside the answer. It is asked again where its answer was lost, so the event has to bear being handled twice.
    ///
    /// # Errors
    /// [`ServiceError`], after the last attempt.
    pub async fn invoke(&self, function: &Function, event: &Value) -> Result<(), ServiceError> {
        let mut url = self.url.clone();
        url.set_path(&format!("2015-03-31/functions/{}/invocations", function.name));
        url.query_pairs_mut().append_pair("Qualifier", &function.qualifier);
        let headers = [("content-type", "application/json"), ("x-amz-invocation-type", "Event")];
        let (status, body) = self.send(Method::POST, url, &headers, event.to_string().into_bytes()).await?;
        if status == StatusCode::ACCEPTED {
            return Ok(());
        }
        let code = code_of(&body).unwrap_or_else(|| "no code".to_owned());
        Err(ServiceError::Refused { action: "Invoke", code, status: status.as_u16() })
    }

    /// An address that whoever has it can read an object at, for so long.
    ///
    /// # Errors
    /// [`ServiceError::NoAnswer`] where there are no credentials.
    pub async fn presigned(&self, mut url: Url, lasts: Duration) -> Result<Url, ServiceError> {
        let identity = self.credentials.provide_credentials().await.map_err(|error| self.no_answer(error))?.into();
        let mut settings = s3_settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lasts);
        // Whoever reads sends no hash of a body.
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        let params = self.params(&identity, settings)?;
        let host = host_of(&url);
        let headers = std::iter::once(("host", host.as_str()));
        let body = SignableBody::UnsignedPayload;
        let signable = SignableRequest::new(Method::GET.as_str(), url.as_str(), headers, body);
        let signed = sign(signable.map_err(|error| self.no_answer(error))?, &params);
        let (instructions, _) = signed.map_err(|error| self.no_answer(error))?.into_parts();
        let (_, query) = instructions.into_parts();
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, &value);
        }
        Ok(url)
    }

    fn params<'a>(
        &'a self,
        identity: &'a Identity,
        settings: SigningSettings,
    ) -> Result<SigningParams<'a>, ServiceError> {
        let params = v4::SigningParams::builder()
            .identity(identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::from(self.clock.now()))
            .settings(settings)
            .build();
        Ok(params.map_err(|error| self.no_answer(error))?.into())
    }

    async fn signature(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, ServiceError> {
        let identity = self.credentials.provide_credentials().await.map_err(|error| self.no_answer(error))?.into();
        let settings = if self.name == "s3" { s3_settings() } else { SigningSettings::default() };
        let params = self.params(&identity, settings)?;
        let host = host_of(url);
        let headers = std::iter::once(("host", host.as_str())).chain(headers.iter().copied());
        let signable = SignableRequest::new(method.as_str(), url.as_str(), headers, SignableBody::Bytes(body));
        let signed = sign(signable.map_err(|error| self.no_answer(error))?, &params);
        let (instructions, _) = signed.map_err(|error| self.no_answer(error))?.into_parts();
        let (headers, _) = instructions.into_parts();
        Ok(headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect())
    }

    fn no_answer(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServiceError {
        ServiceError::NoAnswer { service: self.name, source: source.into() }
    }
}

/// What S3 asks for, unlike all other services.
fn s3_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the same request may be answered otherwise in a moment.
fn may_pass(status: StatusCode, body: &[u8]) -> bool {
    // Services that speak JSON throttle with status 400.
    let throttled = || code_of(body).is_some_and(|code| code.contains("Throttl"));
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::BAD_REQUEST && throttled())
}

/// The code of an error: `AccessDeniedException` of `com.amazonaws.kms#AccessDeniedException`.
fn code_of(body: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(body).ok()?;
    let code = error.get("__type")?.as_str()?;
    Some(code.rsplit('#').next().unwrap_or(code).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_does_not() {
        let passes = |status, body: &str| may_pass(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(passes(500, "") && passes(503, "<html>") && passes(429, ""));
        assert!(passes(400, r#"{"__type":"com.amazonaws.sqs#ThrottlingException"}"#));
        assert!(passes(400, r#"{"__type":"RequestThrottled"}"#));
        assert!(!passes(400, r#"{"__type":"com.amazonaws.kms#InvalidCiphertextException"}"#));
        assert!(!passes(400, "") && !passes(403, "") && !passes(200, ""));
        assert_eq!(code_of(br#"{"__type":"a.b#C"}"#).as_deref(), Some("C"));
    }
}

//! HTTP of the AWS SDK over the same library that asks Huntress: the SDK's own client would bring a second one, HTTP/2 with it, into every bootstrap.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The client, built when it is first used; its copies share it.
#[derive(Debug, Clone)]
pub struct SdkHttp {
    plain: bool,
    client: Arc<OnceLock<reqwest::Client>>,
}

/// The longest that it may take to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);

impl SdkHttp {
    /// For the endpoints of AWS.
    #[must_use]
    pub fn https() -> Self {
        Self { plain: false, client: Arc::default() }
    }

    /// For an endpoint on this machine. It needs no certificates.
    #[must_use]
    pub fn loopback() -> Self {
        Self { plain: true, client: Arc::default() }
    }

    /// The client.
    ///
    /// # Errors
    /// The TLS library does not start.
    pub fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = if self.plain { crate::tls::loopback_client() } else { crate::tls::client() };
        let client = client.connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl HttpClient for SdkHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector { http: self.clone(), settings: settings.clone() })
    }
}

#[derive(Debug, Clone)]
struct Connector {
    http: SdkHttp,
    settings: HttpConnectorSettings,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new_boxed(Box::pin(async move { connector.send(request).await }))
    }
}

impl Connector {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |why: &'static str| ConnectorError::user(why.into());
        let method = request.method().parse().map_err(|_| user("the request has no known method"))?;
        let body = request.body().bytes().ok_or_else(|| user("the request's body is a stream"))?.to_vec();
        let client = self.http.client().map_err(|error| ConnectorError::user(error.into()))?;
        let mut sent = client.request(method, request.uri()).body(body);
        for (name, value) in request.headers() {
            sent = sent.header(name, value);
        }
        if let Some(timeout) = self.settings.read_timeout() {
            sent = sent.timeout(timeout);
        }
        let answer = sent.send().await.map_err(connector_error)?;
        let status = answer.status().as_u16().try_into();
        let status = status.map_err(|error| ConnectorError::other(Box::new(error), None))?;
        let headers = answer.headers().clone();
        let body = answer.bytes().await.map_err(connector_error)?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in &headers {
            // A header that is no text is none of AWS's.
            if let Ok(value) = value.to_str() {
                response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }
}

/// What passes is told apart from what does not, since the SDK repeats only the first.
fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

//! Four requests to S3, signed with Signature Version 4: put, get, list versions, delete a version.
//!
//! By hand and not by the SDK for S3, which would be the largest part of every bootstrap that has it.

use super::DocumentError;
use crate::clock::Clock;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// Attempts at one request, the first one included.
const ATTEMPTS: u32 = 4;

/// An S3 bucket.
pub struct Bucket {
    /// The HTTP client of the process.
    pub http: reqwest::Client,
    /// Time, for signatures and retries.
    pub clock: Arc<dyn Clock>,
    /// Whose requests they are.
    pub credentials: SharedCredentialsProvider,
    /// The region of the bucket.
    pub region: String,
    /// Where the bucket is: `https://{bucket}.s3.{region}.amazonaws.com`, or an endpoint with the bucket as its path.
    pub url: Url,
}

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    key: String,
    id: String,
}

impl Bucket {
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), DocumentError> {
        match self.send(Method::PUT, self.object(key), bytes).await? {
            (StatusCode::OK, _) => Ok(()),
            (status, _) => Err(refused("PutObject", status)),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, DocumentError> {
        match self.send(Method::GET, self.object(key), Vec::new()).await? {
            (StatusCode::OK, bytes) => Ok(Some(bytes)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(refused("GetObject", status)),
        }
    }

    /// A plain delete would only hide the object behind a marker; so every version goes, and every marker.
    pub(super) async fn erase(&self, prefix: &str) -> Result<(), DocumentError> {
        loop {
            let versions = self.versions(prefix).await?;
            if versions.is_empty() {
                return Ok(());
            }
            for version in versions {
                let mut url = self.object(&version.key);
                url.query_pairs_mut().append_pair("versionId", &version.id);
                match self.send(Method::DELETE, url, Vec::new()).await? {
                    (StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::NOT_FOUND, _) => {}
                    (status, _) => return Err(refused("DeleteObjectVersion", status)),
                }
            }
        }
    }

    /// A page of the versions below a prefix.
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, DocumentError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("prefix", prefix).append_pair("versions", "");
        match self.send(Method::GET, url, Vec::new()).await? {
            (StatusCode::OK, body) => {
                let listed = versions_in(&String::from_utf8_lossy(&body));
                // A listing of something else must never turn into a deletion of it.
                if listed.iter().any(|version| !version.key.starts_with(prefix)) {
                    return Err(DocumentError("the bucket listed what was not asked for".into()));
                }
                Ok(listed)
            }
            (status, _) => Err(refused("ListObjectVersions", status)),
        }
    }

    fn object(&self, key: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        // Names are made of ids, which need no escapes.
        url.set_path(&format!("{base}/{key}"));
        url
    }

    async fn send(&self, method: Method, url: Url, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), DocumentError> {
        let mut attempt = 1;
        loop {
            let outcome = self.attempt(method.clone(), url.clone(), body.clone()).await;
            let passing = match &outcome {
                Ok((status, _)) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
                Err(_) => true,
            };
            if !passing || attempt == ATTEMPTS {
                return outcome;
            }
            self.clock.sleep_until(self.clock.now() + TimeDelta::milliseconds(100 << attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, method: Method, url: Url, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), DocumentError> {
        let signed = self.signature(&method, &url, &body).await?;
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        // Without the address: it has the person in it.
        let answer = request.send().await.map_err(|error| DocumentError(error.without_url().into()))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| DocumentError(error.without_url().into()))?;
        Ok((status, bytes.to_vec()))
    }

    async fn signature(&self, method: &Method, url: &Url, body: &[u8]) -> Result<Vec<(String, String)>, DocumentError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| DocumentError(error);
        let identity = self.credentials.provide_credentials().await.map_err(|error| failed(error.into()))?.into();
        let mut settings = SigningSettings::default();
        // What S3 asks for, unlike all other services.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(self.clock.now()))
            .settings(settings)
            .build()
            .map_err(|error| failed(error.into()))?
            .into();
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let headers = [("host", host.as_str())];
        let signable =
            SignableRequest::new(method.as_str(), url.as_str(), headers.into_iter(), SignableBody::Bytes(body));
        let signed = sign(signable.map_err(|error| failed(error.into()))?, &params);
        let (instructions, _) = signed.map_err(|error| failed(error.into()))?.into_parts();
        let (headers, _) = instructions.into_parts();
        Ok(headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect())
    }
}

fn refused(action: &str, status: StatusCode) -> DocumentError {
    DocumentError(format!("S3 answered {action} with status {}", status.as_u16()).into())
}

/// The versions and delete markers of a listing. Keys and version ids are of characters that XML does not escape, so the elements that hold them
/// can be found as text.
fn versions_in(xml: &str) -> Vec<Version> {
    let element = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    let parts = xml.split("<Version>").skip(1).chain(xml.split("<DeleteMarker>").skip(1));
    parts.filter_map(|part| Some(Version { key: element(part, "Key")?, id: element(part, "VersionId")? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_names_versions_and_markers() {
        let xml = "<ListVersionsResult><Prefix>a/</Prefix><Version><Key>a/b</Key><VersionId>v2</VersionId></Version>\
            <DeleteMarker><Key>a/b</Key><VersionId>v3</VersionId></DeleteMarker>\
            <Version><Key>a/c</Key><VersionId>null</VersionId></Version></ListVersionsResult>";
        let mut listed: Vec<_> = versions_in(xml).into_iter().map(|version| (version.key, version.id)).collect();
        listed.sort();
        let expected = [("a/b", "v2"), ("a/b", "v3"), ("a/c", "null")];
        assert_eq!(listed, expected.map(|(key, id)| (key.to_owned(), id.to_owned())));
        assert_eq!(versions_in("<ListVersionsResult/>"), []);
    }
}

//! Four requests to S3: put, get, list versions, delete a version; and an address for others to get at.

use super::DocumentError;
use super::answer::{Listing, Unreliable, listing, says_no_such_key};
use crate::aws::client::Service;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use std::time::Duration;
use url::Url;

/// An S3 bucket.
pub struct Bucket {
    /// S3, at `https://{bucket}.s3.{region}.amazonaws.com` or an endpoint with the bucket as its path.
    pub service: Service,
}

impl Bucket {
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), DocumentError> {
        // A bucket under Object Lock takes nothing without it.
        let checksum = STANDARD.encode(Sha256::digest(&bytes));
        let headers = [("x-amz-checksum-sha256", checksum.as_str())];
        let put = self.service.send(Method::PUT, self.object(key), &headers, bytes).await;
        match put.map_err(|error| DocumentError(error.into()))? {
            (StatusCode::OK, _) => Ok(()),
            (status, _) => Err(refused("PutObject", status)),
        }
    }

    pub(super) async fn link(&self, key: &str, lasts: Duration) -> Result<Url, DocumentError> {
        self.service.presigned(self.object(key), lasts).await.map_err(|error| DocumentError(error.into()))
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, DocumentError> {
        match self.send(Method::GET, self.object(key), Vec::new()).await? {
            (StatusCode::OK, bytes) => Ok(Some(bytes)),
            (StatusCode::NOT_FOUND, body) if says_no_such_key(&body) => Ok(None),
            (status, _) => Err(refused("GetObject", status)),
        }
    }

    /// A plain delete would only hide the object behind a marker; so every version goes, and every marker. It ends when a whole listing is empty.
    pub(super) async fn erase(&self, prefix: &str) -> Result<(), DocumentError> {
        let mut erased = Vec::new();
        loop {
            let Listing { versions, is_truncated } = self.versions(prefix).await?;
            if versions.is_empty() && !is_truncated {
                return Ok(());
            }
            // Listings are consistent, see https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel.
            if versions == erased {
                return Err(DocumentError(Unreliable("it lists what was deleted").into()));
            }
            for version in &versions {
                let mut url = self.object(&version.key);
                url.query_pairs_mut().append_pair("versionId", &version.id);
                match self.send(Method::DELETE, url, Vec::new()).await? {
                    (StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::NOT_FOUND, _) => {}
                    (status, _) => return Err(refused("DeleteObjectVersion", status)),
                }
            }
            erased = versions;
        }
    }

    /// The first page of the versions below a prefix.
    async fn versions(&self, prefix: &str) -> Result<Listing, DocumentError> {
        let mut url = self.service.url.clone();
        url.query_pairs_mut().append_pair("prefix", prefix).append_pair("versions", "");
        match self.send(Method::GET, url, Vec::new()).await? {
            (StatusCode::OK, body) => listing(&body, prefix).map_err(|error| DocumentError(error.into())),
            (status, _) => Err(refused("ListObjectVersions", status)),
        }
    }

    fn object(&self, key: &str) -> Url {
        let mut url = self.service.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        // Names are made of ids, which need no escapes.
        url.set_path(&format!("{base}/{key}"));
        url
    }

    async fn send(&self, method: Method, url: Url, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), DocumentError> {
        self.service.send(method, url, &[], body).await.map_err(|error| DocumentError(error.into()))
    }
}

fn refused(action: &str, status: StatusCode) -> DocumentError {
    DocumentError(format!("S3 answered {action} with status {}", status.as_u16()).into())
}

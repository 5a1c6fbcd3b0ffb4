//! Four requests to S3: put, get, list versions, delete a version.

use super::DocumentError;
use crate::aws::client::Service;
use reqwest::{Method, StatusCode};
use url::Url;

/// An S3 bucket.
pub struct Bucket {
    /// S3, at `https://{bucket}.s3.{region}.amazonaws.com` or an endpoint with the bucket as its path.
    pub service: Service,
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
        let mut url = self.service.url.clone();
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

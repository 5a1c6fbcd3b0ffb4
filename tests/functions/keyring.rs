//! The two AWS services behind people: keys wrapped by KMS, and certificates in S3, as far as a stand-in can show.

use super::services::signed;
use super::{company, connection};
use acceptance::aws::Aws;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::IntoResponse;
use common::aws::documents::{Bucket, Documents};
use common::aws::secrets::wrapping::{Purpose, WrapError};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Serves a router at a free port and gives its address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}")
}

#[tokio::test]
async fn a_data_key_is_bound_to_its_connection_and_opens_for_no_other() {
    let aws = Aws::start().await;
    let wrapping = aws.wrapping();
    let (company, sat, other) = (company(), connection("sat"), connection("sat-2"));
    let purpose = Purpose::People(&company, &sat);
    let (plain, wrapped) = wrapping.generate(purpose).await.unwrap();
    assert_eq!(wrapping.unwrap(purpose, &wrapped).await.unwrap().bytes(), plain.bytes());
    let elsewhere =
        [Purpose::People(&company, &other), Purpose::PersonHash(&company), Purpose::Credential(&company, &sat)];
    for elsewhere in elsewhere {
        assert!(matches!(wrapping.unwrap(elsewhere, &wrapped).await, Err(WrapError::DoesNotOpen)));
    }
    let calls = aws.calls();
    let context = json!({"purpose": "people", "company": "msp-acme", "connection": "sat"});
    let asked = json!({"KeyId": acceptance::aws::KEY_ID, "KeySpec": "AES_256", "EncryptionContext": context});
    assert_eq!(calls[0], ("TrentService.GenerateDataKey".to_owned(), asked));
    assert_eq!((calls[1].0.as_str(), &calls[1].1["EncryptionContext"]), ("TrentService.Decrypt", &context));
}

/// Objects by key, each with its versions; `None` is a delete marker.
type Objects = Arc<Mutex<BTreeMap<String, Vec<(String, Option<Vec<u8>>)>>>>;

/// A versioned bucket that answers signed requests only.
async fn bucket() -> (Documents, Objects) {
    let objects = Objects::default();
    let answer = async |State(objects): State<Objects>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let signed = headers.get(header::AUTHORIZATION).is_some_and(|it| {
            let it = it.to_str().unwrap();
            it.starts_with("AWS4-HMAC-SHA256 Credential=test/") && it.contains("/eu-central-1/s3/aws4_request")
        });
        let hashed = headers.get("x-amz-content-sha256").is_some_and(|it| it.len() == 64);
        if !signed || !hashed {
            return (StatusCode::FORBIDDEN, Vec::new()).into_response();
        }
        let mut objects = objects.lock().unwrap();
        let key = uri.path().trim_start_matches("/bucket").trim_start_matches('/').to_owned();
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        match method.as_str() {
            "PUT" => {
                let number = objects.values().map(Vec::len).sum::<usize>();
                objects.entry(key).or_default().push((format!("v{number}"), Some(body.to_vec())));
                StatusCode::OK.into_response()
            }
            "GET" if query.contains_key("versions") => {
                let below = objects.iter().filter(|(key, _)| key.starts_with(&query["prefix"]));
                let versions = below.flat_map(|(key, versions)| {
                    versions.iter().map(move |(id, bytes)| {
                        let name = if bytes.is_some() { "Version" } else { "DeleteMarker" };
                        format!("<{name}><Key>{key}</Key><VersionId>{id}</VersionId></{name}>")
                    })
                });
                let versions: Vec<String> = versions.collect();
                let (listed, more) = versions.split_at(versions.len().min(2));
                let more = match more {
                    [] => "<IsTruncated>false</IsTruncated>",
                    _ => "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>",
                };
                format!("<ListVersionsResult>{more}{}</ListVersionsResult>", listed.concat()).into_response()
            }
            "GET" => match objects.get(&key).and_then(|versions| versions.last()?.1.clone()) {
                Some(bytes) => bytes.into_response(),
                None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response(),
            },
            "DELETE" => {
                let versions = objects.entry(key.clone()).or_default();
                versions.retain(|(id, _)| *id != query["versionId"]);
                if versions.is_empty() {
                    objects.remove(&key);
                }
                StatusCode::NO_CONTENT.into_response()
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    };
    let endpoint = serve(Router::new().fallback(answer).with_state(Arc::clone(&objects))).await;
    let bucket = Bucket { service: signed("s3", &format!("{endpoint}/bucket")) };
    (Documents::Bucket(bucket), objects)
}

#[tokio::test]
async fn a_certificate_is_put_got_and_erased_in_every_version() {
    let (documents, objects) = bucket().await;
    documents.put("acme/sat/p1/a/t", b"one".to_vec()).await.unwrap();
    documents.put("acme/sat/p1/a/t", b"two".to_vec()).await.unwrap();
    documents.put("acme/sat/p1/b/t", b"three".to_vec()).await.unwrap();
    documents.put("acme/sat/p2/a/t", b"four".to_vec()).await.unwrap();
    // Somebody deleted it by hand, which only hides it.
    objects.lock().unwrap().get_mut("acme/sat/p1/b/t").unwrap().push(("marker".to_owned(), None));
    assert_eq!(documents.get("acme/sat/p1/a/t").await.unwrap(), Some(b"two".to_vec()));
    assert_eq!(documents.get("acme/sat/p1/c/t").await.unwrap(), None);
    documents.erase("acme/sat/p1/").await.unwrap();
    let left: Vec<String> = objects.lock().unwrap().keys().cloned().collect();
    assert_eq!(left, ["acme/sat/p2/a/t"]);
    documents.erase("acme/sat/p1/").await.unwrap();
}

/// A bucket that answers every listing so, and every deletion with this status.
async fn bucket_that_lists(listing: String, deletion: Option<StatusCode>) -> Documents {
    let answer = async move |method: Method| match (method.as_str(), deletion) {
        ("GET", _) => listing.clone().into_response(),
        ("DELETE", Some(status)) => status.into_response(),
        (other, _) => panic!("{other}"),
    };
    let (documents, _) = bucket().await;
    let Documents::Bucket(mut bucket) = documents else { panic!("no bucket") };
    bucket.service.url = format!("{}/bucket", serve(Router::new().fallback(answer)).await).parse().unwrap();
    Documents::Bucket(bucket)
}

#[tokio::test]
async fn a_listing_that_cannot_be_relied_on_deletes_nothing_and_is_no_success() {
    let version = |key: &str| format!("<Version><Key>{key}</Key><VersionId>v</VersionId></Version>");
    let of =
        |content: String| format!("<ListVersionsResult><IsTruncated>false</IsTruncated>{content}</ListVersionsResult>");
    for listing in [
        of(version("other/sat/p/a")),
        of(String::new()).replace("false", "true"),
        of(version("acme/sat/p1/a")).replace("</ListVersionsResult>", ""),
        "<ListVersionsResult/>".to_owned(),
        "<html><body>Log in</body></html>".to_owned(),
        String::new(),
    ] {
        let documents = bucket_that_lists(listing.clone(), None).await;
        assert!(documents.erase("acme/sat/p1/").await.is_err(), "{listing}");
        assert!(documents.erase("acme/sat/").await.is_err(), "{listing}");
    }
    let documents = bucket_that_lists(of(String::new()), None).await;
    documents.erase("acme/sat/p1/").await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_deletes_nothing_is_no_success() {
    let listing = "<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>acme/sat/p1/a</Key>\
        <VersionId>v</VersionId></Version></ListVersionsResult>";
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
        let documents = bucket_that_lists(listing.to_owned(), Some(status)).await;
        assert!(documents.erase("acme/sat/p1/").await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn a_certificate_is_missing_only_where_the_bucket_says_so() {
    let answer = async || (StatusCode::NOT_FOUND, "<Error><Code>NoSuchBucket</Code></Error>").into_response();
    let (documents, _) = bucket().await;
    let Documents::Bucket(mut bucket) = documents else { panic!("no bucket") };
    bucket.service.url = format!("{}/bucket", serve(Router::new().fallback(answer)).await).parse().unwrap();
    assert!(Documents::Bucket(bucket).get("acme/sat/p1/a/t").await.is_err());
}

//! The signing function against stand-ins for KMS, S3 and Lambda that write requests down: what is asked of them, and what comes of it.

use super::{World, company, connection, services, tick};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use common::app::log::{EvidenceLog, LogError, LogSigner};
use common::app::packs::signing::{Done, Event, Signing, handle};
use common::app::packs::{Download, PackDispatch, PackMaker, PackRequest, PackService, PackWanted, Shelf};
use common::aws::client::Function;
use common::aws::documents::{Bucket, Documents};
use common::aws::signing::{KmsKey, SigningError};
use common::domain::audit::Actor;
use common::domain::log::{Checkpoint, LogId};
use common::domain::note::{Note, VerifierKey};
use common::domain::time::Window;
use common::pack::verify::{Known, verify};
use common::store::{PackRecord, PackState};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A request: method, path with its query, headers and body.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

#[derive(Default)]
struct Heard {
    asked: Mutex<Vec<Asked>>,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What KMS answers in place of a right signature, and whether S3 refuses.
    wrong: Mutex<&'static str>,
}

struct Aws {
    endpoint: String,
    heard: Arc<Heard>,
}

/// The key of an id. `alias/log` is the first one.
fn pair(id: &str) -> Ed25519KeyPair {
    let seed = match id {
        "alias/log" => 3,
        "alias/second" => 4,
        "alias/third" => 5,
        other => panic!("{other}"),
    };
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

impl Aws {
    async fn start() -> Self {
        let heard = Arc::<Heard>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&heard));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { endpoint, heard }
    }

    fn asked(&self, what: &str) -> Vec<Asked> {
        let asked = self.heard.asked.lock().unwrap();
        let of = |it: &&Asked| {
            it.headers.get("x-amz-target").is_some_and(|target| target == what) || it.uri.path().contains(what)
        };
        asked.iter().filter(of).cloned().collect()
    }

    fn set(&self, wrong: &'static str) {
        *self.heard.wrong.lock().unwrap() = wrong;
    }

    async fn key(&self) -> Result<KmsKey, SigningError> {
        KmsKey::open(services::signed("kms", &self.endpoint), "alias/log".to_owned(), None).await
    }

    fn bucket(&self, name: &str) -> Documents {
        Documents::Bucket(Bucket { service: services::signed("s3", &format!("{}/{name}", self.endpoint)) })
    }

    fn shelf(&self) -> Shelf {
        Shelf { documents: self.bucket("certificates"), prefix: "~packs/" }
    }

    /// The signing function as its `main` puts it together.
    async fn signing(&self, world: &World) -> Signing {
        let signer = Arc::new(LogSigner::Kms(Box::new(self.key().await.unwrap())));
        let archive = Some(Arc::new(self.bucket("locked")));
        let clock = world.huntress.clock.clone();
        let log = EvidenceLog { store: world.store.clone(), signer: Arc::clone(&signer), archive, clock };
        Signing { log, maker: PackMaker { reader: world.pack_reader(), signer }, shelf: self.shelf() }
    }

    /// Packs as `packs-api` has them.
    fn packs(&self, world: &World) -> PackService {
        let function = Function { name: "stack-LogSigning-1".to_owned(), qualifier: "live".to_owned() };
        let dispatch =
            PackDispatch::Function { service: Box::new(services::signed("lambda", &self.endpoint)), function };
        PackService { reader: world.pack_reader(), dispatch, shelf: Arc::new(self.shelf()) }
    }
}

async fn answer(
    State(heard): State<Arc<Heard>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert!(headers["authorization"].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 "));
    let wrong = *heard.wrong.lock().unwrap();
    let key_id = || serde_json::from_slice::<Value>(&body).unwrap()["KeyId"].as_str().unwrap().to_owned();
    let answer = match headers.get("x-amz-target").map(|target| target.to_str().unwrap()) {
        Some("TrentService.GetPublicKey") => {
            let spki =
                [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], pair(&key_id()).public_key().as_ref()]
                    .concat();
            let spki = if wrong == "rsa" { vec![0x30; 294] } else { spki };
            (
                StatusCode::OK,
                json!({"PublicKey": STANDARD.encode(spki), "KeySpec": "ECC_NIST_EDWARDS25519"}).to_string(),
            )
        }
        Some("TrentService.Sign") => {
            let input: Value = serde_json::from_slice(&body).unwrap();
            let message = STANDARD.decode(input["Message"].as_str().unwrap()).unwrap();
            let mut signature = pair(&key_id()).sign(&message).as_ref().to_vec();
            match wrong {
                "signature" => signature[5] ^= 1,
                "short" => signature.truncate(10),
                _ => {}
            }
            let answer = json!({"Signature": STANDARD.encode(signature), "SigningAlgorithm": "ED25519_SHA_512"});
            if wrong == "denied" {
                (StatusCode::BAD_REQUEST, json!({"__type": "AccessDeniedException"}).to_string())
            } else {
                (StatusCode::OK, answer.to_string())
            }
        }
        Some(other) => panic!("{other}"),
        None if uri.path().starts_with("/2015-03-31/functions/") => (StatusCode::ACCEPTED, String::new()),
        None if wrong == "s3" => (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>".to_owned()),
        None => {
            heard.objects.lock().unwrap().insert(uri.path().to_owned(), body.to_vec());
            (StatusCode::OK, String::new())
        }
    };
    heard.asked.lock().unwrap().push(Asked { method, uri, headers, body: body.to_vec() });
    answer.into_response()
}

fn hour() -> Event {
    serde_json::from_value(super::sample("log-signing/events/hourly.json")).unwrap()
}

fn main_log() -> LogId {
    LogId::of_connection(&company(), &connection("edr-main"))
}

#[tokio::test]
async fn every_hour_the_logs_that_grew_are_signed_by_kms_and_locked_away() {
    let world = super::evidence::world().await;
    let aws = Aws::start().await;
    let signing = aws.signing(&world).await;
    assert_eq!(handle(&signing, hour()).await.unwrap(), Done { signed: 1, packs: 0 });
    let kept = world.store.kept_checkpoint(&main_log()).await.unwrap().unwrap();
    let note = Note::parse(kept.note.as_bytes()).unwrap();
    let verifier = signing.log.signer.verifier();
    assert!(note.is_signed_by(verifier, common::signing::verify));
    let checkpoint = Checkpoint::parse(&note.text).unwrap();
    assert_eq!((checkpoint.head.size, checkpoint.origin), (2, main_log().origin(verifier.name())));
    // The request, field for field.
    let asked = aws.asked("TrentService.Sign");
    assert_eq!(asked.len(), 1);
    let input: Value = serde_json::from_slice(&asked[0].body).unwrap();
    let message = STANDARD.encode(note.text.as_bytes());
    let expected =
        json!({"KeyId": "alias/log", "Message": message, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"});
    assert_eq!(input, expected);
    // Under Object Lock, with the checksum that S3 asks for there.
    let locked = aws.asked("/locked/checkpoints/");
    assert_eq!(locked.len(), 1);
    assert_eq!(
        (&locked[0].method, locked[0].uri.path()),
        (&Method::PUT, "/locked/checkpoints/msp-acme/edr-main/00000000000000000002")
    );
    assert!(locked[0].headers.contains_key("x-amz-checksum-sha256"));
    assert_eq!(locked[0].body, kept.note.as_bytes());
    // The key that checks them can be read.
    assert_eq!(world.store.log_key().await.unwrap().unwrap().key, verifier.to_string());
    // What has not grown is not signed again.
    assert_eq!(handle(&signing, hour()).await.unwrap(), Done { signed: 0, packs: 0 });
    assert_eq!((aws.asked("TrentService.Sign").len(), world.store.grown_logs().await.unwrap()), (1, vec![]));
    // What grows is, also where its connection is removed.
    world.store.remove_connection(&company(), &connection("edr-main"), tick() + TimeDelta::days(2)).await.unwrap();
    assert_eq!(world.store.grown_logs().await.unwrap(), [main_log()]);
    assert_eq!(handle(&signing, hour()).await.unwrap(), Done { signed: 1, packs: 0 });
    assert_eq!(world.store.kept_checkpoint(&main_log()).await.unwrap().unwrap().size, 3);
}

#[tokio::test]
async fn what_kms_or_the_bucket_refuses_is_tried_again_in_the_next_hour() {
    let world = super::evidence::world().await;
    let aws = Aws::start().await;
    let signing = aws.signing(&world).await;
    for (wrong, said) in [
        ("denied", "the signing key cannot be used"),
        ("signature", "it gave a signature that its public key does not verify"),
        ("short", "it gave no Ed25519 signature"),
        ("s3", "the checkpoint could not be kept in the bucket under Object Lock"),
    ] {
        aws.set(wrong);
        let error = handle(&signing, hour()).await.unwrap_err();
        assert!(error.to_string().starts_with("1 logs could not be signed"), "{wrong}: {error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(said), "{wrong}: {source}");
        // What is not locked away is not given out.
        assert_eq!(world.store.kept_checkpoint(&main_log()).await.unwrap(), None, "{wrong}");
        assert_eq!(world.store.grown_logs().await.unwrap(), [main_log()], "{wrong}");
    }
    aws.set("");
    assert_eq!(handle(&signing, hour()).await.unwrap(), Done { signed: 1, packs: 0 });
    aws.set("rsa");
    let Err(SigningError::Answer(said)) = aws.key().await else { panic!("an RSA key is taken") };
    assert!(said.contains("ECC_NIST_EDWARDS25519"), "{said}");
    // A table that was put back to before the newest checkpoint is not signed: the log would fork.
    let mut kept = world.store.kept_checkpoint(&main_log()).await.unwrap().unwrap();
    kept.size = 7;
    world.store.keep_checkpoint(&main_log(), &kept).await.unwrap();
    assert!(matches!(signing.log.sign(&main_log()).await, Err(LogError::Shorter { size: 2, signed: 7, .. })));
}

#[tokio::test]
async fn a_pack_is_made_by_the_signing_function_and_fetched_from_the_bucket() {
    let mut world = super::evidence::world().await;
    world.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::days(1) + TimeDelta::hours(2)));
    let aws = Aws::start().await;
    let packs = aws.packs(&world);
    let client = "client-acme-corp".parse().unwrap();
    let request = PackRequest {
        company: company(),
        client,
        from: "2026-03-22".parse().unwrap(),
        to: "2026-03-23".parse().unwrap(),
    };
    let pack = packs.ask(&request, None, &Actor::api("alice")).await.unwrap();
    assert_eq!(pack.state, PackState::Making);
    // Lambda is asked to run the function beside the answer.
    let asked = aws.asked("/functions/");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].uri.to_string(), "/2015-03-31/functions/stack-LogSigning-1/invocations?Qualifier=live");
    assert_eq!(asked[0].headers["x-amz-invocation-type"], "Event");
    let event: Event = serde_json::from_slice(&asked[0].body).unwrap();
    let wanted = PackWanted { company: company(), client: request.client.clone(), pack: pack.id.clone() };
    assert_eq!(event, Event::Pack { pack: wanted });
    // Asked again while it is made, it is not made twice.
    packs.ask(&request, None, &Actor::api("alice")).await.unwrap();
    assert_eq!(aws.asked("/functions/").len(), 1);
    let fetched = packs.fetch(&company(), &request.client, &pack.id, None).await.unwrap();
    assert!(matches!(fetched, Download::NotReady(PackRecord { state: PackState::Making, .. })));

    let signing = aws.signing(&world).await;
    assert_eq!(handle(&signing, event.clone()).await.unwrap(), Done { signed: 0, packs: 1 });
    let name = format!("/certificates/~packs/msp-acme/client-acme-corp/{}.zip", pack.id);
    let bytes = aws.heard.objects.lock().unwrap()[&name].clone();
    let report = verify(&bytes, &Known { keys: vec![signing.log.signer.verifier().clone()], older: Vec::new() });
    assert!(report.is_good(), "{:?}", report.failure());
    let Download::Link(link) = packs.fetch(&company(), &request.client, &pack.id, None).await.unwrap() else {
        panic!("no link")
    };
    assert_eq!(link.path(), name);
    let query: BTreeMap<_, _> = link.query_pairs().into_owned().collect();
    assert_eq!((query["X-Amz-Expires"].as_str(), query["X-Amz-SignedHeaders"].as_str()), ("300", "host"));
    assert!(query["X-Amz-Credential"].ends_with("/eu-central-1/s3/aws4_request"), "{query:?}");
    // Delivered twice, it is the same file.
    assert_eq!(handle(&signing, event).await.unwrap(), Done { signed: 0, packs: 1 });
    assert_eq!(aws.heard.objects.lock().unwrap()[&name], bytes);
    // A passing fault is tried again by Lambda; the record stays as it is.
    aws.set("s3");
    let again = PackRecord { state: PackState::Making, ..pack.clone() };
    world.store.keep_pack(&company(), &again, None).await.unwrap();
    let wanted = PackWanted { company: company(), client: request.client.clone(), pack: pack.id.clone() };
    assert!(handle(&signing, Event::Pack { pack: wanted }).await.is_err());
    let record = world.store.pack(&company(), &request.client, &pack.id).await.unwrap().unwrap();
    assert_eq!(record.state, PackState::Making);
    let sample: Event = serde_json::from_value(super::sample("log-signing/events/pack.json")).unwrap();
    assert!(matches!(sample, Event::Pack { .. }));
}

/// A key of KMS, in place of another where one is named, as `log-signing` opens it.
async fn signer(aws: &Aws, world: &World, (key, before): (&str, Option<&str>)) -> LogSigner {
    let kept = world.store.log_key().await.unwrap().map(|kept| VerifierKey::parse(&kept.key).unwrap());
    let services = [services::signed("kms", &aws.endpoint), services::signed("kms", &aws.endpoint)];
    let name = kept.as_ref().map(VerifierKey::name);
    match KmsKey::open_with(services, key.to_owned(), before.map(str::to_owned), name).await.unwrap() {
        (key, None) => LogSigner::Kms(Box::new(key)),
        (key, Some(before)) => LogSigner::Replacing { key: Box::new(key), before: Box::new(before) },
    }
}

/// The signing function with a key.
fn put_together(aws: &Aws, world: &World, signer: LogSigner) -> Signing {
    let signer = Arc::new(signer);
    let clock = world.huntress.clock.clone();
    let log = EvidenceLog { store: world.store.clone(), signer: Arc::clone(&signer), archive: None, clock };
    Signing { log, maker: PackMaker { reader: world.pack_reader(), signer }, shelf: aws.shelf() }
}

#[tokio::test]
async fn another_key_of_kms_is_announced_by_the_one_before() {
    let mut world = super::evidence::world().await;
    let aws = Aws::start().await;
    let at = |days: i64, hours: i64| Arc::new(super::Stopped(tick() + TimeDelta::days(days) + TimeDelta::hours(hours)));
    let request = |to: &str| PackRequest {
        company: company(),
        client: "client-acme-corp".parse().unwrap(),
        from: "2026-03-22".parse().unwrap(),
        to: to.parse().unwrap(),
    };
    world.huntress.clock = at(0, 5);
    let first = put_together(&aws, &world, signer(&aws, &world, ("alias/log", None)).await);
    let old = first.log.signer.verifier().clone();
    assert!(old.name().starts_with("huntress-evidence.local/"), "{old}");
    handle(&first, hour()).await.unwrap();
    let earlier = first.maker.pack(&request("2026-03-22")).await.unwrap();

    // A deployment names the new key, and the one before.
    let settings = ("alias/second", Some("alias/log"));
    let second = put_together(&aws, &world, signer(&aws, &world, settings).await);
    let new = second.log.signer.verifier().clone();
    assert_eq!((new.name(), new == old), (old.name(), false), "the log keeps its name");
    // What cannot be announced is not signed either.
    world.store.remove_connection(&company(), &connection("edr-main"), tick() + TimeDelta::hours(6)).await.unwrap();
    aws.set("denied");
    handle(&second, hour()).await.unwrap_err();
    assert_eq!(world.store.company_log(&company()).await.unwrap().len(), 0);
    assert_eq!(world.store.log_key().await.unwrap().unwrap().key, old.to_string());
    aws.set("");
    // The log that grew, and then the company's own, by the new key.
    let mut signed = handle(&second, hour()).await.unwrap().signed;
    signed += handle(&second, hour()).await.unwrap().signed;
    assert_eq!(signed, 2);
    let leaves = world.store.company_log(&company()).await.unwrap();
    assert!(
        leaves.len() == 1 && leaves[0].contains("\"kind\":\"key\"") && leaves[0].contains(&new.to_string()),
        "{leaves:?}"
    );
    for log in [main_log(), LogId::of_company(&company())] {
        let kept = world.store.kept_checkpoint(&log).await.unwrap().unwrap();
        assert!(Note::parse(kept.note.as_bytes()).unwrap().is_signed_by(&new, common::signing::verify), "{log}");
    }
    assert_eq!(world.store.log_key().await.unwrap().unwrap().key, new.to_string());
    let window = Window { start: tick(), end: tick() + TimeDelta::days(1) };
    let events = world.store.audit_events(&company(), window, None, 100).await.unwrap();
    let replaced: Vec<_> =
        events.iter().filter(|it| it.event.action == common::domain::audit::AuditAction::LogKeyReplaced).collect();
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0].event.after, Some(new.to_string().into()));
    // Who holds the old key follows, and compares with what it signed.
    world.huntress.clock = at(1, 5);
    let second = put_together(&aws, &world, signer(&aws, &world, settings).await);
    let later = second.maker.pack(&request("2026-03-23")).await.unwrap();
    let older = vec![("earlier".to_owned(), earlier.as_slice())];
    let report = verify(&later, &Known { keys: vec![old.clone()], older });
    assert!(report.is_good(), "{:?}", report.failure());
    assert!(format!("{report:?}").contains("announced by a key that was given (1 followed)"), "{report:?}");
    // It is announced once.
    assert_eq!(world.store.company_log(&company()).await.unwrap().len(), 1);
    // After that the key alone is enough, and the log keeps its name.
    let alone = signer(&aws, &world, ("alias/second", None)).await;
    assert_eq!(alone.verifier(), &new);
    // A third key that is announced by one that is not in use would be followed by nobody.
    let settings = ("alias/third", Some("alias/log"));
    let wrong = put_together(&aws, &world, signer(&aws, &world, settings).await);
    let refused = wrong.log.sign(&main_log()).await.unwrap_err();
    assert!(matches!(&refused, LogError::AnotherKey { signed } if *signed == new.to_string()), "{refused}");
    assert_eq!(world.store.company_log(&company()).await.unwrap().len(), 1);
    let settings = ("alias/third", Some("alias/second"));
    let third = put_together(&aws, &world, signer(&aws, &world, settings).await);
    third.log.sign(&main_log()).await.unwrap();
    assert_eq!(third.log.signer.verifier().name(), old.name());
    assert_eq!(world.store.company_log(&company()).await.unwrap().len(), 2);
}

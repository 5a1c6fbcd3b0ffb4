//! One contract for every place where credentials are kept: Secrets Manager, sealed files, and sealed in the table.

use super::connection;
use acceptance::aws::{Aws, SECRET_PREFIX};
use acceptance::engine::TABLE;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::aws::secrets::{Binding, Credential, Credentials, SealedFiles, SecretError};
use common::domain::id::{CompanyId, ConnectionId};
use common::domain::product::Product;
use common::huntress::edr::EdrCredential;
use common::huntress::sat::SatCredential;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::HashMap;
use tempfile::TempDir;

const MARKERS: [&str; 2] = ["hk_marker_5f0c2d9ab1", "hs_marker_77e1c0d4f2"];

/// A place, and what somebody can do who writes to it.
enum Place {
    Manager(Aws),
    Files(TempDir),
    Table(Aws),
}

type Item = HashMap<String, AttributeValue>;

impl Place {
    async fn all() -> [Self; 3] {
        [Self::Manager(Aws::start().await), Self::Files(TempDir::new().unwrap()), Self::Table(Aws::start().await)]
    }

    fn credentials(&self) -> Credentials {
        match self {
            Self::Manager(aws) => aws.managed(),
            Self::Files(folder) => Credentials::Sealed(SealedFiles::open(folder.path()).unwrap()),
            Self::Table(aws) => aws.sealed(aws.store()),
        }
    }

    /// What is stored of a connection is changed, and stored as another's.
    async fn forge(&self, from: (&str, &str), to: (&str, &str), damage: bool) {
        match self {
            Self::Manager(aws) => aws.secrets(|secrets| {
                let name = |(company, connection)| format!("{SECRET_PREFIX}/{company}/{connection}");
                let content = secrets[&name(from)].clone();
                secrets.insert(name(to), if damage { content[1..].to_owned() } else { content });
            }),
            Self::Files(folder) => {
                let file = |(company, connection)| folder.path().join(format!("{connection}@{company}.sealed"));
                let mut bytes = std::fs::read(file(from)).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= u8::from(damage);
                std::fs::write(file(to), bytes).unwrap();
            }
            Self::Table(aws) => {
                let mut item = item(aws, from).await;
                if damage {
                    let content = item["content"].as_s().unwrap();
                    let other = if content.starts_with('A') { "B" } else { "A" };
                    item.insert("content".to_owned(), AttributeValue::S(format!("{other}{}", &content[1..])));
                }
                item.extend(key(to));
                put(aws, item).await;
            }
        }
    }
}

fn key((company, connection): (&str, &str)) -> Item {
    let text = |text: String| AttributeValue::S(text);
    [
        ("pk".to_owned(), text(format!("CREDENTIAL#{company}"))),
        ("sk".to_owned(), text(format!("CONNECTION#{connection}"))),
    ]
    .into()
}

async fn item(aws: &Aws, of: (&str, &str)) -> Item {
    let got = aws.engine.client().get_item().table_name(TABLE).set_key(Some(key(of))).send().await;
    got.unwrap().item.unwrap()
}

async fn put(aws: &Aws, item: Item) {
    aws.engine.client().put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

fn edr([key, secret]: [&str; 2]) -> Credential {
    Credential::Edr(EdrCredential { key: key.into(), secret: secret.into() })
}

/// The two halves of the credential of a connection.
async fn get(place: &Place, of: (&str, &str), product: Product) -> Result<[String; 2], SecretError> {
    let (company, connection) = (CompanyId::parse(of.0).unwrap(), connection(of.1));
    let got = place.credentials().get(Binding { company: &company, connection: &connection, product }).await?;
    let halves = match &got {
        Credential::Edr(EdrCredential { key, secret }) => [key, secret],
        Credential::Sat(SatCredential { client_id, client_secret }) => [client_id, client_secret],
        Credential::Agreement(_) => panic!("nobody has agreed to anything here"),
    };
    assert_eq!(got.product(), product);
    Ok(halves.map(|half| half.expose_secret().to_owned()))
}

async fn put_for(place: &Place, of: (&str, &str), credential: &Credential) {
    let (company, connection) = (CompanyId::parse(of.0).unwrap(), ConnectionId::parse(of.1).unwrap());
    let binding = Binding { company: &company, connection: &connection, product: credential.product() };
    place.credentials().put(binding, credential).await.unwrap();
}

/// That something is there and is not to be had. Which of the two it is depends on whether the place can look into it.
fn refused(found: Result<[String; 2], SecretError>) -> bool {
    matches!(found, Err(SecretError::BoundElsewhere | SecretError::Malformed))
}

#[tokio::test]
async fn a_credential_is_kept_and_replaced() {
    for place in Place::all().await {
        let missing = get(&place, ("acme", "one"), Product::Edr).await;
        assert!(matches!(missing, Err(SecretError::Missing)), "{missing:?}");
        put_for(&place, ("acme", "one"), &edr(["first", "credential"])).await;
        put_for(&place, ("acme", "one"), &edr(MARKERS)).await;
        let sat = SatCredential { client_id: "id".into(), client_secret: "secret".into() };
        put_for(&place, ("acme", "two"), &Credential::Sat(sat)).await;
        assert_eq!(get(&place, ("acme", "one"), Product::Edr).await.unwrap(), MARKERS);
        assert_eq!(get(&place, ("acme", "two"), Product::Sat).await.unwrap(), ["id", "secret"]);
        // It is nobody else's: not of a company with such a connection, not of another product.
        for of in [("acme", "three"), ("other", "one")] {
            assert!(matches!(get(&place, of, Product::Edr).await, Err(SecretError::Missing)), "{of:?}");
        }
        assert!(refused(get(&place, ("acme", "one"), Product::Sat).await));
    }
}

#[tokio::test]
async fn a_removed_credential_is_gone_alone_and_can_be_kept_anew() {
    for place in Place::all().await {
        let company = CompanyId::parse("acme").unwrap();
        let one = connection("one");
        let binding = Binding { company: &company, connection: &one, product: Product::Edr };
        for of in [("acme", "one"), ("acme", "two")] {
            put_for(&place, of, &edr(MARKERS)).await;
        }
        for _ in ["there", "gone already"] {
            place.credentials().remove(binding).await.unwrap();
            assert!(matches!(get(&place, ("acme", "one"), Product::Edr).await, Err(SecretError::Missing)));
        }
        assert!(get(&place, ("acme", "two"), Product::Edr).await.is_ok());
        put_for(&place, ("acme", "one"), &edr(MARKERS)).await;
        assert_eq!(get(&place, ("acme", "one"), Product::Edr).await.unwrap(), MARKERS);
    }
}

#[tokio::test]
async fn what_is_moved_or_damaged_does_not_open() {
    for place in Place::all().await {
        put_for(&place, ("acme", "one"), &edr(MARKERS)).await;
        for elsewhere in [("acme", "two"), ("other", "one")] {
            place.forge(("acme", "one"), elsewhere, false).await;
            assert!(refused(get(&place, elsewhere, Product::Edr).await), "{elsewhere:?}");
        }
        assert!(get(&place, ("acme", "one"), Product::Edr).await.is_ok(), "its own is as it was");
        place.forge(("acme", "one"), ("acme", "one"), true).await;
        assert!(refused(get(&place, ("acme", "one"), Product::Edr).await));
    }
}

#[tokio::test]
async fn a_service_that_refuses_is_no_missing_credential() {
    for (refused, place) in ["secretsmanager", "", "TrentService"].into_iter().zip(Place::all().await) {
        put_for(&place, ("acme", "one"), &edr(MARKERS)).await;
        let (Place::Manager(aws) | Place::Table(aws)) = &place else { continue };
        aws.refuse(refused);
        assert!(matches!(get(&place, ("acme", "one"), Product::Edr).await, Err(SecretError::Unavailable(_))));
        if let Place::Table(aws) = &place {
            aws.refuse("DynamoDB");
            assert!(matches!(get(&place, ("acme", "one"), Product::Edr).await, Err(SecretError::Unavailable(_))));
        }
    }
}

#[tokio::test]
async fn the_table_holds_no_credential_in_the_clear_and_a_key_for_each() {
    let aws = Aws::start().await;
    let place = Place::Table(aws);
    let Place::Table(aws) = &place else { unreachable!() };
    for of in [("acme", "one"), ("acme", "two"), ("acme", "one")] {
        put_for(&place, of, &edr(MARKERS)).await;
    }
    let table = aws.engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    assert_eq!(table.len(), 2);
    let mut names: Vec<&String> = table[0].keys().collect();
    names.sort();
    assert_eq!(names, ["content", "data_key", "pk", "schema_version", "sk"]);
    assert_ne!(table[0]["data_key"], table[1]["data_key"]);
    assert!(!MARKERS.iter().any(|marker| format!("{table:?}").contains(marker)));
    // Three keys were made, each for one connection; opening asks for the same.
    get(&place, ("acme", "one"), Product::Edr).await.unwrap();
    let calls = aws.calls();
    let asked: Vec<&str> = calls.iter().map(|(operation, _)| operation.as_str()).collect();
    let made = "TrentService.GenerateDataKey";
    assert_eq!(asked, [made, made, made, "TrentService.Decrypt"]);
    let context = |connection| json!({"purpose": "credential", "company": "acme", "connection": connection});
    assert_eq!(calls[1].1["EncryptionContext"], context("two"));
    assert_eq!(calls[3].1["EncryptionContext"], context("one"));
    assert_eq!(calls[3].1["KeyId"], acceptance::aws::KEY_ID);
}

#[tokio::test]
async fn neither_half_of_a_sealed_credential_moves_alone() {
    let place = Place::Table(Aws::start().await);
    let Place::Table(aws) = &place else { unreachable!() };
    for of in [("acme", "one"), ("acme", "two")] {
        put_for(&place, of, &edr(MARKERS)).await;
    }
    let (one, two) = (item(aws, ("acme", "one")).await, item(aws, ("acme", "two")).await);
    for column in ["content", "data_key"] {
        let mut mixed = two.clone();
        mixed.insert(column.to_owned(), one[column].clone());
        put(aws, mixed).await;
        assert!(refused(get(&place, ("acme", "two"), Product::Edr).await), "{column}");
    }
    // Not even with its key, wrapped for the other connection: the column itself is bound. It is refused before its content is looked at.
    let bytes = |item: &Item| STANDARD.decode(item["data_key"].as_s().unwrap()).unwrap();
    let rewrapped = STANDARD.encode([&bytes(&one)[..32], &bytes(&two)[32..]].concat());
    let mut moved = one.clone();
    moved.extend(key(("acme", "two")));
    moved.insert("data_key".to_owned(), AttributeValue::S(rewrapped));
    put(aws, moved).await;
    let found = get(&place, ("acme", "two"), Product::Edr).await;
    assert!(matches!(found, Err(SecretError::Malformed)), "{found:?}");
    put(aws, two).await;
    assert!(get(&place, ("acme", "two"), Product::Edr).await.is_ok());
}

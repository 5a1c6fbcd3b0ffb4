//! What the leaves of a log say.

use super::Hash;
use super::jcs::{self, NotCanonical};
use super::tree::{Tree, leaf_hash};
use crate::controls::ControlMap;
use crate::failure::FailureCode;
use crate::id::{CompanyId, ConnectionId, RunId};
use crate::product::Product;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of the statements that this program writes and reads.
pub const VERSION: u32 = 1;

/// A leaf of a connection's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The version of the form: 1.
    pub v: u32,
    /// Whose connection.
    pub company: CompanyId,
    /// Which connection.
    pub connection: ConnectionId,
    /// The product that it reads.
    pub product: Product,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A run ended and its evidence became visible.
    Evidence(EvidenceLeaf),
    /// A run ended without evidence.
    Failure(FailureLeaf),
    /// The connection was removed.
    Disconnected {
        /// When.
        ended_at: DateTime<Utc>,
    },
    /// A connection with the id of a removed one was saved; its log goes on.
    Reconnected {
        /// When.
        ended_at: DateTime<Utc>,
    },
}

/// The version of the rules that numbers and outcomes come about by.
///
/// 2 is that of the first bundles with facts. Its first releases held an incident of unknown severity to be of none, later ones to be of any, as 3 always does.
pub const RULES: &str = "3";

/// What was in force when evidence was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationBasis {
    /// The SHA-256 of the JCS form of each policy, sorted.
    pub policies: Vec<Hash>,
    /// The SHA-256 of the JCS form of the control map.
    pub control_map: Hash,
    /// The version of the rules.
    pub rules: String,
}

impl EvaluationBasis {
    /// These policies, and the control map and the rules of this program.
    #[must_use]
    pub fn new(mut policies: Vec<Hash>) -> Self {
        policies.sort_unstable();
        policies.dedup();
        Self { policies, control_map: Hash::of(&ControlMap::current_form()), rules: RULES.to_owned() }
    }
}

/// What a run committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLeaf {
    /// The run.
    pub run_id: RunId,
    /// The instant that it was evaluated at.
    pub as_of: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How many bundles.
    pub bundles: u64,
    /// The root over the bundles' bytes: see [`bundle_tree`].
    pub bundle_root: Hash,
    /// The SHA-256 of the JCS form of each policy in force, sorted.
    pub policies: Vec<Hash>,
    /// The SHA-256 of the JCS form of the control map in force.
    pub control_map: Hash,
    /// The version of the rules that the numbers came about by.
    pub rules: String,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureLeaf {
    /// The run.
    pub run_id: RunId,
    /// Its first start.
    pub as_of: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// Why.
    pub code: FailureCode,
    /// The request that failed, e.g. `GET /v1/agents`; null where it was none.
    pub request: Option<String>,
}

impl Statement {
    /// A statement in the current version.
    #[must_use]
    pub fn new(company: CompanyId, connection: ConnectionId, product: Product, event: Event) -> Self {
        Self { v: VERSION, company, connection, product, event }
    }

    /// When it was made: the end of the run, or the instant of what happened.
    #[must_use]
    pub fn ended_at(&self) -> DateTime<Utc> {
        match &self.event {
            Event::Evidence(leaf) => leaf.ended_at,
            Event::Failure(leaf) => leaf.ended_at,
            Event::Disconnected { ended_at } | Event::Reconnected { ended_at } => *ended_at,
        }
    }

    /// The run that it is about, if it is about one.
    #[must_use]
    pub fn run_id(&self) -> Option<&RunId> {
        match &self.event {
            Event::Evidence(leaf) => Some(&leaf.run_id),
            Event::Failure(leaf) => Some(&leaf.run_id),
            Event::Disconnected { .. } | Event::Reconnected { .. } => None,
        }
    }

    /// What it says of a run's evidence, if that is what it is about.
    #[must_use]
    pub fn evidence(&self) -> Option<&EvidenceLeaf> {
        match &self.event {
            Event::Evidence(leaf) => Some(leaf),
            _ => None,
        }
    }
}

/// A leaf of the company's own log. It tells nobody about a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyStatement {
    /// The version of the form: 1.
    pub v: u32,
    /// Whose log.
    pub company: CompanyId,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What it says.
    #[serde(flatten)]
    pub event: CompanyEvent,
}

/// What the company's own log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CompanyEvent {
    /// A decision was recorded.
    Decision {
        /// The id of the record.
        id: String,
        /// The SHA-256 of the record's JCS form. The record carries a random nonce, so that nobody can guess it from its hash.
        sha256: Hash,
    },
    /// Checkpoints after this leaf are signed by another key.
    Key {
        /// The verifier key of the new one: `name+hash+base64`.
        key: String,
        /// The signature of the old key over [`CompanyStatement::signed_form`], 64 bytes in base64; empty while it is computed.
        signature: String,
    },
}

impl CompanyStatement {
    /// The commitment to a decision: `record` is what is kept of it, with its nonce.
    ///
    /// # Errors
    /// [`NotCanonical`].
    pub fn decision(
        company: CompanyId,
        id: impl Into<String>,
        at: DateTime<Utc>,
        record: &impl Serialize,
    ) -> Result<Self, NotCanonical> {
        let sha256 = Hash::of(&jcs::to_bytes(record)?);
        Ok(Self { v: VERSION, company, at, event: CompanyEvent::Decision { id: id.into(), sha256 } })
    }

    /// The bytes that the signature of a `key` leaf is over: its JCS form without `signature`. `None` for another kind.
    #[must_use]
    pub fn signed_form(&self) -> Option<Vec<u8>> {
        #[derive(Serialize)]
        struct Unsigned<'a> {
            v: u32,
            company: &'a CompanyId,
            kind: &'static str,
            at: DateTime<Utc>,
            key: &'a str,
        }
        let CompanyEvent::Key { key, .. } = &self.event else { return None };
        jcs::to_bytes(&Unsigned { v: self.v, company: &self.company, kind: "key", at: self.at, key }).ok()
    }
}

/// Something that is a leaf.
pub trait Leaf: Serialize + DeserializeOwned {
    /// The version that it is written in.
    fn version(&self) -> u32;

    /// The leaf's data: its JCS form.
    ///
    /// # Errors
    /// [`NotCanonical`].
    fn data(&self) -> Result<Vec<u8>, NotCanonical> {
        jcs::to_bytes(self)
    }

    /// Reads a leaf's data.
    ///
    /// # Errors
    /// [`InvalidLeaf`] for a version that is not known, and for anything that is not the JCS form of what was read.
    fn parse(data: &[u8]) -> Result<Self, InvalidLeaf> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let Versioned { v } = serde_json::from_slice(data).map_err(|_| InvalidLeaf::Unreadable)?;
        if v != VERSION {
            return Err(InvalidLeaf::Version(v));
        }
        let leaf: Self = serde_json::from_slice(data).map_err(|_| InvalidLeaf::Unreadable)?;
        match leaf.data() {
            Ok(canonical) if canonical == data => Ok(leaf),
            _ => Err(InvalidLeaf::NotCanonical),
        }
    }
}

impl Leaf for Statement {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Leaf for CompanyStatement {
    fn version(&self) -> u32 {
        self.v
    }
}

/// Data that is no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLeaf {
    /// It is no JSON, or lacks a field, or a field is not what it has to be.
    #[error("it is no statement")]
    Unreadable,
    /// A newer program wrote it.
    #[error("it is a statement of version {0}, which this program does not read")]
    Version(u32),
    /// It has fields that are not known, or is spelled in another way.
    #[error("it is not in its canonical form (RFC 8785)")]
    NotCanonical,
}

/// The tree over the committed bytes of one run's bundles: the company's own first, then by client id in byte order.
///
/// ```
/// use evidence_domain::log::statement::bundle_tree;
/// assert_eq!(bundle_tree([br#"{"a":1}"#.as_slice(), b"{}"]).size(), 2);
/// ```
#[must_use]
pub fn bundle_tree<'a>(bundles: impl IntoIterator<Item = &'a [u8]>) -> Tree {
    Tree::of(bundles.into_iter().map(leaf_hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse;

    fn statement(event: Event) -> Statement {
        let (company, connection) = (CompanyId::parse("msp-acme").unwrap(), ConnectionId::parse("edr").unwrap());
        Statement::new(company, connection, Product::Edr, event)
    }

    fn evidence() -> Statement {
        statement(Event::Evidence(EvidenceLeaf {
            run_id: RunId::parse("019d1522-9800-7000-8000-000000000001").unwrap(),
            as_of: parse("2026-03-22T12:00:00Z").unwrap(),
            ended_at: parse("2026-03-22T12:00:02.25Z").unwrap(),
            bundles: 3,
            bundle_root: Hash::of(b""),
            policies: vec![Hash::of(b"a")],
            control_map: Hash::of(b"b"),
            rules: "2".to_owned(),
        }))
    }

    #[test]
    fn a_statement_is_written_as_the_contract_says() {
        let text = String::from_utf8(evidence().data().unwrap()).unwrap();
        let expected = concat!(
            r#"{"as_of":"2026-03-22T12:00:00Z","bundle_root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","bundles":3,"#,
            r#""company":"msp-acme","connection":"edr","control_map":"PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0=","#,
            r#""ended_at":"2026-03-22T12:00:02.250Z","kind":"evidence","policies":["ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="],"#,
            r#""product":"huntress-edr","rules":"2","run_id":"019d1522-9800-7000-8000-000000000001","v":1}"#
        );
        assert_eq!(text, expected);
        assert_eq!(Statement::parse(text.as_bytes()), Ok(evidence()));
    }

    #[test]
    fn a_failure_has_nothing_of_evidence() {
        let failure = statement(Event::Failure(FailureLeaf {
            run_id: RunId::parse("r1").unwrap(),
            as_of: parse("2026-03-22T12:00:00Z").unwrap(),
            ended_at: parse("2026-03-22T12:00:02Z").unwrap(),
            code: FailureCode::Unavailable,
            request: Some("GET /v1/agents".to_owned()),
        }));
        let text = String::from_utf8(failure.data().unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"as_of":"2026-03-22T12:00:00Z","code":"unavailable","company":"msp-acme","connection":"edr","#,
                r#""ended_at":"2026-03-22T12:00:02Z","kind":"failure","product":"huntress-edr","request":"GET /v1/agents","run_id":"r1","v":1}"#
            )
        );
        let gone = statement(Event::Disconnected { ended_at: parse("2026-03-22T12:00:02Z").unwrap() });
        let text = String::from_utf8(gone.data().unwrap()).unwrap();
        assert!(
            text.contains(r#""ended_at":"2026-03-22T12:00:02Z","kind":"disconnected""#) && !text.contains("run_id")
        );
        assert_eq!(Statement::parse(text.as_bytes()), Ok(gone));
    }

    #[test]
    fn only_the_canonical_form_is_a_leaf() {
        let text = String::from_utf8(evidence().data().unwrap()).unwrap();
        let changed = [
            text.replace(":3,", ": 3,"),
            text.replace("\"v\":1", "\"v\":1,\"w\":0"),
            text.replace("12:00:02.250Z", "12:00:02.25Z"),
            format!("{text}\n"),
            text.replace(":3,", ":3.0,"),
        ];
        for changed in changed {
            assert_ne!(changed, text);
            assert!(Statement::parse(changed.as_bytes()).is_err(), "{changed}");
        }
        assert_eq!(Statement::parse(text.replace("\"v\":1", "\"v\":2").as_bytes()), Err(InvalidLeaf::Version(2)));
        assert_eq!(Statement::parse("[".repeat(100_000).as_bytes()), Err(InvalidLeaf::Unreadable));
    }

    #[test]
    fn a_commitment_is_to_the_canonical_form_of_the_record() {
        let (company, at) = (CompanyId::parse("msp-acme").unwrap(), parse("2026-03-22T12:00:00Z").unwrap());
        let one = serde_json::json!({"nonce": "00", "id": "e1"});
        let same: serde_json::Value = serde_json::from_str("{ \"id\": \"e1\", \"nonce\": \"00\" }").unwrap();
        let leaf = CompanyStatement::decision(company.clone(), "e1", at, &one).unwrap();
        assert_eq!(leaf, CompanyStatement::decision(company.clone(), "e1", at, &same).unwrap());
        let text = String::from_utf8(leaf.data().unwrap()).unwrap();
        assert!(text.starts_with(
            r#"{"at":"2026-03-22T12:00:00Z","company":"msp-acme","id":"e1","kind":"decision","sha256":""#
        ));
        assert_eq!(CompanyStatement::parse(text.as_bytes()), Ok(leaf));
        let event = CompanyEvent::Key { key: "n+00000000+AQ==".to_owned(), signature: "c2ln".to_owned() };
        let key = CompanyStatement { v: VERSION, company, at, event };
        let signed = String::from_utf8(key.signed_form().unwrap()).unwrap();
        assert_eq!(
            signed,
            r#"{"at":"2026-03-22T12:00:00Z","company":"msp-acme","key":"n+00000000+AQ==","kind":"key","v":1}"#
        );
    }
}

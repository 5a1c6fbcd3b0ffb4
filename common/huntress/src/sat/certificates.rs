//! Completion certificates. How the vendor wants to be asked and what it answers is not documented: all that is assumed of it is in this file.
//!
//! Assumed is `GET /assignments/{id}/completion-certificate?learnerId=…`, answered with the document itself, or with JSON in which an attribute is an
//! address of it on the vendor's host. That address is not followed as it stands: its path and parameters are asked of our own origin, without a token.

use super::SatClient;
use crate::error::{BodyError, FetchError};
use crate::request::{Auth, Get, Response};
use evidence_domain::people::roster::LearnerId;
use evidence_domain::sat::id::SatId;
use serde_json::Value;
use std::fmt;

/// The parameter that names the learner.
const LEARNER_PARAMETER: &str = "learnerId";

/// What is asked for: a document, or JSON that says where it is.
const ACCEPT: &str = "application/pdf, application/vnd.api+json, application/json, */*;q=0.5";

/// What came of asking for a certificate.
pub enum Fetched {
    /// The document.
    Document {
        /// Its bytes. They name a person, so nothing prints them.
        bytes: Vec<u8>,
        /// Its media type.
        content_type: String,
        /// Method and path of the request that gave it, without parameters.
        source: String,
    },
    /// The source has none for this learner, in its own words in short.
    NoneAvailable {
        /// E.g. `status 404`.
        answer: String,
    },
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { bytes, content_type, .. } => write!(f, "Document({} bytes, {content_type})", bytes.len()),
            Self::NoneAvailable { answer } => write!(f, "NoneAvailable({answer})"),
        }
    }
}

/// What an answer turned out to be.
enum Answer {
    Document(String),
    Address(String),
    Nothing(&'static str),
    /// The source answered that there is none; in short how.
    Refused(String),
}

impl SatClient<'_> {
    /// The completion certificate of a learner.
    ///
    /// # Errors
    /// [`FetchError`] where it cannot be said whether there is one: the source does not answer, or this credential may not ask.
    pub async fn certificate(&self, assignment: &SatId, learner: &LearnerId) -> Result<Fetched, FetchError> {
        let path = format!("/api/v1/assignments/{assignment}/completion-certificate");
        let query = [(LEARNER_PARAMETER, learner.expose())];
        let mut buffer = Vec::new();
        let mut answer = Answer::Nothing("no answer");
        let mut read = |received: Response<'_>| {
            answer = read_answer(received.content_type, received.body)?;
            Ok(())
        };
        let got = self.get(&path, &query, ACCEPT, &mut buffer, &mut read).await;
        let answer = got.map(|()| answer);
        let address = match none_or(answer)? {
            Answer::Refused(answer) => return Ok(Fetched::NoneAvailable { answer }),
            Answer::Document(content_type) => {
                return Ok(Fetched::Document { bytes: buffer, content_type, source: format!("GET {path}") });
            }
            Answer::Nothing(why) => return Ok(Fetched::NoneAvailable { answer: why.to_owned() }),
            Answer::Address(address) => address,
        };
        let Some((path, query)) = self.transport.origin().below(&address) else {
            let answer = "a link to a host that is not allowed, which is not followed".to_owned();
            return Ok(Fetched::NoneAvailable { answer });
        };
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let get = Get { path: &path, query: &query, auth: Auth::None, accept: ACCEPT };
        let mut answer = Answer::Nothing("no answer");
        let mut read = |received: Response<'_>| {
            answer = read_answer(received.content_type, received.body)?;
            Ok(())
        };
        let got = self.transport.get(get, &mut buffer, &mut read).await;
        let answer = got.map(|()| answer);
        Ok(match none_or(answer)? {
            Answer::Refused(answer) => Fetched::NoneAvailable { answer: format!("{answer} at the link") },
            Answer::Document(content_type) => {
                // The name of the file may be the learner's.
                let source = "GET, at the link in the answer of completion-certificate".to_owned();
                Fetched::Document { bytes: buffer, content_type, source }
            }
            Answer::Address(_) | Answer::Nothing(_) => {
                Fetched::NoneAvailable { answer: "no document at the link".to_owned() }
            }
        })
    }
}

/// A refusal says that there is none. A 403 does not: it may be the credential's, so it is left for later.
fn none_or(answer: Result<Answer, FetchError>) -> Result<Answer, FetchError> {
    answer.or_else(|error| match error {
        FetchError::NotFound => Ok(Answer::Refused("status 404".to_owned())),
        FetchError::Refused { status } => Ok(Answer::Refused(format!("status {status}"))),
        FetchError::Malformed { what, .. } => Ok(Answer::Refused(what)),
        error => Err(error),
    })
}

/// What an answer of this media type is.
fn read_answer(content_type: Option<&str>, body: &[u8]) -> Result<Answer, BodyError> {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if body.is_empty() {
        return Ok(Answer::Nothing("an empty answer"));
    }
    let is_json = kind == "application/json" || kind.ends_with("+json");
    if is_json || (kind.is_empty() && body.starts_with(b"{")) {
        let value: Value = serde_json::from_slice(body).map_err(|_| BodyError::NotJson)?;
        return Ok(address(&value).map_or(Answer::Nothing("no link in the answer"), Answer::Address));
    }
    match kind.as_str() {
        "text/html" => Ok(Answer::Nothing("a web page, which is no certificate")),
        _ if body.starts_with(b"%PDF-") => Ok(Answer::Document("application/pdf".to_owned())),
        "" => Ok(Answer::Document("application/octet-stream".to_owned())),
        _ => Ok(Answer::Document(kind)),
    }
}

/// The first attribute that is an address; `url` before all others.
fn address(value: &Value) -> Option<String> {
    let data = value.get("data").unwrap_or(value);
    let attributes = data.get("attributes").unwrap_or(data).as_object()?;
    let is_address = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
    let url = attributes.get("url").and_then(Value::as_str).filter(is_address);
    let any = || attributes.values().filter_map(Value::as_str).find(is_address);
    url.or_else(any).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> String {
        match read_answer(Some(content_type), body.as_bytes()) {
            Ok(Answer::Document(kind)) => format!("document {kind}"),
            Ok(Answer::Address(address)) => format!("at {address}"),
            Ok(Answer::Nothing(why)) => why.to_owned(),
            Ok(Answer::Refused(how)) => how,
            Err(_) => "an error".to_owned(),
        }
    }

    #[test]
    fn a_document_or_a_link_to_it_or_nothing() {
        assert_eq!(read("application/pdf", "%PDF-1.4"), "document application/pdf");
        assert_eq!(read("image/png; x=y", "…"), "document image/png");
        assert_eq!(read("application/octet-stream", "%PDF-1.4"), "document application/pdf");
        let link = r#"{"data":{"type":"x","attributes":{"other":"https://a/b","url":"https://c/d"}}}"#;
        assert_eq!(read("application/vnd.api+json", link), "at https://c/d");
        assert_eq!(read("application/json", r#"{"certificate":"https://a/b"}"#), "at https://a/b");
        for nothing in [r#"{"data":null}"#, r#"{"data":{"attributes":{"url":null}}}"#, "[]", r#"{"url":"ftp://a"}"#] {
            assert_eq!(read("application/json", nothing), "no link in the answer", "{nothing}");
        }
        assert_eq!(read("application/json", "{"), "an error");
        assert_eq!(read("text/html; charset=utf-8", "<html>"), "a web page, which is no certificate");
        assert_eq!(read("application/pdf", ""), "an empty answer");
    }
}

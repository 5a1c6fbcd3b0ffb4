//! What single records are called, asked for at the moment that somebody looks at them. Nothing keeps it.

use super::{EdrClient, request_to};
use crate::error::FetchError;
use crate::request::Response;
use crate::wire::{Element, Scalar, json_error, read_json};
use evidence_domain::failure::Failure;
use evidence_domain::product::Product;
use evidence_domain::text;
use serde::{Deserialize, Serialize};

/// A kind of record that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedRecord {
    /// An agent; its name is that of its host.
    Agent,
    /// An organization.
    Organization,
    /// An incident report; its name is its subject.
    IncidentReport,
}

/// One record, as `{"agent": {…}}` has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    agent: Element<Agent<'a>>,
    #[serde(borrow)]
    organization: Element<Organization<'a>>,
    #[serde(borrow)]
    incident_report: Element<IncidentReport<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Agent<'a> {
    #[serde(borrow)]
    hostname: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Organization<'a> {
    #[serde(borrow)]
    name: Scalar<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IncidentReport<'a> {
    #[serde(borrow)]
    subject: Scalar<'a>,
}

impl EdrClient<'_> {
    /// What a record is called; `None` for one that the account no longer has, and for one without a name.
    ///
    /// # Errors
    /// The [`Failure`] of the request.
    pub async fn name(&self, of: NamedRecord, id: &str) -> Result<Option<String>, Failure> {
        // It becomes a part of a path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            return Ok(None);
        }
        let (folder, noun) = match of {
            NamedRecord::Agent => ("agents", "the agent"),
            NamedRecord::Organization => ("organizations", "the organization"),
            NamedRecord::IncidentReport => ("incident_reports", "the incident report"),
        };
        let path = format!("/v1/{folder}/{id}");
        let mut name = None;
        let mut read = |response: Response<'_>| {
            name = read_json(response.body, |body| {
                let answer: Element<Answer<'_>> =
                    serde_json::from_str(body).map_err(|error| json_error(&error, folder))?;
                let Some(answer) = answer.object() else { return Ok(None) };
                let field = match of {
                    NamedRecord::Agent => answer.agent.object().map(|it| &it.hostname),
                    NamedRecord::Organization => answer.organization.object().map(|it| &it.name),
                    NamedRecord::IncidentReport => answer.incident_report.object().map(|it| &it.subject),
                };
                Ok(field.and_then(Scalar::text).and_then(text::name))
            })?;
            Ok(())
        };
        match self.transport.get(self.request(&path, &[]), &mut Vec::new(), &mut read).await {
            Ok(()) => Ok(name),
            Err(FetchError::NotFound) => Ok(None),
            Err(error) => Err(error.into_failure(Product::Edr, &request_to(&path), noun)),
        }
    }
}

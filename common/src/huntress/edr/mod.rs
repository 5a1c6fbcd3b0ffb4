//! The endpoint API: three lists read to their end, and the connection test.

mod page;
mod records;
mod test;

pub use test::{PermissionResult, TestReport, TestedAccount};

use super::error::FetchError;
use super::transport::{Auth, Get, Transport};
use crate::domain::edr::EdrSettings;
use crate::domain::edr::tally::{EdrList, EdrTally, Inconsistent};
use crate::domain::id::RecordKey;
use crate::domain::run::{Failure, FailureCode};
use chrono::{DateTime, Utc};
use page::NextPage;
use records::{AGENTS, INCIDENT_REPORTS, ListOf, ORGANIZATIONS};
use secrecy::SecretString;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The credential of the endpoint API. It cannot be printed, copied or serialized.
pub struct EdrCredential {
    /// The public half.
    pub key: SecretString,
    /// The secret half.
    pub secret: SecretString,
}

/// The largest page that the vendor serves; the default of 10 would cost fifty times the requests.
const PAGE_SIZE: &str = "500";

/// More pages than any account can have: a list that goes on is broken.
pub const MAX_PAGES: u32 = 100_000;

/// When the collection judges, and when its pages count as read.
#[derive(Debug, Clone, Copy)]
pub struct Instants {
    /// The instant of evaluation.
    pub as_of: DateTime<Utc>,
    /// Set when an operator fixes the time; otherwise pages count as read when they are.
    pub observed_at: Option<DateTime<Utc>>,
}

impl Instants {
    /// For lists of which nothing is judged by time.
    pub(super) fn live() -> Self {
        Self { as_of: DateTime::UNIX_EPOCH, observed_at: None }
    }
}

/// Reads one account.
pub struct EdrClient<'a> {
    transport: &'a Transport,
    credential: &'a EdrCredential,
    max_pages: u32,
}

impl<'a> EdrClient<'a> {
    /// A client over `transport`.
    #[must_use]
    pub fn new(transport: &'a Transport, credential: &'a EdrCredential) -> Self {
        Self { transport, credential, max_pages: MAX_PAGES }
    }

    /// Gives up after fewer pages than [`MAX_PAGES`].
    #[must_use]
    pub fn with_max_pages(self, max_pages: u32) -> Self {
        Self { max_pages, ..self }
    }

    /// Reads the three lists to their end, at the same time, and folds every page as it arrives.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good, or of lists that contradict each other; then nothing is known.
    pub async fn collect(&self, settings: EdrSettings, instants: Instants) -> Result<EdrTally, Failure> {
        let tally = Mutex::new(EdrTally::new(settings, instants.as_of));
        tokio::try_join!(
            self.read_list(&ORGANIZATIONS, &tally, instants),
            self.read_list(&AGENTS, &tally, instants),
            self.read_list(&INCIDENT_REPORTS, &tally, instants),
        )?;
        let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        tally.check().map_err(|error| inconsistent(&error))?;
        Ok(tally)
    }

    async fn read_list(&self, list: &ListOf, tally: &Mutex<EdrTally>, instants: Instants) -> Result<(), Failure> {
        let read = self.read_pages(list, tally, instants).await;
        read.map_err(|error| error.into_failure(&request_to(list.path), list.noun))
    }

    async fn read_pages(&self, list: &ListOf, tally: &Mutex<EdrTally>, instants: Instants) -> Result<(), FetchError> {
        let mut buffer = Vec::new();
        let mut token: Option<String> = None;
        let mut tokens_seen = HashSet::new();
        for _ in 0..self.max_pages {
            let mut query = vec![("limit", PAGE_SIZE), ("sort_field", "id"), ("sort_direction", "asc")];
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let next = self
                .transport
                .get(self.request(list.path, &query), &mut buffer, |body| {
                    let observed_at = instants.observed_at.unwrap_or_else(|| self.transport.clock().now());
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    let page = (list.fold)(body, &mut tally, observed_at)?;
                    self.transport.progress().add_page(page.records);
                    Ok(page.next)
                })
                .await?;
            let NextPage::Token(next) = next else { return Ok(()) };
            if !RecordKey::from_text(&next).is_some_and(|key| tokens_seen.insert(key)) {
                return Err(FetchError::Inconsistent { what: "a page token came a second time".to_owned() });
            }
            token = Some(next);
        }
        Err(FetchError::Inconsistent { what: format!("it has not ended after {} pages", self.max_pages) })
    }

    fn request<'r>(&'r self, path: &'r str, query: &'r [(&'r str, &'r str)]) -> Get<'r> {
        Get {
            path,
            query,
            auth: Auth::Basic(&self.credential.key, &self.credential.secret),
            accept: "application/json",
        }
    }
}

fn request_to(path: &str) -> String {
    format!("GET {path}")
}

fn inconsistent(error: &Inconsistent) -> Failure {
    let path = match error {
        Inconsistent::AgentsMissing { .. } | Inconsistent::NoIds { list: EdrList::Agents, .. } => AGENTS.path,
        Inconsistent::NoIds { list: EdrList::Organizations, .. } => ORGANIZATIONS.path,
        Inconsistent::NoIds { list: EdrList::IncidentReports, .. } => INCIDENT_REPORTS.path,
    };
    Failure::new(FailureCode::Inconsistent, error.to_string()).at(request_to(path))
}

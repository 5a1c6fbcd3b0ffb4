//! The endpoint API: three lists read to their end, and the connection test.

mod names;
mod records;
mod test;

pub use names::NamedRecord;

use super::collection::{Instants, MAX_PAGES, PartOutcome};
use super::error::FetchError;
use super::pagination::Cursor;
use super::request::{Auth, Get, Response};
use super::retry::Transport;
use chrono::{DateTime, Utc};
use evidence_domain::edr::AgentLimits;
use evidence_domain::edr::tally::{EdrList, EdrTally, Inconsistent};
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::product::Product;
use records::{Received, fold, noun_of, path_of};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The credential of the endpoint API. It cannot be printed, copied or serialized.
pub struct EdrCredential {
    /// The public half.
    pub key: SecretString,
    /// The secret half.
    pub secret: SecretString,
}

/// The largest page that the vendor serves; the default of 10 would cost fifty times the requests.
///
/// Source: `limit` in `https://api.huntress.io/v1/swagger_doc.json`, default 10, at most 500.
pub const PAGE_SIZE: u64 = 500;

/// How far a collection has come: enough to go on in another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EdrState {
    organizations: Reading,
    agents: Reading,
    incident_reports: Reading,
}

/// What was read of one list. Each has a tally of its own, so that one can begin anew without the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reading {
    tally: EdrTally,
    cursor: Cursor,
}

impl Reading {
    fn new(limits: AgentLimits, as_of: DateTime<Utc>) -> Self {
        Self { tally: EdrTally::new(limits, as_of), cursor: Cursor::default() }
    }
}

impl EdrState {
    /// Nothing read so far.
    #[must_use]
    pub fn new(limits: impl Into<AgentLimits>, as_of: DateTime<Utc>) -> Self {
        let list = Reading::new(limits.into(), as_of);
        Self { organizations: list.clone(), agents: list.clone(), incident_reports: list }
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
    /// A run that may pause does so when the next request is not worth waiting for, and goes on from its state. A list whose page token the vendor does
    /// not accept any more is read anew.
    ///
    /// # Errors
    /// The [`Failure`] of the first list that fails for good, or of lists that contradict each other; then nothing is known.
    pub async fn collect(
        &self,
        mut state: EdrState,
        instants: Instants,
    ) -> Result<PartOutcome<EdrTally, Box<EdrState>>, Failure> {
        let paused = tokio::try_join!(
            self.read_list(EdrList::Organizations, &mut state.organizations, instants),
            self.read_list(EdrList::Agents, &mut state.agents, instants),
            self.read_list(EdrList::IncidentReports, &mut state.incident_reports, instants),
        )?;
        if let Some(until) = <[_; 3]>::from(paused).into_iter().flatten().max() {
            return Ok(PartOutcome::Paused { state: Box::new(state), until });
        }
        state.agents.tally.note_reinstalls();
        let tally = state.organizations.tally.and(state.agents.tally).and(state.incident_reports.tally);
        tally.check().map_err(|error| inconsistent(&error))?;
        Ok(PartOutcome::Complete(tally))
    }

    /// Reads a list on from where it is; with the instant from which on it may be gone on with, if it has to pause.
    async fn read_list(
        &self,
        list: EdrList,
        reading: &mut Reading,
        instants: Instants,
    ) -> Result<Option<DateTime<Utc>>, Failure> {
        let continued = reading.cursor.token.clone();
        let mut read = self.read_pages(list, reading, instants).await;
        let refused = matches!(read, Err(FetchError::Refused { status: 400 | 410 | 422 } | FetchError::NotFound));
        if refused && continued.is_some() && reading.cursor.token == continued {
            tracing::warn!(path = path_of(list), "its page token is not accepted any more; the list is read anew");
            *reading = Reading::new(reading.tally.limits().clone(), reading.tally.as_of());
            read = self.read_pages(list, reading, instants).await;
        }
        match read {
            Ok(()) => Ok(None),
            Err(FetchError::Paused { until }) => Ok(Some(until)),
            Err(error) => Err(error.into_failure(Product::Edr, &request_to(path_of(list)), noun_of(list))),
        }
    }

    async fn read_pages(&self, list: EdrList, reading: &mut Reading, instants: Instants) -> Result<(), FetchError> {
        let mut buffer = Vec::new();
        let page_size = PAGE_SIZE.to_string();
        let of_all = [("limit", page_size.as_str()), ("sort_field", "id"), ("sort_direction", "asc")];
        let request = of_all.map(|(name, value)| format!("{name}={value}")).join("&");
        let request = format!("{}?{request}", path_of(list));
        while !reading.cursor.ended {
            let token = reading.cursor.token.clone();
            let mut query = of_all.to_vec();
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let mut read = |response: Response<'_>| {
                let now = self.transport.clock().now();
                let observed_at = instants.observed_at.unwrap_or(now);
                // What an incident says of its times is true or not by our clock, whatever instant an operator gives.
                let read_at = if list == EdrList::IncidentReports { now } else { observed_at };
                let page = Received { body: response.body, observed_at: read_at, max_pages: self.max_pages };
                let records = fold(list, page, &mut reading.tally, &mut reading.cursor)?;
                reading.tally.add_page(list, &request, observed_at);
                self.transport.progress().add_page(noun_of(list), records);
                Ok(())
            };
            self.transport.get(self.request(path_of(list), &query), &mut buffer, &mut read).await?;
        }
        Ok(())
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
    let list = match error {
        Inconsistent::AgentsMissing { .. } => EdrList::Agents,
        Inconsistent::NoIds { list, .. } => *list,
    };
    Failure::new(FailureCode::Inconsistent, error.to_string()).at(request_to(path_of(list)))
}

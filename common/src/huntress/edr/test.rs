//! The connection test: one record of each list, by the client that a sync uses. Nothing is stored.

use super::records::{AGENTS, INCIDENT_REPORTS, ListOf, ORGANIZATIONS};
use super::{EdrClient, request_to};
use crate::domain::edr::EdrSettings;
use crate::domain::edr::tally::EdrTally;
use crate::domain::failure::Failure;
use crate::huntress::collection::Instants;
use crate::huntress::connection_test::{PermissionResult, TestReport, TestedAccount};
use crate::huntress::request::Response;
use serde_json::Value;

impl EdrClient<'_> {
    /// Asks for the account and for one record of each list, all at once.
    pub async fn test(&self) -> TestReport {
        let (account, organizations, agents, incident_reports) = tokio::join!(
            self.test_account(),
            self.test_list(&ORGANIZATIONS),
            self.test_list(&AGENTS),
            self.test_list(&INCIDENT_REPORTS),
        );
        let (account, seen) = account;
        let permissions = vec![account, organizations, agents, incident_reports];
        TestReport { accounts: seen.into_iter().collect(), ..TestReport::new(permissions) }
    }

    async fn test_account(&self) -> (PermissionResult, Option<TestedAccount>) {
        let path = "/v1/account";
        let mut seen = None;
        let mut read = |received: Response<'_>| {
            seen = account_in(received.body);
            Ok(())
        };
        let answer = self.transport.get(self.request(path, &[]), &mut Vec::new(), &mut read).await;
        (result("account", answer.map_err(|error| error.into_failure(&request_to(path), "the account"))), seen)
    }

    async fn test_list(&self, list: &ListOf) -> PermissionResult {
        let one = self.request(list.path, &[("limit", "1"), ("sort_field", "id"), ("sort_direction", "asc")]);
        // Read as a sync reads it, and dropped.
        let mut read = |received: Response<'_>| {
            let Instants { as_of, .. } = Instants::live();
            (list.fold)(received.body, &mut EdrTally::new(EdrSettings::default(), as_of), as_of).map(|_| ())
        };
        let answer = self.transport.get(one, &mut Vec::new(), &mut read).await;
        result(list.key, answer.map_err(|error| error.into_failure(&request_to(list.path), list.noun)))
    }
}

/// The account of an answer `{"account": {"id": …, "name": …}}`. One without an id is no reason to refuse the key.
fn account_in(body: &[u8]) -> Option<TestedAccount> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let account = answer.get("account")?;
    let id = account.get("id")?;
    let id = id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()))?;
    Some(TestedAccount { id, name: account.get("name").and_then(Value::as_str).map(str::to_owned) })
}

fn result(permission: &str, answer: Result<(), Failure>) -> PermissionResult {
    PermissionResult { permission: permission.to_owned(), granted: answer.is_ok(), failure: answer.err() }
}

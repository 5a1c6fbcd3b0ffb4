//! The connection test: one record of each list, by the client that a sync uses. Nothing is stored.

use super::records::{Received, fold, key_of, noun_of, path_of};
use super::{EdrClient, request_to};
use crate::collection::{Instants, MAX_PAGES};
use crate::connection_test::{PermissionResult, TestReport, TestedAccount};
use crate::error::BodyError;
use crate::pagination::Cursor;
use crate::request::Response;
use crate::wire::{Element, Scalar, json_error, read_json};
use evidence_domain::edr::EdrSettings;
use evidence_domain::edr::tally::{EdrList, EdrTally};
use evidence_domain::failure::Failure;
use evidence_domain::product::Product;
use serde::Deserialize;

impl EdrClient<'_> {
    /// Asks for the account and for one record of each list, all at once.
    pub async fn test(&self) -> TestReport {
        let (account, organizations, agents, incident_reports) = tokio::join!(
            self.test_account(),
            self.test_list(EdrList::Organizations),
            self.test_list(EdrList::Agents),
            self.test_list(EdrList::IncidentReports),
        );
        let (account, seen) = account;
        let permissions = vec![account, organizations, agents, incident_reports];
        TestReport { accounts: seen.into_iter().collect(), ..TestReport::new(permissions) }
    }

    async fn test_account(&self) -> (PermissionResult, Option<TestedAccount>) {
        let path = "/v1/account";
        let mut seen = None;
        let mut read = |received: Response<'_>| {
            seen = account_in(received.body)?;
            Ok(())
        };
        let answer = self.transport.get(self.request(path, &[]), &mut Vec::new(), &mut read).await;
        (
            result(
                "account",
                answer.map_err(|error| error.into_failure(Product::Edr, &request_to(path), "the account")),
            ),
            seen,
        )
    }

    async fn test_list(&self, list: EdrList) -> PermissionResult {
        let path = path_of(list);
        let one = self.request(path, &[("limit", "1"), ("sort_field", "id"), ("sort_direction", "asc")]);
        // Read as a sync reads it, and dropped.
        let mut read = |response: Response<'_>| {
            let Instants { as_of, .. } = Instants::live();
            let page = Received { body: response.body, observed_at: as_of, max_pages: MAX_PAGES };
            let mut tally = EdrTally::new(EdrSettings::default(), as_of);
            fold(list, page, &mut tally, &mut Cursor::default()).map(|_| ())
        };
        let answer = self.transport.get(one, &mut Vec::new(), &mut read).await;
        result(key_of(list), answer.map_err(|error| error.into_failure(Product::Edr, &request_to(path), noun_of(list))))
    }
}

/// The account of an answer `{"account": {"id": …, "name": …}}`. One without an id is no reason to refuse the key.
fn account_in(body: &[u8]) -> Result<Option<TestedAccount>, BodyError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer<'a> {
        #[serde(borrow)]
        account: Element<Account<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Account<'a> {
        #[serde(borrow)]
        id: Scalar<'a>,
        #[serde(borrow)]
        name: Scalar<'a>,
    }
    read_json(body, |text| {
        let answer: Element<Answer<'_>> = serde_json::from_str(text).map_err(|error| json_error(&error, "account"))?;
        let account = answer.object().and_then(|answer| answer.account.object());
        Ok(account.and_then(|account| {
            let id = account.id.id()?.into_owned();
            let name = account.name.text().and_then(evidence_domain::text::name);
            Some(TestedAccount { id, name, io_org_id: None })
        }))
    })
}

fn result(permission: &str, answer: Result<(), Failure>) -> PermissionResult {
    PermissionResult { permission: permission.to_owned(), granted: answer.is_ok(), failure: answer.err() }
}

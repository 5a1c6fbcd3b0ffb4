//! The connection test: each of the five scopes, the accounts that are seen, and what is left of the limits.

use super::super::connection_test::{PermissionResult, TestReport, TestedAccount};
use super::page::Resource;
use super::records::AccountFields;
use super::token::missing_scopes;
use super::{Access, JSON_API, Listing, SatClient, page, records};
use crate::collection::PartOutcome;
use crate::request::Response;
use crate::retry::Transport;
use crate::wire::read_json;
use evidence_domain::failure::{Failure, FailureCode};
use evidence_domain::sat::SCOPES;
use evidence_domain::sat::account::{AccountFacts, choose};
use evidence_domain::sat::id::SatId;

impl SatClient<'_> {
    /// Tests a credential: one record of each list of the account that a sync would measure.
    pub async fn test(transport: &Transport, access: Access<'_>, configured: Option<&str>) -> TestReport {
        let report = match (SatClient::open(transport, access).await, access) {
            (Ok(client), _) => client.test_lists(configured).await,
            (Err(failure), Access::Client(credential)) if failure.code == FailureCode::MissingScopes => {
                match missing_scopes(transport, credential).await {
                    Ok(missing) => TestReport::new(
                        SCOPES.map(|scope| permission(scope, missing.contains(&scope).then(|| failure.clone()))).into(),
                    ),
                    Err(failure) => all_fail(&failure),
                }
            }
            (Err(failure), _) => all_fail(&failure),
        };
        TestReport { requests_left: transport.progress().lowest_remaining(), ..report }
    }

    async fn test_lists(&self, configured: Option<&str>) -> TestReport {
        let accounts = match self.accounts().await {
            Ok(PartOutcome::Complete(listed)) => listed.accounts,
            // A test does not pause.
            Ok(PartOutcome::Paused { .. }) => Vec::new(),
            Err(failure) => return all_fail(&failure),
        };
        let facts: Vec<AccountFacts<'_>> = accounts.iter().map(AccountFields::facts).collect();
        let seen = facts.iter().filter_map(|facts| {
            let (name, io_org_id) = (facts.name.map(str::to_owned), facts.io_org_id.map(str::to_owned));
            Some(TestedAccount { id: facts.id?.to_owned(), name, io_org_id })
        });
        let seen = seen.collect();
        let id = match choose(&facts, configured) {
            Ok(chosen) => chosen.id,
            Err(error) => {
                let failure = Failure::from(error).about(evidence_domain::product::Product::Sat);
                let account =
                    PermissionResult { permission: "account".to_owned(), granted: false, failure: Some(failure) };
                return TestReport {
                    accounts: seen,
                    ..TestReport::new(vec![permission("account:read", None), account])
                };
            }
        };
        let path = |list: &str| format!("/api/v1/accounts/{id}/{list}");
        let (assignments, learners, campaigns) = (path("assignments"), path("learners"), path("phishing-campaigns"));
        let (training, learners, campaigns) = tokio::join!(
            self.test_training(&assignments),
            self.test_list::<records::Statuses>(Listing { path: &learners, noun: "learners", scope: "learners:read" }),
            self.test_list::<records::Campaigns>(Listing {
                path: &campaigns,
                noun: "phishing campaigns",
                scope: "phishing-campaigns:read"
            }),
        );
        let permissions =
            vec![permission("account:read", None), training.assignments, training.activity, learners, campaigns];
        TestReport { accounts: seen, ..TestReport::new(permissions) }
    }

    /// The first assignment, and the first activity of it. Without an assignment the token alone speaks for the second scope.
    async fn test_training(&self, path: &str) -> TrainingResult {
        let list = Listing { path, noun: "assignments", scope: "assignments:read" };
        let mut first = None;
        let mut read = |received: Response<'_>| {
            first = read_json(received.body, |text| {
                let page = records::Statuses::page(text)?;
                Ok(page.records.first().and_then(|record| record.id()).and_then(|id| SatId::parse(id).ok()))
            })?;
            Ok(())
        };
        let outcome = self.get(path, &ONE, JSON_API, &mut Vec::new(), &mut read).await;
        let assignments = permission("assignments:read", outcome.map_err(|error| self.failed(&list, error)).err());
        let scope = "assignments:learner-activity";
        let activity = match first {
            Some(id) => {
                let path = format!("/api/v1/assignments/{id}/learner-activity");
                self.test_list::<records::Activities>(Listing { path: &path, noun: "learner activity", scope }).await
            }
            None => permission(scope, assignments.failure.clone()),
        };
        TrainingResult { assignments, activity }
    }

    async fn test_list<R: page::Resource>(&self, list: Listing<'_>) -> PermissionResult {
        let mut read = |received: Response<'_>| read_json(received.body, |text| R::page(text).map(|_| ()));
        let outcome = self.get(list.path, &ONE, JSON_API, &mut Vec::new(), &mut read).await;
        permission(list.scope, outcome.map_err(|error| self.failed(&list, error)).err())
    }
}

/// Whether assignments can be read, and what learners did in them.
struct TrainingResult {
    assignments: PermissionResult,
    activity: PermissionResult,
}

/// One record is enough.
const ONE: [(&str, &str); 2] = [("page[number]", "1"), ("page[size]", "1")];

fn permission(scope: &str, failure: Option<Failure>) -> PermissionResult {
    PermissionResult { permission: scope.to_owned(), granted: failure.is_none(), failure }
}

fn all_fail(failure: &Failure) -> TestReport {
    TestReport::new(SCOPES.map(|scope| permission(scope, Some(failure.clone()))).into())
}

//! The connection test: each scope with its result.

use crate::records::{serve, workforce};
use acceptance::sat::SatScene;
use common::domain::failure::FailureCode;
use common::domain::sat::SCOPES;
use simulator::{List, SatAccounts};

fn scene() -> SatScene {
    SatScene::of(serve(workforce(10, 9)))
}

#[tokio::test]
async fn a_good_credential_passes_with_every_scope_and_reads_one_record_of_each_list() {
    let (report, requests) = scene().test().await;
    assert!(report.passed);
    let scopes: Vec<(&str, bool)> = report.permissions.iter().map(|it| (it.permission.as_str(), it.granted)).collect();
    assert_eq!(scopes, SCOPES.map(|scope| (scope, true)));
    assert_eq!(report.accounts.len(), 1);
    assert_eq!(report.requests_left, Some(195));
    assert_eq!(requests.len(), 6);
    let sized = [List::Assignments, List::LearnerActivity, List::Learners, List::PhishingCampaigns];
    for request in requests.iter().filter(|it| it.list.is_some_and(|list| sized.contains(&list))) {
        assert_eq!(request.parameter("page[size]"), Some("1"), "{}", request.path);
    }
}

#[tokio::test]
async fn a_missing_scope_is_the_one_that_fails() {
    for scope in SCOPES {
        let granted: Vec<&'static str> = SCOPES.into_iter().filter(|it| *it != scope).collect();
        let (report, _) = scene().simulator(move |it| it.scopes_granted(granted)).test().await;
        assert!(!report.passed);
        let told: Vec<_> = report.permissions.iter().map(|it| (it.permission.as_str(), it.granted)).collect();
        assert_eq!(told, SCOPES.map(|it| (it, it != scope)));
        let refused = report.permissions.iter().find(|it| it.permission == scope).unwrap();
        let failure = refused.failure.as_ref().unwrap();
        assert!(failure.code == FailureCode::MissingScopes && failure.message.contains(scope), "{failure}");
    }
}

#[tokio::test]
async fn a_revoked_client_fails_every_scope_and_several_accounts_are_listed() {
    let (report, _) = scene().simulator(|it| it.revoked_client(true)).test().await;
    assert!(report.permissions.iter().all(|it| !it.granted));
    let account = serve(workforce(1, 1)).with_accounts(SatAccounts::Many);
    let (report, _) = SatScene::of(account).test().await;
    assert!(!report.passed);
    assert_eq!(report.accounts.len(), 3);
}

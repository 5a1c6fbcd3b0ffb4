//! Which account is measured, and where its count of learners is.

use crate::records::{ACCOUNT, serve, workforce};
use acceptance::sat::{SatOutcome, SatScene};
use common::domain::failure::FailureCode;
use common::domain::quality::QualityCode;
use serde_json::json;
use simulator::{CountsAt, SatAccounts};

const ACCOUNTS: &str = "GET /api/v1/accounts";

fn with(which: SatAccounts) -> SatScene {
    SatScene::of(serve(workforce(10, 9)).with_accounts(which))
}

#[track_caller]
fn assert_measured(outcome: &SatOutcome) {
    let account = outcome.bundle().metadata.account;
    assert_eq!((account.id.as_str(), account.name.as_deref()), (ACCOUNT, Some("Acme Inc.")));
    assert_eq!(outcome.coverage().2.distinct_trained_learners, 9);
}

/// Nothing was asked for but the token and the accounts, and the connection is not held back for a day.
#[track_caller]
fn assert_ends_early(outcome: &SatOutcome, code: FailureCode, parts: &[&str]) {
    outcome.assert_failure(code, ACCOUNTS, parts);
    assert!(!code.is_auth());
    assert_eq!(outcome.requests.len(), 2);
}

#[tokio::test]
async fn exactly_one_visible_account_is_measured() {
    let outcome = with(SatAccounts::One).collect().await;
    assert_measured(&outcome);
    assert_eq!(outcome.bundle().metadata.records_read.accounts, 1);
}

#[tokio::test]
async fn no_account_is_an_error_of_its_own() {
    assert_ends_early(&with(SatAccounts::None).collect().await, FailureCode::NoAccounts, &["no account"]);
    let configured = with(SatAccounts::None).configured(ACCOUNT).collect().await;
    assert!(!configured.failure().code.is_auth());
}

#[tokio::test]
async fn several_accounts_are_listed_with_ids_and_names() {
    let parts = ["3 accounts", "kV83mQz (Larch Harbor Dental)", "pXk93Lq (Acme Inc.)", "w0Tn5_e (Opal Ridge Freight)"];
    assert_ends_early(&with(SatAccounts::Many).collect().await, FailureCode::MultipleAccounts, &parts);
}

#[tokio::test]
async fn a_configured_account_is_measured_among_several_and_must_be_visible() {
    assert_measured(&with(SatAccounts::Many).configured(ACCOUNT).collect().await);
    for id in ["zzz", "../users", "pXk93Lq/learners"] {
        let outcome = with(SatAccounts::Many).configured(id).collect().await;
        assert_ends_early(&outcome, FailureCode::AccountNotVisible, &["account"]);
    }
}

#[tokio::test]
async fn a_sandbox_or_demo_does_not_count_beside_another_account_and_counts_alone() {
    let all = [SatAccounts::WithSandbox, SatAccounts::WithDemo, SatAccounts::OnlySandbox, SatAccounts::OnlyDemo];
    for which in all {
        assert_measured(&with(which).collect().await);
    }
    let outcome = with(SatAccounts::WithSandbox).configured("b7Xd2Rk").collect().await;
    assert_eq!(outcome.bundle().metadata.account.id.as_str(), "b7Xd2Rk");
}

#[tokio::test]
async fn the_count_of_learners_is_found_at_either_place() {
    for place in [CountsAt::DataMeta, CountsAt::TopMeta] {
        // Other than what the list would give.
        let mut records = workforce(10, 9);
        records.accounts[0]["meta"] = json!({"counts": {"activeLearners": 20}});
        let outcome = SatScene::of(serve(records)).simulator(move |it| it.counts_at(place)).collect().await;
        let (_, _, values) = outcome.coverage();
        assert_eq!((values.active_learners, values.coverage_pct.as_deref()), (20, Some("45.0")), "{place:?}");
        assert_eq!(outcome.quality(), []);
    }
}

#[tokio::test]
async fn without_a_count_the_active_learners_of_the_list_count_and_the_evidence_says_so() {
    let mut records = workforce(10, 9);
    records.learners.push(crate::records::learner("gone", "inactive"));
    records.accounts[0]["meta"] = json!({"counts": {"activeLearners": 20}});
    let outcome = SatScene::of(serve(records)).simulator(|it| it.counts_at(CountsAt::Absent)).collect().await;
    let (_, _, values) = outcome.coverage();
    assert_eq!((values.active_learners, values.coverage_pct.as_deref()), (10, Some("90.0")));
    assert_eq!(outcome.quality(), [(QualityCode::ActiveLearnersCountedFromList, 1)]);
}

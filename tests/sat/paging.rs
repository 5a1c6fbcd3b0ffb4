//! Pages, caps, and requests that are not made.

use crate::records::{activity, assignment, campaign, campaigns, lately, learner, serve, workforce};
use acceptance::sat::{SatOutcome, SatScene};
use common::domain::evidence::Reason;
use common::domain::failure::FailureCode;
use common::domain::sat::Caps;
use common::domain::sat::list::SatList;
use common::domain::sat::status::Status;
use serde_json::json;
use simulator::{FaultKind, List, SatRecords};
use std::collections::BTreeMap;

/// Requests by path and page, those for tokens apart.
fn pages(outcome: &SatOutcome) -> BTreeMap<(String, Option<String>), usize> {
    let mut pages = BTreeMap::new();
    for request in outcome.requests.iter().filter(|it| it.list != Some(List::Token)) {
        let number = request.parameter("page[number]").map(str::to_owned);
        *pages.entry((request.path.clone(), number)).or_default() += 1;
    }
    pages
}

/// Five learners, all trained in each of two assignments, and three campaigns.
fn five() -> SatRecords {
    let mut records = workforce(5, 0);
    for id in ["as1", "as2"] {
        records.assignments.push(assignment(id, "completed"));
        let rows = (0..5).map(|n| activity(&format!("{id}-{n}"), &format!("L{n}"), Some(&lately()))).collect();
        records.learner_activity.insert(id.to_owned(), rows);
    }
    records.phishing_campaigns = (0..3).map(|n| campaign(&format!("c{n}"), 10, 0, 1)).collect();
    records
}

#[track_caller]
fn assert_five(outcome: &SatOutcome) {
    let read = outcome.bundle().metadata.records_read;
    let counts = (read.assignments, read.learner_activity, read.learners, read.phishing_campaigns);
    assert_eq!(counts, (2, 10, 5, 3));
    assert_eq!(outcome.coverage().2.coverage_pct.as_deref(), Some("100.0"));
    assert_eq!(outcome.phishing().2.sent, 30);
    assert_eq!(outcome.quality(), []);
}

#[tokio::test]
async fn every_page_of_every_list_is_asked_for_once_and_nothing_else() {
    let outcome = SatScene::of(serve(five())).collect().await;
    assert_five(&outcome);
    let first = Some("1".to_owned());
    let expected = [
        ("/api/v1/accounts", &first),
        ("/api/v1/accounts/pXk93Lq", &None),
        ("/api/v1/accounts/pXk93Lq/assignments", &first),
        ("/api/v1/accounts/pXk93Lq/learners", &first),
        ("/api/v1/accounts/pXk93Lq/phishing-campaigns", &first),
        ("/api/v1/assignments/as1/learner-activity", &first),
        ("/api/v1/assignments/as2/learner-activity", &first),
    ];
    assert_eq!(pages(&outcome), expected.map(|(path, page)| ((path.to_owned(), page.clone()), 1)).into());
    assert_eq!(outcome.bundle().metadata.api_calls_made, 8);
    assert!(outcome.requests[1..].iter().all(|it| it.accept.as_deref() == Some("application/vnd.api+json")));
}

#[tokio::test]
async fn a_server_with_smaller_pages_is_trusted_on_its_last_page() {
    for (size, requests) in [(5, 7), (2, 3 + 1 + 3 + 2 + 3 * 2 - 1), (1, 1 + 1 + 2 + 5 + 3 + 10)] {
        let outcome = SatScene::of(serve(five())).simulator(move |it| it.sat_max_page(size)).collect().await;
        assert_five(&outcome);
        let pages = pages(&outcome);
        assert!(pages.values().all(|times| *times == 1), "{pages:?}");
        assert_eq!(pages.len(), requests, "{size}: {pages:?}");
    }
}

#[tokio::test]
async fn a_page_size_that_is_refused_is_not_asked_for_again() {
    for (largest, status, sizes) in [(500, 400, 2), (100, 422, 3), (100, 413, 3), (1_000, 422, 1)] {
        let outcome = SatScene::of(serve(five()))
            .simulator(move |it| it.sat_refuses_pages_above(largest, status).sat_max_page(2))
            .collect()
            .await;
        assert_five(&outcome);
        let asked = |request: &&simulator::Request| request.parameter("page[size]").is_some();
        let (good, refused): (Vec<_>, Vec<_>) =
            outcome.requests.iter().filter(asked).partition(|request| request.status == Some(200));
        // The list of accounts, which is the first, finds the size out for all.
        let tried: Vec<_> = refused.iter().map(|it| (it.list, it.parameter("page[size]").unwrap())).collect();
        let larger: Vec<_> = ["1000", "500"].into_iter().take(sizes - 1).map(|it| (Some(List::Accounts), it)).collect();
        assert_eq!(tried, larger, "{largest} {status}");
        assert!(good.iter().all(|it| it.parameter("page[size]") == Some(["1000", "500", "100"][sizes - 1])));
    }
}

#[tokio::test]
async fn a_list_that_is_begun_keeps_its_page_size_when_another_has_to_fall_back() {
    let scene = SatScene::of(serve(workforce(1_000, 900))).simulator(|builder| builder.sat_max_page(10));
    let outcome = scene.fault(List::LearnerActivity, 1, 1, FaultKind::Status(413)).collect().await;
    let sizes = |list| {
        let asked = outcome.requests_to(list).into_iter().filter(|it| it.status == Some(200));
        asked.filter_map(|it| it.parameter("page[size]").map(str::to_owned)).collect::<std::collections::BTreeSet<_>>()
    };
    // The learners have a hundred pages, most of them after the refusal.
    assert_eq!(sizes(List::Learners), ["1000".to_owned()].into());
    assert!(sizes(List::LearnerActivity).contains("500"), "what begins later is asked for in the smaller size");
    assert_eq!((outcome.quality(), outcome.bundle().metadata.records_read.learners), (vec![], 1_000));
}

#[tokio::test]
async fn a_server_that_refuses_every_page_size_is_a_failure_that_names_the_list() {
    let outcome = SatScene::of(serve(five())).simulator(|it| it.sat_refuses_pages_above(10, 400)).collect().await;
    let failure = outcome.failure();
    assert_eq!(failure.code, FailureCode::Refused);
    assert_eq!(failure.request.as_deref(), Some("GET /api/v1/accounts"));
    assert_eq!(outcome.requests.iter().filter(|it| it.list == Some(List::Accounts)).count(), 3);
}

#[tokio::test]
async fn a_server_that_repeats_its_last_page_is_not_asked_beyond_it() {
    let outcome = SatScene::of(serve(five())).simulator(|it| it.sat_max_page(2).repeat_last_page(true)).collect().await;
    assert_five(&outcome);
    assert!(pages(&outcome).values().all(|times| *times == 1));
}

#[tokio::test]
async fn a_page_that_comes_a_second_time_fails_the_run() {
    let scene = SatScene::of(serve(five())).simulator(|it| it.sat_max_page(2));
    let outcome = scene.always(List::Learners, FaultKind::RepeatToken).collect().await;
    let request = "GET /api/v1/accounts/pXk93Lq/learners";
    outcome.assert_failure(FailureCode::Inconsistent, request, &["learners", "second time"]);
    assert_eq!(outcome.requests_to(List::Learners).len(), 2);
}

#[tokio::test]
async fn a_repeated_page_in_place_of_the_last_leaves_nobody_out_without_a_word() {
    let scene = SatScene::of(serve(five())).simulator(|it| it.sat_max_page(2));
    let outcome = scene.fault(List::Learners, 3, 1, FaultKind::RepeatToken).collect().await;
    let request = "GET /api/v1/accounts/pXk93Lq/learners";
    outcome.assert_failure(FailureCode::Inconsistent, request, &["learners", "second time"]);
    assert_eq!(outcome.requests_to(List::Learners).len(), 3);
}

#[tokio::test]
async fn assignments_that_hold_no_completions_cost_no_request_and_old_ones_do() {
    let mut records = five();
    for status in ["draft", "staged", "launching", "canceled"] {
        records.assignments.push(assignment(status, status));
        records.learner_activity.insert(status.to_owned(), vec![activity(status, "L0", Some(&lately()))]);
    }
    records.assignments[0]["attributes"]["endsAt"] = json!("2019-01-01T00:00:00Z");
    let outcome = SatScene::of(serve(records)).collect().await;
    let mut paths: Vec<&str> = outcome.requests_to(List::LearnerActivity).iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/api/v1/assignments/as1/learner-activity", "/api/v1/assignments/as2/learner-activity"]);
    assert_eq!(outcome.bundle().metadata.records_read.assignments, 6);
}

fn capped(records: SatRecords, assignments: u64, activity: u64, campaigns: u64) -> SatScene {
    SatScene::of(serve(records)).caps(Caps { assignments, activity_per_assignment: activity, campaigns })
}

#[track_caller]
fn cuts(outcome: &SatOutcome) -> Vec<(SatList, u64, u64)> {
    let metadata = outcome.bundle().metadata;
    assert_eq!(metadata.truncated, !metadata.truncated_lists.is_empty());
    metadata.truncated_lists.iter().map(|cut| (cut.list, cut.cap, cut.lists)).collect()
}

#[tokio::test]
async fn a_list_of_exactly_its_cap_is_not_cut() {
    let outcome = capped(five(), 2, 5, 3).collect().await;
    assert_eq!(cuts(&outcome), []);
    assert_five(&outcome);
    assert_eq!((outcome.coverage().0, outcome.phishing().0), (Status::Pass, Status::Pass));
}

#[tokio::test]
async fn one_record_more_than_the_cap_is_reported_and_evaluated_as_a_lower_bound() {
    let truncated = Some(Reason::Truncated);
    // All of five learners are trained in either assignment, so coverage passes on what was read.
    let outcome = capped(five(), 1, 5, 3).collect().await;
    assert_eq!(cuts(&outcome), [(SatList::Assignments, 1, 1)]);
    let (status, reason, values) = outcome.coverage();
    assert_eq!((status, reason, values.coverage_pct.as_deref()), (Status::Pass, truncated, Some("100.0")));
    assert_eq!(outcome.requests_to(List::LearnerActivity).len(), 1);
    assert_eq!((outcome.phishing().0, outcome.phishing().1), (Status::Pass, None));

    // Four of five would be a warning, and may be more.
    let outcome = capped(five(), 2, 4, 3).collect().await;
    assert_eq!(cuts(&outcome), [(SatList::LearnerActivity, 4, 2)]);
    let (status, reason, values) = outcome.coverage();
    assert_eq!((status, reason, values.coverage_pct.as_deref()), (Status::Inconclusive, truncated, Some("80.0")));

    let outcome = capped(five(), 2, 5, 2).collect().await;
    assert_eq!(cuts(&outcome), [(SatList::PhishingCampaigns, 2, 1)]);
    let (status, reason, values) = outcome.phishing();
    assert_eq!((status, reason, values.sent), (Status::Inconclusive, truncated, 20));
    assert_eq!((outcome.coverage().0, outcome.coverage().1), (Status::Pass, None));
}

#[tokio::test]
async fn a_cap_counts_records_as_listed_and_ends_the_reading() {
    let mut all = vec![campaign("c0", 0, 0, 0); 6];
    for (n, campaign) in all.iter_mut().enumerate() {
        campaign["id"] = json!(format!("c{n}"));
    }
    let scene = SatScene::of(serve(campaigns(all))).caps(Caps { campaigns: 3, ..Caps::default() });
    let outcome = scene.simulator(|it| it.sat_max_page(1)).collect().await;
    assert_eq!(cuts(&outcome), [(SatList::PhishingCampaigns, 3, 1)]);
    assert_eq!(outcome.requests_to(List::PhishingCampaigns).len(), 4);
    assert_eq!(outcome.phishing().0, Status::Inconclusive);
}

#[tokio::test]
async fn an_assignment_that_disappears_in_mid_run_fails_the_run_as_an_ordinary_error() {
    let path = List::LearnerActivity.path_of("as2");
    let outcome = SatScene::of(serve(five())).always_at(&path, FaultKind::Status(404)).collect().await;
    outcome.assert_failure(FailureCode::Refused, &format!("GET {path}"), &["404"]);
    assert!(!outcome.failure().code.is_auth());
    assert_eq!(outcome.requests.iter().filter(|it| it.path == path).count(), 1, "no retry");
}

#[tokio::test]
async fn ids_that_do_not_belong_in_a_path_are_refused_before_use() {
    for bad in ["a/b", "../../oauth/token", "a?b", "a%2Fb", "a b", "a.b", "a#b"] {
        let mut records = five();
        records.assignments[1]["id"] = json!(bad);
        let outcome = SatScene::of(serve(records)).collect().await;
        let failure = outcome.failure();
        assert_eq!(failure.code, FailureCode::Malformed, "{bad}: {failure}");
        assert!(!failure.to_string().contains(bad), "{failure}");
        assert_eq!(outcome.requests_to(List::LearnerActivity).len(), 0, "{bad}");

        let mut records = five();
        records.accounts[0]["id"] = json!(bad);
        let outcome = SatScene::of(serve(records)).collect().await;
        outcome.assert_failure(FailureCode::Malformed, "GET /api/v1/accounts", &["path"]);
        assert_eq!(outcome.requests.len(), 2, "{bad}");
    }
}

#[tokio::test]
async fn no_learners_where_the_account_claims_some_fails_the_run() {
    let mut records = five();
    records.learners.clear();
    records.accounts[0]["meta"] = json!({"counts": {"activeLearners": 5}});
    let outcome = SatScene::of(serve(records)).collect().await;
    assert_eq!(outcome.failure().code, FailureCode::Inconsistent, "{}", outcome.failure());
}

#[tokio::test]
async fn a_list_without_its_key_fails_the_run() {
    let lists = [List::Accounts, List::Assignments, List::LearnerActivity, List::Learners, List::PhishingCampaigns];
    for list in lists {
        let outcome = SatScene::of(serve(five())).always(list, FaultKind::MissingKey).collect().await;
        assert_eq!(outcome.failure().code, FailureCode::Malformed, "{list:?}");
    }
    let outcome = SatScene::of(serve(five())).always(List::AccountById, FaultKind::MissingKey).collect().await;
    assert_eq!(outcome.failure().code, FailureCode::Malformed);
}

#[tokio::test]
async fn a_learner_listed_twice_counts_once() {
    let mut records = five();
    records.learners.push(learner("L0", "inactive"));
    let outcome = SatScene::of(serve(records)).collect().await;
    assert_eq!(outcome.coverage().2.departed_trained_learners, 0);
}

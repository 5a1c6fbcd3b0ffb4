//! Lists read to their end: how many requests, which ones, and when a list is no list.

use crate::records::{agent, hours_ago, organization, small};
use acceptance::edr::{Outcome, Scene, as_of};
use common::domain::failure::FailureCode;
use serde_json::{Value, json};
use simulator::{Account, AccountSpec, FaultKind, List, Shape};
use std::collections::HashSet;
use std::time::Duration;

const LISTS: [List; 3] = [List::Organizations, List::Agents, List::IncidentReports];

fn account(organizations: u64, agents: u64, incidents: u64) -> Account {
    AccountSpec { seed: 3, shape: Shape::Vendor, organizations, agents, incidents, as_of: as_of() }.generate()
}

/// How many there are of each list: records, or requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OfLists {
    organizations: u64,
    agents: u64,
    incidents: u64,
}

impl OfLists {
    /// As many of each.
    fn each(number: u64) -> Self {
        Self { organizations: number, agents: number, incidents: number }
    }
}

fn requests(outcome: &Outcome) -> OfLists {
    let to = |list| outcome.requests_to(list).len() as u64;
    OfLists { organizations: to(List::Organizations), agents: to(List::Agents), incidents: to(List::IncidentReports) }
}

#[tokio::test]
async fn a_list_takes_one_request_for_every_500_records_begun_and_at_least_one() {
    for (records, expected) in [
        (OfLists::each(0), OfLists::each(1)),
        (OfLists { organizations: 1, agents: 500, incidents: 501 }, OfLists { incidents: 2, ..OfLists::each(1) }),
        (
            OfLists { organizations: 1000, agents: 1001, incidents: 499 },
            OfLists { organizations: 2, agents: 3, incidents: 1 },
        ),
        (OfLists { organizations: 500, agents: 1500, incidents: 1 }, OfLists { agents: 3, ..OfLists::each(1) }),
    ] {
        let OfLists { organizations, agents, incidents } = records;
        let outcome = Scene::of(account(organizations, agents, incidents)).collect().await;
        assert_eq!(requests(&outcome), expected, "{records:?}");
        let bundle = outcome.bundle();
        assert_eq!(bundle.metadata.api_calls_made, expected.organizations + expected.agents + expected.incidents);
        let read = bundle.metadata.records_read;
        let read = OfLists { organizations: read.organizations, agents: read.agents, incidents: read.incident_reports };
        assert_eq!(read, records);
        outcome.assert_values(&[
            ("agents_total", &agents.to_string()),
            ("organizations_total", &organizations.to_string()),
        ]);
    }
}

#[tokio::test]
async fn no_page_is_asked_for_twice() {
    let outcome = Scene::of(account(1200, 2600, 900)).collect().await;
    let asked: HashSet<_> = outcome.requests.iter().map(|it| (it.list, it.query.clone())).collect();
    assert_eq!((outcome.requests.len(), asked.len()), (11, 11));
}

/// Every list's first answer is held back, so that a list that waits for another one cannot be among the first three requests.
#[tokio::test]
async fn the_lists_are_read_at_the_same_time() {
    let hold = || FaultKind::Hang(Duration::from_millis(500));
    let scene =
        LISTS.into_iter().fold(Scene::of(account(600, 600, 600)), |scene, list| scene.fault(list, 1, 1, hold()));
    let outcome = scene.collect().await;
    let first: HashSet<_> = outcome.requests.iter().take(3).map(|it| it.list).collect();
    assert_eq!(first, LISTS.map(Some).into());
    assert_eq!(requests(&outcome), OfLists::each(2));
}

#[tokio::test]
async fn every_request_is_an_authenticated_get_for_500_records_in_order_of_id() {
    let outcome = Scene::of(account(600, 1100, 600)).collect().await;
    assert_eq!(outcome.requests.len(), 7);
    for request in &outcome.requests {
        assert_eq!((request.method.as_str(), request.status, request.authenticated), ("GET", Some(200), true));
        let names: Vec<_> = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(&names[..3], [("limit", "500"), ("sort_field", "id"), ("sort_direction", "asc")]);
        assert!(matches!(&names[3..], [] | [("page_token", _)]), "{names:?}");
        let agent = request.user_agent.as_deref().unwrap_or_default();
        assert!(agent.starts_with("huntress-evidence/"), "{agent}");
    }
    assert!(LISTS.iter().all(|list| outcome.requests_to(*list)[0].parameter("page_token").is_none()));
}

#[tokio::test]
async fn pages_smaller_than_asked_for_are_followed_to_the_end() {
    let whole = Scene::of(account(12, 130, 40)).collect().await;
    let pieces = Scene::of(account(12, 130, 40)).max_page(7).collect().await;
    assert_eq!(requests(&whole), OfLists::each(1));
    assert_eq!(requests(&pieces), OfLists { organizations: 2, agents: 19, incidents: 6 });
    assert_eq!(pieces.bundle().metrics, whole.bundle().metrics);
    assert_eq!(pieces.bundle().extended_metrics, whole.bundle().extended_metrics);
}

#[tokio::test]
async fn an_empty_page_with_a_token_is_not_the_end() {
    for at in 1..=3 {
        let outcome =
            Scene::of(account(2, 30, 0)).max_page(10).fault(List::Agents, at, 1, FaultKind::EmptyPageWithToken);
        let outcome = outcome.collect().await;
        outcome.assert_values(&[("agents_total", "30")]);
        assert_eq!(requests(&outcome), OfLists { agents: 4, ..OfLists::each(1) });
    }
}

#[tokio::test]
async fn a_pagination_without_a_token_is_the_end() {
    for pagination in [
        json!(null),
        json!({}),
        json!({"next_page_token": null}),
        json!({"next_page_token": ""}),
        json!({"total_count": 1}),
    ] {
        let end = pagination.clone();
        let scene = Scene::of(small())
            .always(List::Agents, FaultKind::patch(move |page| page["pagination"] = end.clone()))
            .always(
                List::Organizations,
                FaultKind::patch(|page| drop(page.as_object_mut().unwrap().remove("pagination"))),
            );
        let outcome = scene.collect().await;
        outcome.assert_values(&[("agents_total", "1"), ("organizations_total", "1")]);
        assert_eq!(requests(&outcome), OfLists::each(1), "{pagination}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_text_is_malformed_and_not_the_end() {
    let patch = FaultKind::patch(|page| page["pagination"] = json!({"next_page_token": {"after": 5}}));
    let outcome = Scene::of(small()).always(List::Agents, patch).collect().await;
    outcome.assert_failure(FailureCode::Malformed, List::Agents, &["pagination.next_page_token"]);
}

#[tokio::test]
async fn an_answer_without_its_list_is_malformed_and_not_asked_for_again() {
    for list in LISTS {
        let outcome = Scene::of(small()).always(list, FaultKind::MissingKey).collect().await;
        outcome.assert_failure(FailureCode::Malformed, list, &[list.key(), "the list is not there"]);
        assert_eq!(outcome.requests_to(list).len(), 1);
    }
}

#[tokio::test]
async fn a_list_that_is_null_or_no_list_is_malformed() {
    for value in [json!(null), json!({"0": {"id": 1}}), json!("none"), json!(7)] {
        let shown = value.clone();
        let patch = FaultKind::patch(move |page| page["incident_reports"] = value.clone());
        let outcome = Scene::of(small()).always(List::IncidentReports, patch).collect().await;
        outcome.assert_failure(FailureCode::Malformed, List::IncidentReports, &["at incident_reports"]);
        assert_eq!(outcome.requests_to(List::IncidentReports).len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_malformed() {
    for body in ["[]", "null", "\"none\"", "0"] {
        let fault = FaultKind::Body(body.into());
        let outcome = Scene::of(small()).always(List::Organizations, fault).collect().await;
        outcome.assert_failure(FailureCode::Malformed, List::Organizations, &["the whole answer"]);
        assert_eq!(outcome.requests_to(List::Organizations).len(), 1, "{body}");
    }
}

/// The second of them would replace the first, whose records were then lost in silence.
#[tokio::test]
async fn a_list_or_a_pagination_that_is_there_twice_is_malformed() {
    for body in [
        r#"{"incident_reports":[{"id":1,"status":"sent"}],"pagination":{},"incident_reports":[]}"#,
        r#"{"incident_reports":[{"id":1,"status":"sent"}],"pagination":{"next_page_token":"b"},"pagination":{}}"#,
    ] {
        let outcome = Scene::of(small()).always(List::IncidentReports, FaultKind::Body(body.into())).collect().await;
        outcome.assert_failure(FailureCode::Malformed, List::IncidentReports, &["is there twice"]);
        assert_eq!(outcome.requests_to(List::IncidentReports).len(), 1);
    }
}

#[tokio::test]
async fn a_token_that_comes_again_ends_the_run() {
    // A page that names itself as the next one, and one that leads back to an earlier one.
    let repeated = Scene::of(account(1, 40, 0)).max_page(10).fault(List::Agents, 2, u32::MAX, FaultKind::RepeatToken);
    let outcome = repeated.collect().await;
    outcome.assert_failure(FailureCode::Inconsistent, List::Agents, &["page token", "second time"]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 2);

    let single = Scene::of(small()).always(List::IncidentReports, FaultKind::RepeatToken).collect().await;
    single.assert_failure(FailureCode::Inconsistent, List::IncidentReports, &["second time"]);
    assert_eq!(single.requests_to(List::IncidentReports).len(), 2);
}

#[tokio::test]
async fn a_list_without_end_is_given_up_at_the_cap() {
    let endless = Scene::of(small()).always(List::Agents, FaultKind::EndlessPages).max_pages(20).collect().await;
    endless.assert_failure(FailureCode::Inconsistent, List::Agents, &["not ended after 20 pages"]);
    assert_eq!(endless.requests_to(List::Agents).len(), 20);

    let exactly = Scene::of(account(1, 40, 0)).max_page(10).max_pages(4).collect().await;
    exactly.assert_values(&[("agents_total", "40")]);
    assert_eq!(common::huntress::collection::MAX_PAGES, 100_000);
}

#[tokio::test]
async fn a_next_url_at_another_host_is_never_asked() {
    let elsewhere = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let url = format!("http://{}", elsewhere.local_addr().unwrap());
    let scene = LISTS.into_iter().fold(Scene::of(account(30, 30, 30)).max_page(10), |scene, list| {
        scene.always(list, FaultKind::ForeignNextUrl(url.clone()))
    });
    let outcome = scene.collect().await;
    outcome.assert_values(&[("agents_total", "30"), ("organizations_total", "30")]);
    assert_eq!(requests(&outcome), OfLists::each(3));
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn no_agents_where_the_organizations_claim_some_is_a_failure() {
    let claiming = |count: Value| {
        Account::from_records(
            vec![organization(1, json!({"agents_count": count})), organization(2, json!({}))],
            vec![],
            vec![],
        )
    };
    for (count, shown) in [(json!(3), "3"), (json!("3"), "3"), (json!(u64::MAX), "18446744073709551615")] {
        let outcome = Scene::of(claiming(count)).collect().await;
        outcome.assert_failure(
            FailureCode::Inconsistent,
            List::Agents,
            &["list of agents is empty", &format!("{shown} agents")],
        );
    }
    for count in [json!(0), json!(null), json!("many"), json!(-3)] {
        Scene::of(claiming(count))
            .collect()
            .await
            .assert_values(&[("agents_total", "0"), ("organizations_total", "2")]);
    }
}

#[tokio::test]
async fn claims_that_add_up_beyond_any_number_are_still_claims() {
    let huge = |id| organization(id, json!({"agents_count": u64::MAX}));
    let outcome = Scene::of(Account::from_records(vec![huge(1), huge(2)], vec![], vec![])).collect().await;
    outcome.assert_failure(FailureCode::Inconsistent, List::Agents, &["list of agents is empty"]);
    let agent = agent(1, json!({"last_callback_at": hours_ago(1)}));
    let outcome = Scene::of(Account::from_records(vec![huge(1), huge(2)], vec![agent], vec![])).collect().await;
    outcome.assert_values(&[("agents_total", "1")]);
}

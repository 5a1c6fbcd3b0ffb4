//! Answers that end the run at once: asking again would not help.

use crate::records::small;
use acceptance::edr::{Outcome, Scene};
use common::domain::failure::FailureCode;
use simulator::{FaultKind, List};
use std::net::TcpListener;

const LISTS: [List; 3] = [List::Organizations, List::Agents, List::IncidentReports];

async fn struck(list: List, kind: FaultKind) -> Outcome {
    let outcome = Scene::of(small()).always(list, kind).collect().await;
    assert_eq!(outcome.requests_to(list).len(), 1, "not retried");
    assert_eq!(outcome.passed.num_milliseconds(), 0, "not waited for");
    outcome
}

#[tokio::test]
async fn a_wrong_key_or_secret_is_an_auth_failure() {
    for (key, secret) in [("hk_other", simulator::API_SECRET), (simulator::API_KEY, "hs_other"), ("", "")] {
        let outcome = Scene::of(small()).credential(key, secret).collect().await;
        let failure = outcome.failure();
        assert_eq!(failure.code, FailureCode::AuthFailed);
        assert_eq!(failure.message, "the API key or secret was not accepted");
        assert!(failure.request.as_deref().unwrap().starts_with("GET /v1/"), "{failure}");
        assert!(LISTS.iter().all(|list| outcome.requests_to(*list).len() <= 1), "not retried");
        assert!(outcome.requests.iter().all(|request| !request.authenticated));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_in_mid_run_is_an_auth_failure() {
    let outcome = Scene::of(small()).max_page(1).fault(List::Agents, 1, 1, FaultKind::Unauthorized).collect().await;
    outcome.assert_failure(FailureCode::AuthFailed, List::Agents, &["the API key or secret was not accepted"]);
}

#[tokio::test]
async fn a_403_on_one_list_names_the_list_and_the_permission() {
    for (list, noun) in
        [(List::Organizations, "organizations"), (List::Agents, "agents"), (List::IncidentReports, "incident reports")]
    {
        let outcome = struck(list, FaultKind::Forbidden).await;
        let permission = format!("the permission to view {noun} is missing");
        outcome.assert_failure(FailureCode::AuthFailed, list, &[noun, &permission]);
        assert!(outcome.failure().action.contains("permissions of the key's user"));
    }
}

#[tokio::test]
async fn a_404_on_a_list_is_a_failure_of_the_source_that_names_it() {
    for (list, noun) in
        [(List::Organizations, "organizations"), (List::Agents, "agents"), (List::IncidentReports, "incident reports")]
    {
        let outcome = struck(list, FaultKind::Status(404)).await;
        outcome.assert_failure(FailureCode::Refused, list, &[noun, "404"]);
    }
}

#[tokio::test]
async fn every_other_status_that_is_no_success_is_named() {
    for status in [201, 204, 206, 304, 400, 402, 405, 406, 408, 409, 410, 413, 418, 422, 451] {
        let outcome = struck(List::Agents, FaultKind::Status(status)).await;
        outcome.assert_failure(FailureCode::Refused, List::Agents, &["agents", &status.to_string()]);
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    for to in [format!("http://{address}/v1/agents"), format!("https://{address}/"), "/v1/organizations".to_owned()] {
        let outcome = struck(List::Agents, FaultKind::Redirect(to)).await;
        outcome.assert_failure(FailureCode::Refused, List::Agents, &["redirect (302)", "never followed"]);
        assert_eq!(outcome.requests_to(List::Organizations).len(), 1);
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    for status in [301, 303, 307, 308] {
        struck(List::Agents, FaultKind::Status(status)).await.assert_failure(
            FailureCode::Refused,
            List::Agents,
            &["redirect"],
        );
    }
}

#[tokio::test]
async fn a_failure_on_a_later_page_leaves_nothing() {
    let account = simulator::Account::demo(acceptance::edr::as_of());
    let outcome = Scene::of(account).max_page(10).fault(List::Agents, 9, 1, FaultKind::Forbidden).collect().await;
    outcome.assert_failure(FailureCode::AuthFailed, List::Agents, &[]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 9);
}

#[tokio::test]
async fn a_failure_never_repeats_what_the_answer_said() {
    let said = r#"{"error":"zebra-marker"}"#;
    for status in [200, 201, 400, 401, 403, 404, 418, 429, 500] {
        let fault = FaultKind::StatusWithBody(status, said.into(), "application/json".to_owned());
        let outcome = Scene::of(small()).always(List::Agents, fault).collect().await;
        let shown = format!("{} {:?}", outcome.failure(), outcome.failure());
        assert!(!shown.contains("zebra"), "{shown}");
    }
}

//! Access tokens: how they are asked for, renewed and refused.

use crate::records::{serve, workforce};
use acceptance::sat::{SatOutcome, SatScene};
use common::domain::failure::FailureCode;
use common::domain::sat::SCOPES;
use simulator::{ClientAuthentication, ErrorShape, FaultKind, List, TokenMode};

const TOKEN: &str = "POST /oauth/token";

fn scene() -> SatScene {
    SatScene::of(serve(workforce(10, 9)))
}

/// Where the credential was at each request for a token, and how many scopes were asked for.
fn asked(outcome: &SatOutcome) -> Vec<(ClientAuthentication, usize)> {
    let requests = outcome.token_requests();
    assert!(requests.iter().all(|(it, _)| it.grant_type.as_deref() == Some("client_credentials")));
    requests.iter().map(|(it, _)| (it.authentication, it.scopes.len())).collect()
}

#[tokio::test]
async fn one_token_is_asked_for_with_http_basic_and_exactly_five_scopes() {
    let outcome = scene().collect().await;
    assert_eq!(outcome.bundle().signals.len(), 2);
    assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5)]);
    let scopes = &outcome.token_requests()[0].0.scopes;
    let expected = [
        "account:read",
        "assignments:read",
        "assignments:learner-activity",
        "learners:read",
        "phishing-campaigns:read",
    ];
    assert_eq!(scopes, &expected);
    assert_eq!(outcome.requests[0].method, "POST");
    assert!(outcome.requests[1..].iter().all(|it| it.method == "GET" && it.authenticated));
}

#[tokio::test]
async fn the_credential_goes_into_the_body_only_after_basic_was_refused() {
    for mode in [TokenMode::BodyOnly, TokenMode::MethodNotAllowed405ForBasic] {
        let outcome = scene().simulator(move |it| it.token_mode(mode)).collect().await;
        assert_eq!(outcome.bundle().signals.len(), 2, "{mode:?}");
        assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5), (ClientAuthentication::Body, 5)], "{mode:?}");
    }
    let outcome = scene().simulator(|it| it.token_mode(TokenMode::BasicOnly)).collect().await;
    assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5)]);
}

#[tokio::test]
async fn no_other_refusal_sends_the_credential_in_the_body() {
    let html = |status| FaultKind::StatusWithBody(status, b"<html>no</html>".to_vec(), "text/html".to_owned());
    let other = |status, code: &str| {
        let body = format!(r#"{{"error":"{code}"}}"#).into_bytes();
        FaultKind::StatusWithBody(status, body, "application/json".to_owned())
    };
    let cases = [
        (html(401), FailureCode::AuthFailed),
        (html(403), FailureCode::AuthFailed),
        (other(400, "invalid_client"), FailureCode::AuthFailed),
        (other(400, "invalid_grant"), FailureCode::AuthFailed),
        (other(401, "invalid_token"), FailureCode::AuthFailed),
        (other(400, "invalid_request"), FailureCode::Refused),
        (html(404), FailureCode::Refused),
    ];
    for (kind, code) in cases {
        let outcome = scene().always(List::Token, kind.clone()).collect().await;
        outcome.assert_failure(code, TOKEN, &[]);
        assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5)], "{kind:?}");
        assert_eq!(outcome.requests.len(), 1);
    }
}

#[tokio::test]
async fn a_token_refused_in_mid_run_is_renewed_once() {
    let outcome = scene().simulator(|it| it.token_lifetime_requests(Some(4))).collect().await;
    assert_eq!(outcome.coverage().2.distinct_trained_learners, 9);
    assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5), (ClientAuthentication::Basic, 5)]);
    let refused = outcome.requests.iter().filter(|it| it.status == Some(401)).count();
    let answered = outcome.requests.iter().filter(|it| it.status == Some(200) && it.token.is_none()).count();
    assert!(refused >= 1);
    // Every request is answered once, after a renewal the second time.
    assert_eq!(answered, 6);
    assert_eq!(outcome.requests.len(), answered + refused + 2);
}

#[tokio::test]
async fn a_renewal_keeps_to_the_place_that_worked() {
    let scene = scene().simulator(|it| it.token_mode(TokenMode::BodyOnly).token_lifetime_requests(Some(4)));
    let outcome = scene.collect().await;
    let places = [ClientAuthentication::Basic, ClientAuthentication::Body, ClientAuthentication::Body];
    assert_eq!(asked(&outcome), places.map(|it| (it, 5)));
}

#[tokio::test]
async fn tokens_shorter_than_a_run_are_renewed_again_and_again() {
    for lifetime in 1..=3 {
        let outcome = scene().simulator(move |it| it.token_lifetime_requests(Some(lifetime))).collect().await;
        assert_eq!(outcome.coverage().2.distinct_trained_learners, 9);
        let answered = outcome.requests.iter().filter(|it| it.status == Some(200) && it.token.is_none()).count();
        assert_eq!(answered, 6);
        // A token is asked for only when the one before it is used up.
        assert_eq!(outcome.token_requests().len(), answered.div_ceil(lifetime as usize), "{lifetime}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_before_it_was_good_for_anything_fails_the_run() {
    let outcome = scene().simulator(|it| it.token_lifetime_requests(Some(0))).collect().await;
    let failure = outcome.failure();
    assert_eq!(failure.code, FailureCode::AuthFailed, "{failure}");
    assert!(failure.message.contains("refused before any request with it succeeded"), "{failure}");
    assert_eq!((outcome.token_requests().len(), outcome.requests.len()), (1, 2));
}

#[tokio::test]
async fn one_list_that_is_always_refused_ends_the_run_with_its_second_token() {
    let outcome = scene().always(List::Learners, FaultKind::Unauthorized).collect().await;
    outcome.assert_failure(FailureCode::AuthFailed, "GET /api/v1/accounts/pXk93Lq/learners", &["refused"]);
    assert_eq!((outcome.token_requests().len(), outcome.requests_to(List::Learners).len()), (2, 2));
}

#[tokio::test]
async fn a_renewal_that_is_refused_says_so() {
    let refuse = FaultKind::Unauthorized;
    let scene = scene().simulator(|it| it.token_lifetime_requests(Some(2))).fault(List::Token, 2, u32::MAX, refuse);
    scene.collect().await.assert_failure(FailureCode::AuthFailed, TOKEN, &["not accepted", "invalid_client"]);
}

#[tokio::test]
async fn a_wrong_or_revoked_client_is_an_auth_failure() {
    let cases = [
        scene().simulator(|it| it.revoked_client(true)),
        scene().credential("9c1e-simulator-client", "another secret"),
        scene().credential("another client", "sat-simulator-secret-Vh3kQz"),
    ];
    for scene in cases {
        let outcome = scene.collect().await;
        outcome.assert_failure(FailureCode::AuthFailed, TOKEN, &["not accepted", "401", "invalid_client"]);
        assert_eq!(asked(&outcome), [(ClientAuthentication::Basic, 5), (ClientAuthentication::Body, 5)]);
        assert_eq!(outcome.access_tokens.len(), 0);
    }
}

#[tokio::test]
async fn missing_scopes_are_named_exactly_by_asking_for_each_alone() {
    let cases: [&[usize]; 5] = [&[0], &[2], &[1, 3], &[4], &[0, 1, 2, 3, 4]];
    for missing in cases {
        let granted: Vec<&'static str> = (0..5).filter(|it| !missing.contains(it)).map(|it| SCOPES[it]).collect();
        let outcome = scene().simulator(move |it| it.scopes_granted(granted)).collect().await;
        let named: Vec<&str> = missing.iter().map(|it| SCOPES[*it]).collect();
        outcome.assert_failure(FailureCode::MissingScopes, TOKEN, &named);
        for scope in SCOPES.iter().filter(|it| !named.contains(*it)) {
            assert!(!outcome.failure().message.contains(scope), "{scope}: {}", outcome.failure());
        }
        let alone: Vec<usize> = outcome.token_requests().iter().map(|(it, _)| it.scopes.len()).collect();
        assert_eq!(alone, [5, 1, 1, 1, 1, 1]);
        assert_eq!(outcome.requests.len(), 6);
    }
}

#[tokio::test]
async fn missing_scopes_are_named_in_the_body_mode_too() {
    let scene = scene().simulator(|it| it.token_mode(TokenMode::BodyOnly).scopes_granted(SCOPES[..4].to_vec()));
    let outcome = scene.collect().await;
    outcome.assert_failure(FailureCode::MissingScopes, TOKEN, &["phishing-campaigns:read"]);
    assert!(outcome.requests.len() <= 8, "{}", outcome.requests.len());
}

#[tokio::test]
async fn a_403_in_mid_run_names_the_scope_that_is_missing() {
    let cases = [
        (List::Accounts, "", "account:read"),
        (List::AccountById, "pXk93Lq", "account:read"),
        (List::Assignments, "pXk93Lq", "assignments:read"),
        (List::LearnerActivity, "as0", "assignments:learner-activity"),
        (List::Learners, "pXk93Lq", "learners:read"),
        (List::PhishingCampaigns, "pXk93Lq", "phishing-campaigns:read"),
    ];
    for (list, id, scope) in cases {
        let outcome = scene().always(list, FaultKind::Forbidden).collect().await;
        outcome.assert_failure(FailureCode::MissingScopes, &format!("GET {}", list.path_of(id)), &[scope]);
        assert!(outcome.failure().code.is_auth());
        assert_eq!(outcome.requests_to(list).len(), 1);
    }
}

#[tokio::test]
async fn error_bodies_of_every_shape_are_understood_or_unreadable_and_never_echoed() {
    let shapes = [ErrorShape::Usual, ErrorShape::JsonApi, ErrorShape::Laravel, ErrorShape::OAuth, ErrorShape::Html];
    let echoes = ["Client authentication failed", "Unauthenticated", "Invalid scope(s)", "<h1>", "does not exist"];
    for shape in shapes {
        let with = |scene: SatScene| scene.simulator(move |it| it.token_errors(shape).sat_errors(shape));
        let cases = [
            (with(scene()).simulator(|it| it.revoked_client(true)), FailureCode::AuthFailed),
            (with(scene()).simulator(|it| it.token_lifetime_requests(Some(0))), FailureCode::AuthFailed),
            (with(scene()).always(List::Learners, FaultKind::Forbidden), FailureCode::MissingScopes),
            (with(scene()).always(List::LearnerActivity, FaultKind::Status(404)), FailureCode::Refused),
        ];
        for (scene, code) in cases {
            let outcome = scene.collect().await;
            let failure = outcome.failure();
            assert_eq!(failure.code, code, "{shape:?}: {failure}");
            for echo in echoes {
                assert!(!format!("{failure} {failure:?}").contains(echo), "{shape:?}: {failure}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_cannot_be_read_says_so() {
    for shape in [ErrorShape::Laravel, ErrorShape::Html] {
        let scene = scene().simulator(move |it| it.token_errors(shape).revoked_client(true));
        scene.collect().await.assert_failure(FailureCode::AuthFailed, TOKEN, &["an error that cannot be read"]);
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_malformed_and_no_list_is_asked_for() {
    let outcome = scene().always(List::Token, FaultKind::MissingKey).collect().await;
    outcome.assert_failure(FailureCode::Malformed, TOKEN, &["access_token"]);
    assert_eq!(outcome.requests.len(), 1);
}

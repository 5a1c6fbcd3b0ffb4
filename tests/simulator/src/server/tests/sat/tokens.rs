use std::sync::Arc;
use std::sync::Mutex;

use chrono::TimeDelta;

use super::*;
use crate::fault::FaultKind;

const GOOD: Option<(&str, &str)> = Some((SAT_CLIENT_ID, SAT_CLIENT_SECRET));

fn in_body(scopes: &str) -> String {
    format!("{}&client_id={SAT_CLIENT_ID}&client_secret={SAT_CLIENT_SECRET}", form(scopes))
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_say() {
    let simulator = training_only().start().await.unwrap();
    let response = ask(&simulator, GOOD, &form("account:read assignments:read")).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = json(response).await;
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(simulator.access_tokens(), [token]);
    let (home, current) = (home(), current());
    let status = async |token: &str, path: &str| fetch(&simulator, token, path).await.status().as_u16();
    let of = |list: List| list.path_of(if list.path().contains("accounts") { &home } else { &current });
    let needed = [
        (List::Accounts, "account:read"),
        (List::AccountById, "account:read"),
        (List::Assignments, "assignments:read"),
        (List::AssignmentById, "assignments:read"),
        (List::Learners, "learners:read"),
        (List::AssignmentLearners, "assignments:read learners:read"),
        (List::LearnerActivity, "assignments:learner-activity"),
        (List::PhishingCampaigns, "phishing-campaigns:read"),
    ];
    for (list, scopes) in needed {
        let enough = token_for(&simulator, scopes).await;
        assert_eq!(status(&enough, &of(list)).await, 200, "{list:?}");
        for missing in scopes.split(' ') {
            let others: Vec<_> = SCOPES.into_iter().filter(|it| *it != missing).collect();
            let token = token_for(&simulator, &others.join(" ")).await;
            let response = fetch(&simulator, &token, &of(list)).await;
            assert_eq!(response.status(), 403, "{list:?} without {missing}");
            assert_eq!(json(response).await["errors"][0]["detail"], "Invalid scope(s) provided.");
        }
    }
    let nothing = token_for(&simulator, "").await;
    assert_eq!(status(&nothing, "/api/v1/accounts").await, 403);
    assert_eq!(status(token, "/api/v1/accounts").await, 200);
}

#[tokio::test]
async fn without_a_good_token_nothing_opens() {
    let simulator = training_only().start().await.unwrap();
    let url = format!("{}/api/v1/accounts", simulator.origin());
    let basic = client().get(&url).basic_auth(SAT_CLIENT_ID, Some(SAT_CLIENT_SECRET));
    for request in [client().get(&url), client().get(&url).bearer_auth("invented"), basic] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(json(response).await, json!({"message": "Unauthenticated."}));
    }
    let other = training_only().start().await.unwrap();
    let foreign = token_for(&other, FIVE).await;
    assert_eq!(fetch(&simulator, &foreign, "/api/v1/accounts").await.status(), 401);
}

#[tokio::test]
async fn each_mode_takes_what_it_takes() {
    let cases = [
        (TokenMode::Basic, 200, 200),
        (TokenMode::BodyOnly, 401, 200),
        (TokenMode::BasicOnly, 200, 401),
        (TokenMode::MethodNotAllowed405ForBasic, 405, 200),
    ];
    for (mode, for_basic, for_body) in cases {
        let simulator = training_only().token_mode(mode).start().await.unwrap();
        let with_basic = ask(&simulator, GOOD, &form(FIVE)).await;
        assert_eq!(with_basic.status(), for_basic, "{mode:?}");
        let with_body = ask(&simulator, None, &in_body(FIVE)).await;
        assert_eq!(with_body.status(), for_body, "{mode:?}");
        for refused in [with_basic, with_body].into_iter().filter(|it| it.status() == 401) {
            assert_eq!(json(refused).await["error"], "invalid_client");
        }
        let authentications: Vec<_> =
            simulator.requests().into_iter().map(|it| it.token.unwrap().authentication).collect();
        assert_eq!(authentications, [ClientAuthentication::Basic, ClientAuthentication::Body]);
    }
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let simulator = training_only().start().await.unwrap();
    let error = async |basic, form: &str| {
        let response = ask(&simulator, basic, form).await;
        (response.status().as_u16(), json(response).await["error"].as_str().unwrap().to_owned())
    };
    let expect = |status, code: &str| (status, code.to_owned());
    let other_secret = in_body(FIVE).replace(SAT_CLIENT_SECRET, "other");
    assert_eq!(error(Some((SAT_CLIENT_ID, "other")), &form(FIVE)).await, expect(401, "invalid_client"));
    assert_eq!(error(Some(("other", SAT_CLIENT_SECRET)), &form(FIVE)).await, expect(401, "invalid_client"));
    assert_eq!(error(None, &other_secret).await, expect(401, "invalid_client"));
    assert_eq!(error(None, &form(FIVE)).await, expect(401, "invalid_client"));
    assert_eq!(error(GOOD, &in_body(FIVE)).await, expect(400, "invalid_request"));
    assert_eq!(error(GOOD, "scope=account%3Aread").await, expect(400, "unsupported_grant_type"));
    assert_eq!(error(GOOD, "grant_type=password").await, expect(400, "unsupported_grant_type"));
    let url = format!("{}/oauth/token", simulator.origin());
    let as_json = client().post(&url).basic_auth(SAT_CLIENT_ID, Some(SAT_CLIENT_SECRET));
    let as_json = as_json.header("content-type", "application/json").body(form(FIVE));
    assert_eq!(as_json.send().await.unwrap().status(), 400);
    assert_eq!(client().get(&url).send().await.unwrap().status(), 405);
    assert!(simulator.access_tokens().is_empty());

    let renamed = training_only().sat_credentials("id", "a+b/c").start().await.unwrap();
    assert_eq!(ask(&renamed, GOOD, &form(FIVE)).await.status(), 401);
    assert_eq!(ask(&renamed, Some(("id", "a+b/c")), &form(FIVE)).await.status(), 200);
    let escaped = format!("{}&client_id=id&client_secret=a%2Bb%2Fc", form(FIVE));
    assert_eq!(ask(&renamed, None, &escaped).await.status(), 200);
}

#[tokio::test]
async fn one_scope_too_many_fails_the_whole_token() {
    let simulator = training_only().scopes_granted(vec!["account:read", "learners:read"]).start().await.unwrap();
    let refused = ask(&simulator, GOOD, &form(FIVE)).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(json(refused).await["error"], "invalid_scope");
    token_for(&simulator, "account:read learners:read").await;
    simulator.set_scopes_granted(FIVE.split(' ').collect());
    token_for(&simulator, FIVE).await;
    let everything = training_only().start().await.unwrap();
    assert_eq!(ask(&everything, GOOD, &form("account:write")).await.status(), 400);
}

#[tokio::test]
async fn a_revoked_client_gets_nothing() {
    let simulator = training_only().revoked_client(true).start().await.unwrap();
    for (basic, form) in [(GOOD, form(FIVE)), (None, in_body(FIVE))] {
        let response = ask(&simulator, basic, &form).await;
        assert_eq!(response.status(), 401);
        assert_eq!(json(response).await["error"], "invalid_client");
    }
    simulator.set_revoked_client(false);
    let token = token_for(&simulator, FIVE).await;
    simulator.set_revoked_client(true);
    assert_eq!(fetch(&simulator, &token, "/api/v1/accounts").await.status(), 200);
}

#[tokio::test]
async fn tokens_expire_by_requests_and_by_the_hour() {
    let now = Arc::new(Mutex::new(as_of()));
    let clock = Arc::clone(&now);
    let builder = training_only().token_lifetime_requests(Some(2)).clock(Arc::new(move || *clock.lock().unwrap()));
    let simulator = builder.start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    for expected in [200, 200, 401, 401] {
        assert_eq!(fetch(&simulator, &token, "/api/v1/accounts").await.status(), expected);
    }
    let fresh = token_for(&simulator, FIVE).await;
    assert_ne!(fresh, token);
    *now.lock().unwrap() += TimeDelta::seconds(3599);
    assert_eq!(fetch(&simulator, &fresh, "/api/v1/accounts").await.status(), 200);
    *now.lock().unwrap() += TimeDelta::seconds(1);
    assert_eq!(fetch(&simulator, &fresh, "/api/v1/accounts").await.status(), 401);
}

#[tokio::test]
async fn the_log_knows_the_scopes_and_no_secret() {
    let simulator = training_only().start().await.unwrap();
    let response = ask(&simulator, None, &in_body("account:read learners:read")).await;
    let token = json(response).await["access_token"].as_str().unwrap().to_owned();
    fetch(&simulator, &token, "/api/v1/accounts").await;
    fetch(&simulator, "wrong", "/api/v1/accounts").await;
    let log = simulator.requests();
    let expected = TokenRequest {
        grant_type: Some("client_credentials".to_owned()),
        scopes: vec!["account:read".to_owned(), "learners:read".to_owned()],
        authentication: ClientAuthentication::Body,
    };
    assert_eq!(log[0].token, Some(expected));
    assert_eq!((log[0].list, log[0].status, log[0].authenticated), (Some(List::Token), Some(200), true));
    assert_eq!((log[1].list, &log[1].token, log[1].authenticated), (Some(List::Accounts), &None, true));
    assert_eq!((log[2].status, log[2].authenticated), (Some(401), false));
    let text = format!("{log:?}");
    assert!(!text.contains(SAT_CLIENT_SECRET) && !text.contains(&token));
}

#[tokio::test]
async fn faults_strike_the_token_endpoint() {
    let cases = [
        (FaultKind::Status(503), 503),
        (FaultKind::Unauthorized, 401),
        (FaultKind::RetryAfter(429, "7".to_owned()), 429),
        (FaultKind::MissingKey, 200),
        (FaultKind::NotJson, 200),
    ];
    for (kind, expected) in cases {
        let simulator = training_only().fault(Fault::once(Some(List::Token), 2, kind.clone())).start().await.unwrap();
        // A refused credential counts here.
        assert_eq!(ask(&simulator, None, &form(FIVE)).await.status(), 401);
        let response = ask(&simulator, GOOD, &form(FIVE)).await;
        assert_eq!(response.status(), expected);
        match kind {
            FaultKind::Unauthorized => assert_eq!(json(response).await["error"], "invalid_client"),
            FaultKind::MissingKey => {
                let body = json(response).await;
                assert!(body.get("access_token").is_none() && body["token_type"] == "Bearer");
            }
            FaultKind::RetryAfter(..) => assert_eq!(response.headers()["retry-after"], "7"),
            _ => {}
        }
        token_for(&simulator, FIVE).await;
    }
    let patch = FaultKind::patch(|body| body["expires_in"] = json!(1));
    let simulator = training_only().fault(Fault::once(None, 1, patch)).start().await.unwrap();
    assert_eq!(json(ask(&simulator, GOOD, &form(FIVE)).await).await["expires_in"], 1);
}

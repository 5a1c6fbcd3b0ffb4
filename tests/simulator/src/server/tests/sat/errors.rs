use super::*;
use crate::fault::FaultKind;

#[tokio::test]
async fn error_bodies_in_each_shape() {
    for shape in [ErrorShape::JsonApi, ErrorShape::Laravel, ErrorShape::OAuth, ErrorShape::Html] {
        let builder = training_only().sat_errors(shape).token_errors(shape);
        let simulator =
            builder.fault(Fault::once(Some(List::Accounts), 1, FaultKind::Status(500))).start().await.unwrap();
        let token = token_for(&simulator, FIVE).await;
        let answers = [
            (fetch(&simulator, "wrong", "/api/v1/accounts").await, 401, "invalid_token"),
            (fetch(&simulator, &token, "/api/v1/accounts").await, 500, "server_error"),
            (fetch(&simulator, &token, "/api/v1/assignments/none").await, 404, "not_found"),
            (fetch(&simulator, &token, "/api/v1/nothing").await, 404, "not_found"),
            (ask(&simulator, None, &form(FIVE)).await, 401, "invalid_client"),
        ];
        for (response, status, code) in answers {
            assert_eq!(response.status(), status, "{shape:?}");
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            let body = response.text().await.unwrap();
            let value: Value = serde_json::from_str(&body).unwrap_or_default();
            match shape {
                ErrorShape::JsonApi => {
                    assert_eq!(kind, "application/vnd.api+json");
                    assert_eq!(value["errors"][0]["status"], status.to_string());
                    assert_eq!(value["errors"][0]["code"], code);
                }
                ErrorShape::Laravel => {
                    assert!(value["message"].is_string() && value.as_object().unwrap().len() == 1);
                }
                ErrorShape::OAuth => assert_eq!((kind.as_str(), &value["error"]), ("application/json", &json!(code))),
                _ => assert!(kind.starts_with("text/html") && body.starts_with("<!DOCTYPE")),
            }
        }
    }
}

#[tokio::test]
async fn only_reading_and_only_what_exists() {
    let simulator = training_only().start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    let unknown = [
        "/api/v1",
        "/api/v1/learners",
        "/api/v1/accounts/",
        "/api/v1/accounts/none",
        "/api/v1/accounts/none/learners",
        "/api/v1/assignments/none/learner-activity",
        "/api/v1/assignments/none/learners",
        "/api/v1/assignments/none/completion-certificate?learnerId=x",
    ];
    for path in unknown {
        let response = fetch(&simulator, &token, path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(json(response).await["errors"][0]["status"], "404");
    }
    let url = format!("{}/api/v1/accounts", simulator.origin());
    for request in [client().post(&url), client().delete(&url), client().patch(&url), client().head(&url)] {
        assert_eq!(request.bearer_auth(&token).send().await.unwrap().status(), 405);
    }
    for query in ["page[number]=0", "page[size]=0", "page[number]=x", "page[size]=-1", "page[size]="] {
        let response = fetch(&simulator, &token, &format!("/api/v1/accounts?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        let detail = json(response).await["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(query.split_once('=').unwrap().0));
    }
}

#[tokio::test]
async fn a_fault_can_be_aimed_at_one_assignment() {
    let records = training().to_records();
    let id = |at: usize| records.assignments[at]["id"].as_str().unwrap();
    let path = List::LearnerActivity.path_of(id(2));
    let fault = Fault::once(Some(List::LearnerActivity), 2, FaultKind::Status(404)).at(&path);
    let simulator = training_only().fault(fault).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    let mut answers = Vec::new();
    for at in [0, 1, 2, 0, 2, 2] {
        let path = List::LearnerActivity.path_of(id(at));
        answers.push(fetch(&simulator, &token, &path).await.status().as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 200, 404, 200], "the second request to that path");
    assert_eq!(fetch(&simulator, &token, &List::AssignmentById.path_of(id(2))).await.status(), 200);
}

#[tokio::test]
async fn faults_speak_the_apis_language() {
    let simulator = training_only().start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    let cases = [
        (FaultKind::Unauthorized, 401, "/message", json!("Unauthenticated.")),
        (FaultKind::Forbidden, 403, "/errors/0/detail", json!("Invalid scope(s) provided.")),
        (FaultKind::Status(418), 418, "/errors/0/status", json!("418")),
        (FaultKind::Status(503), 503, "/message", json!("An error has occurred")),
    ];
    for (kind, status, pointer, expected) in cases {
        simulator.set_faults(vec![Fault::once(None, 1, kind)]);
        let response = fetch(&simulator, &token, "/api/v1/accounts").await;
        assert_eq!(response.status(), status);
        assert_eq!(json(response).await.pointer(pointer), Some(&expected));
    }
    simulator.set_faults(vec![Fault::once(None, 1, FaultKind::Reset)]);
    let url = format!("{}/api/v1/accounts", simulator.origin());
    assert!(client().get(url).bearer_auth(&token).send().await.is_err());
    assert_eq!(simulator.requests().last().unwrap().status, None);
}

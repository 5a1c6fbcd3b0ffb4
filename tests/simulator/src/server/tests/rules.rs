use chrono::TimeDelta;
use serde_json::json;

use super::*;

#[tokio::test]
async fn parameters_outside_their_closed_sets_are_refused() {
    let simulator = unlimited(account()).start().await.unwrap();
    let good = [
        "/v1/agents?limit=1",
        "/v1/agents?limit=500&sort_field=updated_at&sort_direction=asc",
        "/v1/agents?status=open&page=4&created_at_min=x",
        "/v1/organizations?sort_field=name",
        "/v1/incident_reports?status=partner_dismissed&severity=low&platform=email_security",
    ];
    for path in good {
        assert_eq!(status(&simulator, path).await, 200, "{path}");
    }
    let page = get(&simulator, "/v1/agents?sort_field=id").await;
    let foreign = format!("/v1/agents?sort_field=created_at&page_token={}", token(&page).unwrap());
    let bad = [
        "/v1/agents?limit=0",
        "/v1/agents?limit=501",
        "/v1/agents?limit=-1",
        "/v1/agents?limit=ten",
        "/v1/agents?limit=",
        "/v1/agents?sort_field=name",
        "/v1/agents?sort_direction=up",
        "/v1/agents?page_token=nonsense",
        "/v1/agents?page_token=",
        "/v1/agents?platform=google",
        "/v1/agents?organization_id=acme",
        "/v1/incident_reports?status=open",
        "/v1/incident_reports?status=resolved",
        "/v1/incident_reports?severity=medium",
        foreign.as_str(),
    ];
    for path in bad {
        let response = send(&simulator, path).await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(body["error"].is_string());
    }
}

#[tokio::test]
async fn only_the_five_paths_exist_and_only_for_reading() {
    let simulator = unlimited(account()).start().await.unwrap();
    for path in ["/", "/v1/incidents", "/v1/agents/", "/v2/agents"] {
        let response = send(&simulator, path).await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.bytes().await.unwrap(), r#"{"error":"Invalid path specified"}"#);
    }
    let missing = send(&simulator, "/v1/agents/1").await.unwrap();
    assert_eq!(
        (missing.status().as_u16(), missing.bytes().await.unwrap()),
        (404, r#"{"error":"Record not found"}"#.into())
    );
    let url = format!("{}/v1/agents", simulator.origin());
    for request in [client().post(&url), client().delete(&url), client().head(&url)] {
        let response = request.basic_auth(API_KEY, Some(API_SECRET)).send().await.unwrap();
        assert_eq!(response.status(), 405);
    }
}

#[tokio::test]
async fn only_the_credential_opens() {
    let simulator = unlimited(account()).credentials("hk_test", "hs_test").start().await.unwrap();
    let url = format!("{}/v1/account", simulator.origin());
    let ask = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    assert_eq!(ask(client().get(&url).basic_auth("hk_test", Some("hs_test"))).await, 200);
    assert_eq!(ask(client().get(&url)).await, 401);
    assert_eq!(ask(client().get(&url).basic_auth("hk_test", Some("other"))).await, 401);
    assert_eq!(ask(client().get(&url).bearer_auth("hk_test:hs_test")).await, 401);
    let seen: Vec<_> = simulator.requests().iter().map(|it| (it.authenticated, it.status)).collect();
    assert_eq!(seen, [(true, Some(200)), (false, Some(401)), (false, Some(401)), (false, Some(401))]);
}

fn clock() -> (Clock, impl Fn(i64)) {
    let now = Arc::new(Mutex::new(as_of()));
    let hand = Arc::clone(&now);
    (Arc::new(move || *now.lock().unwrap()), move |second| {
        *hand.lock().unwrap() = as_of() + TimeDelta::seconds(second);
    })
}

#[tokio::test]
async fn the_limit_slides_as_the_vendor_documents() {
    let (clock, set) = clock();
    let simulator = Simulator::builder(account()).clock(clock).start().await.unwrap();
    let ask = async |second| {
        set(second);
        let response = send(&simulator, "/v1/account").await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-huntress-api-call-limit"), "60");
        assert!(response.headers().get("retry-after").is_none());
        (response.status().as_u16(), header("x-huntress-api-call-remaining"))
    };
    assert_eq!(ask(0).await, (200, "59".to_owned()));
    assert_eq!(ask(5).await.0, 200);
    for _ in 3..=60 {
        assert_eq!(ask(10).await.0, 200);
    }
    assert_eq!(ask(55).await, (429, "0".to_owned()));
    assert_eq!(ask(61).await.0, 200);
    assert_eq!(ask(61).await.0, 429);
    assert_eq!(ask(64).await.0, 429);
    assert_eq!(ask(65).await, (200, "0".to_owned()));
    assert_eq!(simulator.requests().len(), 65);
}

#[tokio::test]
async fn the_limit_can_be_chosen_and_explained() {
    let (clock, set) = clock();
    let builder = Simulator::builder(account()).clock(clock).rate_limit(Some(1)).retry_after(true);
    let simulator = builder.rate_headers(false).start().await.unwrap();
    assert_eq!(status(&simulator, "/v1/account").await, 200);
    set(17);
    let response = send(&simulator, "/v1/account").await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "43");
    assert!(response.headers().get("x-huntress-api-call-limit").is_none());
}

#[tokio::test]
async fn requests_are_written_down() {
    let (clock, set) = clock();
    let simulator = unlimited(account()).clock(clock).start().await.unwrap();
    set(3);
    get(&simulator, "/v1/agents?limit=2&sort_field=id&note=a%20b").await;
    status(&simulator, "/v1/nothing").await;
    let log = simulator.requests();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        log[0],
        Request {
            method: "GET".to_owned(),
            path: "/v1/agents".to_owned(),
            query: vec![pair("limit", "2"), pair("sort_field", "id"), pair("note", "a b")],
            list: Some(List::Agents),
            status: Some(200),
            user_agent: Some("simulator-test".to_owned()),
            accept: Some("*/*".to_owned()),
            authenticated: true,
            token: None,
            at: as_of() + TimeDelta::seconds(3),
        }
    );
    assert_eq!(log[0].parameter("limit"), Some("2"));
    assert_eq!((log[1].list, log[1].status), (None, Some(404)));
    simulator.reset_log();
    assert!(simulator.requests().is_empty());
    get(&simulator, "/v1/account").await;
    assert_eq!(simulator.requests()[0].status, Some(200));
}

#[tokio::test]
async fn gzip_only_where_both_sides_want_it() {
    let plain = Client::builder().no_proxy().no_gzip().build().unwrap();
    for (offered, header, expected) in
        [(true, Some("gzip, br"), true), (true, None, false), (false, Some("gzip"), false)]
    {
        let simulator = unlimited(account()).gzip(offered).start().await.unwrap();
        let mut request = plain.get(format!("{}/v1/agents", simulator.origin())).basic_auth(API_KEY, Some(API_SECRET));
        if let Some(header) = header {
            request = request.header("accept-encoding", header);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers().get("content-encoding").is_some(), expected);
        let body = response.bytes().await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).is_err(), expected);
        // The client that decompresses sees the same.
        assert_eq!(get(&simulator, "/v1/agents").await["agents"].as_array().unwrap().len(), 10);
    }
}

#[tokio::test]
async fn a_stopped_simulator_is_gone() {
    let simulator = unlimited(account()).start().await.unwrap();
    let origin = simulator.origin();
    assert_eq!(get(&simulator, "/v1/account").await["account"]["status"], json!("enabled"));
    simulator.stop().await;
    assert!(client().get(origin).send().await.unwrap_err().is_connect());
}

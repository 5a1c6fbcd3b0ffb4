use std::sync::{Arc, Mutex};

use chrono::TimeDelta;

use super::*;
use crate::fault::FaultKind;

fn clock() -> (Clock, impl Fn(i64)) {
    let now = Arc::new(Mutex::new(as_of()));
    let hand = Arc::clone(&now);
    (Arc::new(move || *now.lock().unwrap()), move |second| *hand.lock().unwrap() = as_of() + TimeDelta::seconds(second))
}

/// Status, limit, remaining, wait.
async fn ask_once(simulator: &Simulator, token: &str) -> (u16, String, String, Option<String>) {
    let response = fetch(simulator, token, "/api/v1/accounts").await;
    let header = |name: &str| response.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
    let limits = (header("x-ratelimit-limit").unwrap_or_default(), header("x-ratelimit-remaining").unwrap_or_default());
    (response.status().as_u16(), limits.0, limits.1, header("retry-after"))
}

fn answer(status: u16, limit: &str, remaining: &str, wait: Option<&str>) -> (u16, String, String, Option<String>) {
    (status, limit.to_owned(), remaining.to_owned(), wait.map(str::to_owned))
}

#[tokio::test]
async fn the_scarcer_limit_is_told() {
    let (clock, set) = clock();
    let builder = Simulator::sat_only(training()).sat_rate_limit(Some(3), Some(5)).clock(clock);
    let simulator = builder.start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    let ask = async |second| {
        set(second);
        ask_once(&simulator, &token).await
    };
    assert_eq!(ask(0).await, answer(200, "3", "2", None));
    assert_eq!(ask(10).await, answer(200, "3", "1", None));
    assert_eq!(ask(20).await, answer(200, "3", "0", None));
    assert_eq!(ask(30).await, answer(429, "3", "0", Some("30")));
    // Nothing but accepted requests counts, in either.
    assert_eq!(ask(81).await, answer(200, "5", "1", None));
    assert_eq!(ask(82).await, answer(200, "5", "0", None));
    set(90);
    let response = fetch(&simulator, &token, "/api/v1/accounts").await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"3510".parse().unwrap()));
    let reset = (as_of() + TimeDelta::hours(1)).timestamp().to_string();
    assert_eq!(response.headers()["x-ratelimit-reset"], *reset);
    assert_eq!(json(response).await, json!({"message": "Too Many Attempts."}));
    // A token costs nothing.
    token_for(&simulator, FIVE).await;
}

#[tokio::test]
async fn the_default_is_the_vendors() {
    let simulator = Simulator::sat_only(training()).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    assert_eq!(ask_once(&simulator, &token).await, answer(200, "200", "199", None));
    let simulator = Simulator::sat_only(training()).rate_headers(false).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    assert_eq!(ask_once(&simulator, &token).await, answer(200, "", "", None));
    let simulator = Simulator::sat_only(training()).sat_rate_limit(None, Some(9)).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    assert_eq!(ask_once(&simulator, &token).await, answer(200, "9", "8", None));
}

#[tokio::test]
async fn a_refused_request_uses_no_fault_up() {
    let fault = Fault::once(Some(List::Accounts), 2, FaultKind::Status(500));
    let (clock, set) = clock();
    let builder = Simulator::sat_only(training()).sat_rate_limit(Some(1), None).clock(clock).fault(fault);
    let simulator = builder.start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    for (second, expected) in [(0, 200), (1, 429), (60, 500)] {
        set(second);
        assert_eq!(fetch(&simulator, &token, "/api/v1/accounts").await.status(), expected);
    }
}

#[tokio::test]
async fn both_products_from_one_server() {
    let simulator = Simulator::builder(account()).rate_limit(Some(2)).sat(training()).start().await.unwrap();
    let token = token_for(&simulator, FIVE).await;
    // Each has its own credential and its own limit.
    for expected in [200, 200, 429] {
        assert_eq!(status(&simulator, "/v1/account").await, expected);
        assert_eq!(fetch(&simulator, &token, "/api/v1/accounts").await.status(), 200);
    }
    assert_eq!(status(&simulator, "/api/v1/accounts").await, 401);
    assert_eq!(fetch(&simulator, &token, "/v1/account").await.status(), 401);
}

#[tokio::test]
async fn what_is_not_served_does_not_exist() {
    let endpoint = unlimited(account()).start().await.unwrap();
    assert_eq!(ask(&endpoint, None, &form(FIVE)).await.status(), 404);
    assert_eq!(status(&endpoint, "/api/v1/accounts").await, 404);
    assert!(endpoint.requests().iter().all(|it| it.list.is_none()));
    endpoint.set_sat(training());
    token_for(&endpoint, FIVE).await;

    let training = training_only().start().await.unwrap();
    assert_eq!(status(&training, "/v1/account").await, 404);
    training.set_account(account());
    assert_eq!(status(&training, "/v1/account").await, 200);
}

//! The account's limit of requests, in simulated time.

use crate::records::small;
use acceptance::edr::{HASTY, Outcome, Scene, as_of, collector};
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use chrono::TimeDelta;
use common::domain::failure::FailureCode;
use simulator::{Account, AccountSpec, List, Shape};

/// 264 pages of ten records.
fn of_264_pages() -> Account {
    AccountSpec { seed: 5, shape: Shape::Vendor, organizations: 40, agents: 2000, incidents: 600, as_of: as_of() }
        .generate()
}

fn refused(outcome: &Outcome) -> usize {
    outcome.requests.iter().filter(|request| request.status == Some(429)).count()
}

/// The most requests in any 60 seconds that the account saw.
fn densest_minute(outcome: &Outcome) -> usize {
    let times: Vec<_> = outcome.requests.iter().map(|request| request.at).collect();
    let within =
        |from| times.iter().filter(|at| (TimeDelta::zero()..TimeDelta::seconds(60)).contains(&(**at - from))).count();
    times.iter().map(|from| within(*from)).max().unwrap_or(0)
}

#[tokio::test]
async fn the_limiter_keeps_a_long_collection_below_the_limit_without_a_single_429() {
    let outcome = Scene::of(of_264_pages()).max_page(10).rate_limit(60).requests_per_minute(60).collect().await;
    outcome.assert_values(&[("agents_total", "2000"), ("organizations_total", "40")]);
    assert_eq!((outcome.requests.len(), refused(&outcome)), (264, 0));
    assert_eq!(densest_minute(&outcome), 60);
    // 264 requests begin a fifth window; nothing is lost to waiting longer than needed.
    let passed = outcome.passed.num_seconds();
    assert!((240..250).contains(&passed), "{passed} s");
}

#[tokio::test]
async fn a_smaller_limit_is_kept_as_well() {
    let outcome = Scene::of(of_264_pages()).max_page(50).rate_limit(60).requests_per_minute(7).collect().await;
    assert_eq!((outcome.requests.len(), refused(&outcome), densest_minute(&outcome)), (53, 0, 7));
}

/// 54 pages of 50 records, all but two of them agents: of one list, the answers tell exactly what others have used.
fn of_54_pages() -> Scene {
    let spec =
        AccountSpec { seed: 5, shape: Shape::Vendor, organizations: 40, agents: 2600, incidents: 40, as_of: as_of() };
    Scene::of(spec.generate()).max_page(50).rate_limit(60).requests_per_minute(60)
}

#[tokio::test]
async fn without_the_limiter_the_refusals_are_waited_out_and_the_evidence_is_the_same() {
    let limited = of_54_pages().max_page(20).collect().await;
    assert_eq!((limited.requests.len(), refused(&limited)), (134, 0));
    for advice in [false, true] {
        let scene = of_54_pages().max_page(20).requests_per_minute(0);
        let outcome = scene.simulator(move |builder| builder.retry_after(advice)).collect().await;
        assert!(outcome.result.is_ok(), "{}", outcome.failure());
        assert!(refused(&outcome) > 0);
        assert_eq!(outcome.requests.len(), 134 + refused(&outcome));
        assert_eq!(outcome.bundle().metrics, limited.bundle().metrics);
        assert_eq!(outcome.bundle().metadata.api_calls_made, outcome.requests.len() as u64);
    }
}

#[tokio::test]
async fn what_another_tool_has_used_slows_the_collection_down() {
    let alone = of_54_pages().collect().await;
    assert_eq!((alone.requests.len(), refused(&alone), alone.passed), (54, 0, TimeDelta::zero()));
    for others in [20, 45] {
        let outcome = of_54_pages().after_others("/v1/account", others).collect().await;
        assert_eq!((outcome.requests.len(), refused(&outcome)), (54, 0), "{others}");
        assert!((60..70).contains(&outcome.passed.num_seconds()), "{}", outcome.passed);
        assert_eq!(outcome.bundle().metrics, alone.bundle().metrics);
    }
}

#[tokio::test]
async fn what_another_tool_has_used_unseen_is_refused_and_waited_out() {
    let alone = of_54_pages().collect().await;
    let blind = of_54_pages().simulator(|builder| builder.rate_headers(false)).after_others("/v1/account", 50);
    let full = of_54_pages().after_others("/v1/account", 60);
    for scene in [blind, full] {
        let outcome = scene.collect().await;
        assert!(refused(&outcome) > 0);
        assert_eq!(outcome.bundle().metrics, alone.bundle().metrics);
    }
}

#[tokio::test]
async fn an_account_with_half_the_limit_is_collected_without_a_single_429() {
    let outcome = of_54_pages().rate_limit(30).collect().await;
    assert_eq!((outcome.requests.len(), refused(&outcome)), (54, 0));
    assert_eq!(densest_minute(&outcome), 30);
}

#[tokio::test]
async fn a_limit_that_outlives_the_run_ends_it_at_once() {
    let scene = Scene::of(of_264_pages()).max_page(10).rate_limit(60).requests_per_minute(60);
    let outcome = scene.patience(TimeDelta::seconds(90)).collect().await;
    assert_eq!(outcome.failure().code, FailureCode::RateLimited);
    assert!(outcome.failure().message.contains("longer than this run may wait"), "{}", outcome.failure());
    // Two windows begin before the run's end; the third would not.
    assert_eq!((outcome.requests.len(), refused(&outcome)), (120, 0));
}

#[tokio::test]
async fn limit_headers_that_make_no_sense_are_ignored() {
    for value in [&b""[..], b"-1", b"many", b"99999999999999999999", b"1e9", b"\xff\xfe", b"0x10", b"5,5"] {
        let value = HeaderValue::from_bytes(value).unwrap();
        let answer = move |uri: Uri| async move {
            let mut headers = HeaderMap::new();
            for name in ["x-huntress-api-call-limit", "x-huntress-api-call-remaining"] {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
            headers.insert("date", HeaderValue::from_static("Sun, 22 Mar 2026 12:00:00 GMT"));
            let list = uri.path().trim_start_matches("/v1/").to_owned();
            (headers, format!(r#"{{"{list}":[],"pagination":{{}}}}"#))
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let collector = collector(HASTY).limited_to(60);
        let collected = collector.collect(&origin).await;
        server.abort();
        assert_eq!(collected.unwrap().1.api_calls, 3);
        assert_eq!(collector.passed(), TimeDelta::zero());
    }
}

#[tokio::test]
async fn a_429_holds_back_every_list() {
    let fault = simulator::FaultKind::RetryAfter(429, "30".to_owned());
    let outcome = Scene::of(small()).max_page(1).fault(List::Agents, 1, 1, fault).collect().await;
    outcome.assert_values(&[("agents_total", "1")]);
    assert_eq!(outcome.passed, TimeDelta::seconds(30));
}

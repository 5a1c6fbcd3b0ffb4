//! Troubles that may pass: four attempts, waited for in simulated time, and then a failure that says of what kind they were.

use crate::records::small;
use acceptance::edr::{HASTY, Outcome, Scene, as_of};
use chrono::TimeDelta;
use common::domain::failure::FailureCode;
use common::huntress::request::{MAX_BODY_BYTES, Timeouts};
use simulator::{Account, FaultKind, List};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Strikes the first `times` requests for agents.
async fn struck(times: u32, kind: FaultKind) -> Outcome {
    Scene::of(small()).fault(List::Agents, 1, times, kind).collect().await
}

/// Whether it is waited out up to three times in a row, and fails like this at the fourth.
async fn passes_thrice(kind: FaultKind, code: FailureCode, parts: &[&str]) {
    for times in [1, 3] {
        let outcome = struck(times, kind.clone()).await;
        outcome.assert_values(&[("agents_total", "1"), ("agents_online", "1"), ("incidents_total", "1")]);
        assert_eq!(outcome.requests_to(List::Agents).len(), times as usize + 1, "{kind:?}");
        assert_eq!(outcome.requests.len(), times as usize + 3);
        // Retries are requests, too.
        assert_eq!(outcome.bundle().metadata.api_calls_made, u64::from(times) + 3);
    }
    let outcome = struck(u32::MAX, kind.clone()).await;
    outcome.assert_failure(code, List::Agents, parts);
    assert_eq!(outcome.requests_to(List::Agents).len(), 4, "{kind:?}");
}

fn waited(outcome: &Outcome, range: std::ops::RangeInclusive<i64>) {
    let waited = outcome.passed.num_milliseconds();
    assert!(range.contains(&waited), "{waited} ms are not within {range:?}");
}

#[tokio::test]
async fn a_server_error_passes_or_is_unavailable() {
    for status in [500, 502, 503, 504, 520] {
        passes_thrice(FaultKind::Status(status), FailureCode::Unavailable, &["no usable answer for agents", "status"])
            .await;
    }
}

#[tokio::test]
async fn a_reset_passes_or_is_unavailable() {
    passes_thrice(FaultKind::Reset, FailureCode::Unavailable, &["no usable answer for agents"]).await;
}

#[tokio::test]
async fn a_body_that_is_cut_off_passes_or_is_unavailable() {
    passes_thrice(FaultKind::Truncate, FailureCode::Unavailable, &["ended early"]).await;
}

#[tokio::test]
async fn half_a_json_passes_or_is_malformed() {
    passes_thrice(
        FaultKind::TruncateJson,
        FailureCode::Malformed,
        &["agents", "the whole answer", "no JSON, or is cut off"],
    )
    .await;
}

#[tokio::test]
async fn a_page_of_html_passes_or_is_malformed() {
    passes_thrice(FaultKind::NotJson, FailureCode::Malformed, &["the whole answer", "no JSON"]).await;
}

#[tokio::test]
async fn an_empty_body_and_one_with_more_behind_it_pass_or_are_malformed() {
    for body in ["", " ", r#"{"agents":[],"pagination":{}} and more"#, "nul"] {
        passes_thrice(FaultKind::Body(body.into()), FailureCode::Malformed, &["the whole answer"]).await;
    }
}

/// Whatever part of a page is lost, what is left is never taken for the page.
#[tokio::test]
async fn no_beginning_of_a_page_is_taken_for_the_whole() {
    let page = r#"{"agents":[{"id":1,"organization_id":1,"status":"online"}],"pagination":{}}"#;
    for length in 0..page.len() {
        let outcome = struck(u32::MAX, FaultKind::Body(page[..length].into())).await;
        outcome.assert_failure(FailureCode::Malformed, List::Agents, &["the whole answer"]);
    }
    struck(u32::MAX, FaultKind::Body(page.into())).await.assert_values(&[("agents_online", "1")]);
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable() {
    let hang = FaultKind::Hang(Duration::from_secs(60));
    let outcome = Scene::of(small()).always(List::Agents, hang.clone()).timeouts(HASTY).collect().await;
    outcome.assert_failure(FailureCode::Unavailable, List::Agents, &["took too long"]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 4);

    let once = Scene::of(small()).fault(List::Agents, 1, 1, hang).timeouts(HASTY).collect().await;
    once.assert_values(&[("agents_total", "1")]);
    assert!(once.requests_to(List::Agents).len() >= 2);
}

/// Every piece comes in time, but there is no end of them.
#[tokio::test]
async fn a_body_that_drips_for_ever_is_unavailable() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{";
                let mut drip = tokio::time::interval(Duration::from_millis(50));
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    drip.tick().await;
                    sent = stream.write_all(b" ").await;
                }
            });
        }
    });
    let timeouts = Timeouts { total: Duration::from_millis(400), ..HASTY };
    let failure = acceptance::edr::collector(timeouts).collect(&origin).await.unwrap_err();
    server.abort();
    assert_eq!(failure.code, FailureCode::Unavailable);
    assert!(failure.message.contains("took too long") || failure.message.contains("ended early"), "{failure}");
}

#[tokio::test]
async fn no_connection_is_unavailable() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let failure = acceptance::edr::collector(HASTY).collect(&format!("http://{nobody}")).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Unavailable);
    assert!(failure.message.contains("no connection"), "{failure}");
}

#[tokio::test]
async fn a_retry_in_mid_list_neither_loses_nor_doubles_a_record() {
    let account = || Account::demo(as_of());
    let clean = Scene::of(account()).max_page(7).collect().await;
    for kind in
        [FaultKind::Status(502), FaultKind::Reset, FaultKind::Truncate, FaultKind::TruncateJson, FaultKind::NotJson]
    {
        let mut scene = Scene::of(account()).max_page(7);
        for (list, from) in [(List::Organizations, 2), (List::Agents, 5), (List::Agents, 9), (List::IncidentReports, 3)]
        {
            scene = scene.fault(list, from, 2, kind.clone());
        }
        let outcome = scene.collect().await;
        assert_eq!(outcome.requests.len(), clean.requests.len() + 8, "{kind:?}");
        let (mut bundle, expected) = (outcome.bundle(), clean.bundle());
        bundle.metadata.api_calls_made = expected.metadata.api_calls_made;
        bundle.metadata.collection_duration_ms = expected.metadata.collection_duration_ms;
        for (list, expected) in bundle.metadata.completeness.iter_mut().zip(&expected.metadata.completeness) {
            assert!(list.last_observed_at >= expected.last_observed_at);
            (list.first_observed_at, list.last_observed_at) = (expected.first_observed_at, expected.last_observed_at);
        }
        assert_eq!(bundle, expected, "{kind:?}");
    }
}

#[tokio::test]
async fn waits_double_and_vary() {
    waited(&struck(1, FaultKind::Status(500)).await, 500..=600);
    waited(&struck(2, FaultKind::Status(500)).await, 1500..=1800);
    waited(&struck(3, FaultKind::Status(500)).await, 3500..=4200);
    let mut different = std::collections::HashSet::new();
    for _ in 0..12 {
        different.insert(struck(1, FaultKind::Status(500)).await.passed);
    }
    assert!(different.len() > 1, "no jitter");
}

#[tokio::test]
async fn a_429_without_advice_is_waited_for_longer_than_the_vendors_window() {
    let outcome = struck(3, FaultKind::Status(429)).await;
    outcome.assert_values(&[("agents_total", "1")]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 4);
    waited(&outcome, 65_000..=78_000);
}

#[tokio::test]
async fn a_429_that_stays_is_rate_limited_after_four_attempts() {
    let outcome = struck(u32::MAX, FaultKind::Status(429)).await;
    outcome.assert_failure(FailureCode::RateLimited, List::Agents, &["request limit", "over every retry"]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 4);
}

#[tokio::test]
async fn a_retry_after_is_obeyed_to_the_second() {
    for status in [429, 500, 503] {
        let outcome = struck(2, FaultKind::RetryAfter(status, "42".to_owned())).await;
        outcome.assert_values(&[("agents_total", "1")]);
        waited(&outcome, 84_000..=84_000);
    }
    // As a date: a minute and a half after the beginning, and one that is over.
    let outcome = struck(1, FaultKind::RetryAfter(429, "Sun, 22 Mar 2026 12:01:30 GMT".to_owned())).await;
    waited(&outcome, 90_000..=90_000);
    let outcome = struck(1, FaultKind::RetryAfter(429, "Sun, 22 Mar 2026 11:00:00 GMT".to_owned())).await;
    waited(&outcome, 0..=0);
    let outcome = struck(3, FaultKind::RetryAfter(429, "0".to_owned())).await;
    waited(&outcome, 0..=0);
}

#[tokio::test]
async fn a_retry_after_that_cannot_be_read_is_as_none() {
    for value in ["soon", "-5", "1.5.0", "", "60 seconds", "Sun, 99 Mar 2026 12:01:30 GMT"] {
        waited(&struck(1, FaultKind::RetryAfter(429, value.to_owned())).await, 5_000..=6_000);
        waited(&struck(1, FaultKind::RetryAfter(503, value.to_owned())).await, 500..=600);
    }
}

#[tokio::test]
async fn a_retry_after_beyond_all_patience_ends_the_run_at_once() {
    for value in [
        "3600",
        "301",
        "4294967295",
        "99999999999999999999",
        "Sun, 22 Mar 2026 13:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        for status in [429, 503] {
            let outcome = struck(u32::MAX, FaultKind::RetryAfter(status, value.to_owned())).await;
            outcome.assert_failure(FailureCode::RateLimited, List::Agents, &["longer than this run may wait"]);
            assert_eq!(outcome.requests_to(List::Agents).len(), 1, "{status} {value}");
            waited(&outcome, 0..=0);
        }
    }
    let outcome = struck(1, FaultKind::RetryAfter(429, "3600".to_owned())).await;
    outcome.assert_failure(FailureCode::RateLimited, List::Agents, &["3600 s"]);
}

#[tokio::test]
async fn a_wait_beyond_the_runs_end_ends_the_run_at_once() {
    let short = |kind| Scene::of(small()).always(List::Agents, kind).patience(TimeDelta::seconds(20)).collect();
    let advised = short(FaultKind::RetryAfter(429, "21".to_owned())).await;
    advised.assert_failure(FailureCode::RateLimited, List::Agents, &["another 21 s"]);
    assert_eq!(advised.requests_to(List::Agents).len(), 1);
    // 5 s are waited for, the 15 s after them would be too many.
    let unadvised = short(FaultKind::Status(429)).await;
    unadvised.assert_failure(FailureCode::RateLimited, List::Agents, &[]);
    assert_eq!(unadvised.requests_to(List::Agents).len(), 2);
}

/// The limit of requests is not used up, and whoever reads the failure should not look for who uses it.
#[tokio::test]
async fn a_server_error_at_the_runs_end_is_still_unavailable() {
    let scene = Scene::of(small()).always(List::Agents, FaultKind::Status(502)).patience(TimeDelta::milliseconds(700));
    let outcome = scene.collect().await;
    outcome.assert_failure(FailureCode::Unavailable, List::Agents, &["no usable answer for agents"]);
    assert_eq!(outcome.requests_to(List::Agents).len(), 2);
}

#[tokio::test]
async fn a_body_up_to_the_bound_is_read_and_one_beyond_it_is_malformed_at_once() {
    assert_eq!(MAX_BODY_BYTES, 32 * 1024 * 1024);
    let of = |bytes| Scene::of(small()).always(List::IncidentReports, FaultKind::Oversize(bytes)).collect();
    of(MAX_BODY_BYTES as u64).await.assert_values(&[("incidents_total", "0")]);
    for beyond in [MAX_BODY_BYTES as u64 + 1, 1 << 40] {
        let outcome = of(beyond).await;
        outcome.assert_failure(FailureCode::Malformed, List::IncidentReports, &["larger than 32 MiB"]);
        assert_eq!(outcome.requests_to(List::IncidentReports).len(), 1);
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped_at_the_bound() {
    let of = |bytes| Scene::of(small()).always(List::IncidentReports, FaultKind::GzipBomb(bytes)).collect();
    of(1 << 20).await.assert_values(&[("incidents_total", "0")]);
    let before = peak_kib();
    let outcome = of(8 << 30).await;
    outcome.assert_failure(FailureCode::Malformed, List::IncidentReports, &["larger than 32 MiB"]);
    assert_eq!(outcome.requests_to(List::IncidentReports).len(), 1);
    // Other tests of this process grow, too, but by far less than the 8 GiB.
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 1024 * 1024, "the peak grew from {before} to {after} KiB");
    }
}

/// The most memory that the process ever had, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[tokio::test]
async fn a_gzip_stream_that_is_none_is_unavailable() {
    let plain = Scene::of(Account::demo(as_of())).collect().await;
    let packed = Scene::of(Account::demo(as_of())).simulator(|builder| builder.gzip(true)).collect().await;
    assert_eq!(packed.bundle(), plain.bundle());
    let cut = Scene::of(small()).simulator(|builder| builder.gzip(true)).always(List::Agents, FaultKind::Truncate);
    cut.collect().await.assert_failure(FailureCode::Unavailable, List::Agents, &["no usable answer"]);
}

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::fault::FaultKind;

const AGENTS: &str = "/v1/agents?limit=500&sort_direction=asc";

async fn with(kind: FaultKind) -> Simulator {
    unlimited(account()).fault(Fault::once(Some(List::Agents), 1, kind)).start().await.unwrap()
}

/// What is on the wire until the connection ends, and how it ends.
async fn raw(simulator: &Simulator, path: &str) -> (Vec<u8>, io::Result<()>) {
    let mut stream = TcpStream::connect(simulator.origin().strip_prefix("http://").unwrap()).await.unwrap();
    let credential = STANDARD.encode(format!("{API_KEY}:{API_SECRET}"));
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Basic {credential}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received).await.map(|_| ());
    (received, end)
}

#[tokio::test]
async fn faults_strike_the_requests_they_name() {
    let fault = |list, from_request, times, status| Fault {
        list,
        path: None,
        from_request,
        times,
        kind: FaultKind::Status(status),
    };
    let simulator = unlimited(account()).fault(fault(Some(List::Agents), 2, 2, 503)).start().await.unwrap();
    let ask = async |paths: &[&str]| {
        let mut answers = Vec::new();
        for path in paths {
            answers.push(status(&simulator, path).await);
        }
        answers
    };
    assert_eq!(
        ask(&["/v1/agents", "/v1/account", "/v1/agents", "/v1/agents", "/v1/agents"]).await,
        [200, 200, 503, 503, 200]
    );
    simulator.set_faults(vec![fault(None, 2, u32::MAX, 500), fault(Some(List::Actor), 1, 1, 502)]);
    assert_eq!(ask(&["/v1/actor", "/v1/agents", "/v1/actor", "/v1/account"]).await, [502, 500, 500, 500]);
    simulator.set_faults(vec![]);
    assert_eq!(ask(&["/v1/actor"]).await, [200]);
}

#[tokio::test]
async fn a_refused_request_uses_no_fault_up() {
    let fault = Fault::once(None, 2, FaultKind::Status(500));
    let now = Arc::new(Mutex::new(as_of()));
    let clock = Arc::clone(&now);
    let builder = Simulator::builder(account()).rate_limit(Some(1)).clock(Arc::new(move || *clock.lock().unwrap()));
    let simulator = builder.fault(fault).start().await.unwrap();
    assert_eq!(status(&simulator, "/v1/account").await, 200);
    assert_eq!(status(&simulator, "/v1/account").await, 429);
    *now.lock().unwrap() += chrono::TimeDelta::minutes(1);
    assert_eq!(status(&simulator, "/v1/account").await, 500);
}

#[tokio::test]
async fn answers_in_place_of_the_right_one() {
    let custom = FaultKind::StatusWithBody(502, b"<html>".to_vec(), "text/html".to_owned());
    let retry = FaultKind::RetryAfter(429, "Fri, 31 Dec 1999 23:59:59 GMT".to_owned());
    let cases = [
        (FaultKind::Status(500), 500),
        (custom, 502),
        (retry, 429),
        (FaultKind::Unauthorized, 401),
        (FaultKind::Forbidden, 403),
        (FaultKind::Redirect("http://127.0.0.1:9/x".to_owned()), 302),
        (FaultKind::NotJson, 200),
        (FaultKind::Body(b"[]".to_vec()), 200),
    ];
    for (kind, expected) in cases {
        let simulator = with(kind.clone()).await;
        let response = send(&simulator, AGENTS).await.unwrap();
        assert_eq!(response.status(), expected, "{kind:?}");
        let header = |name: &str| response.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        let (content_type, retry_after, location) = (header("content-type"), header("retry-after"), header("location"));
        let body = response.text().await.unwrap();
        match kind {
            FaultKind::StatusWithBody(..) => {
                assert_eq!((content_type.as_deref(), &*body), (Some("text/html"), "<html>"))
            }
            FaultKind::RetryAfter(_, value) => assert_eq!(retry_after, Some(value)),
            FaultKind::Redirect(to) => assert_eq!(location, Some(to)),
            FaultKind::NotJson => {
                assert!(content_type.unwrap().starts_with("text/html") && body.starts_with("<!DOCTYPE"))
            }
            FaultKind::Body(_) => assert_eq!(body, "[]"),
            _ => assert!(serde_json::from_str::<Value>(&body).unwrap()["error"].is_string()),
        }
        assert_eq!(simulator.requests()[0].status, Some(expected));
        assert_eq!(status(&simulator, AGENTS).await, 200);
    }
}

#[tokio::test]
async fn reset_ends_the_connection_without_an_answer() {
    let simulator = with(FaultKind::Reset).await;
    let (received, end) = raw(&simulator, AGENTS).await;
    assert!(received.is_empty());
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(simulator.requests()[0].status, None);
    assert_eq!(status(&simulator, AGENTS).await, 200);
}

#[tokio::test]
async fn truncate_sends_half_of_what_it_announced() {
    let simulator = with(FaultKind::Truncate).await;
    let (received, _) = raw(&simulator, AGENTS).await;
    let (whole, _) = raw(&simulator, AGENTS).await;
    let split = |bytes: &[u8]| -> (String, usize) {
        let at = bytes.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        (String::from_utf8(bytes[..at].to_vec()).unwrap(), bytes.len() - at - 4)
    };
    let (head, length) = split(&whole);
    assert!(head.contains(&format!("content-length: {length}")));
    let (head, received) = split(&received);
    assert!(head.contains(&format!("content-length: {length}")));
    assert_eq!(received, length / 2);

    simulator.set_faults(vec![Fault::once(None, 1, FaultKind::Truncate)]);
    assert!(send(&simulator, AGENTS).await.unwrap().bytes().await.is_err());
}

#[tokio::test]
async fn truncated_json_is_whole_as_http() {
    let simulator = with(FaultKind::TruncateJson).await;
    let half = send(&simulator, AGENTS).await.unwrap().bytes().await.unwrap();
    let whole = send(&simulator, AGENTS).await.unwrap().bytes().await.unwrap();
    assert_eq!(half, whole[..whole.len() / 2]);
}

#[tokio::test]
async fn pages_without_their_key_or_with_a_foreign_url() {
    let simulator = with(FaultKind::MissingKey).await;
    let page = get(&simulator, AGENTS).await;
    assert!(page.get("agents").is_none() && token(&page).is_some());

    let simulator = with(FaultKind::ForeignNextUrl("https://evil.example".to_owned())).await;
    let foreign = get(&simulator, AGENTS).await;
    let right = get(&simulator, AGENTS).await;
    assert!(foreign["pagination"]["next_page_url"].as_str().unwrap().starts_with("https://evil.example/v1/agents?"));
    assert_eq!(token(&foreign), token(&right));
}

#[tokio::test]
async fn tokens_that_lead_in_a_circle() {
    let simulator = unlimited(account()).fault(Fault::always(None, FaultKind::RepeatToken)).start().await.unwrap();
    for list in [List::Agents, List::Organizations] {
        let path = format!("{}?limit=500", list.path());
        let first = get(&simulator, &path).await;
        let next = token(&first).unwrap();
        let again = get(&simulator, &format!("{path}&page_token={next}")).await;
        assert_eq!(token(&again), Some(next));
    }
}

#[tokio::test]
async fn pages_without_end() {
    let simulator = unlimited(account()).fault(Fault::always(None, FaultKind::EndlessPages)).start().await.unwrap();
    let mut seen = Vec::new();
    let mut tokens = std::collections::HashSet::new();
    let mut page = get(&simulator, AGENTS).await;
    for _ in 0..30 {
        seen.extend(ids(&page, List::Agents));
        let next = token(&page).unwrap();
        assert!(tokens.insert(next.to_owned()));
        page = get(&simulator, &format!("{AGENTS}&page_token={next}")).await;
    }
    assert_eq!(seen.len(), 1040);
    simulator.set_faults(vec![]);
    let last = get(&simulator, &format!("{AGENTS}&page_token={}", token(&page).unwrap())).await;
    assert_eq!(last, json!({"agents": [], "pagination": {}}));
}

#[tokio::test]
async fn an_empty_page_loses_nothing() {
    let fault =
        |from_request| Fault { list: None, path: None, from_request, times: 2, kind: FaultKind::EmptyPageWithToken };
    for from_request in [1, 2, 3] {
        let simulator = unlimited(account()).fault(fault(from_request)).start().await.unwrap();
        let (ids, pages) = walk(&simulator, List::Agents, "limit=500&sort_direction=asc").await;
        assert_eq!((ids.len(), pages), (1040, 5));
        assert!(ids.is_sorted());
        let log = simulator.requests();
        let tokens: std::collections::HashSet<_> = log.iter().map(|it| it.parameter("page_token")).collect();
        assert_eq!(tokens.len(), 5, "each token once");
    }
}

#[tokio::test]
async fn hanging_delays_the_right_answer() {
    let simulator = with(FaultKind::Hang(Duration::from_millis(150))).await;
    let begin = Instant::now();
    assert_eq!(status(&simulator, AGENTS).await, 200);
    assert!(begin.elapsed() >= Duration::from_millis(150));
    // For ever is longer than a stop waits.
    simulator.set_faults(vec![Fault::always(None, FaultKind::Hang(Duration::MAX))]);
    let url = format!("{}/v1/account", simulator.origin());
    let impatient = client().get(url).basic_auth(API_KEY, Some(API_SECRET)).timeout(Duration::from_millis(50));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    simulator.stop().await;
}

#[tokio::test]
async fn bodies_larger_than_any_bound() {
    let size = 30_000_000;
    let simulator = with(FaultKind::Oversize(size)).await;
    let response = send(&simulator, AGENTS).await.unwrap();
    assert_eq!(response.content_length(), None, "of unannounced length");
    let body = response.bytes().await.unwrap();
    assert_eq!(body.len() as u64, size);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["agents"], json!([]));

    simulator.set_faults(vec![Fault::always(None, FaultKind::GzipBomb(size))]);
    let (received, _) = raw(&simulator, AGENTS).await;
    assert!(received.len() < 60_000, "{}", received.len());
    let packed = send(&simulator, AGENTS).await.unwrap().bytes().await.unwrap();
    let mut bomb = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut bomb).unwrap();
    assert_eq!(bomb, body);
}

#[tokio::test]
async fn a_page_can_be_patched() {
    let simulator = with(FaultKind::patch(|page| page["agents"][0]["id"] = "text".into())).await;
    assert_eq!(get(&simulator, AGENTS).await["agents"][0]["id"], "text");
    assert!(get(&simulator, AGENTS).await["agents"][0]["id"].is_i64());
}

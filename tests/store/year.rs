//! What reading a year costs: it depends on the client's own evidence, and on nobody else's.

use crate::*;
use acceptance::clock::SteppingClock;
use acceptance::engine::{Engine, TABLE};
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use common::app::evidence::{EvidenceReader, HistoryRequest};
use common::domain::calendar::DayRange;
use common::domain::time::Window;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const DAYS: i64 = 365;

/// Counts requests by their operation.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, usize>>>);

impl Counter {
    fn taken(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "Counter"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        *self.0.lock().unwrap().entry(operation).or_default() += 1;
        Ok(())
    }
}

/// The id of a run that was asked for at an instant: a UUID of version 7 begins with its time.
pub fn id_of(at: DateTime<Utc>, number: i64) -> RunId {
    let millis = at.timestamp_millis();
    RunId::parse(format!("{:08x}-{:04x}-7000-8000-{number:012x}", millis >> 16, millis & 0xffff)).unwrap()
}

/// What the reads of a year are, by operation: of the history and of the window of one client.
type Reads = (BTreeMap<String, usize>, BTreeMap<String, usize>);

/// A body of so many bytes more, which cannot be made smaller by more than a quarter: letters of hashes, six bits each.
fn body_with(more: usize, day: i64) -> String {
    let mut letters = String::new();
    for number in 0.. {
        if letters.len() >= more {
            break;
        }
        letters += &STANDARD_NO_PAD.encode(Sha256::digest(format!("{day} {number}")));
    }
    letters.truncate(more);
    format!(r#"{{"verdicts": [], "metrics": [], "padding": "{letters}"}}"#)
}

/// The reads of the history and of the window of one client, where a year of runs had evidence of so many others, too, and bundles of so many bytes more.
async fn reads_of_a_year(others: usize, more: usize) -> Reads {
    let engine = Engine::memory().await;
    let plain = engine.store().await;
    plain.add_connection(&connection(&acme(), "main")).await.unwrap();
    for day in 0..DAYS {
        let now = tick() + TimeDelta::days(day);
        let run_id = id_of(now, day);
        plain.request_run(RunRequest { now, run_id: run_id.clone(), ..request(0) }).await.unwrap();
        let taken = plain.take(&acme(), &main_connection(), &run_id, "worker", now, LEASE).await.unwrap();
        let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
        let body = body_with(more, day);
        let mut evidence = bundles(others, &body);
        evidence.push(bundle(client("client-seven"), &body));
        plain.commit(&lease, ended(now), evidence).await.unwrap();
    }
    let counter = Counter::default();
    let config = engine.client().config().to_builder().interceptor(counter.clone()).build();
    let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE);
    let end = tick() + TimeDelta::days(DAYS - 1);
    let clock = Arc::new(SteppingClock::at(end + TimeDelta::hours(1)));
    let reader = EvidenceReader { store, clock };
    let owner = client("client-seven");
    let history = reader
        .history(&acme(), &owner, HistoryRequest { key: "edr-online", from: None, to: None }, Window::ALL)
        .await
        .unwrap();
    assert_eq!(history.pieces, usize::try_from(DAYS).unwrap());
    let of_history = counter.taken();
    let days = DayRange { from: reader.store.calendar().day_of(tick()), to: reader.store.calendar().day_of(end) };
    let window = reader.window(&acme(), &ClientId::parse("client-seven").unwrap(), days, None).await.unwrap();
    assert_eq!(window.totals.covered.values().sum::<u64>(), u64::try_from(DAYS).unwrap());
    (of_history, counter.taken())
}

#[tokio::test]
async fn the_reads_of_a_year_do_not_grow_with_other_clients() {
    let alone = reads_of_a_year(0, 0).await;
    let among_others = reads_of_a_year(8, 0).await;
    println!("a year of one client: history {:?}, window {:?}", alone.0, alone.1);
    assert_eq!(alone, among_others);
    // A page of a query holds 1 MB: the evidence of each product, and the commits of the connection.
    assert!(alone.0.values().sum::<usize>() <= 12, "{alone:?}");
    assert!(alone.1.values().sum::<usize>() <= 24, "{alone:?}");
}

#[tokio::test]
async fn a_year_takes_one_page_of_a_query_for_each_megabyte() {
    let (small, large) = tokio::join!(reads_of_a_year(0, 0), reads_of_a_year(0, 12_000));
    let queries = |reads: &BTreeMap<String, usize>| reads["Query"];
    let more = [queries(&large.0) - queries(&small.0), queries(&large.1) - queries(&small.1)];
    println!("a year of bundles of 12 kB: history {:?}, window {:?}, {more:?} more queries", large.0, large.1);
    // 365 of 12,000 bytes, at least three quarters of which are kept, fill four to five pages instead of a part of one.
    assert!(more.iter().all(|pages| (3..=4).contains(pages)), "{more:?}");
}

//! Very many connections at a tick: planned, run and committed, beside the floor that the same requests set without us.
//!
//! The table is the embedded engine over loopback HTTP with the real SDK; Huntress is the simulator over real HTTP, with no request limit. The floor sends as many
//! transactions of as many records, and as many requests to the simulator and reads of the table, with the same number at a time.
//!
//! Usage: `cargo bench --bench many -- [CONNECTIONS] [WORKERS]`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark: a failure here is a failed measurement")]

use acceptance::engine::TABLE;
use acceptance::many::{Many, Worked};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use common::app::collection::worker::Processed;
use common::app::runs::freshness::freshness;
use common::store::PLANNED_TOGETHER;
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A run, on the wire: the lists of the account.
const LISTS: [&str; 3] = ["organizations", "agents", "incident_reports"];

fn main() {
    // Cargo adds options of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (connections, workers) = (numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(50));
    tokio::runtime::Runtime::new().unwrap().block_on(measure(connections, workers));
}

async fn measure(connections: usize, workers: usize) {
    println!("{connections} connections, {workers} workers");
    let mut many = Many::with(connections).await;
    let (planned, planning) = timed(many.plan()).await;
    assert_eq!((planned.due, planned.new), (connections, connections));
    let counts = many.counted.take();
    let floor = timed(bare_transactions(&many, connections)).await.1;
    println!(
        "planned       {:>8.2} s   {:.1} reads, {:.1} transactions per 1,000 connections; {:.2} x the bare transactions ({:.2} s)",
        planning.as_secs_f64(),
        per_thousand(reads(&counts), connections),
        per_thousand(counts.get("TransactWriteItems").copied().unwrap_or(0), connections),
        planning.as_secs_f64() / floor.as_secs_f64(),
        floor.as_secs_f64(),
    );
    drop(many.counted.take());
    let (_, counting) = timed(freshness(&many.store, many.planner.clock.now())).await;
    let fresh = per_thousand(reads(&many.counted.take()), connections);
    println!("counted stale {:>8.2} s   {fresh:.1} reads per 1,000 connections", counting.as_secs_f64());
    let (looked, looking) = timed(many.planner.reconcile()).await;
    let looked = (looked.unwrap().stalled, per_thousand(reads(&many.counted.take()), connections));
    println!(
        "reconciled    {:>8.2} s   {} overdue, {:.1} reads per 1,000 connections",
        looking.as_secs_f64(),
        looked.0,
        looked.1
    );

    many.simulator.reset_log();
    let (worked, working) = timed(many.work(workers)).await;
    let counts = many.counted.take();
    let requests = many.simulator.requests().len();
    assert!(worked.iter().all(|it| matches!(it.processed, Processed::Succeeded { .. })));
    assert_eq!((worked.len(), requests), (connections, LISTS.len() * connections));
    let per_run = |count: u64| count as f64 / connections as f64;
    let written = counts
        .iter()
        .filter(|(what, _)| ["TransactWriteItems", "PutItem", "UpdateItem", "BatchWriteItem"].contains(&what.as_str()));
    let writes: u64 = written.map(|(_, count)| count).sum();
    let reads = reads(&counts);
    let floor = timed(bare_requests(&many, connections, workers, reads, writes)).await.1;
    let (median, p99) = percentiles(&worked);
    println!(
        "run           {:>8.2} s   {:.0} runs/s; {:.1} writes, {:.1} reads, {} requests per run; median {} ms, p99 {} ms; {:.2} x the bare requests ({:.2} s)",
        working.as_secs_f64(),
        connections as f64 / working.as_secs_f64(),
        per_run(writes),
        per_run(reads),
        LISTS.len(),
        median.as_millis(),
        p99.as_millis(),
        working.as_secs_f64() / floor.as_secs_f64(),
        floor.as_secs_f64(),
    );
    many.assert_nothing_is_lost().await;
    println!("nothing lost: {connections} runs succeeded, and each client has the evidence of its own");
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed())
}

fn reads(counts: &BTreeMap<String, u64>) -> u64 {
    ["Query", "GetItem", "BatchGetItem", "Scan"].iter().filter_map(|operation| counts.get(*operation)).sum()
}

fn per_thousand(count: u64, connections: usize) -> f64 {
    count as f64 * 1_000.0 / connections as f64
}

fn percentiles(worked: &[Worked]) -> (Duration, Duration) {
    let mut took: Vec<Duration> = worked.iter().map(|it| it.took).collect();
    took.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1)).copied().unwrap_or_default();
    (at(50), at(99))
}

fn record(pk: String, sk: &str) -> TransactWriteItem {
    let text = |text: String| AttributeValue::S(text);
    let put = Put::builder()
        .table_name(TABLE)
        .item("pk", text(pk))
        .item("sk", text(sk.to_owned()))
        .item("body", text("x".repeat(250)))
        .condition_expression("attribute_not_exists(pk)");
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

/// As many new records as planning writes, in as many transactions.
async fn bare_transactions(many: &Many, connections: usize) {
    let client = many.engine.client();
    let chunks: Vec<Vec<usize>> =
        (0..connections).collect::<Vec<_>>().chunks(PLANNED_TOGETHER).map(<[_]>::to_vec).collect();
    stream::iter(chunks)
        .map(|chunk| {
            let client = client.clone();
            async move {
                let of = |number| ["RUN", "ACTIVE", "REQUEST"].map(|sk| record(format!("BARE#{number}"), sk));
                let records: Vec<_> = chunk.into_iter().flat_map(of).collect();
                client.transact_write_items().set_transact_items(Some(records)).send().await.unwrap();
            }
        })
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
}

/// As many requests of the simulator, and reads and writes of the table, one after the other as in a run, and as many runs at a time.
async fn bare_requests(many: &Many, connections: usize, workers: usize, reads: u64, writes: u64) {
    let (client, http, origin) = (many.engine.client(), reqwest::Client::new(), many.simulator.origin());
    let (reads, writes) = (reads / connections as u64, writes / connections as u64);
    stream::iter(0..connections)
        .map(|number| {
            let (client, http, origin) = (client.clone(), http.clone(), origin.clone());
            tokio::spawn(async move {
                for list in LISTS {
                    let url = format!("{origin}/v1/{list}?limit=500&sort_field=id&sort_direction=asc");
                    let answer = http.get(url).basic_auth(simulator::API_KEY, Some(simulator::API_SECRET)).send().await;
                    answer.unwrap().bytes().await.unwrap();
                }
                for _ in 0..reads {
                    let (pk, sk) = (AttributeValue::S(format!("BARE#{number}")), AttributeValue::S("RUN".to_owned()));
                    client.get_item().table_name(TABLE).key("pk", pk).key("sk", sk).send().await.unwrap();
                }
                for write in 0..writes {
                    let records = vec![record(format!("BARE#{number}"), &format!("WRITE#{write}"))];
                    client.transact_write_items().set_transact_items(Some(records)).send().await.unwrap();
                }
            })
        })
        .buffer_unordered(workers)
        .for_each(async |done| done.unwrap())
        .await;
}

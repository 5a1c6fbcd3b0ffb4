//! How long pages take to be made: after the last answer of the table, and beside the table's own time, over the page of logging in, which reads nothing.
//!
//! A year of evidence of two products lies in the embedded engine. Requests go to the router itself, so that no network is measured.
//!
//! Usage: `cargo bench --bench console`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark: a failure here is a failed measurement"
)]

#[path = "../console/world.rs"]
#[expect(dead_code, reason = "the tests of the console use the rest")]
mod world;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use std::time::{Duration, Instant};
use tower::ServiceExt;
use world::{CLIENT, World, caller, reads};

const DAYS: i64 = 365;

/// Clients of the largest portfolio that is one page.
const CLIENTS: usize = 500;

/// How often each page is asked for.
const TIMES: usize = 101;

/// One answer.
struct Measured {
    bytes: usize,
    reads: u64,
    whole: Duration,
    /// What is not the table's.
    own: Duration,
    /// From the last answer of the table on.
    after: Duration,
}

#[tokio::main]
async fn main() {
    let world = World::of_days(DAYS).await;
    println!("{DAYS} days of both products; the median of {TIMES} requests each");
    println!("{:<34}{:>8}{:>7}{:>15}{:>11}{:>11}", "page", "bytes", "reads", "after reads", "own time", "whole");
    let browser = Browser::of(&world);
    browser.print(&world, "log in (the floor)", "/login").await;
    browser.print(&world, "client", &format!("/clients/{CLIENT}")).await;
    for days in [30, 90, 365] {
        let path = format!("/clients/{CLIENT}/over-time?days={days}");
        browser.print(&world, &format!("over time, {days} days"), &path).await;
    }
    browser.print(&world, "controls", &format!("/clients/{CLIENT}/controls")).await;
    browser.print(&world, "window, 90 days", &format!("/clients/{CLIENT}/window")).await;
    let year = format!("/clients/{CLIENT}/window?from=2026-03-17&to=2027-03-16");
    browser.print(&world, "window, a year", &year).await;
    browser.print(&world, "explanation", &format!("/clients/{CLIENT}/explain/edr-online")).await;
    browser.print(&world, "portfolio, 2 clients", "/").await;
    world.connect_many(CLIENTS, DAYS - 1).await;
    browser.print(&world, &format!("portfolio, {} clients", CLIENTS + 2), "/").await;
}

struct Browser {
    pages: Router,
    host: String,
    cookie: String,
}

impl Browser {
    fn of(world: &World) -> Self {
        let secret =
            world.console.entrance.sign_in.sessions().unwrap().open(caller("admin").unwrap(), None).unwrap().unwrap();
        let cookie = format!("{}={secret}", world.console.entrance.site.cookie());
        let host = world.origin.split_once("://").unwrap().1.to_owned();
        Self { pages: world.console.router(), host, cookie }
    }

    async fn ask(&self, world: &World, path: &str) -> Measured {
        let request = Request::get(path).header("host", &self.host).header("cookie", &self.cookie);
        let request = request.body(Body::empty()).unwrap();
        drop((world.counted.take(), world.counted.take_times()));
        let start = Instant::now();
        let answer = self.pages.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let end = Instant::now();
        assert_eq!(status, StatusCode::OK, "{path}");
        let times = world.counted.take_times();
        Measured {
            bytes: body.len(),
            reads: reads(&world.counted.take()),
            whole: end - start,
            own: (end - start).saturating_sub(times.at_work),
            after: end - times.last_answer.unwrap_or(start),
        }
    }

    async fn print(&self, world: &World, name: &str, path: &str) {
        let mut all = Vec::new();
        for _ in 0..TIMES {
            all.push(self.ask(world, path).await);
        }
        let median = |of: fn(&Measured) -> Duration| {
            let mut times: Vec<Duration> = all.iter().map(of).collect();
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1000.0
        };
        println!(
            "{name:<34}{:>8}{:>7}{:>12.2} ms{:>8.2} ms{:>8.2} ms",
            all[0].bytes,
            all[0].reads,
            median(|it| it.after),
            median(|it| it.own),
            median(|it| it.whole)
        );
    }
}

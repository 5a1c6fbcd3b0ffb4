//! The portfolio over HTTP: what it says, how few reads it takes, and whom it shows.

use super::people::event;
use super::{World, ask, company, connection, tick};
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use common::app::stack::Stack;
use common::domain::connection::Connection;
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::mapping::Mapping;
use common::domain::policy::{baseline, training};
use common::domain::product::Product;
use common::domain::run::{RecordCounts, Trigger};
use common::domain::time::Window;
use common::store::{EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunFailure, RunRequest, RunSuccess, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Counts what is asked of the table.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    names: Arc<Mutex<Vec<String>>>,
}

impl Requests {
    /// How many there were since the last call.
    pub fn taken(&self) -> usize {
        self.asked().len()
    }

    /// What was asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.names.lock().unwrap())
    }
}

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default().to_owned();
        self.names.lock().unwrap().push(target);
        Ok(())
    }
}

impl World {
    /// From now on these requests of the table are counted.
    pub fn count(&mut self) -> Requests {
        let requests = Requests::default();
        let config = self._engine.client().config().to_builder().interceptor(requests.clone());
        self.store = Store::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "evidence");
        requests
    }

    /// A connection that is mapped to these clients, by an organization each.
    pub(super) async fn connect(&self, id: &str, product: Product, clients: &[String]) {
        let clients = clients.iter().enumerate();
        let clients = clients.map(|(number, name)| (number.to_string(), client(name))).collect();
        let mapping = Mapping::ByOrganization { clients, ignored: BTreeSet::new() };
        let new = Connection::new(company(), connection(id), product, mapping, tick() - TimeDelta::days(60));
        self.store.add_connection(&new).await.unwrap();
    }

    /// A run of a connection that a worker has taken.
    async fn taken(&self, id: &str, at: DateTime<Utc>) -> Lease {
        let run_id = RunId::parse(format!("run-{id}-{}", at.timestamp())).unwrap();
        let request = RunRequest {
            company: company(),
            connection: connection(id),
            run_id: run_id.clone(),
            trigger: Trigger::OnDemand,
            request_key: None,
            next_run_at: None,
            not_before: None,
            now: at,
        };
        assert!(self.store.request_run(request).await.unwrap().new);
        let taken =
            self.store.take(&company(), &connection(id), &run_id, "worker", at, TimeDelta::minutes(15)).await.unwrap();
        let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
        lease
    }

    /// A run of a connection that fails.
    pub(super) async fn fail(&self, id: &str, at: DateTime<Utc>) {
        let failed = RunFailure {
            finished_at: at + TimeDelta::seconds(3),
            failure: Failure::new(FailureCode::Unavailable, "Huntress is not available"),
            api_calls: 1,
            records: RecordCounts::default(),
            next_run_at: None,
        };
        self.store.fail(&self.taken(id, at).await, failed).await.unwrap();
    }

    /// A run of a connection whose bundles are these.
    pub(super) async fn commit(&self, id: &str, at: DateTime<Utc>, product: Product, bundles: Vec<(String, String)>) {
        let lease = self.taken(id, at).await;
        let ended = RunSuccess {
            finished_at: at + TimeDelta::seconds(3),
            api_calls: 6,
            records: RecordCounts::default(),
            pages: RecordCounts::default(),
            next_run_at: None,
            basis: EvaluationBasis::new(vec![training().hash(), baseline().hash()]),
        };
        let record = |(name, body): (String, String)| {
            let owner = EvidenceOwner::Client(client(&name));
            EvidenceRecord { owner, product, body }
        };
        self.store.commit(&lease, ended, bundles.into_iter().map(record).collect()).await.unwrap();
    }

    async fn rows(&self, path: &str) -> Vec<Value> {
        let (status, answer) = self.portfolio(path).await;
        assert_eq!(status, 200, "{answer}");
        answer["items"].as_array().unwrap().clone()
    }

    pub(super) async fn portfolio(&self, path: &str) -> (u16, Value) {
        ask(self.evidence_api(), &event("GET", path, Value::Null)).await
    }
}

pub(super) fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

pub(super) const EDR: &str = include_str!("../samples/bundles/edr-v2.json");
pub(super) const SAT: &str = include_str!("../samples/bundles/sat-v2.json");

/// A bundle of a sample, whose verdicts are all this outcome, with so many open critical incidents.
pub(super) fn bundle(sample: &str, outcome: &str, critical: u64) -> String {
    let mut bundle: Value = serde_json::from_str(sample).unwrap();
    if bundle["verdicts"] == json!([]) {
        let policy = baseline();
        let rule = policy.rules().iter().find(|rule| rule.id.as_str() == "edr-online").unwrap();
        let measures = common::domain::policy::Measures::default();
        let verdict = common::domain::policy::Verdict::of(rule, &policy.as_ref().into(), &measures);
        bundle["verdicts"] = json!([verdict]);
    }
    for verdict in bundle["verdicts"].as_array_mut().unwrap() {
        verdict["outcome"] = json!(outcome);
    }
    for metric in bundle.get_mut("extended_metrics").into_iter().flat_map(|it| it.as_array_mut().unwrap()) {
        if metric["metric_key"] == "incidents_open_critical" {
            metric["metric_value"] = json!(critical.to_string());
        }
    }
    bundle.to_string()
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["client"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn five_hundred_clients_take_few_reads_and_a_small_page() {
    let mut world = World::with(&[]).await;
    let clients: Vec<String> = (0..500).map(|number| format!("client-{number:03}")).collect();
    world.connect("edr", Product::Edr, &clients).await;
    world.connect("sat", Product::Sat, &clients).await;
    let outcomes = ["pass", "fail", "warning", "inconclusive"];
    for (id, product, sample) in [("edr", Product::Edr, EDR), ("sat", Product::Sat, SAT)] {
        for day in [1, 0] {
            let of = |(number, name): (usize, &String)| {
                (name.clone(), bundle(sample, outcomes[number % outcomes.len()], number as u64 % 3))
            };
            let at = tick() - TimeDelta::days(day);
            world.commit(id, at, product, clients.iter().enumerate().map(of).collect()).await;
        }
    }
    let requests = world.count();
    let (mut seen, mut after, mut largest) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = world.portfolio(&format!("/clients{after}")).await;
        let reads = requests.taken();
        assert!(status == 200 && reads <= 6, "{status} {reads}");
        largest = largest.max(page.to_string().len());
        println!("a page of the portfolio: {reads} reads of the table, {} bytes", page.to_string().len());
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_after"].as_str() else { break };
        after = format!("?after={next}");
    }
    assert!(largest < 100_000, "{largest}");
    assert_eq!(seen.len(), 500);
    assert_eq!(names(&seen).into_iter().collect::<BTreeSet<_>>().len(), 500, "each client once");
    let rank = |row: &Value| {
        let outcome = row["products"]["huntress-edr"]["outcome"].as_str().unwrap();
        ["fail", "inconclusive", "warning", "pass"].iter().position(|it| *it == outcome).unwrap()
    };
    assert!(seen.is_sorted_by_key(rank), "worst first");
    let failing: Vec<u64> =
        seen.iter().filter(|row| rank(row) == 0).map(|row| row["open_critical"].as_u64().unwrap()).collect();
    assert!(failing.is_sorted_by(|a, b| a >= b), "most critical incidents first: {failing:?}");
    let first = &seen[0];
    assert_eq!(first["trend"].as_array().unwrap().len(), 30);
    assert_eq!((&first["trend"][28], &first["trend"][29]), (&json!("fail"), &json!("fail")));
    assert_eq!(first["products"]["huntress-sat"]["text"], "fail");
    assert_eq!(first["coverage_pct"], "100.0");
    let _ = world.portfolio("/clients/client-007").await;
    println!("one client at a glance: {} reads of the table", requests.taken());
}

/// What is kept in short says what the evidence itself says, whichever it is computed from.
#[tokio::test]
async fn the_summaries_and_the_evidence_give_the_same_rows() {
    let world = World::with(&[]).await;
    let clients: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
    world.connect("edr", Product::Edr, &clients).await;
    world.connect("sat", Product::Sat, &clients[..2]).await;
    world.connect("new", Product::Sat, &clients[3..]).await;
    for (day, outcome) in [(40, "fail"), (29, "fail"), (3, "warning"), (1, "pass"), (0, "inconclusive")] {
        let at = tick() - TimeDelta::days(day);
        // The third client was mapped lately; the fourth has no evidence.
        let measured = if day > 3 { 2 } else { 3 };
        let edr = clients[..measured].iter().map(|name| (name.clone(), bundle(EDR, outcome, day as u64))).collect();
        world.commit("edr", at, Product::Edr, edr).await;
        if day != 1 {
            let sat = clients[..2].iter().map(|name| (name.clone(), bundle(SAT, outcome, 0))).collect();
            world.commit("sat", at - TimeDelta::minutes(1), Product::Sat, sat).await;
        }
    }
    let summarized = world.rows("/clients").await;
    assert_eq!(names(&summarized), ["a", "b", "c", "d"]);
    let none = &summarized[3];
    assert_eq!(none["products"]["huntress-edr"]["text"], "no evidence");
    assert_eq!((&none["open_critical"], &none["coverage_pct"]), (&Value::Null, &Value::Null));
    assert_eq!(summarized[2]["products"]["huntress-sat"], Value::Null, "nothing measures it");
    let trend = &summarized[0]["trend"];
    assert_eq!(
        (&trend[0], &trend[26], &trend[28], &trend[29]),
        (&json!("fail"), &json!("warning"), &json!("pass"), &json!("inconclusive"))
    );
    // The same from the evidence: as of now.
    let now = "2026-03-22T11:00:05Z";
    assert_eq!(world.rows(&format!("/clients?as_of={now}")).await, summarized);
    let (_, one) = world.portfolio("/clients/b").await;
    assert_eq!(one, summarized[1]);
    // As of a day ago it was otherwise.
    let (_, before) = world.portfolio("/clients/b?as_of=2026-03-21T12:00:00Z").await;
    assert_eq!(before["products"]["huntress-edr"]["outcome"], "pass");
    assert_eq!(before["trend"][29], "pass");
    // Evidence from before there were summaries.
    let items = world._engine.client().scan().table_name("evidence").send().await.unwrap().items.unwrap();
    let mut removed = 0;
    for item in items {
        let key = |name: &str| item[name].clone();
        if matches!(&item["pk"], AttributeValue::S(pk) if pk.starts_with("PORTFOLIO#")) {
            let delete = world._engine.client().delete_item().table_name("evidence");
            delete.key("pk", key("pk")).key("sk", key("sk")).send().await.unwrap();
            removed += 1;
        }
    }
    assert_eq!(removed, 2);
    assert_eq!(world.rows("/clients").await, summarized);
    assert_eq!(world.portfolio("/clients/nobody").await.0, 404);
}

#[tokio::test]
async fn what_a_removed_connection_proved_stays_and_counts_only_until_another_measures_the_client() {
    let world = World::with(&[]).await;
    let clients = ["a".to_owned()];
    world.connect("old", Product::Edr, &clients).await;
    world
        .commit("old", tick() - TimeDelta::days(2), Product::Edr, vec![("a".to_owned(), bundle(EDR, "fail", 1))])
        .await;
    world.store.remove_connection(&company(), &connection("old"), tick() - TimeDelta::days(1)).await.unwrap();
    let rows = world.rows("/clients").await;
    assert_eq!(rows[0]["products"]["huntress-edr"]["text"], "stale (was fail, 48 h old)");
    world.connect("new", Product::Edr, &clients).await;
    world.commit("new", tick(), Product::Edr, vec![("a".to_owned(), bundle(EDR, "pass", 0))]).await;
    let rows = world.rows("/clients").await;
    assert_eq!(rows[0]["products"]["huntress-edr"]["text"], "pass");
    assert_eq!((&rows[0]["trend"][27], &rows[0]["open_critical"]), (&json!("fail"), &json!(0)));
    // And so for the controls.
    let (_, controls) = world.portfolio("/clients/a/controls").await;
    let mut controls = controls["controls"].as_array().unwrap().iter();
    let control = controls.find(|control| control["rules"][0]["rule"] == "edr-online").unwrap();
    assert_eq!(control["status"]["text"], "pass");
}

#[tokio::test]
async fn an_auditor_sees_own_clients_at_the_end_of_the_own_window() {
    let world = World::with(&[]).await;
    let clients: Vec<String> = ["a", "b"].map(str::to_owned).into();
    world.connect("edr", Product::Edr, &clients).await;
    for (day, outcome) in [(9, "fail"), (0, "pass")] {
        let of = |name: &String| (name.clone(), bundle(EDR, outcome, 0));
        world.commit("edr", tick() - TimeDelta::days(day), Product::Edr, clients.iter().map(of).collect()).await;
    }
    let seen = async |path: &str, window: Option<&str>, clients: Option<&str>| {
        let mut asked = event("GET", path, Value::Null);
        let mut claims = json!({"sub": "auditor", "company_id": "msp-acme", "role": "auditor"});
        for (claim, value) in [("window", window), ("clients", clients)] {
            if let Some(value) = value {
                claims[claim] = json!(value);
            }
        }
        asked["requestContext"]["authorizer"]["jwt"]["claims"] = claims;
        ask(world.evidence_api(), &asked).await
    };
    let year = Some("2026-01-01/2026-12-31");
    let (_, both) = seen("/clients", year, Some("[a b]")).await;
    assert_eq!(names(both["items"].as_array().unwrap()), ["a", "b"]);
    let (_, own) = seen("/clients", year, Some("b")).await;
    assert_eq!(names(own["items"].as_array().unwrap()), ["b"]);
    assert_eq!(own["items"][0]["products"]["huntress-edr"]["text"], "pass");
    let (_, then) = seen("/clients", Some("2026-03-10/2026-03-13"), Some("b")).await;
    assert_eq!(then["items"][0]["products"]["huntress-edr"]["text"], "fail");
    assert_eq!(then["items"][0]["trend"].as_array().unwrap().iter().filter(|day| !day.is_null()).count(), 1);
    let (_, before) = seen("/clients", Some("2026-01-01/2026-01-31"), Some("b")).await;
    assert_eq!(before["items"][0]["products"]["huntress-edr"]["text"], "no evidence");
    assert_eq!(seen("/clients", None, None).await.0, 403, "an auditor who is bound to nothing");
    assert_eq!(seen("/clients/a", year, Some("b")).await.0, 404);
    assert_eq!(seen("/clients/nobody", year, Some("nobody")).await.0, 404);
    let (_, known) = seen("/clients", year, Some("[b nobody]")).await;
    assert_eq!(names(known["items"].as_array().unwrap()), ["b"]);
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let world = World::with(&[]).await;
    world.connect("edr", Product::Edr, &["a".to_owned(), "b".to_owned()]).await;
    let (_, page) = world.portfolio("/clients?limit=1").await;
    let after = page["next_after"].as_str().unwrap().to_owned();
    assert_eq!(names(&world.rows(&format!("/clients?limit=1&after={after}")).await), ["b"]);
    let changed = format!("{}x", &after[..after.len() - 1]);
    for wrong in [
        "limit=0",
        "limit=1000000000",
        "limit=-1",
        "limit=x",
        "after=",
        "after=a",
        "page=2",
        "as_of=now",
        &format!("after={changed}"),
    ] {
        let (status, problem) = world.portfolio(&format!("/clients?{wrong}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{wrong}");
    }
}

/// The use case answers the command line and the console with what the route answers.
#[tokio::test]
async fn the_use_case_gives_the_rows_of_the_route() {
    let world = World::with(&["edr-main"]).await;
    let Ok(reader) = world.parts().evidence();
    let rows = reader.portfolio(&company(), None, Window::ALL).await.unwrap();
    assert_eq!(serde_json::to_value(rows).unwrap(), json!(world.rows("/clients").await));
}

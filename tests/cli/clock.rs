//! A clock that was ahead once: what it dated is passed over, and what it planned is planned anew.

use super::server::Server;
use super::{Home, now, wait, worked_example};
use chrono::{DateTime, TimeDelta, Utc};
use common::app::collection::collect::Huntress;
use common::clock::SystemClock;
use common::domain::id::{CompanyId, ConnectionId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::product::Product;
use common::domain::run::Trigger;
use common::domain::schedule::Schedule;
use common::huntress::origin::Origin;
use common::huntress::request::{Timeouts, http_client};
use common::settings::Origins;
use common::store::{EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunRequest, RunSuccess, Store};
use huntress_evidence::stack::{LocalStack, OWNER};
use serde_json::{Value, json};
use std::sync::Arc;

/// Does something to the table of a data folder that no process has open.
fn with_store<T>(home: &Home, work: impl AsyncFnOnce(&Store) -> T) -> T {
    wait(async {
        let origin = |product| Origin::parse(&home.simulator.origin(), product, true).unwrap();
        let origins = Origins { edr: origin(Product::Edr), sat: origin(Product::Sat) };
        let huntress =
            Huntress { http: http_client(Timeouts::default()).unwrap(), clock: Arc::new(SystemClock), origins };
        let (stack, _queue) = LocalStack::open(&home.data(), huntress).await.unwrap();
        let done = work(&stack.parts.store).await;
        stack.close().await;
        done
    })
}

fn ids() -> (CompanyId, ConnectionId) {
    (CompanyId::parse("local").unwrap(), ConnectionId::parse("edr").unwrap())
}

/// A run that was asked for and begun when a clock said so.
async fn begun(store: &Store, at: DateTime<Utc>) -> Lease {
    let (company, connection) = ids();
    let run_id = RunId::parse(format!("run-at-{}", at.timestamp())).unwrap();
    let request = RunRequest {
        company: company.clone(),
        connection: connection.clone(),
        run_id: run_id.clone(),
        trigger: Trigger::OnDemand,
        request_key: None,
        next_run_at: None,
        not_before: None,
        now: at,
    };
    assert!(store.request_run(request).await.unwrap().new);
    let taken = store.take(&company, &connection, &run_id, OWNER, at, TimeDelta::hours(2)).await.unwrap();
    let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
    lease
}

/// Evidence of the client, dated by such a clock.
fn evidence_of(home: &Home, at: DateTime<Utc>, body: &str) {
    committed(home, EvidenceOwner::Client("acme".parse().unwrap()), at, body);
}

/// Evidence of the company.
pub fn company_evidence_of(home: &Home, at: DateTime<Utc>, body: &str) {
    committed(home, EvidenceOwner::Company, at, body);
}

fn committed(home: &Home, owner: EvidenceOwner, at: DateTime<Utc>, body: &str) {
    with_store(home, async |store| {
        let lease = begun(store, at).await;
        let ended = RunSuccess {
            finished_at: at,
            api_calls: 3,
            records: Default::default(),
            pages: Default::default(),
            next_run_at: Some(Schedule::default().next_after(at)),
            basis: EvaluationBasis::new(Vec::new()),
        };
        let evidence = EvidenceRecord { owner, product: Product::Edr, body: body.to_owned() };
        store.commit(&lease, ended, vec![evidence]).await.unwrap();
    });
}

fn evidence(home: &Home) -> Value {
    home.on_data(&["metrics", "acme", "--json"]).json()["evidence"][0].clone()
}

fn runs(home: &Home) -> Vec<Value> {
    home.on_data(&["runs", "edr", "--json"]).json()["runs"].as_array().unwrap().clone()
}

#[test]
fn evidence_of_a_clock_that_was_ahead_is_passed_over_and_the_days_go_on() {
    let home = Home::new(worked_example());
    home.connect();
    home.on_data(&["sync", "edr"]).done();
    let good = evidence(&home);
    assert_eq!(good.get("dated_ahead"), None);
    let ahead = now() + TimeDelta::days(200);
    evidence_of(&home, ahead, &good["bundle"].to_string());

    let shown = evidence(&home);
    assert_eq!((&shown["run_id"], &shown["as_of"]), (&good["run_id"], &good["as_of"]));
    assert!(shown["age_seconds"].as_i64().unwrap() >= 0 && shown["stale"] == false, "{shown}");
    assert!(shown["dated_ahead"].is_string(), "{shown}");
    let said = home.on_data(&["metrics", "acme"]).done().stdout;
    assert!(said.contains(&ahead.format("evidence dated %Y-%m-%d").to_string()), "{said}");
    let values = home.on_data(&["history", "agents_total", "--client", "acme", "--json"]).json();
    assert_eq!(values["values"].as_array().unwrap().len(), 1, "{values}");

    // The connection would not be due for 200 days.
    let server = Server::start(&home, &[]);
    let planned = server.logged("tick planned");
    assert_eq!((&planned["due"], &planned["new"]), (&json!(1), &json!(1)), "{planned}");
    server.logged("run ended");
    assert_eq!(server.terminate().code(), Some(0));
    let listed = home.on_data(&["connections", "--json"]).json();
    let next = common::domain::time::parse(listed["connections"][0]["next_run_at"].as_str().unwrap()).unwrap();
    assert_eq!(next, Schedule::default().next_after(now()));
    assert_ne!(evidence(&home)["run_id"], good["run_id"]);
}

#[test]
fn where_all_evidence_lies_ahead_there_is_none_and_that_is_said() {
    let home = Home::new(worked_example());
    home.connect();
    evidence_of(&home, now() + TimeDelta::minutes(6), "{}");
    let line = home.on_data(&["metrics", "acme"]).refused(4);
    assert!(line.contains("is passed over") && line.contains("clock"), "{line}");
    let line = home.on_data(&["controls", "acme"]).refused(4);
    assert!(line.contains("no evidence"), "{line}");
}

#[test]
fn a_run_that_a_wrong_clock_began_ends_and_another_one_begins() {
    for ahead in [TimeDelta::minutes(6), TimeDelta::days(200)] {
        let home = Home::new(worked_example());
        home.connect();
        // Its worker was killed, and its lease lasts for two hours more.
        let began = now() + ahead;
        with_store(&home, async |store| begun(store, began).await);
        let done = home.on_data(&["sync", "edr", "--json"]).json();
        assert_eq!(done["status"], "succeeded");
        let ended: Vec<Value> = runs(&home).into_iter().filter(|run| run["id"] != done["id"]).collect();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!((&ended[0]["status"], &ended[0]["failure"]["code"]), (&json!("failed"), &json!("clock_wrong")));
        let as_of = common::domain::time::parse(evidence(&home)["as_of"].as_str().unwrap()).unwrap();
        assert!(as_of <= now());
    }
}

#[test]
fn serve_begins_anew_what_a_wrong_clock_began() {
    let home = Home::new(worked_example());
    home.connect();
    with_store(&home, async |store| {
        let lease = begun(store, now() + TimeDelta::days(200)).await;
        let (company, connection) = ids();
        let due = common::store::Scheduling::Resume { next_run_at: now() - TimeDelta::hours(30) };
        let change = common::store::ConnectionChange { scheduling: Some(due), ..Default::default() };
        store.change_connection(&company, &connection, change).await.unwrap();
        drop(lease);
    });
    let server = Server::start(&home, &[]);
    super::eventually("run that succeeded", || {
        let succeeded = |line: &Value| line["outcome"].as_str().is_some_and(|it| it.contains("Succeeded"));
        server.log().into_iter().find(|line| line["message"] == "run ended" && succeeded(line))
    });
    assert_eq!(server.terminate().code(), Some(0));
    let statuses: Vec<Value> = runs(&home).iter().map(|run| run["status"].clone()).collect();
    assert!(statuses.contains(&json!("failed")) && statuses.contains(&json!("succeeded")), "{statuses:?}");
}

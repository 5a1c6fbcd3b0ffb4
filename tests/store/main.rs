//! The store against real DynamoDB semantics.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: a failure here is a failed test")]

mod connections;
mod continued;
mod decisions;
mod ending;
mod evidence;
mod holds;
mod leases;
mod log;
mod many;
mod other_builds;
mod planning;
mod runs;
mod stalled;
mod upgrade;
mod versions;
mod year;

use chrono::{DateTime, TimeDelta, Utc};
use common::domain::connection::{Connection, ConnectionStatus};
use common::domain::evidence::RecordsRead;
use common::domain::failure::{Failure, FailureCode};
use common::domain::id::{ClientId, CompanyId, ConnectionId, RunId};
use common::domain::log::statement::EvaluationBasis;
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::run::{Run, Trigger};
use common::domain::time::Window;
use common::store::{
    EvidenceOwner, EvidenceRecord, Lease, LeaseOutcome, RunFailure, RunRequest, RunSuccess, Store, StoredEvidence,
};

/// 07:00 in New York.
fn tick() -> DateTime<Utc> {
    common::domain::time::parse("2026-03-22T11:00:00Z").unwrap()
}

fn later(minutes: i64) -> DateTime<Utc> {
    tick() + TimeDelta::minutes(minutes)
}

const LEASE: TimeDelta = TimeDelta::minutes(15);

fn acme() -> CompanyId {
    CompanyId::parse("msp-acme").unwrap()
}

fn main_connection() -> ConnectionId {
    ConnectionId::parse("main").unwrap()
}

fn run_id(number: u32) -> RunId {
    RunId::parse(format!("run-{number:04}")).unwrap()
}

fn client(name: &str) -> EvidenceOwner {
    EvidenceOwner::Client(ClientId::parse(name).unwrap())
}

/// A connection that is due at the tick.
fn connection(company: &CompanyId, id: &str) -> Connection {
    let mapping = Mapping::ByOrganization {
        clients: [("7".to_owned(), ClientId::parse("client-seven").unwrap())].into(),
        ignored: ["9".to_owned()].into(),
    };
    let new = Connection::new(company.clone(), ConnectionId::parse(id).unwrap(), Product::Edr, mapping, later(-60));
    Connection { next_run_at: Some(tick()), ..new }
}

fn request(number: u32) -> RunRequest {
    RunRequest {
        company: acme(),
        connection: main_connection(),
        run_id: run_id(number),
        trigger: Trigger::OnDemand,
        request_key: None,
        next_run_at: None,
        not_before: None,
        now: tick(),
    }
}

async fn take(store: &Store, number: u32, owner: &str, now: DateTime<Utc>) -> LeaseOutcome {
    store.take(&acme(), &main_connection(), &run_id(number), owner, now, LEASE).await.unwrap()
}

async fn leased(store: &Store, number: u32, owner: &str, now: DateTime<Utc>) -> Lease {
    match take(store, number, owner, now).await {
        LeaseOutcome::Acquired { lease, .. } => lease,
        other => panic!("{other:?}"),
    }
}

/// A run that is queued and taken at once.
async fn started(store: &Store, number: u32, now: DateTime<Utc>) -> Lease {
    let requested = store.request_run(RunRequest { now, ..request(number) }).await.unwrap();
    assert!(requested.new);
    leased(store, number, "worker", now).await
}

async fn run(store: &Store, number: u32) -> Run {
    let run = store.run(&acme(), &main_connection(), &run_id(number)).await;
    run.unwrap().unwrap()
}

async fn stored_connection(store: &Store) -> Connection {
    store.connection(&acme(), &main_connection()).await.unwrap().unwrap()
}

fn ended(now: DateTime<Utc>) -> RunSuccess {
    RunSuccess {
        finished_at: now,
        api_calls: 6,
        records: RecordsRead { organizations: 2, agents: 87, incident_reports: 3 }.into(),
        pages: RecordsRead { organizations: 1, agents: 1, incident_reports: 1 }.into(),
        next_run_at: None,
        basis: EvaluationBasis::new(Vec::new()),
    }
}

fn failed(now: DateTime<Utc>, code: FailureCode) -> RunFailure {
    RunFailure {
        finished_at: now,
        failure: Failure::new(code, "Huntress said no").at("GET /v1/agents"),
        api_calls: 2,
        records: RecordsRead::default().into(),
        next_run_at: None,
    }
}

fn bundle(owner: EvidenceOwner, body: impl Into<String>) -> EvidenceRecord {
    EvidenceRecord { owner, product: Product::Edr, body: body.into() }
}

/// One bundle for each of so many clients, `client-0` and so on.
fn bundles(number: usize, body: &str) -> Vec<EvidenceRecord> {
    (0..number).map(|number| bundle(client(&format!("client-{number}")), body)).collect()
}

async fn latest(store: &Store, owner: &EvidenceOwner) -> Vec<StoredEvidence> {
    store.latest(&acme(), owner).await.unwrap()
}

async fn history(store: &Store, owner: &EvidenceOwner) -> Vec<StoredEvidence> {
    store.history(&acme(), owner, Product::Edr, Window::ALL).await.unwrap()
}

fn bodies(evidence: &[StoredEvidence]) -> Vec<&str> {
    evidence.iter().map(|piece| piece.body.as_str()).collect()
}

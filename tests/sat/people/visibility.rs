//! People are visible whole or not at all: through the commit of the run that wrote them, and under its lease.

use super::world::World;
use acceptance::people::Workforce;
use chrono::TimeDelta;
use common::app::collection::worker::Processed;
use common::clock::Clock;
use common::domain::id::RunId;
use common::domain::log::statement::EvaluationBasis;
use common::domain::people::person::{PersonEvent, PrivacyMode};
use common::domain::people::status::ComplianceStatus;
use common::domain::people::status::PersonStatus::{self, Compliant, NotCompliant, Unknown};
use common::domain::run::{RecordCounts, Trigger};
use common::store::{Lease, LeaseOutcome, PersonWrite, RunRequest, RunSuccess, Store, StoreError};

const RUN: &str = "019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11";

async fn world() -> World {
    let mut world = World::new(&Workforce::four_people(), PrivacyMode::Pseudonymous, &["A", "B"]).await;
    assert_eq!(world.sync().await, Processed::Succeeded { bundles: 1 });
    world.wait(TimeDelta::days(1)).await;
    world
}

/// A worker's lease of a new run.
async fn lease(world: &World) -> Lease {
    lease_of(world, RUN).await
}

async fn lease_of(world: &World, run: &str) -> Lease {
    let (company, connection) = (world.company.clone(), world.id.clone());
    let run_id = RunId::parse(run).unwrap();
    let (trigger, now) = (Trigger::OnDemand, world.clock.now());
    let request = RunRequest {
        company,
        connection,
        run_id,
        trigger,
        request_key: None,
        next_run_at: None,
        not_before: None,
        now,
    };
    world.store.request_run(request).await.unwrap();
    take_run(world, run, "worker-1").await
}

async fn take(world: &World, owner: &str) -> Lease {
    take_run(world, RUN, owner).await
}

async fn take_run(world: &World, run: &str, owner: &str) -> Lease {
    let (run, now) = (RunId::parse(run).unwrap(), world.clock.now());
    let taken = world.store.take(&world.company, &world.id, &run, owner, now, TimeDelta::minutes(1)).await.unwrap();
    let leased = match taken {
        LeaseOutcome::Acquired { lease, .. } => Some(lease),
        _ => None,
    };
    leased.unwrap()
}

/// Everybody becomes `status` in this run.
async fn writes(world: &World, lease: &Lease, status: PersonStatus) -> Vec<PersonWrite> {
    let stored = world.store.stored_people(&world.company, &world.id).await.unwrap();
    let write = |stored: common::store::StoredPerson| {
        let mut record = stored.visible.clone().unwrap();
        let from = Some(record.state.compliance.status);
        record.state.compliance = ComplianceStatus { status, since: lease.as_of() };
        let (completed, missing) = (record.state.completed.clone(), record.state.missing.clone());
        let event = Some(PersonEvent::StatusChanged { from, to: status, completed, missing });
        PersonWrite { record, event, read: Some(stored) }
    };
    stored.into_values().map(write).collect()
}

async fn write(world: &World, lease: &Lease, writes: Vec<PersonWrite>) -> Result<u64, StoreError> {
    let key_record = world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap();
    Ok(world.store.write_people(lease, &key_record, writes).await?.left_alone)
}

async fn commit(world: &World, lease: &Lease) {
    let finished_at = world.clock.now();
    let ended = RunSuccess {
        finished_at,
        api_calls: 0,
        records: RecordCounts::default(),
        pages: RecordCounts::default(),
        next_run_at: None,
        basis: EvaluationBasis::new(Vec::new()),
    };
    world.store.commit(lease, ended, Vec::new()).await.unwrap();
}

const FOUR: [&str; 4] = ["person-1", "person-2", "person-3", "person-4"];
const BEFORE: [Option<PersonStatus>; 4] = [Some(Compliant), Some(NotCompliant), Some(Compliant), Some(NotCompliant)];

#[tokio::test]
async fn what_a_run_writes_is_visible_with_its_commit_all_at_once() {
    let world = world().await;
    let lease = lease(&world).await;
    write(&world, &lease, writes(&world, &lease, Unknown).await).await.unwrap();
    assert_eq!(world.statuses(FOUR).await, BEFORE);
    assert_eq!(world.history("person-1").await, ["> compliant"]);
    assert_eq!(world.store.people(&world.company, &world.id).await.unwrap().len(), 4);
    commit(&world, &lease).await;
    assert_eq!(world.statuses(FOUR).await, [Some(Unknown); 4]);
    assert_eq!(world.history("person-1").await, ["> compliant", "compliant > unknown"]);
}

#[tokio::test]
async fn what_a_worker_left_that_never_committed_stays_invisible_and_harms_nobody() {
    let mut world = world().await;
    let first = lease(&world).await;
    write(&world, &first, writes(&world, &first, Unknown).await).await.unwrap();
    world.wait(TimeDelta::minutes(5)).await;
    // Another worker takes the run over and finds nothing to change.
    let second = take(&world, "worker-2").await;
    commit(&world, &second).await;
    assert_eq!(world.statuses(FOUR).await, BEFORE);
    assert_eq!(world.history("person-1").await, ["> compliant"]);
    world.night(&Workforce::four_people().completed("B", "person-2")).await;
    assert_eq!(world.statuses(["person-1", "person-2"]).await, [Some(Compliant); 2]);
    assert_eq!(world.history("person-2").await, ["> not_compliant", "not_compliant > compliant"]);
}

#[tokio::test]
async fn a_worker_whose_lease_is_lost_is_refused() {
    let world = world().await;
    let first = lease(&world).await;
    let late = writes(&world, &first, Unknown).await;
    world.wait(TimeDelta::minutes(5)).await;
    let second = take(&world, "worker-2").await;
    assert!(matches!(write(&world, &first, late.clone()).await, Err(StoreError::LeaseLost)));
    commit(&world, &second).await;
    assert!(matches!(write(&world, &first, late).await, Err(StoreError::LeaseLost)));
    assert_eq!(world.statuses(FOUR).await, BEFORE);
}

#[tokio::test]
async fn who_is_reset_or_erased_while_a_run_is_under_way_is_left_alone_by_it() {
    let world = world().await;
    let lease = lease(&world).await;
    let pending = writes(&world, &lease, NotCompliant).await;
    world.reset("person-1", "changed roles").await;
    let erased = world.person_id("person-3").await;
    world.keyring.erase_person(&world.store, &world.company, &world.id, &erased).await.unwrap();
    assert_eq!(write(&world, &lease, pending).await.unwrap(), 2);
    commit(&world, &lease).await;
    let expected = [Some(Unknown), Some(NotCompliant), None, Some(NotCompliant)];
    assert_eq!(world.statuses(FOUR).await, expected);
    assert_eq!(world.history("person-1").await, ["> compliant", "compliant reset by auditor: changed roles"]);
    assert_eq!(world.history("person-3").await, [""; 0]);
}

#[tokio::test]
async fn a_run_writes_nobody_after_everybody_was_erased() {
    let world = world().await;
    let lease = lease(&world).await;
    let (pending, key_record) = (
        writes(&world, &lease, Compliant).await,
        world.store.people_key_record(&world.company, &world.id).await.unwrap().unwrap(),
    );
    world.keyring.erase_people(&world.store, &world.company, &world.id).await.unwrap();
    let refused = world.store.write_people(&lease, &key_record, pending).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(world.store.people(&world.company, &world.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_reset_of_who_was_just_written_by_an_uncommitted_run_holds() {
    let world = world().await;
    let lease = lease(&world).await;
    write(&world, &lease, writes(&world, &lease, Compliant).await).await.unwrap();
    // Later: events of one instant have no order.
    world.wait(chrono::TimeDelta::seconds(1)).await;
    world.reset("person-2", "wrong person").await;
    commit(&world, &lease).await;
    assert_eq!(world.statuses(["person-1", "person-2"]).await, [Some(Compliant), Some(Unknown)]);
    assert_eq!(world.history("person-2").await.last().unwrap(), "not_compliant reset by auditor: wrong person");
}

#[tokio::test]
async fn pages_hold_all_people_of_a_status_once() {
    let world = world().await;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let wanted = |state: &common::domain::people::person::PersonState| state.compliance.status == NotCompliant;
        let page = world.store.people_page(&world.company, &world.id, after.as_ref(), 1, wanted).await.unwrap();
        found.extend(page.0.into_iter().map(|record| record.person));
        after = page.1;
        if after.is_none() {
            break;
        }
    }
    let mut expected = vec![world.person_id("person-2").await, world.person_id("person-4").await];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn reading_people_costs_the_same_after_four_hundred_nights() {
    let world = world().await;
    let person = world.person_id("person-1").await;
    let (client, counted) = world.engine.client_counting();
    // Small pages, so that whoever reads a range of 400 records is seen.
    let store = Store::new(client, acceptance::engine::TABLE).with_page_size(10);
    let cost = async || {
        let (company, id) = (&world.company, &world.id);
        let mut costs = Vec::new();
        assert_eq!(store.people_page(company, id, None, 10, |_| true).await.unwrap().0.len(), 4);
        costs.push(counted.take());
        assert_eq!(store.people(company, id).await.unwrap().len(), 4);
        costs.push(counted.take());
        assert!(store.person(company, id, &person).await.unwrap().is_some());
        costs.push(counted.take());
        assert_eq!(store.events_of(company, id, &person).await.unwrap().len(), 1);
        costs.push(counted.take());
        costs
    };
    let first = cost().await;
    for night in 0..399 {
        // Nobody changes, so the run writes a commit alone.
        let run = format!("019e0000-0000-7000-8000-{night:012}");
        let lease = lease_of(&world, &run).await;
        commit(&world, &lease).await;
    }
    assert_eq!(cost().await, first);
    let page = [("BatchGetItem".to_owned(), 1), ("Query".to_owned(), 2)].into();
    assert_eq!(first[0], page, "the newest run, the people, and the commit of the one run that wrote them");
}

#[tokio::test]
async fn a_run_that_begins_and_commits_while_a_page_is_read_shows_in_none_of_it() {
    let world = world().await;
    // One person in a request, and the run commits between the requests.
    let store = world.store.clone().with_page_size(1);
    let reached = std::cell::Cell::new(false);
    let page = store.people_page(&world.company, &world.id, None, 4, |_| {
        reached.set(true);
        true
    });
    let mut page = std::pin::pin!(page);
    while !reached.get() {
        assert!(futures_util::poll!(page.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let lease = lease_of(&world, "019e0000-0000-7000-8000-000000000001").await;
    write(&world, &lease, writes(&world, &lease, Unknown).await).await.unwrap();
    commit(&world, &lease).await;
    let (people, _) = page.await.unwrap();
    let statuses: Vec<PersonStatus> = people.iter().map(|person| person.state.compliance.status).collect();
    assert!(!statuses.contains(&Unknown), "{statuses:?}");
    assert_eq!(world.statuses(FOUR).await, [Some(Unknown); 4]);
}

#[tokio::test]
async fn people_are_within_reach_of_their_own_company_and_connection_only() {
    let world = world().await;
    let person = world.person_id("person-1").await;
    for (company, connection) in [("msp-other", "sat"), ("msp-acme", "sat-2"), ("msp", "acme-sat")] {
        let company = common::domain::id::CompanyId::parse(company).unwrap();
        let connection = common::domain::id::ConnectionId::parse(connection).unwrap();
        assert_eq!(world.store.people(&company, &connection).await.unwrap(), []);
        assert_eq!(world.store.person(&company, &connection, &person).await.unwrap(), None);
        assert_eq!(world.store.events_of(&company, &connection, &person).await.unwrap(), []);
        assert_eq!(world.keyring.erase_person(&world.store, &company, &connection, &person).await.unwrap(), 0);
        assert_eq!(world.keyring.erase_people(&world.store, &company, &connection).await.unwrap(), 0);
    }
    assert_eq!(world.statuses(FOUR).await, BEFORE);
}

#[tokio::test]
async fn people_of_a_later_release_are_left_alone_and_can_still_be_erased() {
    let mut world = world().await;
    let person = world.person_id("person-1").await;
    let client = world.engine.client();
    let answer = client.scan().table_name(acceptance::engine::TABLE).send().await.unwrap();
    let is_row = |item: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>| {
        item["sk"].as_s().unwrap() == &format!("PERSON#{person}")
    };
    let mut item = answer.items.unwrap().into_iter().find(is_row).unwrap();
    let later = (common::store::SCHEMA_VERSION + 1).to_string();
    item.insert("schema_version".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N(later));
    client.put_item().table_name(acceptance::engine::TABLE).set_item(Some(item)).send().await.unwrap();
    let read = world.store.people(&world.company, &world.id).await;
    assert!(matches!(read, Err(StoreError::Corrupt { record: "person", .. })), "{read:?}");
    assert!(matches!(world.sync().await, Processed::Failed(_)), "no run writes over what it cannot read");
    world.keyring.erase_person(&world.store, &world.company, &world.id, &person).await.unwrap();
    assert_eq!(world.store.people(&world.company, &world.id).await.unwrap().len(), 3);
}

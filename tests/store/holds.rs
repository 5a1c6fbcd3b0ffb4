//! Evidence that ends, and evidence that is held.

use crate::*;
use acceptance::clock::SteppingClock;
use acceptance::engine::{Engine, TABLE};
use common::app::holds::{HoldError, Holds};
use common::domain::audit::{Actor, AuditAction};
use common::store::BODY_LIMIT;
use std::collections::BTreeMap;
use std::sync::Arc;

const KEPT: TimeDelta = TimeDelta::days(400);

async fn prepared(engine: &Engine) -> (Store, Holds) {
    let store = engine.store().await.with_retention(Some(KEPT));
    let clients = [("7".to_owned(), named("client-0")), ("8".to_owned(), named("client-1"))].into();
    let mapping = Mapping::ByOrganization { clients, ignored: [].into() };
    store.add_connection(&Connection { mapping, ..connection(&acme(), "main") }).await.unwrap();
    let clock = Arc::new(SteppingClock::at(later(10)));
    (store.clone(), Holds { store, clock })
}

/// How many records of evidence of each partition end, and how many do not.
async fn ends(engine: &Engine, at: DateTime<Utc>) -> BTreeMap<String, (usize, usize)> {
    let mut ends: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for item in engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap() {
        let pk = item.get("pk").unwrap().as_s().unwrap();
        let Some(owner) = pk.strip_prefix("EVIDENCE#msp-acme#") else { continue };
        let (ending, staying) = ends.entry(owner.to_owned()).or_default();
        match item.get("expires_at") {
            Some(end) => {
                assert_eq!(end.as_n().unwrap(), &(at + KEPT).timestamp().to_string());
                *ending += 1;
            }
            None => *staying += 1,
        }
    }
    ends
}

fn counts<const N: usize>(of: [(&str, (usize, usize)); N]) -> BTreeMap<String, (usize, usize)> {
    of.map(|(owner, counts)| (owner.to_owned(), counts)).into()
}

fn named(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

#[tokio::test]
async fn evidence_ends_unless_it_is_held_and_a_release_gives_it_its_end_back() {
    let engine = Engine::memory().await;
    let (store, holds) = prepared(&engine).await;
    let (acme, actor) = (acme(), Actor::cli("legal"));
    // Two clients, whose evidence is in two pieces each.
    let body = "x".repeat(BODY_LIMIT + 1);
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(2, &body)).await.unwrap();
    let all = |counts_0, counts_1| {
        counts([
            ("CLIENT#client-0", counts_0),
            ("CLIENT#client-0#PIECES", counts_0),
            ("CLIENT#client-1", counts_1),
            ("CLIENT#client-1#PIECES", counts_1),
        ])
    };
    assert_eq!(ends(&engine, tick()).await, all((1, 0), (1, 0)));

    // Nobody's evidence can be held by a name that nobody knows.
    let unknown = holds.place(&acme, Some(&named("cleint-0")), "a suit", &actor).await;
    assert!(matches!(unknown, Err(HoldError::UnknownClient(_))), "{unknown:?}");
    let placed = holds.place(&acme, Some(&named("client-0")), "a suit", &actor).await.unwrap();
    assert_eq!((placed, ends(&engine, tick()).await), (2, all((0, 1), (1, 0))));
    assert_eq!(holds.place(&acme, Some(&named("client-0")), "a suit", &actor).await.unwrap(), 0);
    let listed = holds.list(&acme).await.unwrap();
    assert_eq!((listed.len(), listed[0].by.as_str(), listed[0].reason.as_str()), (1, "legal", "a suit"));

    // Everything, and then the client alone again.
    holds.place(&acme, None, "another", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all((0, 1), (0, 1)));
    holds.release(&acme, None, "it is over", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all((0, 1), (1, 0)));
    holds.release(&acme, Some(&named("client-0")), "it is over", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all((1, 0), (1, 0)));
    let again = holds.release(&acme, None, "it is over", &actor).await;
    assert!(matches!(again, Err(HoldError::NotHeld)), "{again:?}");
    assert_eq!(latest(&store, &client("client-0")).await[0].body, body, "all of this changes nothing that is read");

    let events = store.audit_events(&acme, (tick(), later(60)), None, 10).await.unwrap();
    let mut actions: Vec<_> = events.iter().map(|it| it.event.action).collect();
    actions.sort();
    // The second placing of the same hold changed nothing.
    let (placed, released) = (AuditAction::HoldPlaced, AuditAction::HoldReleased);
    assert_eq!(actions, [placed, placed, released, released]);
}

#[tokio::test]
async fn a_hold_that_is_placed_while_a_run_writes_holds_what_it_writes() {
    let engine = Engine::memory().await;
    let (store, holds) = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    // It wrote, read no hold, and has not committed.
    store.stage(&lease, &bundles(2, "{}")).await.unwrap();
    holds.place(&acme(), Some(&named("client-1")), "a suit", &Actor::cli("legal")).await.unwrap();
    let held = counts([("CLIENT#client-0", (1, 0)), ("CLIENT#client-1", (0, 1))]);
    assert_eq!(ends(&engine, tick()).await, held);
    // And one that writes after it.
    store.commit(&lease, ended(later(1)), bundles(2, "{}")).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, held);
}

#[tokio::test]
async fn without_a_retention_nothing_ends_and_a_released_hold_leaves_it_so() {
    let engine = Engine::memory().await;
    let (store, _) = prepared(&engine).await;
    let store = store.with_retention(None);
    let holds = Holds { store: store.clone(), clock: Arc::new(SteppingClock::at(later(10))) };
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(1, "{}")).await.unwrap();
    let nothing_ends = counts([("CLIENT#client-0", (0, 1))]);
    assert_eq!(ends(&engine, tick()).await, nothing_ends);
    holds.place(&acme(), None, "a suit", &Actor::cli("legal")).await.unwrap();
    holds.release(&acme(), None, "it is over", &Actor::cli("legal")).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, nothing_ends);
}

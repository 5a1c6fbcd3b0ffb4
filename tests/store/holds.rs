//! Evidence that ends, and evidence that is held.

use crate::*;
use acceptance::clock::SteppingClock;
use acceptance::engine::{Engine, TABLE};
use common::app::evidence::EvidenceReader;
use common::app::holds::{HoldError, Holds};
use common::domain::audit::{Actor, AuditAction};
use common::domain::calendar::DayRange;
use common::domain::time::Window;
use common::domain::window::{NoEvidence, Tick, WindowRow};
use common::store::{BODY_LIMIT, OUTLIVES_EVIDENCE, StoreError};
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

/// How many records of evidence end, and how many do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Records {
    ending: usize,
    staying: usize,
}

const ENDS: Records = Records { ending: 1, staying: 0 };
const STAYS: Records = Records { ending: 0, staying: 1 };

/// Those of each partition.
async fn ends(engine: &Engine, at: DateTime<Utc>) -> BTreeMap<String, Records> {
    let mut ends: BTreeMap<String, Records> = BTreeMap::new();
    for item in engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap() {
        let pk = item.get("pk").unwrap().as_s().unwrap();
        let Some(owner) = pk.strip_prefix("EVIDENCE#msp-acme#") else { continue };
        let records = ends.entry(owner.to_owned()).or_default();
        match item.get("expires_at") {
            Some(end) => {
                // The record is gone before its pieces: without them it would seem to be damaged.
                let at = if pk.ends_with("#PIECES") { at + OUTLIVES_EVIDENCE } else { at };
                assert_eq!(end.as_n().unwrap(), &(at + KEPT).timestamp().to_string());
                records.ending += 1;
            }
            None => records.staying += 1,
        }
    }
    ends
}

fn counts<const N: usize>(of: [(&str, Records); N]) -> BTreeMap<String, Records> {
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
    assert_eq!(ends(&engine, tick()).await, all(ENDS, ENDS));

    // Nobody's evidence can be held by a name that nobody knows.
    let unknown = holds.place(&acme, Some(&named("cleint-0")), "a suit", &actor).await;
    assert!(matches!(unknown, Err(HoldError::Store(StoreError::UnknownClient(_)))), "{unknown:?}");
    let placed = holds.place(&acme, Some(&named("client-0")), "a suit", &actor).await.unwrap();
    // With the run and its commit.
    assert_eq!((placed, ends(&engine, tick()).await), (4, all(STAYS, ENDS)));
    assert_eq!(holds.place(&acme, Some(&named("client-0")), "a suit", &actor).await.unwrap(), 0);
    let listed = holds.list(&acme).await.unwrap();
    assert_eq!((listed.len(), listed[0].by.as_str(), listed[0].reason.as_str()), (1, "legal", "a suit"));

    // Everything, and then the client alone again.
    holds.place(&acme, None, "another", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all(STAYS, STAYS));
    holds.release(&acme, None, "it is over", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all(STAYS, ENDS));
    holds.release(&acme, Some(&named("client-0")), "it is over", &actor).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, all(ENDS, ENDS));
    let again = holds.release(&acme, None, "it is over", &actor).await;
    assert!(matches!(again, Err(HoldError::NotHeld)), "{again:?}");
    assert_eq!(latest(&store, &client("client-0")).await[0].body, body, "all of this changes nothing that is read");

    let events = store.audit_events(&acme, Window { start: tick(), end: later(60) }, None, 10).await.unwrap();
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
    let held = counts([("CLIENT#client-0", ENDS), ("CLIENT#client-1", STAYS)]);
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
    let nothing_ends = counts([("CLIENT#client-0", STAYS)]);
    assert_eq!(ends(&engine, tick()).await, nothing_ends);
    holds.place(&acme(), None, "a suit", &Actor::cli("legal")).await.unwrap();
    holds.release(&acme(), None, "it is over", &Actor::cli("legal")).await.unwrap();
    assert_eq!(ends(&engine, tick()).await, nothing_ends);
}

/// The end of each run and commit, by the beginnings of their keys; those without one are `None`.
async fn ends_of_records(engine: &Engine) -> BTreeMap<String, Option<i64>> {
    let items = engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap();
    let ends = items.iter().filter_map(|item| {
        let sk = item.get("sk").unwrap().as_s().unwrap();
        let end = item.get("expires_at").map(|end| end.as_n().unwrap().parse().unwrap());
        let (kind, _) = sk.split_once('#')?;
        match kind {
            "RUN" => Some((sk.clone(), end)),
            "COMMIT" => Some((format!("COMMIT#{}", sk.rsplit('#').next()?), end)),
            _ => None,
        }
    });
    ends.collect()
}

/// When the records of a run end that began then.
fn end_after(began: DateTime<Utc>) -> Option<i64> {
    Some((began + KEPT + OUTLIVES_EVIDENCE).timestamp())
}

fn records<const N: usize>(of: [(&str, Option<i64>); N]) -> BTreeMap<String, Option<i64>> {
    of.map(|(key, end)| (key.to_owned(), end)).into()
}

#[tokio::test]
async fn runs_and_commits_end_after_their_evidence_unless_anything_is_held() {
    let engine = Engine::memory().await;
    let (store, holds) = prepared(&engine).await;
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(2, "{}")).await.unwrap();
    let lease = started(&store, 2, later(10)).await;
    store.fail(&lease, failed(later(11), FailureCode::Unavailable)).await.unwrap();
    // One that has not ended has no end yet.
    store.request_run(RunRequest { now: later(20), ..request(3) }).await.unwrap();
    let all = |first, second| {
        records([("RUN#run-0001", first), ("COMMIT#run-0001", first), ("RUN#run-0002", second), ("RUN#run-0003", None)])
    };
    let ending = all(end_after(tick()), end_after(later(10)));
    assert_eq!(ends_of_records(&engine).await, ending);

    // A hold on one client keeps what shows it.
    let (acme, actor) = (acme(), Actor::cli("legal"));
    holds.place(&acme, Some(&named("client-0")), "a suit", &actor).await.unwrap();
    assert_eq!(ends_of_records(&engine).await, all(None, None));
    let lease = leased(&store, 3, "worker", later(20)).await;
    store.commit(&lease, ended(later(21)), bundles(1, "{}")).await.unwrap();
    let held = ends_of_records(&engine).await;
    assert!(held.len() == 5 && held.values().all(Option::is_none), "{held:?}");
    holds.release(&acme, Some(&named("client-0")), "it is over", &actor).await.unwrap();
    let mut released = ending;
    for key in ["RUN#run-0003", "COMMIT#run-0003"] {
        released.insert(key.to_owned(), end_after(later(20)));
    }
    assert_eq!(ends_of_records(&engine).await, released);
}

#[tokio::test]
async fn the_commits_that_people_are_shown_by_stay() {
    let engine = Engine::memory().await;
    let (store, holds) = prepared(&engine).await;
    store.keep_people(&acme(), &main_connection(), None).await.unwrap();
    let lease = started(&store, 1, tick()).await;
    store.commit(&lease, ended(later(1)), bundles(1, "{}")).await.unwrap();
    let ends = records([("RUN#run-0001", end_after(tick())), ("COMMIT#run-0001", None)]);
    assert_eq!(ends_of_records(&engine).await, ends);
    holds.place(&acme(), None, "a suit", &Actor::cli("legal")).await.unwrap();
    holds.release(&acme(), None, "it is over", &Actor::cli("legal")).await.unwrap();
    assert_eq!(ends_of_records(&engine).await, ends);
}

/// Places a hold in the moment before the first transaction that ends a run.
#[derive(Debug, Clone)]
struct PlacedMeanwhile {
    config: aws_sdk_dynamodb::Config,
    once: Arc<std::sync::atomic::AtomicBool>,
}

impl aws_sdk_dynamodb::config::Intercept for PlacedMeanwhile {
    fn name(&self) -> &'static str {
        "PlacedMeanwhile"
    }

    fn read_before_transmit(
        &self,
        context: &aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef<'_>,
        _: &aws_sdk_dynamodb::config::RuntimeComponents,
        _: &mut aws_sdk_dynamodb::config::ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let body = String::from_utf8(context.request().body().bytes().unwrap_or_default().to_vec())?;
        let commits = body.contains("TransactItems") && body.contains("\"finished_at\"");
        if !commits || self.once.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        let client = aws_sdk_dynamodb::Client::from_conf(self.config.clone());
        let placed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let store = Store::new(client, TABLE).with_retention(Some(KEPT));
                let holds = Holds { store, clock: Arc::new(SteppingClock::at(later(10))) };
                holds.place(&acme(), None, "a suit", &Actor::cli("legal")).await.unwrap();
            });
        });
        placed.join().map_err(|_| "the hold was not placed")?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_placed_in_the_moment_of_the_commit_holds_run_and_commit() {
    for succeeds in [true, false] {
        let engine = Engine::memory().await;
        let (store, _) = prepared(&engine).await;
        let lease = started(&store, 1, tick()).await;
        let meanwhile = PlacedMeanwhile { config: engine.client().config().clone(), once: Arc::default() };
        let config = engine.client().config().to_builder().interceptor(meanwhile.clone());
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config.build()), TABLE).with_retention(Some(KEPT));
        if succeeds {
            store.commit(&lease, ended(later(1)), bundles(1, "{}")).await.unwrap();
        } else {
            store.fail(&lease, failed(later(1), FailureCode::Unavailable)).await.unwrap();
        }
        assert!(meanwhile.once.load(std::sync::atomic::Ordering::Relaxed));
        let ends = ends_of_records(&engine).await;
        assert!(ends.len() == 1 + usize::from(succeeds) && ends.values().all(Option::is_none), "{ends:?}");
        assert!(run(&store, 1).await.status.is_final());
    }
}

#[tokio::test]
async fn a_window_of_days_whose_runs_have_ended_says_what_the_log_has_of_them() {
    let engine = Engine::memory().await;
    let (store, _) = prepared(&engine).await;
    let day = TimeDelta::days(1);
    for (number, at) in [(1, tick()), (2, tick() + day), (3, tick() + day * 10)] {
        store.record_tick(Tick { due: at, handled: at }).await.unwrap();
        let run_id = crate::year::id_of(at, number);
        store.request_run(RunRequest { now: at, run_id: run_id.clone(), ..request(0) }).await.unwrap();
        let taken = store.take(&acme(), &main_connection(), &run_id, "worker", at, LEASE).await.unwrap();
        let LeaseOutcome::Acquired { lease, .. } = taken else { panic!("{taken:?}") };
        match number {
            2 => store.fail(&lease, failed(at, FailureCode::Unavailable)).await.unwrap(),
            _ => store.commit(&lease, ended(at), bundles(1, r#"{"verdicts": [], "metrics": []}"#)).await.unwrap(),
        }
    }
    let reader =
        EvidenceReader { store: store.clone(), clock: Arc::new(SteppingClock::at(tick() + day * 10 + day / 2)) };
    let calendar = common::domain::calendar::Calendar::default();
    let days = DayRange { from: calendar.day_of(tick()), to: calendar.day_of(tick() + day * 10) };
    let reasons = async || {
        let window = reader.window(&acme(), &named("client-0"), days, None).await.unwrap();
        let reason = |row: &WindowRow| Some((row.reason?, row.failure.as_ref().map(|it| it.code)));
        // The first two days, and the last one, whose run has not ended.
        [0, 1, 10].map(|row| reason(&window.rows[row]))
    };
    let failed = Some((NoEvidence::Failed, Some(FailureCode::Unavailable)));
    assert_eq!(reasons().await, [None, failed, None]);
    // As the table does some time after their end.
    for item in engine.client().scan().table_name(TABLE).send().await.unwrap().items.unwrap() {
        let end = item.get("expires_at").map(|end| end.as_n().unwrap().parse::<i64>().unwrap());
        if end.is_some_and(|end| end <= end_after(tick() + day).unwrap()) {
            let delete = engine.client().delete_item().table_name(TABLE);
            delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
        }
    }
    assert_eq!(store.runs(&acme(), &main_connection(), 9).await.unwrap().len(), 1);
    assert_eq!(reasons().await, [Some((NoEvidence::NotMapped, None)), failed, None]);
    // The log is whole, and the newest evidence is proved by it.
    assert_eq!(store.log(&acme(), &main_connection()).await.unwrap().len(), 3);
    assert_eq!(latest(&store, &client("client-0")).await.len(), 1);
}

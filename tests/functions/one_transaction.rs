//! What somebody does and the audit event of it are in one transaction: where the table refuses it, neither is there. Names are opened after their event alone.

use super::people::{event, with_training};
use super::{World, ask, company, connection};
use acceptance::engine::{Engine, TABLE};
use common::domain::audit::{Actor, AuditAction};
use common::domain::id::ClientId;
use common::domain::product::Product;
use common::domain::time::Window;
use common::huntress::edr::NamedRecord;
use common::huntress::origin::Origin;
use common::store::{PlacedEvent, Store};
use serde_json::{Value, json};
use simulator::{Account, Simulator};
use std::collections::BTreeSet;

/// A world over a table whose transactions with one action in them can be refused.
struct Refusing {
    world: World,
    engine: Engine,
    edr: Simulator,
}

impl Refusing {
    async fn new() -> Self {
        let (engine, mut world) = (Engine::memory().await, World::with(&[]).await);
        world.store = engine.store().await;
        world.add("edr-main").await;
        let mut world = with_training(world).await;
        let edr = Simulator::builder(Account::worked_example(super::tick())).rate_limit(None).start().await.unwrap();
        world.huntress.origins.edr = Origin::parse(&edr.origin(), Product::Edr, true).unwrap();
        Self { world, engine, edr }
    }

    /// What the answer is while the table refuses every transaction with the event.
    async fn refused(&mut self, action: AuditAction, ask: impl AsyncFn(&World) -> (u16, Value)) -> Value {
        let whole =
            std::mem::replace(&mut self.world.store, Store::new(self.engine.client_refused(action.as_str()), TABLE));
        let before = self.world.kept_events().await.len();
        let (status, answer) = ask(&self.world).await;
        assert!(status >= 500, "{action}: {status} {answer}");
        assert_eq!(self.world.kept_events().await.len(), before, "{action}");
        self.world.store = whole;
        answer
    }
}

impl World {
    async fn kept_events(&self) -> Vec<PlacedEvent> {
        let all = Window::ALL.until(Some(super::tick() + chrono::TimeDelta::days(9)));
        self.store.audit_events(&company(), all, None, 1000).await.unwrap()
    }

    /// The runs that the events of Sync Now name, in the order of time.
    async fn asked_for(&self) -> Vec<Value> {
        let events = self.kept_events().await.into_iter().map(|placed| placed.event);
        events.filter(|event| event.action == AuditAction::SyncRequested).filter_map(|event| event.after).collect()
    }

    async fn sync_now(&self, key: Option<&str>) -> (u16, Value) {
        let mut asked = event("POST", "/connections/edr-main/sync", Value::Null);
        if let Some(key) = key {
            asked["headers"]["idempotency-key"] = json!(key);
        }
        ask(self.on_demand_sync(), &asked).await
    }
}

#[tokio::test]
async fn a_run_and_who_asked_for_it_are_there_together_or_not_at_all() {
    let mut at = Refusing::new().await;
    let runs = async |world: &World| world.store.runs(&company(), &connection("edr-main"), 10).await.unwrap();
    at.refused(AuditAction::SyncRequested, async |world| world.sync_now(None).await).await;
    assert_eq!(runs(&at.world).await, []);
    assert_eq!(at.world.store.active_run(&company(), &connection("edr-main")).await.unwrap(), None);
    assert_eq!(at.world.sent(), [], "no worker is told of a run that is not there");

    let (counting, counted) = at.engine.client_counting();
    at.world.store = Store::new(counting, TABLE);
    let (status, first) = at.world.sync_now(Some("once")).await;
    assert_eq!((status, &first["joined"]), (202, &json!(false)), "{first}");
    let written = counted.take();
    assert_eq!((written["TransactWriteItems"], written.get("PutItem")), (1, None), "{written:?}");
    assert_eq!((written["write RUN"], written["write EVENT"]), (1, 1), "{written:?}");
    assert_eq!(at.world.asked_for().await, [first["run_id"].clone()]);

    // The same request sent again is the same act; another person who joins the run is another one.
    assert_eq!(at.world.sync_now(Some("once")).await.1["run_id"], first["run_id"]);
    assert_eq!(at.world.asked_for().await.len(), 1);
    at.refused(AuditAction::SyncRequested, async |world| world.sync_now(None).await).await;
    let (status, joined) = at.world.sync_now(None).await;
    assert_eq!((status, &joined["joined"], &joined["run_id"]), (202, &json!(true), &first["run_id"]));
    assert_eq!(at.world.asked_for().await, [first["run_id"].clone(), first["run_id"].clone()]);
    assert_eq!(runs(&at.world).await.len(), 1);
}

#[tokio::test]
async fn a_test_and_who_tested_are_there_together_or_not_at_all() {
    let mut at = Refusing::new().await;
    let path = "/connections/edr-main/test";
    let test = async |world: &World| ask(world.connection_test(), &event("POST", path, Value::Null)).await;
    let kept = async |world: &World| {
        let there = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
        (there.last_test.map(|test| test.passed), there.account_id)
    };
    at.refused(AuditAction::ConnectionTested, test).await;
    assert_eq!(kept(&at.world).await, (None, None));
    assert_eq!(test(&at.world).await.0, 200);
    assert_eq!(kept(&at.world).await.0, Some(true));
    assert_eq!(at.world.kept_events().await.len(), 1);
    // Of a connection that is not there nothing is kept, and no event either.
    let absent = event("POST", "/connections/absent/test", Value::Null);
    assert_eq!(ask(at.world.connection_test(), &absent).await.0, 404);
    assert_eq!(at.world.kept_events().await.len(), 1);
}

#[tokio::test]
async fn providers_and_packs_are_there_with_their_events_or_not_at_all() {
    let mut at = Refusing::new().await;
    let client = ClientId::parse("client-acme-corp").unwrap();
    let path = "/clients/client-acme-corp/training-provider";
    let name = async |world: &World| ask(world.people_api(), &event("PUT", path, json!({"connection": "sat"}))).await;
    let forget = async |world: &World| ask(world.people_api(), &event("DELETE", path, Value::Null)).await;
    at.refused(AuditAction::ProviderNamed, name).await;
    assert_eq!(at.world.store.provider(&company(), &client).await.unwrap(), None);
    assert_eq!(name(&at.world).await.0, 200);
    at.refused(AuditAction::ProviderRemoved, forget).await;
    assert!(at.world.store.provider(&company(), &client).await.unwrap().is_some());
    assert_eq!(forget(&at.world).await.0, 204);
    assert_eq!(at.world.store.provider(&company(), &client).await.unwrap(), None);

    let days = json!({"from": "2026-03-21", "to": "2026-03-21"});
    let pack = event("POST", "/clients/client-acme-corp/packs", days);
    at.refused(AuditAction::PackMade, async |world| ask(world.packs_api(), &pack).await).await;
    assert_eq!(at.world.store.packs(&company(), &client).await.unwrap(), []);
}

#[tokio::test]
async fn names_are_opened_after_their_event_and_never_without() {
    let mut at = Refusing::new().await;
    for (method, path, body) in
        [("PUT", "/assignments", json!({"assignments": ["A", "B"]})), ("PUT", "/privacy", json!({"mode": "full"}))]
    {
        let function = if path == "/privacy" { at.world.people_api() } else { at.world.connection_test() };
        let (status, answer) = ask(function, &event(method, &format!("/connections/sat{path}"), body)).await;
        assert_eq!(status, 200, "{answer}");
    }
    at.world.sync_people().await;
    let (_, page) = at.world.people("GET", "/people?status=compliant&limit=1", Value::Null).await;
    let person = page["people"][0]["person"].as_str().unwrap().to_owned();
    let whole = async |world: &World| world.people("GET", &format!("/people/{person}"), Value::Null).await.1;
    let why = json!({"reason": "asked by the auditor"});
    for (action, end) in [
        (AuditAction::IdentityOpened, "identity"),
        (AuditAction::CertificateOpened, "certificate"),
        (AuditAction::PersonReset, "reset"),
    ] {
        let path = format!("/people/{person}/{end}");
        let act = async |world: &World| world.people("POST", &path, why.clone()).await;
        let untouched = whole(&at.world).await;
        let answer = at.refused(action, act).await;
        assert!(!answer.to_string().contains("First-person"), "{answer}");
        assert_eq!(whole(&at.world).await, untouched, "{action}: neither what they are nor what happened to them");
        assert_eq!(at.world.people("POST", &path, why.clone()).await.0, 200);
        let events = at.world.kept_events().await;
        assert_eq!(events.iter().filter(|placed| placed.event.action == action).count(), 1);
    }

    // What hosts are called is not even asked for.
    let wanted = BTreeSet::from([(NamedRecord::Agent, "1".to_owned())]);
    let (client, id) = (ClientId::parse("client-acme-corp").unwrap(), connection("edr-main"));
    let names = async |world: &World| {
        let named = world.connection_service().names(&company(), &id, &client, &wanted, &Actor::cli("alice")).await;
        named.map_or_else(|error| (500, json!(error.to_string())), |names| (200, json!(format!("{names:?}"))))
    };
    at.refused(AuditAction::NamesOpened, names).await;
    assert_eq!(at.edr.requests(), []);
    let (status, answer) = names(&at.world).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(at.edr.requests().len(), 1, "{answer}");
}

//! Which clients there are, told alike by every route about one: a client that nobody knows is told of as one that the caller may not see; one that is known
//! and has no evidence, or none any more, is not.

use super::access::{event, function};
use super::portfolio::{EDR, bundle, client};
use super::{World, ask, company, connection, tick};
use chrono::{DateTime, TimeDelta, Utc};
use common::api::{Entry, Method, Role, routes};
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::domain::time::Window;
use common::store::ConnectionChange;
use serde_json::{Value, json};

/// The client of the paths that [`event`] makes.
const THERE: &str = "client-acme-corp";

/// The routes about one client.
fn of_a_client() -> Vec<Entry> {
    let routes: Vec<Entry> = routes::table().into_iter().filter(|entry| entry.path.contains("{client}")).collect();
    assert!(routes.len() > 25, "{}", routes.len());
    routes
}

/// A request for a route that is right but for the client, whoever that is.
fn request(entry: &Entry, of: &str, claims: &Value) -> Value {
    let mut asked = event(entry, company().as_str(), claims);
    let path = asked["rawPath"].as_str().unwrap().replace(THERE, of);
    asked["rawPath"] = json!(path);
    asked["requestContext"]["http"]["path"] = json!(path);
    let last = path.rsplit('/').next().unwrap();
    asked["rawQueryString"] = match last {
        "window" => json!("from=2026-03-20&to=2026-03-21"),
        "history" => json!("key=agents_total"),
        _ => json!(""),
    };
    let body = match (entry.method, last) {
        (Method::Put, "policy") => json!({"policy": "baseline"}),
        (Method::Put, "expected_devices") => {
            json!({"value": 60, "source": "RMM export", "dated": "2026-03-20", "until": "2026-12-31"})
        }
        (Method::Put, "training-provider") => json!({"connection": "edr-main"}),
        (Method::Post, "exceptions") => {
            json!({"rule": "sat-coverage", "reason": "The course is replaced in May.", "until": "2026-06-01"})
        }
        (Method::Post, "what-if") => json!({"set": {"sat-coverage": {"pass": "95"}}}),
        (Method::Post, "packs") => json!({"from": "2026-03-20", "to": "2026-03-21"}),
        _ => Value::Null,
    };
    asked["headers"]["content-type"] = json!("application/json");
    if !body.is_null() {
        asked["body"] = json!(body.to_string());
    }
    asked
}

fn admin() -> Value {
    json!({"sub": "user-7f3a", "company_id": company().as_str(), "role": "admin"})
}

impl World {
    async fn of_route(&self, entry: &Entry, of: &str, claims: &Value) -> (u16, Value) {
        ask(function(self, entry), &request(entry, of, claims)).await
    }

    /// Every route that reads knows a client, and those that list something answer. None that changes is asked: what is decided about a client makes it known.
    async fn assert_known(&self, of: &str) {
        let reads = |entry: &Entry| entry.method == Method::Get || entry.path.ends_with("what-if");
        for entry in of_a_client().into_iter().filter(reads) {
            let (status, answer) = self.of_route(&entry, of, &admin()).await;
            let named = format!("{} {} of {of}: {status} {answer}", entry.method, entry.path);
            assert_ne!(answer["detail"], "there is no such client; check its id", "{named}");
            // Those of one thing tell that there is no such thing, and an export without a run that there is nothing to prove.
            let rest = entry.path.split("{client}").last().unwrap();
            let is_of_one = rest.contains('{') || rest.ends_with("training");
            assert!(is_of_one || status == 200, "{named}");
        }
    }

    async fn assert_unknown(&self, of: &str) {
        for entry in of_a_client() {
            let (status, answer) = self.of_route(&entry, of, &admin()).await;
            let told = &answer["detail"];
            let expected = "there is no such client; check its id";
            assert_eq!((status, told), (404, &json!(expected)), "{} {}", entry.method, entry.path);
        }
    }

    async fn committed(&self, id: &str, of: &str, at: DateTime<Utc>) {
        self.commit(id, at, Product::Edr, vec![(of.to_owned(), bundle(EDR, "pass", 0))]).await;
    }

    async fn map(&self, id: &str, of: &str) {
        let mapping = Mapping::OneClient { client: client(of) };
        let change = ConnectionChange { mapping: Some(mapping), ..Default::default() };
        self.store.change_connection(&company(), &connection(id), change).await.unwrap();
    }
}

/// Every route and role: a client that is not there is told of as one that a token is not bound to, and nothing comes of it.
#[tokio::test]
async fn a_client_that_is_not_there_is_told_of_as_one_that_is_anothers() {
    let mut world = World::with(&["edr-main"]).await;
    let bound = json!({"sub": "user-7f3a", "company_id": "msp-acme", "role": "admin", "clients": "client-globex"});
    for entry in of_a_client() {
        let foreign = world.of_route(&entry, THERE, &bound).await;
        assert_eq!((foreign.0, &foreign.1["code"]), (404, &json!("not_found")), "{} {}", entry.method, entry.path);
        for role in Role::ALL {
            if entry.scope.is_some_and(|scope| !role.scopes().contains(scope)) {
                continue;
            }
            let mut claims = json!({"sub": "user-7f3a", "company_id": "msp-acme", "role": role.as_str()});
            if role == Role::Auditor {
                claims["clients"] = json!("[nobody client-acme-corp]");
                claims["window"] = json!("2026-01-01/2026-12-31");
            }
            let nobody = world.of_route(&entry, "nobody", &claims).await;
            assert_eq!(nobody, foreign, "{} {} {}", role.as_str(), entry.method, entry.path);
        }
    }
    super::access::nothing_happened(&mut world).await;
    let company = company();
    assert_eq!(
        world.store.audit_events(&company, Window::ALL, None, 10).await.unwrap().len(),
        0,
        "nothing was changed"
    );
    assert_eq!(world.store.decisions(&company, None).await.unwrap(), []);
}

#[tokio::test]
async fn a_client_without_evidence_is_there() {
    let world = World::with(&["edr-main"]).await;
    world.assert_known(THERE).await;
    for entry in of_a_client().into_iter().filter(|entry| entry.method != Method::Get) {
        let (status, answer) = world.of_route(&entry, THERE, &admin()).await;
        let named = format!("{} {}: {status} {answer}", entry.method, entry.path);
        assert_ne!(answer["detail"], "there is no such client; check its id", "{named}");
    }
}

/// What was proved stays readable, however the connection fares: an auditor asks for it.
#[tokio::test]
async fn a_client_whose_evidence_is_kept_is_there() {
    let world = World::with(&["edr-main"]).await;
    world.committed("edr-main", THERE, tick() - TimeDelta::days(1)).await;
    // It measures another one from now on, which has given nothing yet.
    world.map("edr-main", "client-globex").await;
    world.assert_known(THERE).await;
    world.assert_known("client-globex").await;
    world.store.remove_connection(&company(), &connection("edr-main"), tick()).await.unwrap();
    world.assert_known(THERE).await;
    world.assert_unknown("client-globex").await;
    // So it is where no short record tells of it: it was removed before there were any.
    assert_eq!(world.remove("PORTFOLIO#", "").await, 1);
    world.assert_known(THERE).await;
    // And where the evidence itself has ended.
    let world = World::with(&["edr-main"]).await;
    world.committed("edr-main", THERE, tick() - TimeDelta::days(1)).await;
    world.store.remove_connection(&company(), &connection("edr-main"), tick()).await.unwrap();
    assert!(world.remove("EVIDENCE#", "").await > 0);
    world.assert_known(THERE).await;
}

/// A client that something was decided about, and that was never measured.
#[tokio::test]
async fn a_client_that_something_was_decided_about_is_there() {
    let world = World::with(&["edr-main"]).await;
    for (path, method) in [("policy", Method::Put), ("exceptions", Method::Post)] {
        world.map("edr-main", path).await;
        let entry = of_a_client().into_iter().find(|it| it.method == method && it.path.ends_with(path)).unwrap();
        let (status, answer) = world.of_route(&entry, path, &admin()).await;
        assert!(status == 200 || status == 201, "{answer}");
    }
    world.map("edr-main", THERE).await;
    for decided in ["policy", "exceptions"] {
        world.assert_known(decided).await;
    }
}

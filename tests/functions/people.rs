//! People over HTTP: the whole way from the choice of assignments to an erasing, and the two AWS services behind it.

use super::{World, ask, ask_for_all, company, connection, sample};
use acceptance::people::Workforce;
use common::app::collection::worker::Processed;
use common::aws::queue::RunMessage;
use common::aws::secrets::{Binding, Credential};
use common::domain::connection::Connection;
use common::domain::id::ClientId;
use common::domain::mapping::Mapping;
use common::domain::product::Product;
use common::huntress::sat::SatCredential;
use serde_json::{Value, json};
use simulator::{SAT_CLIENT_ID, SAT_CLIENT_SECRET, Simulator};
use std::sync::Arc;

/// A world with a training connection of the four people.
pub async fn world() -> World {
    with_training(World::with(&[]).await).await
}

/// The same in a world that is there.
pub async fn with_training(mut world: World) -> World {
    let simulator = Simulator::sat_only(Workforce::four_people().account()).start().await.unwrap();
    let sat = common::huntress::origin::Origin::parse(&simulator.origin(), Product::Sat, true).unwrap();
    world.huntress.origins.sat = sat;
    world.simulator = simulator;
    let (company, id) = (company(), connection("sat"));
    let binding = Binding { company: &company, connection: &id, product: Product::Sat };
    let credential = SatCredential { client_id: SAT_CLIENT_ID.into(), client_secret: SAT_CLIENT_SECRET.into() };
    world.credentials.put(binding, &Credential::Sat(credential)).await.unwrap();
    let mapping = Mapping::OneClient { client: ClientId::parse("client-acme-corp").unwrap() };
    let connection = Connection::new(company.clone(), id.clone(), Product::Sat, mapping, world.huntress.clock.now());
    world.store.add_connection(&connection).await.unwrap();
    world
}

/// An event of the API with this body.
pub fn event(method: &str, path: &str, body: Value) -> Value {
    let mut event = sample("on-demand-sync/events/sync-now.json");
    let path = format!("/v1/companies/msp-acme{path}");
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    event["rawPath"] = json!(path);
    event["rawQueryString"] = json!(query);
    event["requestContext"]["http"]["method"] = json!(method);
    event["requestContext"]["http"]["path"] = json!(path);
    event["headers"]["content-type"] = json!("application/json");
    if path.ends_with("/assignments") || path.ends_with("/privacy") {
        // Whatever its revision is: only one test is about that.
        event["headers"]["if-match"] = json!("*");
    }
    if !body.is_null() {
        event["body"] = json!(body.to_string());
    }
    event
}

impl World {
    pub async fn people(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        ask(self.people_api(), &event(method, &format!("/connections/sat{path}"), body)).await
    }

    pub async fn assignments(&self, method: &str, body: Value) -> (u16, Value) {
        ask(self.connection_test(), &event(method, "/connections/sat/assignments", body)).await
    }

    pub async fn sync_people(&mut self) {
        self.planner().sync_now(&company(), &connection("sat"), None).await.unwrap();
        let message: RunMessage = self.sent().remove(0);
        let deadline = self.huntress.clock.now() + chrono::TimeDelta::minutes(10);
        let processed = self.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
        assert_eq!(processed, Processed::Succeeded { bundles: 1 });
    }
}

#[tokio::test]
async fn from_the_choice_of_assignments_to_an_erasing() {
    let mut world = world().await;
    let (status, listed) = world.assignments("GET", Value::Null).await;
    let ids: Vec<&Value> = listed["assignments"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!((status, ids), (200, vec![&json!("A"), &json!("B"), &json!("C")]));
    let (status, refused) = world.assignments("PUT", json!({"assignments": ["A", "Z"]})).await;
    assert_eq!((status, &refused["code"]), (422, &json!("not_found")));
    assert!(refused["detail"].as_str().unwrap().contains("those that can are A (in progress)"), "{refused}");
    let (status, selected) =
        world.assignments("PUT", json!({"assignments": ["A", "B"], "recertify_after_days": 365})).await;
    assert_eq!((status, &selected["connection"]["people"]["picks"]), (200, &json!(["A", "B"])));
    let (status, set) = world.people("PUT", "/privacy", json!({"mode": "full"})).await;
    assert_eq!((status, &set["connection"]["people"]["mode"]), (200, &json!("full")));
    world.sync_people().await;

    let (status, page) = world.people("GET", "/people?limit=3", Value::Null).await;
    assert_eq!((status, page["people"].as_array().unwrap().len()), (200, 3));
    let after = page["next_after"].as_str().unwrap();
    let (_, rest) = world.people("GET", &format!("/people?limit=3&after={after}"), Value::Null).await;
    assert_eq!((rest["people"].as_array().unwrap().len(), &rest["next_after"]), (1, &Value::Null));
    let (_, compliant) = world.people("GET", "/people?status=compliant", Value::Null).await;
    assert_eq!(compliant["people"].as_array().unwrap().len(), 2);
    assert_eq!(world.people("GET", "/people?status=happy", Value::Null).await.0, 400);

    let (_, found) = world.people("POST", "/people/lookup", json!({"learner_id": "person-1"})).await;
    let person = found["person"]["person"].as_str().unwrap().to_owned();
    assert_eq!(found["person"]["status"], "compliant");
    let at = |rest: &str| format!("/people/{person}{rest}");
    let (_, prompt) = world.people("GET", &at("/onboarding"), Value::Null).await;
    assert_eq!((&prompt["status"], &prompt["action_needed"]), (&json!("compliant"), &json!(false)));
    let (_, opened) = world.people("POST", &at("/identity"), json!({"reason": "the audit of 2026"})).await;
    assert_eq!(opened["identity"]["name"], "First-person-1 Last-person-1");
    let path = format!("/connections/sat{}", at("/certificate"));
    let (status, headers, _) =
        ask_for_all(world.people_api(), &event("POST", &path, json!({"reason": "the audit"}))).await;
    assert_eq!(
        (status, &headers["content-type"], &headers["cache-control"]),
        (200, &"application/pdf".parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert_eq!(world.people("POST", &at("/reset"), json!({"reason": " "})).await.0, 400);
    let (_, reset) = world.people("POST", &at("/reset"), json!({"reason": "changed roles"})).await;
    assert_eq!((&reset["person"]["status"], &reset["person"]["reset"]["by"]), (&json!("unknown"), &json!("user-7f3a")));
    let (_, one) = world.people("GET", &at(""), Value::Null).await;
    let events: Vec<&Value> = one["history"].as_array().unwrap().iter().map(|it| &it["what"]["event"]).collect();
    assert_eq!(events.len(), 4, "{one}");

    assert_eq!(world.people("PUT", "/privacy", json!({"mode": "pseudonymous"})).await.0, 400, "it has to be meant");
    assert_eq!(world.people("PUT", "/privacy", json!({"mode": "pseudonymous", "erase": true})).await.0, 200);
    let (status, conflict) = world.people("POST", &at("/identity"), json!({"reason": "the audit"})).await;
    assert_eq!((status, &conflict["code"]), (409, &json!("conflict")));
    assert_eq!(world.people("DELETE", &at(""), Value::Null).await.0, 204);
    assert_eq!(world.people("GET", &at(""), Value::Null).await.0, 404);
    assert_eq!(world.people("DELETE", "/people", Value::Null).await.0, 204);
    assert_eq!(world.people("GET", "/people", Value::Null).await.1["people"], json!([]));
}

#[tokio::test]
async fn a_learners_id_in_a_path_finds_nobody() {
    let world = world().await;
    for rest in ["", "/onboarding"] {
        assert_eq!(world.people("GET", &format!("/people/person-1{rest}"), Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn a_client_has_one_provider_of_training() {
    let world = world().await;
    let path = "/clients/client-acme-corp/training-provider";
    let provider = async |method: &str, body: Value| ask(world.people_api(), &event(method, path, body)).await;
    assert_eq!(provider("GET", Value::Null).await, (200, json!({"client": "client-acme-corp", "provider": null})));
    let (status, named) = provider("PUT", json!({"connection": "sat"})).await;
    assert_eq!(
        (status, &named["provider"]["connection"], &named["provider"]["by"]),
        (200, &json!("sat"), &json!("user-7f3a"))
    );
    assert_eq!(provider("GET", Value::Null).await.1, named);
    assert_eq!(provider("PUT", json!({"connection": "other"})).await.0, 404);
    let elsewhere = event("PUT", "/clients/client-globex/training-provider", json!({"connection": "sat"}));
    assert_eq!(ask(world.people_api(), &elsewhere).await.0, 404, "nobody knows that client");
    world.connect("edr", Product::Edr, &["client-globex".to_owned()]).await;
    assert_eq!(ask(world.people_api(), &elsewhere).await.0, 400, "the connection gathers no training of that client");
    assert_eq!(provider("DELETE", Value::Null).await.0, 204);
    assert_eq!(provider("GET", Value::Null).await.1["provider"], Value::Null);
}

#[tokio::test]
async fn the_sample_events_are_answered() {
    let mut world = world().await;
    world.assignments("PUT", json!({"assignments": ["A", "B"]})).await;
    world.people("PUT", "/privacy", json!({"mode": "pseudonymous"})).await;
    world.sync_people().await;
    let in_world = |file: &str| {
        let event = sample(file).to_string().replace("sat-main", "sat");
        serde_json::from_str::<Value>(&event).unwrap()
    };
    let (status, page) = ask(world.people_api(), &in_world("people-api/events/people.json")).await;
    assert_eq!((status, page["people"].as_array().unwrap().len()), (200, 2));
    let (status, nobody) = ask(world.people_api(), &in_world("people-api/events/reset.json")).await;
    assert_eq!((status, &nobody["code"]), (404, &json!("not_found")), "the person of the sample is nobody here");
}

/// What is chosen about people is a change of the connection: it names the revision that it is based on, and of two who choose at once one is told.
#[tokio::test]
async fn a_choice_about_people_names_the_revision_that_it_is_based_on() {
    let world = world().await;
    for (path, choice) in [
        ("/connections/sat/assignments", json!({"assignments": ["A", "B"]})),
        ("/connections/sat/privacy", json!({"mode": "pseudonymous"})),
    ] {
        let function = || if path.ends_with("privacy") { world.people_api() } else { world.connection_test() };
        let put = async |revision: Option<String>| {
            let mut asked = event("PUT", path, choice.clone());
            asked["headers"].as_object_mut().unwrap().remove("if-match");
            if let Some(revision) = revision {
                asked["headers"]["if-match"] = json!(revision);
            }
            ask_for_all(function(), &asked).await
        };
        let now = async || world.store.connection(&company(), &connection("sat")).await.unwrap().unwrap();
        let before = now().await;
        let (status, _, problem) = put(None).await;
        assert_eq!((status, &problem["code"]), (428, &json!("revision_needed")), "{path}");
        for old in [format!("\"{}\"", before.revision + 1), "\"x\"".to_owned()] {
            let asked = world.simulator.requests().len();
            let (status, _, problem) = put(Some(old)).await;
            assert_eq!((status, &problem["code"]), (412, &json!("stale")), "{path}");
            assert_eq!(world.simulator.requests().len(), asked, "Huntress is not asked");
        }
        assert_eq!(now().await, before, "nothing was changed");
        let (status, headers, _) = put(Some(format!("\"{}\"", before.revision))).await;
        let after = now().await;
        assert_eq!((status, after.revision), (200, before.revision + 1), "{path}");
        assert_eq!(headers["etag"].to_str().unwrap(), format!("\"{}\"", after.revision));
        assert_eq!(put(Some(format!("\"{}\"", before.revision))).await.0, 412, "the other one");
    }
}

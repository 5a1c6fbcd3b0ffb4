//! Who may call which route.

use super::{World, ask, ask_for_all, company, connection, sample};
use axum::Router;
use common::api::{Entry, Role, routes};
use serde_json::{Value, json};

/// The function that answers a route, as its `main` puts it together.
pub(super) fn function(world: &World, entry: &Entry) -> Router {
    match entry.function {
        "on-demand-sync" => world.on_demand_sync(),
        "connection-test" => world.connection_test(),
        "people-api" => world.people_api(),
        "connections-api" => world.connections_api(),
        "evidence-api" => world.evidence_api(),
        "packs-api" => world.packs_api(),
        routes::SERVE => world.serve(),
        other => panic!("no function {other}"),
    }
}

fn key(entry: &Entry) -> String {
    format!("{} {}", entry.method, entry.path)
}

const RUN: &str = "019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11";
const PERSON: &str = "0123456789abcdef0123456789abcdef";

/// An event for a route, from a caller with these claims.
pub(super) fn event(entry: &Entry, company: &str, claims: &Value) -> Value {
    let (method, template, key) = (entry.method.as_str(), entry.path, key(entry));
    let path = template.replace("{company}", company).replace("{connection}", "edr-main").replace("{run}", RUN);
    let path = path.replace("{rule}", "edr-online").replace("{name}", "baseline").replace("{version}", "1.0.0");
    let path = path.replace("{key}", "expected_devices").replace("{id}", "0123456789ab");
    let path =
        path.replace("{person}", PERSON).replace("{client}", "client-acme-corp").replace("{product}", "huntress-edr");
    let path = path.replace("{pack}", "20260322T110000Z-0").replace("{format}", "oscal");
    let path = path
        .replace("{person}", PERSON)
        .replace("{client}", "client-acme-corp")
        .replace("{product}", "huntress-edr")
        .replace("{id}", "ci");
    let mut event = sample("on-demand-sync/events/sync-now.json");
    event["routeKey"] = json!(key);
    event["rawPath"] = json!(path);
    event["pathParameters"] = json!({"company": company, "connection": "edr-main"});
    let context = &mut event["requestContext"];
    context["routeKey"] = json!(key);
    context["http"]["method"] = json!(method);
    context["http"]["path"] = json!(path);
    if claims.is_null() {
        context.as_object_mut().unwrap().remove("authorizer");
    } else {
        context["authorizer"]["jwt"]["claims"] = claims.clone();
    }
    event
}

#[tokio::test]
async fn nobody_gets_in_without_both_claims() {
    let mut world = World::with(&["edr-main"]).await;
    for route in routes::table().iter().filter(|route| !route.is_public) {
        for claims in [
            json!(null),
            json!({}),
            json!({"sub": "user-7f3a"}),
            json!({"company_id": "msp-acme"}),
            json!({"sub": "user-7f3a", "company_id": ""}),
            json!({"sub": "user-7f3a", "company_id": "msp-acme#"}),
            json!({"sub": "user-7f3a", "Company_Id": "msp-acme"}),
        ] {
            let asked = event(route, "msp-acme", &claims);
            let (status, headers, body) = ask_for_all(function(&world, route), &asked).await;
            assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{} {claims}", key(route));
            assert_eq!(headers["content-type"], "application/problem+json");
        }
    }
    nothing_happened(&mut world).await;
}

#[tokio::test]
async fn nobody_acts_for_another_company() {
    let mut world = World::with(&["edr-main"]).await;
    for route in routes::table().iter().filter(|route| route.path.contains("{company}")) {
        for (caller, company) in [("msp-other", "msp-acme"), ("msp-acme", "msp-other"), ("MSP-ACME", "msp-acme")] {
            let claims = json!({"sub": "user-7f3a", "company_id": caller, "role": "admin"});
            let (status, body) = ask(function(&world, route), &event(route, company, &claims)).await;
            assert_eq!((status, &body["code"]), (403, &json!("forbidden")), "{} {caller}", key(route));
            // Whether that company exists is not told.
            assert!(!body.to_string().contains(company));
        }
        // A header or a parameter is no claim.
        let mut forged =
            event(route, "msp-acme", &json!({"sub": "user-7f3a", "company_id": "msp-other", "role": "admin"}));
        forged["headers"]["company_id"] = json!("msp-acme");
        forged["headers"]["x-company-id"] = json!("msp-acme");
        forged["rawQueryString"] = json!("company_id=msp-acme");
        assert_eq!(ask(function(&world, route), &forged).await.0, 403, "{}", key(route));
    }
    nothing_happened(&mut world).await;
}

/// Every route for every role, at its own company: in exactly where the role has the route's scope.
#[tokio::test]
async fn a_role_gets_in_where_it_has_the_scope() {
    let world = World::with(&["edr-main"]).await;
    let limits = json!({"clients": "[client-acme-corp]", "window": "2026-01-01/2026-12-31"});
    for role in Role::ALL.into_iter().map(|role| role.as_str()).chain(["root", ""]) {
        let mut claims = json!({"sub": "user-7f3a", "company_id": "[msp-acme msp-other]", "role": role});
        if role == "auditor" {
            claims.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        }
        for entry in &routes::table() {
            let (status, body) = ask(function(&world, entry), &event(entry, "msp-acme", &claims)).await;
            let may =
                entry.scope.is_none_or(|scope| Role::parse(role).is_some_and(|role| role.scopes().contains(scope)));
            if may {
                assert!(![401, 403].contains(&status) || role == "auditor", "{role} {} {status} {body}", key(entry));
            } else {
                assert_eq!((status, &body["code"]), (403, &json!("scope_missing")), "{role} {}", key(entry));
            }
        }
    }
}

/// A caller who is bound to clients gets nothing of another client, and nothing of the whole company, whatever the role.
#[tokio::test]
async fn who_is_bound_to_clients_sees_no_other() {
    let mut world = World::with(&["edr-main"]).await;
    let claims = json!({"sub": "user-7f3a", "company_id": "msp-acme", "role": "admin", "clients": "client-globex"});
    for entry in &routes::table() {
        let (status, body) = ask(function(&world, entry), &event(entry, "msp-acme", &claims)).await;
        let expected = match entry.path {
            path if path.contains("/clients/{client}") => (404, json!("not_found")),
            path if path.contains("/connections")
                || path.contains("{company}/evidence")
                || path.contains("/policies")
                || path.contains("/tokens") =>
            {
                (403, json!("clients_only"))
            }
            _ => continue,
        };
        assert_eq!((status, body["code"].clone()), expected, "{}", key(entry));
    }
    nothing_happened(&mut world).await;
}

pub(super) async fn nothing_happened(world: &mut World) {
    assert_eq!(world.sent(), []);
    assert_eq!(world.simulator.requests(), []);
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 1).await.unwrap(), []);
    let untouched = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
    assert_eq!(untouched.last_test, None);
}

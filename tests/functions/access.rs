//! Who may call which route.

use super::{World, ask, ask_for_all, company, connection, sample};
use axum::Router;
use serde_json::{Value, json};

/// A route, and the function that answers it.
struct Route {
    key: &'static str,
    function: fn(&World) -> Router,
}

/// Every route of the HTTP API.
const ROUTES: [Route; 20] = [
    Route { key: "POST /v1/companies/{company}/connections/{connection}/sync", function: World::on_demand_sync },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/runs", function: World::on_demand_sync },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/runs/{run}", function: World::on_demand_sync },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/forecast", function: World::on_demand_sync },
    Route { key: "POST /v1/companies/{company}/connections/{connection}/test", function: World::connection_test },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/assignments", function: World::connection_test },
    Route { key: "PUT /v1/companies/{company}/connections/{connection}/assignments", function: World::connection_test },
    Route { key: "PUT /v1/companies/{company}/connections/{connection}/privacy", function: World::people_api },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/people", function: World::people_api },
    Route { key: "DELETE /v1/companies/{company}/connections/{connection}/people", function: World::people_api },
    Route { key: "POST /v1/companies/{company}/connections/{connection}/people/lookup", function: World::people_api },
    Route { key: "GET /v1/companies/{company}/connections/{connection}/people/{person}", function: World::people_api },
    Route {
        key: "DELETE /v1/companies/{company}/connections/{connection}/people/{person}",
        function: World::people_api,
    },
    Route {
        key: "GET /v1/companies/{company}/connections/{connection}/people/{person}/onboarding",
        function: World::people_api,
    },
    Route {
        key: "POST /v1/companies/{company}/connections/{connection}/people/{person}/reset",
        function: World::people_api,
    },
    Route {
        key: "POST /v1/companies/{company}/connections/{connection}/people/{person}/identity",
        function: World::people_api,
    },
    Route {
        key: "POST /v1/companies/{company}/connections/{connection}/people/{person}/certificate",
        function: World::people_api,
    },
    Route { key: "GET /v1/companies/{company}/clients/{client}/training-provider", function: World::people_api },
    Route { key: "PUT /v1/companies/{company}/clients/{client}/training-provider", function: World::people_api },
    Route { key: "DELETE /v1/companies/{company}/clients/{client}/training-provider", function: World::people_api },
];

const RUN: &str = "019d1533-a91c-7c3e-9b1a-4f2d6e8a0c11";
const PERSON: &str = "0123456789abcdef0123456789abcdef";

/// An event for a route, from a caller with these claims.
fn event(route: &Route, company: &str, claims: &Value) -> Value {
    let (method, template) = route.key.split_once(' ').unwrap();
    let path = template.replace("{company}", company).replace("{connection}", "edr-main").replace("{run}", RUN);
    let path = path.replace("{person}", PERSON).replace("{client}", "client-acme-corp");
    let mut event = sample("on-demand-sync/events/sync-now.json");
    event["routeKey"] = json!(route.key);
    event["rawPath"] = json!(path);
    event["pathParameters"] = json!({"company": company, "connection": "edr-main"});
    let context = &mut event["requestContext"];
    context["routeKey"] = json!(route.key);
    context["http"]["method"] = json!(method);
    context["http"]["path"] = json!(path);
    if claims.is_null() {
        context.as_object_mut().unwrap().remove("authorizer");
    } else {
        context["authorizer"]["jwt"]["claims"] = claims.clone();
    }
    event
}

#[test]
fn these_are_all_routes_of_the_template() {
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap();
    let key =
        |line: &str| line.trim().strip_prefix("RouteKey:").map(|key| key.trim().trim_matches(['"', '\'']).to_owned());
    let mut declared: Vec<String> = template.lines().filter_map(key).collect();
    let mut tested: Vec<&str> = ROUTES.iter().map(|route| route.key).collect();
    declared.sort();
    tested.sort_unstable();
    assert_eq!(declared, tested, "every route needs its access tested here");
    // None of them is open: each names the authorizer.
    let with_authorizer = template.lines().filter(|line| line.trim() == "AuthorizationType: JWT").count();
    assert_eq!(with_authorizer, ROUTES.len());
}

#[tokio::test]
async fn nobody_gets_in_without_both_claims() {
    let mut world = World::with(&["edr-main"]).await;
    for route in &ROUTES {
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
            let (status, headers, body) = ask_for_all((route.function)(&world), &asked).await;
            assert_eq!((status, &body["code"]), (401, &json!("unauthenticated")), "{} {claims}", route.key);
            assert_eq!(headers["content-type"], "application/problem+json");
        }
    }
    nothing_happened(&mut world).await;
}

#[tokio::test]
async fn nobody_acts_for_another_company() {
    let mut world = World::with(&["edr-main"]).await;
    for route in &ROUTES {
        for (caller, company) in [("msp-other", "msp-acme"), ("msp-acme", "msp-other"), ("MSP-ACME", "msp-acme")] {
            let claims = json!({"sub": "user-7f3a", "company_id": caller});
            let (status, body) = ask((route.function)(&world), &event(route, company, &claims)).await;
            assert_eq!((status, &body["code"]), (403, &json!("forbidden")), "{} {caller}", route.key);
            // Whether that company exists is not told.
            assert!(!body.to_string().contains(company));
        }
        // A header or a parameter is no claim.
        let mut forged = event(route, "msp-acme", &json!({"sub": "user-7f3a", "company_id": "msp-other"}));
        forged["headers"]["company_id"] = json!("msp-acme");
        forged["headers"]["x-company-id"] = json!("msp-acme");
        forged["rawQueryString"] = json!("company_id=msp-acme");
        assert_eq!(ask((route.function)(&world), &forged).await.0, 403, "{}", route.key);
    }
    nothing_happened(&mut world).await;
}

#[tokio::test]
async fn the_own_company_gets_in() {
    let world = World::with(&["edr-main"]).await;
    let claims = json!({"sub": "user-7f3a", "company_id": "msp-acme"});
    let mut statuses = Vec::new();
    for route in &ROUTES {
        statuses.push(ask((route.function)(&world), &event(route, "msp-acme", &claims)).await.0);
    }
    assert_eq!(statuses[..5], [202, 200, 404, 200, 200], "there is no such run");
    // The connection is one of the endpoint API, which knows no people: what it is asked about them is refused, or not there. Bodies are empty.
    assert_eq!(statuses[5..8], [400, 400, 400]);
    assert_eq!(statuses[8..17], [400, 204, 400, 400, 400, 400, 400, 400, 400]);
    assert_eq!(statuses[17..], [200, 400, 204]);
}

async fn nothing_happened(world: &mut World) {
    assert_eq!(world.sent(), []);
    assert_eq!(world.simulator.requests(), []);
    assert_eq!(world.store.runs(&company(), &connection("edr-main"), 1).await.unwrap(), []);
    let untouched = world.store.connection(&company(), &connection("edr-main")).await.unwrap().unwrap();
    assert_eq!(untouched.last_test, None);
}

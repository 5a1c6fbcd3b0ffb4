//! What the pages of the console ask of the table, against the roles of their functions.

use super::permissions::{Recorder, compare};
use super::{World, connection, tick};
use chrono::TimeDelta;
use common::api::{Caller, Claims};
use common::app::collection::worker::Processed;
use common::aws::secrets::oauth_client::OauthClient;
use common::console::{
    ConnectionPages, CookieKey, Entrance, EvidencePages, IssuerSignIn, IssuerState, SealedSessions, SignIn, Site,
};
use common::domain::product::Product;
use serde_json::json;
use simulator::{API_KEY, API_SECRET};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who looks at the pages and uses their forms, all of them, over what two syncs left behind. What is asked of other services than the table is the API's, whose
/// tests look at it.
#[tokio::test]
async fn the_roles_allow_what_pages_and_forms_need() {
    let (of_evidence, of_connections) = (Recorder::default(), Recorder::default());
    let mut world = super::people::world().await;
    let edr = World::with(&[]).await;
    world.huntress.origins.edr = edr.huntress.origins.edr.clone();
    world.add("edr-main").await;
    world.assignments("PUT", json!({"assignments": ["A", "B"]})).await;
    world.people("PUT", "/privacy", json!({"mode": "full"})).await;
    let mut runs = BTreeMap::new();
    for id in ["sat", "edr-main"] {
        let asked = world.planner().sync_now(&super::company(), &connection(id), None).await.unwrap();
        let message = world.sent().remove(0);
        let deadline = tick() + TimeDelta::minutes(10);
        let processed = world.worker().process(&message, "worker", deadline, Arc::default()).await.unwrap();
        assert!(matches!(processed, Processed::Succeeded { .. }), "{processed:?}");
        runs.insert(id, asked.run.id);
    }
    world.log().sign_all(&super::company()).await.unwrap();
    world.huntress.clock = Arc::new(super::Stopped(tick() + TimeDelta::hours(3)));
    let (_, found) = world.people("POST", "/people/lookup", json!({"learner_id": "person-2"})).await;
    let person = found["person"]["person"].as_str().unwrap().to_owned();
    // The maker of packs is another function.
    let packs = world.packs();
    let sessions = |world: &World| {
        let key = CookieKey::Given("a text of at least 32 characters, made by the stack".into());
        SealedSessions::new(key, world.store.clone(), world.huntress.clock.clone())
    };
    let site = || Site::public("https://console.example").unwrap();
    world.watch(&of_connections);
    let Ok(entrance) = Entrance::new(&world.parts(), SignIn::Elsewhere(Box::new(sessions(&world))), site());
    let Ok(connections) = ConnectionPages::new(&world.parts(), entrance);
    world.watch(&of_evidence);
    let packs = common::app::packs::PackService { reader: world.pack_reader(), ..packs };
    let sign_in = IssuerSignIn {
        issuer: "https://issuer.example".to_owned(),
        client: OauthClient::None,
        sessions: sessions(&world),
        scopes: "openid".to_owned(),
        claims: Claims::read(&|_| None),
        http: world.huntress.http.clone(),
        origin: "https://console.example".to_owned(),
        allow_loopback: false,
        state: IssuerState::default(),
    };
    let admin = |name: &str| Caller::with_role(super::company(), name, common::api::Role::Admin);
    let cookies = [sign_in.open(admin("ada")).await.unwrap(), sign_in.open(admin("bob")).await.unwrap()];
    let Ok(entrance) = Entrance::new(&world.parts(), SignIn::Issuer(Box::new(sign_in)), site());
    let Ok(evidence) = EvidencePages::new(&world.parts(), packs, entrance);
    let [evidence, connections] = [Arc::new(evidence).router(), Arc::new(connections).router()];
    let router = acceptance::behind_the_gateway(&[("console", evidence), ("console-connections", connections)]);
    let send = async |who: usize, method: &str, path: &str, body: String| {
        let request = axum::http::Request::builder().method(method).uri(path).header("host", "console.example");
        let request = request.header("origin", "https://console.example");
        let request = request.header("cookie", format!("__Host-session={}", cookies[who]));
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(axum::body::Body::from(body));
        let answer = tower::ServiceExt::oneshot(router.clone(), request.unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    };
    let field = |body: &str, name: &str| {
        let rest =
            body.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no {name}: {body}"));
        rest.split('"').next().unwrap().to_owned()
    };
    let client = "client-acme-corp";
    // The way to the issuer asks nothing of AWS but secrets.
    let pages = common::console::table();
    let read = |entry: &&common::api::Entry| entry.method == common::api::Method::Get && entry.path != "/login/start";
    for entry in pages.iter().filter(read) {
        for (id, product) in [("sat", Product::Sat), ("edr-main", Product::Edr)] {
            let product = product.as_str();
            let path = entry.path.replace("{client}", client).replace("{connection}", id).replace("{product}", product);
            let path = path
                .replace("{run}", runs[id].as_str())
                .replace("{rule}", "edr-online")
                .replace("{link}", &"A".repeat(43))
                .replace("{person}", &person)
                .replace("{pack}", "20260322T110000Z-0");
            let (status, body) = send(0, "GET", &path, String::new()).await;
            assert!(status < 500, "{path}: {status} {body}");
        }
    }
    let tokens = [
        field(&send(0, "GET", "/settings", String::new()).await.1, "form_token"),
        field(&send(1, "GET", "/settings", String::new()).await.1, "form_token"),
    ];
    let revision =
        async |id: &str| field(&send(0, "GET", &format!("/integrations/{id}"), String::new()).await.1, "revision");
    let post = async |who: usize, path: &str, form: &[(&str, &str)]| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("form_token", &tokens[who])
            .extend_pairs(form)
            .finish();
        let (status, body) = send(who, "POST", path, form).await;
        assert_eq!(status, 303, "{path}: {body}");
    };
    let credential = [("apiKey", API_KEY), ("apiSecret", API_SECRET)];
    let connect = [("product", "huntress-edr"), ("id", "edr-new"), ("client", "client-new")];
    post(0, "/integrations", &[&connect[..], &credential].concat()).await;
    let test = url::form_urlencoded::Serializer::new(String::new()).append_pair("form_token", &tokens[0]).finish();
    assert_eq!(send(0, "POST", "/integrations/edr-new/test", test).await.0, 200);
    let at = revision("edr-new").await;
    post(0, "/integrations/edr-new/credential", &[&[("revision", at.as_str())][..], &credential].concat()).await;
    let at = revision("edr-new").await;
    let settings = [("revision", at.as_str()), ("online_within_hours", "12"), ("missing_after_days", "5")];
    post(0, "/integrations/edr-new/settings", &settings).await;
    let at = revision("edr-new").await;
    post(0, "/integrations/edr-new/mapping", &[("revision", at.as_str()), ("do", "one"), ("one_client", "client-b")])
        .await;
    let at = revision("sat").await;
    let chosen = [("revision", at.as_str()), ("assignment", "A"), ("recertify", "365")];
    post(0, "/integrations/sat/assignments", &chosen).await;
    for path in ["pause", "resume", "sync"] {
        post(0, &format!("/integrations/edr-new/{path}"), &[]).await;
    }
    post(0, "/settings/policy", &[("client", client), ("policy", "baseline 1.0.0")]).await;
    post(0, "/settings/provider", &[("client", client), ("connection", "sat")]).await;
    post(0, "/settings/provider", &[("client", client)]).await;
    for (what, how) in [
        ("the laptops of sales", "approve"),
        ("the desktops of support", "reject"),
        ("the servers of the lab", "approve"),
    ] {
        let reason = format!("In May we replace {what}, until then they stay as they are.");
        let form = [
            ("client", client),
            ("kind", "rule"),
            ("named", "edr-online"),
            ("until", "2026-05-01"),
            ("reason", &reason),
        ];
        post(0, "/exceptions", &form).await;
        let page = send(1, "GET", "/exceptions", String::new()).await.1;
        let id = page.split(&format!("/{how}\"")).next().unwrap().rsplit("/exceptions/").next().unwrap().to_owned();
        post(1, &format!("/exceptions/{id}/{how}"), &[("client", client)]).await;
        if how == "approve" {
            post(1, &format!("/exceptions/{id}/revoke"), &[("client", client)]).await;
        }
    }
    post(0, "/packs", &[("client", client), ("from", "2026-03-22"), ("to", "2026-03-22")]).await;
    let names = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("form_token", tokens[0].as_str()), ("reason", "the audit")])
        .finish();
    let names = names.as_str();
    assert_eq!(send(0, "POST", &format!("/clients/{client}/training/names"), names.to_owned()).await.0, 200);
    post(0, &format!("/clients/{client}/training/find"), &[("learner", "person-2")]).await;
    let person = format!("/integrations/sat/people/{person}");
    assert_eq!(send(0, "POST", &format!("{person}/name"), names.to_owned()).await.0, 200);
    let (status, page) = send(0, "POST", &format!("{person}/link"), format!("{names}&days=14")).await;
    // A function knows one address of its own: the public one.
    let link = page.split("value=\"https://console.example/onboarding/").nth(1).unwrap_or_else(|| panic!("{page}"));
    let link = format!("/onboarding/{}", link.split('"').next().unwrap());
    assert!(status == 200 && !page.contains("this machine alone"), "{page}");
    assert_eq!(send(0, "GET", &link, String::new()).await.0, 200);
    post(0, &format!("{person}/take-back"), &[]).await;
    assert_eq!(send(0, "GET", &link, String::new()).await.0, 410);
    // A link that is there when everybody is erased.
    assert_eq!(send(0, "POST", &format!("{person}/link"), format!("{names}&days=14")).await.0, 200);
    for mode in ["pseudonymous", "aggregate"] {
        let at = revision("sat").await;
        post(0, "/integrations/sat/privacy", &[("revision", at.as_str()), ("mode", mode), ("erase", "yes")]).await;
    }
    let at = revision("edr-new").await;
    post(0, "/integrations/edr-new/disconnect", &[("revision", at.as_str()), ("named", "edr-new")]).await;
    post(0, "/integrations", &[&connect[..], &credential].concat()).await;
    post(0, "/company", &[("company", "msp-acme")]).await;
    post(0, "/logout", &[]).await;
    compare("ConsoleRole", "manager", of_evidence.heard());
    compare("ConsoleConnectionsRole", "manager", of_connections.heard());
}

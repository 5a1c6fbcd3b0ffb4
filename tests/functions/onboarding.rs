//! Onboarding links: made over HTTP, and opened by who has one, without an account.

use super::people::event;
use super::{Stopped, World, ask, company};
use chrono::TimeDelta;
use common::app::connections::OauthSettings;
use common::app::stack::Stack;
use common::aws::secrets::oauth_client::OauthClient;
use common::clock::Clock;
use common::console::{Console, KnownToken, Sessions, SignIn, Site, Tokens};
use common::settings::PublicUrl;
use common::store::StoreError;
use serde_json::{Value, json};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use tower::ServiceExt;

const ORIGIN: &str = "https://console.example";

/// A host whose pages are at an address.
pub(super) fn with_pages() -> Arc<OauthSettings> {
    let public_url = Some(PublicUrl::parse(ORIGIN).unwrap());
    Arc::new(OauthSettings { client: OauthClient::None, public_url, has_pages: true })
}

struct Nobody;

impl Tokens for Nobody {
    fn caller<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = Result<KnownToken, StoreError>> + Send + 'a>> {
        Box::pin(ready(Ok(None)))
    }
}

async fn tracked() -> World {
    let mut world = super::people::world().await;
    world.oauth = with_pages();
    world.assignments("PUT", json!({"assignments": ["A", "B"]})).await;
    assert_eq!(world.people("PUT", "/privacy", json!({"mode": "full"})).await.0, 200);
    world.sync_people().await;
    world
}

impl World {
    async fn person_of(&self, learner: &str) -> String {
        let (_, found) = self.people("POST", "/people/lookup", json!({"learner_id": learner})).await;
        found["person"]["person"].as_str().unwrap().to_owned()
    }

    /// A link for a learner; the path of its page.
    async fn link_for(&self, learner: &str, body: Value) -> String {
        let person = self.person_of(learner).await;
        let (status, made) = self.people("POST", &format!("/people/{person}/onboarding-link"), body).await;
        assert_eq!(status, 200, "{made}");
        made["url"].as_str().unwrap().strip_prefix(ORIGIN).unwrap().to_owned()
    }

    /// What a browser without any cookie gets: status, headers and page.
    async fn open_link(&self, path: &str) -> (u16, axum::http::HeaderMap, String) {
        let clock: Arc<dyn Clock> = self.huntress.clock.clone();
        let sign_in = SignIn::Machine { sessions: Sessions::new(clock), tokens: Arc::new(Nobody) };
        let Ok(console) = Console::new(&self.parts(), self.packs(), sign_in, Site::public(ORIGIN).unwrap());
        let request = axum::http::Request::builder().uri(path).header("host", "console.example");
        let answer = console.router().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[track_caller]
    fn shows_nothing<'a>(&'a self, path: &'a str, status: u16, said: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let (found, headers, page) = self.open_link(path).await;
            assert_eq!(found, status, "{path} at {caller}: {page}");
            assert!(page.contains(said) && page.contains("Ask whoever sent it to you"), "{caller}: {page}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{caller}");
        }
    }
}

#[tokio::test]
async fn a_person_sees_their_own_training_and_nothing_else() {
    let world = tracked().await;
    let link = world.link_for("person-2", json!({})).await;
    let (status, headers, page) = world.open_link(&link).await;
    assert_eq!(status, 200, "{page}");
    for part in
        ["Not complete", "Please complete the security awareness training", "<bdi>B</bdi>", "https://mycurricula.com/"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(
        (&headers["referrer-policy"], &headers["cache-control"]),
        (&"no-referrer".parse().unwrap(), &"no-store".parse().unwrap())
    );
    // Neither in the address nor on the page: whose it is, and anything else of the company.
    let person = world.person_of("person-2").await;
    for nothing in [person.as_str(), "person-2", "msp-acme", "client-acme-corp", "/settings", "form_token", "<form"] {
        assert!(!page.contains(nothing) && !link.contains(nothing), "{nothing}: {page}");
    }
    // It works as often as it is opened, and each link is another one.
    assert_eq!(world.open_link(&link).await.0, 200);
    assert_ne!(world.link_for("person-2", json!({})).await, link);
    let done = world.link_for("person-1", json!({"days": 90})).await;
    let (_, _, page) = world.open_link(&done).await;
    assert!(page.contains("You have completed") && !page.contains("mycurricula"), "{page}");
}

#[tokio::test]
async fn who_made_a_link_is_kept_and_not_for_whom() {
    let world = tracked().await;
    let link = world.link_for("person-2", json!({"days": 3})).await;
    let (_, log) = ask(world.evidence_api(), &event("GET", "/audit-log", Value::Null)).await;
    let events = log["items"].as_array().or_else(|| log["events"].as_array()).unwrap();
    let made = events.iter().find(|event| event["action"] == "onboarding_link.created").unwrap();
    assert_eq!(made["actor"].as_str().or_else(|| made["actor"]["name"].as_str()), Some("user-7f3a"), "{made}");
    let (person, secret) = (world.person_of("person-2").await, link.rsplit('/').next().unwrap());
    assert!(!log.to_string().contains(&person) && !log.to_string().contains(secret), "{log}");
    let at = format!("/people/{person}/onboarding-link");
    for days in [json!(0), json!(91), json!(-1), json!("3")] {
        assert_eq!(world.people("POST", &at, json!({"days": days})).await.0, 400, "{days}");
    }
    let nobody = "/people/0123456789abcdef0123456789abcdef/onboarding-link";
    assert_eq!(world.people("POST", nobody, json!({})).await.0, 404);
}

#[tokio::test]
async fn a_link_that_is_forged_old_or_about_nobody_says_what_to_do() {
    let mut world = tracked().await;
    let link = world.link_for("person-2", json!({"days": 3})).await;
    let other = world.link_for("person-1", json!({"days": 10})).await;
    let secret = link.rsplit('/').next().unwrap();
    let turned = if secret.starts_with('A') { "B" } else { "A" };
    for forged in [
        format!("{turned}{}", &secret[1..]),
        secret[1..].to_owned(),
        format!("{secret}A"),
        "A".repeat(43),
        "x".to_owned(),
    ] {
        world.shows_nothing(&format!("/onboarding/{forged}"), 404, "This link is not known").await;
    }
    let now = world.huntress.clock.now();
    world.huntress.clock = Arc::new(Stopped(now + TimeDelta::days(3) - TimeDelta::seconds(1)));
    assert_eq!(world.open_link(&link).await.0, 200);
    world.huntress.clock = Arc::new(Stopped(now + TimeDelta::days(3)));
    world.shows_nothing(&link, 410, "This link has expired").await;
    // Whoever was erased is not found by it again.
    assert_eq!(world.open_link(&other).await.0, 200);
    let person = world.person_of("person-1").await;
    assert_eq!(world.people("DELETE", &format!("/people/{person}"), Value::Null).await.0, 204);
    world.shows_nothing(&other, 410, "not kept any more").await;
}

#[tokio::test]
async fn a_link_that_is_taken_back_shows_nothing_and_those_of_others_stay() {
    let mut world = tracked().await;
    let (first, second) = (world.link_for("person-2", json!({})).await, world.link_for("person-2", json!({})).await);
    let others = world.link_for("person-1", json!({})).await;
    let at = format!("/people/{}/onboarding-link", world.person_of("person-2").await);
    assert_eq!(world.people("DELETE", &at, Value::Null).await.0, 204);
    for link in [&first, &second] {
        world.shows_nothing(link, 410, "has taken it back").await;
    }
    assert_eq!(world.open_link(&others).await.0, 200);
    // Nothing to take back is no error, and the next link works.
    assert_eq!(world.people("DELETE", &at, Value::Null).await.0, 204);
    let next = world.link_for("person-2", json!({})).await;
    assert_eq!(world.open_link(&next).await.0, 200);
    let nobody = "/people/0123456789abcdef0123456789abcdef/onboarding-link";
    assert_eq!(world.people("DELETE", nobody, Value::Null).await.0, 404);
    // Who was erased and comes back with the next sync is another person to a link of before.
    let person = world.person_of("person-2").await;
    assert_eq!(world.people("DELETE", &format!("/people/{person}"), Value::Null).await.0, 204);
    world.sync_people().await;
    assert_eq!(world.person_of("person-2").await, person, "the hash is the same");
    world.shows_nothing(&next, 410, "not kept any more").await;
}

#[tokio::test]
async fn a_link_ends_when_something_else_is_kept_of_people() {
    let world = tracked().await;
    let link = world.link_for("person-2", json!({})).await;
    assert_eq!(world.people("PUT", "/privacy", json!({"mode": "pseudonymous", "erase": true})).await.0, 200);
    world.shows_nothing(&link, 410, "is kept in another way now").await;
    let link = world.link_for("person-2", json!({})).await;
    assert_eq!(world.open_link(&link).await.0, 200);
    let removed =
        world.store.remove_connection(&company(), &super::connection("sat"), world.huntress.clock.now()).await;
    removed.unwrap();
    world.shows_nothing(&link, 410, "not kept any more").await;
}

#[tokio::test]
async fn where_there_are_no_pages_nobody_makes_a_link() {
    let mut world = tracked().await;
    world.oauth = OauthSettings::none();
    let person = world.person_of("person-2").await;
    let (status, refused) = world.people("POST", &format!("/people/{person}/onboarding-link"), json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("conflict")));
    let _ = world.parts().people();
}

//! Coming in and going out.

use super::world::{World, caller};
use chrono::TimeDelta;
use common::clock::Clock;
use common::console::SESSION_LENGTH;
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn a_link_signs_in_once_within_five_minutes() {
    let world = World::new().await;
    let path = |link: String| link.strip_prefix(&world.origin).unwrap().to_owned();
    let (first, late) =
        (world.console.login_link(caller("admin").unwrap()), world.console.login_link(caller("admin").unwrap()));
    let (first, late) = (path(first.unwrap()), path(late.unwrap()));
    let mut browser = world.stranger();
    let page = browser.get(&first).await;
    assert_eq!((page.status, page.location.as_deref()), (StatusCode::SEE_OTHER, Some("/")));
    let set = page.headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Lax; Max-Age=28800") && set.contains("; Path=/"), "{set}");
    browser.cookie = page.cookie;
    browser.open("/").await.has("Sign out");
    let again = world.stranger().get(&first).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    again.has("has been used, or is too old").has("href=\"/login\"");
    world.clock.move_to(world.clock.now() + TimeDelta::minutes(5));
    assert_eq!(world.stranger().get(&late).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_not_shown_again() {
    let world = World::new().await;
    let form = [("token", "hunter2-marker"), ("to", "//evil.example")];
    let page = world.stranger().send(Method::POST, "/login", &[], Some(&form)).await;
    assert_eq!((page.status, &page.cookie), (StatusCode::FORBIDDEN, &None));
    page.has("This token is not known").has_not("hunter2-marker").has_not("evil.example");
    let form = [("token", " \"admin\"\r\n"), ("to", "//evil.example")];
    let page = world.stranger().send(Method::POST, "/login", &[], Some(&form)).await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/")),
        "a pasted token is cleaned"
    );
}

#[tokio::test]
async fn a_session_ends_by_logout_and_by_itself() {
    let world = World::new().await;
    let (gone, old) = (world.browser("admin").await, world.browser("admin").await);
    let page = gone.post("/logout", &[]).await;
    assert_eq!((page.status, page.location.as_deref()), (StatusCode::SEE_OTHER, Some("/login")));
    assert_eq!(gone.get("/").await.status, StatusCode::SEE_OTHER, "the old cookie opens nothing");
    old.open("/").await;
    world.clock.move_to(world.clock.now() + SESSION_LENGTH);
    assert_eq!(old.get("/").await.location.as_deref(), Some("/login"));
    let page = old.post("/company", &[("company", "msp-acme"), ("reason", "a long story")]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    page.has("You are signed out").has("a long story");
}

#[tokio::test]
async fn who_has_several_companies_chooses() {
    let world = World::new().await;
    let browser = world.browser("two-companies").await;
    browser.open("/").await.has("client-a").has("<option>msp-other</option>");
    assert_eq!(browser.post("/company", &[("company", "msp-other")]).await.status, StatusCode::SEE_OTHER);
    browser.open("/").await.has("Nothing is connected yet").has("<option>msp-acme</option>");
    assert_eq!(browser.post("/company", &[("company", "msp-third")]).await.status, StatusCode::FORBIDDEN);
}

/// Who loses a token loses what it opened, within a minute; the session of another token stays.
#[tokio::test]
async fn a_session_ends_with_its_token() {
    let world = World::new().await;
    let (revoked, other) = (world.browser("devops-engineer").await, world.browser("admin").await);
    world.tokens.revoke("devops-engineer");
    world.clock.move_to(world.clock.now() + TimeDelta::minutes(1));
    assert_eq!(revoked.get("/").await.location.as_deref(), Some("/login"));
    other.open("/").await;
}

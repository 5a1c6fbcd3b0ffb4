//! What pages show.

use super::world::{CLIENT, World, reads};
use chrono::TimeDelta;

#[tokio::test]
async fn a_client_page_has_its_cards_rules_ages_and_lines() {
    let world = World::new().await;
    let page = world.browser("admin").await;
    drop(world.counted.take());
    let page = page.open("/clients/client-a").await;
    println!("{} bytes, {} reads {:?}", page.body.len(), 0, world.counted.take());
    page.has("Endpoints").has("Incidents").has("Security awareness training").has("Phishing simulations");
    page.has("passes with at least 95 %, warns down to 90 %").has("2 h old").has("How this came about");
    page.has("Agents by state").has("url(#hatch)").has("no value on that day").has("pass from 95 %");
    page.has_not("None").has_not(">null<");
    assert!(page.body.len() < 60_000, "{}", page.body.len());
}

#[tokio::test]
async fn evidence_that_is_old_never_looks_like_a_pass() {
    let world = World::new().await;
    world.clock.move_to(super::world::first() + TimeDelta::days(8));
    let page = world.browser("admin").await.open(&format!("/clients/{CLIENT}")).await;
    page.has("stale (was").has_not("class=\"state pass\"");
    let _ = reads;
}

#[tokio::test]
async fn without_a_connection_the_way_to_one_is_shown() {
    let world = World::empty().await;
    world.browser("admin").await.open("/").await.has("Nothing is connected yet");
    assert_eq!(world.browser("admin").await.get("/clients/nobody").await.status, 404);
    world.browser("admin").await.open("/runs").await.has("nothing has run");
}

#[tokio::test]
async fn runs_show_what_failed_as_text() {
    let world = World::new().await;
    let page = world.browser("admin").await.open("/runs").await;
    page.has("Huntress said &#60;b&#62;no&#60;/b&#62;").has_not("<b>no").has("succeeded").has("failed");
}

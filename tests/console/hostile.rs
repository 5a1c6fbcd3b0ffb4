//! Names from Huntress that want to be run, to turn what stands around them, or to fill the page: shown as text, on one line, cut.

use super::world::{Browser, CLIENT, Page, World, run};
use reqwest::StatusCode;
use serde_json::Value;
use simulator::{List, SAT_CLIENT_ID, SAT_CLIENT_SECRET, SatAccount};
use std::collections::BTreeSet;

/// Characters of a name that are shown.
const SHOWN: usize = 80;

/// What a reader sees of a name: no controls, no marks of direction, one space where there were several.
fn seen(name: &str) -> String {
    let marks = ['\u{202e}', '\u{202c}', '\u{2066}', '\u{2069}', '\u{200f}'];
    let line: String = name.chars().map(|c| if c.is_control() || marks.contains(&c) { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text of a page, without what its characters are written as.
fn text(page: &Page) -> String {
    let mut text = page.body.clone();
    for (written, meant) in [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")] {
        text = text.replace(written, meant);
    }
    text
}

/// What no page may hold.
#[track_caller]
fn is_harmless(page: &Page, path: &str) {
    assert_eq!(page.status, StatusCode::OK, "{path}");
    for harm in [
        "<script>window",
        "<img",
        "<svg/onload",
        "</textarea></option>",
        "<%=",
        "<b>",
        "\u{202e}",
        "\u{2066}",
        "\u{200f}",
    ] {
        assert!(!page.body.contains(harm), "{path} holds {harm:?}");
    }
    // An attribute is never left.
    assert!(!page.body.contains("=\"javascript:") && !page.body.contains("' onmouseover='"), "{path}");
    assert!(!page.body.contains(&"long ".repeat(20)), "{path} holds a name that is not cut");
}

/// From the page, for the client that the endpoints are of.
async fn connect_training(browser: &Browser) {
    let form = [
        ("product", "huntress-sat"),
        ("id", "trained"),
        ("client", CLIENT),
        ("clientId", SAT_CLIENT_ID),
        ("clientSecret", SAT_CLIENT_SECRET),
    ];
    let connected = browser.post("/integrations", &form).await;
    assert_eq!(connected.status, StatusCode::SEE_OTHER, "{}", connected.body);
}

fn names(records: impl IntoIterator<Item = Value>, field: &str) -> BTreeSet<String> {
    let of = |record: Value| record.get("attributes").unwrap_or(&record)[field].as_str().map(str::to_owned);
    records.into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn names_of_organizations_are_text_where_they_are_shown() {
    let world = World::hostile().await;
    let browser = world.browser("admin").await;
    let organizations = names(world.account.records(List::Organizations), "name");
    assert!(organizations.len() == 12 && organizations.iter().any(|name| name.len() > 10_000));
    let mapping = browser.open("/integrations/edr/mapping").await;
    is_harmless(&mapping, "mapping");
    let shown = text(&mapping);
    for name in &organizations {
        assert!(shown.contains(&format!("<bdi>{}</bdi>", seen(name))), "no {:?}", seen(name));
    }
    // The portfolio shows five of those that are no client's.
    let portfolio = browser.open("/").await;
    is_harmless(&portfolio, "/");
    let shown = text(&portfolio);
    let shown = organizations.iter().filter(|name| shown.contains(&format!("<bdi>{}</bdi>", seen(name)))).count();
    assert_eq!(shown, 5);
}

#[tokio::test]
async fn names_of_assignments_are_text_where_they_are_chosen() {
    let world = World::hostile().await;
    let browser = world.browser("admin").await;
    connect_training(&browser).await;
    let records = SatAccount::demo(acceptance::edr::as_of()).with_hostile_names().to_records();
    let page = browser.open("/integrations/trained/assignments").await;
    is_harmless(&page, "assignments");
    let assignments = names(records.assignments, "name");
    let shown = text(&page);
    let shown = assignments.iter().filter(|name| shown.contains(&format!("<bdi>{}</bdi>", seen(name)))).count();
    // Those of the account's own; its children have assignments of their own.
    assert_eq!(shown, page.body.matches("name=\"assignment\"").count(), "{assignments:?}");
    assert_eq!(shown, 3);
}

/// Hosts and campaigns are counted, and named nowhere, whatever they are called.
#[tokio::test]
async fn no_page_of_a_client_names_a_host_or_a_campaign() {
    let mut world = World::hostile().await;
    let browser = world.browser("admin").await;
    connect_training(&browser).await;
    world.sync("trained").await;
    browser.open(&format!("/clients/{CLIENT}")).await.has("<bdi>trained</bdi>");
    let hosts = names(world.account.records(List::Agents), "hostname");
    let records = SatAccount::demo(acceptance::edr::as_of()).with_hostile_names().to_records();
    let campaigns = names(records.phishing_campaigns, "title");
    assert!(hosts.len() > 20 && campaigns.len() > 2, "{} {}", hosts.len(), campaigns.len());
    let evidence = format!("/evidence/huntress-edr/{}", run(1));
    for page in [
        "",
        "/over-time",
        "/controls",
        "/window",
        "/findings",
        "/what-if",
        "/training",
        "/explain/edr-online",
        &evidence,
    ] {
        let path = format!("/clients/{CLIENT}{page}");
        let page = browser.open(&path).await;
        is_harmless(&page, &path);
        let shown = text(&page);
        for name in hosts.iter().chain(&campaigns) {
            assert!(!shown.contains(&seen(name)), "{path} names {name:.200}");
        }
    }
}
